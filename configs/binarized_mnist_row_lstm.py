"""PixelRNN of Row LSTM layers on the fixed binarised MNIST, 7 layers of h=16.

python launch.py --config=configs/binarized_mnist_row_lstm.py --workdir=runs/row_lstm
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    common.autoregressive(config, common.of_pixels("recurrent.RowLSTM", features=16))
    common.binarized_mnist(config, steps=15_000)
    return common.variants(config, arg, smoke=common.smoke)
