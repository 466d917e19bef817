"""Deep dense autoencoder on MNIST with dropout: 784-512-256-128-64-32 and back.

python launch.py --config=configs/mnist_ae_deep.py --workdir=runs/mnist_ae_deep

A step takes 4.7 ms on 2 idle CPU cores, the whole 8 minutes; not yet trained to its end.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    network, hidden = "dense.Autoencoder", (512, 256, 128, 64)
    common.autoencoder(config, name=network, hidden=hidden, code=32, activation="relu")
    config.model.update(code_activation="none", dropout=0.1)
    config.optim.update(name="nadam", eps=1e-7)
    common.mnist(config, batch_size=32, epochs=60)
    return common.variants(config, arg, smoke=common.smoke)
