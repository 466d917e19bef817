"""Denoising autoencoder on MNIST: max pooling and upsampling, noise 0.5 N(0, 1).

python launch.py --config=configs/mnist_dae_upsample.py --workdir=runs/mnist_dae_upsample

Measured, seed 0: 27,488 steps in 22 minutes on one core of an AMD EPYC, shared with other work;
test split MSE 0.0129 ± 0.0001 denoised, a cut by 8.9.
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
