"""DCGAN on MNIST: from 4x4 by 5x5 transposed convolutions, 8x8 resized to 7x7.

python launch.py --config=configs/mnist_dcgan_resize.py --workdir=runs/mnist_dcgan_resize
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.dcgan(config, start=512, features=(256, 128), down=(64, 128, 256))
    common.mnist(config, batch_size=64, epochs=3)
    return common.variants(config, arg, smoke=common.smoke)
