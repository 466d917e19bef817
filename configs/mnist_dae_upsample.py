"""Denoising autoencoder on MNIST: max pooling and upsampling, noise 0.5 N(0, 1).

python launch.py --config=configs/mnist_dae_upsample.py --workdir=runs/mnist_dae_upsample

Measured, seed 0: 27,488 steps of 16 ms on 2 idle CPU cores (7 minutes); test split MSE 0.0131
denoised, 0.1155 corrupted, a cut by 8.8.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    network, features = "conv.PooledAutoencoder", (32, 32, 16)
    common.autoencoder(config, name=network, features=features, kernel=3)
    config.model.decoder_features = (16, 32, 32)
    config.corruption.update(name="gaussian", mean=0.0, deviation=0.5)
    config.density.update(components=10, examples=10_000)  # 256-d codes: EM takes minutes
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=32, epochs=16)
    return common.variants(config, arg, smoke=common.smoke)
