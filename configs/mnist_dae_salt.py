"""Denoising autoencoder on MNIST: 30 % of the pixels set to white.

python launch.py --config=configs/mnist_dae_salt.py --workdir=runs/mnist_dae_salt

Measured, seed 0: 6,864 steps in 18 minutes on one core of an AMD EPYC, shared with other work; test
split MSE 0.0104 ± 0.0001 denoised, a cut by 24.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("conv.StridedAutoencoder", dense_activation="none")
    config.loss = "mse"
    config.corruption.name = "salt"
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=128, epochs=16)
    return config
