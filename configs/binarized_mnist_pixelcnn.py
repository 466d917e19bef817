"""PixelCNN on the fixed binarised MNIST (Larochelle's files), 7 blocks of h=32.

    python launch.py --config=configs/binarized_mnist_pixelcnn.py --workdir=runs/bmnist_pixelcnn
    python launch.py --config=configs/binarized_mnist_pixelcnn.py:wide --workdir=runs/bmnist_wide

HEADER
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.pixelcnn(config)
    config.data.update(source="tfds:binarized_mnist", image_size=28, channels=1, batch_size=16)
    config.likelihood.update(name="bernoulli", levels=2)
    config.optim.update(name="muon", learning_rate=1e-2, schedule="cosine", ema=0.999)
    config.train.update(steps=10_500, log_every=100, eval_every=3500, checkpoint_every=500)
    config.train.sample_every = 3500
    return common.variants(config, arg, smoke=smoke, wide=wide)


def wide(config: ConfigDict) -> None:
    """A 21x21 first mask: the 7x7 one and 7 blocks see 10 rows up, half a digit."""
    config.model.first_kernel = 21
    config.train.update(steps=9500, eval_every=4750, sample_every=4750)


def smoke(config: ConfigDict) -> None:
    common.smoke(config)
    config.model.update(features=8, blocks=1)
