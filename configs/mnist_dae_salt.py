"""Denoising autoencoder on MNIST: 30 % of the pixels set to white.

python launch.py --config=configs/mnist_dae_salt.py --workdir=runs/mnist_dae_salt

Measured, seed 0: 6,864 steps of 71 ms on 2 idle CPU cores (8 minutes); test split MSE 0.0104
denoised, 0.2548 corrupted, a cut by 24; `mnist_ae_dense` makes 0.1324 of the same input.
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
