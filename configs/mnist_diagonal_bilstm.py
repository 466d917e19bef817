"""PixelRNN of Diagonal BiLSTM layers on MNIST at all 256 levels, 7 layers of h=16.

python launch.py --config=configs/mnist_diagonal_bilstm.py --workdir=runs/mnist_diagonal_bilstm
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.autoregressive(config, common.of_pixels("recurrent.DiagonalBiLSTM", features=16))
    common.grey_mnist(config, steps=1500)
    return common.variants(config, arg, smoke=common.smoke)
