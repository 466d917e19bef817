"""PixelRNN of Diagonal BiLSTM layers on MNIST at all 256 levels, 7 layers of h=16.

python launch.py --config=configs/mnist_diagonal_bilstm.py --workdir=runs/mnist_diagonal_bilstm

Measured on 1 CPU core (AMD EPYC, float32), seed 0; 10,000 test images, EMA weights, exact NLL:
591.1 nats, 1.088 bits/dim, after 1,500 steps, 11 CPU-minutes. Far from its end: the rate of
learning, not the network, is what this measures (`mnist_pixelcnn` is at 545 in five minutes).

`:tpu`, `:gpu`: 10,000 steps of 256 images, 20 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 64.9 ms a step, 3,940 images/s, 1,220 MB a chip. One H100 needs 2,791 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("recurrent.DiagonalBiLSTM", features=16)
    common.grey_mnist(config, steps=1500)
    return common.variants(config, arg, **common.accelerators(256, 10_000, 20))
