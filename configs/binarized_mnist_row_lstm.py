"""PixelRNN of Row LSTM layers on the fixed binarised MNIST, 7 layers of h=16.

python launch.py --config=configs/binarized_mnist_row_lstm.py --workdir=runs/row_lstm

Measured on one core of an AMD EPYC (float32), seed 0; test file of 10,000 images, EMA weights of
the last step, exact NLL: 82.10 nats, 0.1511 bits/dim, after 15,000 steps, 26 CPU-minutes. Trained
again with the code of 2026-11-26: 82.13 (`docs/zoo.md`). No result for this network on this set is
known to us.
On both cores, alone: a step takes 83 ms, 0.14 of the matrix-product peak; a sample of 64 images 2.2
full forward passes (0.16 s), 276 times less than a pass for every pixel.

`:tpu`, `:gpu`: 15,000 steps of 256 images, 20 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 16.0 ms a step, 16,000 images/s, 200 MB a chip. One H100 needs 696 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("recurrent.RowLSTM", features=16)
    common.binarized_mnist(config, steps=15_000)
    return common.variants(config, arg, **common.accelerators(256, 15_000, 20))
