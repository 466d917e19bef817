"""VAE on the fixed binarised MNIST: the one-layer network of the IWAE paper.

python launch.py --config=configs/binarized_mnist_vae.py --workdir=runs/binarized_mnist_vae
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.vae(config, name="dense.Autoencoder", hidden=(200, 200), code=50, activation="tanh")
    config.model.update(code_activation="none", dropout=0.0)
    config.data.update(source="tfds:binarized_mnist", image_size=28, channels=1, batch_size=100)
    config.likelihood.binarisation = "fixed"
    config.optim.update(learning_rate=1e-3, eps=1e-4, schedule="cosine", ema=0.999)
    common.in_epochs(config, 500, epochs=300, every=25)
    config.eval.samples = 5000
    return common.variants(config, arg, smoke=common.smoke)
