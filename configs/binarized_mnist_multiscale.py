"""Multi-scale PixelRNN on the fixed binarised MNIST: a Diagonal BiLSTM, then a Gated PixelCNN.

The first draws 7x7 pixels, the second the others of 28x28, as in `mnist_multiscale`.

python launch.py --config=configs/binarized_mnist_multiscale.py --workdir=runs/binarized_multiscale
"""

from ml_collections import ConfigDict

from configs import common, mnist_multiscale


def get_config() -> ConfigDict:
    config = mnist_multiscale.get_config()
    config.data.update(train_split="train", valid_split="")
    common.binarized_mnist(config, steps=5000)
    config.optim.learning_rate = 5e-3
    return config
