"""VAE on MNIST with a 2-d latent, the weighting of its source.

python launch.py --config=configs/mnist_vae.py --workdir=runs/mnist_vae

A step takes 149 ms on 2 idle CPU cores, the whole 11 minutes; not yet trained to its end.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    network, features = "conv.StridedAutoencoder", (32, 64, 64, 64)
    common.vae(config, name=network, features=features, strides=(1, 2, 1, 1), hidden=32)
    config.model.update(code=2, decoder_features=(32,), decoder_strides=(2,), start=64)
    config.model.update(kernel=3, activation="relu", dense_activation="relu")
    config.vae.beta = 5e-4 * 784
    common.mnist(config, batch_size=128, epochs=5)
    return common.variants(config, arg, smoke=common.smoke)
