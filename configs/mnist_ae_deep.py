"""Deep dense autoencoder on MNIST with dropout: 784-512-256-128-64-32 and back.

python launch.py --config=configs/mnist_ae_deep.py --workdir=runs/mnist_ae_deep

A step takes 4.7 ms on 2 idle CPU cores, the whole 8 minutes; not yet trained to its end.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("dense.Autoencoder", hidden=(512, 256, 128, 64), dropout=0.1)
    config.optim.update(name="nadam", eps=1e-7)
    common.mnist(config, batch_size=32, epochs=60)
    return config
