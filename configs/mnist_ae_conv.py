"""Convolutional autoencoder on MNIST: max pooling to 4x4x8, upsampling back.

python launch.py --config=configs/mnist_ae_conv.py --workdir=runs/mnist_ae_conv

Measured, seed 0: 34,360 steps of 7 ms on 2 idle CPU cores (4 minutes); test split 0.0904 nats per
pixel (BCE), MSE 0.0096, SSIM 0.882.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    network, features = "conv.PooledAutoencoder", (16, 8, 8)
    common.autoencoder(config, name=network, features=features, kernel=3)
    config.model.decoder_features = (8, 8, 16)
    config.optim.schedule = "cosine"
    common.mnist(config, batch_size=32, epochs=20)
    return common.variants(config, arg, smoke=common.smoke)
