"""Denoising autoencoder on MNIST: strided convolutions, noise N(0.5, 0.5).

python launch.py --config=configs/mnist_dae_conv.py --workdir=runs/mnist_dae_conv

Measured, seed 0: 6,864 steps of 71 ms on 2 idle CPU cores (8 minutes); test split MSE 0.0162
denoised, 0.3286 corrupted, a cut by 20.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("conv.StridedAutoencoder", dense_activation="none")
    config.loss = "mse"
    config.corruption.update(name="gaussian", mean=0.5)
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=128, epochs=16)
    return config
