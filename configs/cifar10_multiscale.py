"""Multi-scale PixelRNN on CIFAR-10: Diagonal BiLSTM layers at 8x8, Row LSTM layers at 32x32.

python launch.py --config=configs/cifar10_multiscale.py --workdir=runs/cifar10_multiscale

`:tpu`, `:gpu`: 50,000 steps of 256 images, 5 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 119 ms a step, 2,160 images/s, 2,560 MB a chip. One H100 needs 13,768 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    small = {"name": "recurrent.DiagonalBiLSTM", "features": 64, "layers": 4, "head": 256}
    large = {"name": "recurrent.RowLSTM", "features": 128, "layers": 12, "head": 1024}
    config = autoregressive.config("multiscale.MultiScale", factor=4, small=small, large=large)
    common.cifar10(config, steps=200_000)
    return common.variants(config, arg, **common.accelerators(256, 50_000, 5))
