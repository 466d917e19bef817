"""PixelRNN of Row LSTM layers on CIFAR-10: the paper's 12 layers of h=128.

python launch.py --config=configs/cifar10_row_lstm.py --workdir=runs/cifar10_row_lstm

Measured on 2 CPU cores (AMD EPYC, float32): a sample of 64 images takes 4.2 full
forward passes (17 s; 3.2 in another run, where the pass was slower). Not trained to
any length here.

`:tpu`, `:gpu`: 50,000 steps of 256 images, 5 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 123 ms a step, 2,070 images/s, 3,370 MB a chip. One H100 needs 14,690 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("recurrent.RowLSTM", features=128, layers=12)
    config.model.update(head=1024, skip=True)
    common.cifar10(config, steps=200_000)
    return common.variants(config, arg, **common.accelerators(256, 50_000, 5))
