"""Denoising autoencoder on MNIST: max pooling and upsampling, noise 0.5 N(0, 1).

python launch.py --config=configs/mnist_dae_upsample.py --workdir=runs/mnist_dae_upsample

Measured, seed 0: 27,488 steps of 16 ms on 2 idle CPU cores (7 minutes); test split MSE 0.0131
denoised, 0.1155 corrupted, a cut by 8.8.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("conv.PooledAutoencoder", features=(32, 32, 16))
    config.model.decoder_features = (16, 32, 32)
    config.corruption.name = "gaussian"
    config.density.update(components=10, examples=10_000)  # 256-d codes: EM takes minutes
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=32, epochs=16)
    return config
