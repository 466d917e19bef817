"""Convolutional autoencoder on MNIST: max pooling to 4x4x8, upsampling back.

python launch.py --config=configs/mnist_ae_conv.py --workdir=runs/mnist_ae_conv

Measured, seed 0: 34,360 steps of 7 ms on 2 idle CPU cores (4 minutes); test split 0.0904 nats per
pixel (BCE), MSE 0.0096, SSIM 0.882.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("conv.PooledAutoencoder")
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=32, epochs=20)
    return config
