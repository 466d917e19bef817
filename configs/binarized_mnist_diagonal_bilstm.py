"""PixelRNN of Diagonal BiLSTM layers on the fixed binarised MNIST: the paper's 7 of h=16.

python launch.py --config=configs/binarized_mnist_diagonal_bilstm.py --workdir=runs/diagonal_bilstm
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.autoregressive(config, common.of_pixels("recurrent.DiagonalBiLSTM", features=16))
    common.binarized_mnist(config, steps=6000)
    return common.variants(config, arg, smoke=common.smoke)
