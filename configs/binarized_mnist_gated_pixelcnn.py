"""Gated PixelCNN on the fixed binarised MNIST, 7 layers of p=32.

python launch.py --config=configs/binarized_mnist_gated_pixelcnn.py --workdir=runs/gated_pixelcnn
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.autoregressive(config, common.of_pixels("gated.GatedPixelCNN", kernel=3))
    common.binarized_mnist(config, steps=10_000)
    return common.variants(config, arg, smoke=common.smoke, wide=common.wide)
