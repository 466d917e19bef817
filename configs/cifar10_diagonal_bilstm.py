"""PixelRNN of Diagonal BiLSTM layers on CIFAR-10: the paper's 12 layers of h=128.

python launch.py --config=configs/cifar10_diagonal_bilstm.py --workdir=runs/cifar10_diagonal_bilstm

Measured on 2 CPU cores (AMD EPYC, float32): a sample of 64 images takes 2.3 full
forward passes (18 s). Not trained to any length here.

`:tpu`, `:gpu`: 50,000 steps of 256 images, 5 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 529 ms a step, 484 images/s, 10,800 MB a chip. One H100 needs 47,243 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("recurrent.DiagonalBiLSTM", features=128, layers=12)
    config.model.update(head=1024, skip=True)
    common.cifar10(config, steps=200_000)
    return common.variants(config, arg, **common.accelerators(256, 50_000, 5))
