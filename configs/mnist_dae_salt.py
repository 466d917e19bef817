"""Denoising autoencoder on MNIST: 30 % of the pixels set to white.

python launch.py --config=configs/mnist_dae_salt.py --workdir=runs/mnist_dae_salt
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    network = "conv.StridedAutoencoder"
    common.autoencoder(config, name=network, features=(32, 64), strides=(2, 2), code=16)
    config.model.update(decoder_features=(64, 32), decoder_strides=(2, 2), start=64)
    config.model.update(hidden=0, kernel=3, activation="relu", dense_activation="none")
    config.loss = "mse"
    config.corruption.update(name="salt", share=0.3)
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=128, epochs=16)
    return common.variants(config, arg, smoke=common.smoke)
