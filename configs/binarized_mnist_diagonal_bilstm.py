"""PixelRNN of Diagonal BiLSTM layers on the fixed binarised MNIST: the paper's 7 of h=16.

python launch.py --config=configs/binarized_mnist_diagonal_bilstm.py --workdir=runs/diagonal_bilstm

Measured on 2 CPU cores (AMD EPYC, float32), seed 0; test file of 10,000 images, EMA weights of the
last step, exact NLL: 82.02 nats, 0.1509 bits/dim, after 6,000 steps of 0.21 s (alone), 35
CPU-minutes (62 minutes on cores shared with other work). With the code of 2026-11-26: 81.84
(`docs/zoo.md`). Published for a long run of the same network: 79.20.
At half the learning rate, of images turned by 180 degrees, on one core: 80.68 after 6,500 steps (42
minutes, seed 1), 79.90 after 12,000 (83 minutes, seed 0):
    --config.optim.learning_rate=0.005 --config.train.steps=12000
    --config.autoregressive.orders='("rotate180",)'
Trained on from there, 10,000 steps at 0.003 (77 minutes): 79.61 (seed 10).
On one H100, shared with eight or nine other trainings, 64 images a step at 0.005: upright 79.41
after 7,140 steps (9.1 epochs, 9 minutes, seed 5), stopped at half the rate; trained on, the rate
from 0.0027 to 0, 79.25 after 5,000 more (10 minutes). At h=32, images turned by 180 degrees: 79.07
after 6,510 steps (8.3 epochs, 9 minutes, seed 0), at a third of the rate; by the end of the rate,
at 11,000, it learns by heart (79.37, then 79.72 of the validation split). `docs/zoo.md` has the
commands.
A step is at 0.08 of the matrix-product peak. A sample of 64 images takes 1.3 full forward passes
(0.22 s), 606 times less than a pass for every pixel.

`:tpu`, `:gpu`: 15,000 steps of 256 images, 20 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 63.9 ms a step, 4,010 images/s, 1,190 MB a chip. One H100 needs 2,627 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("recurrent.DiagonalBiLSTM", features=16)
    common.binarized_mnist(config, steps=6000)
    return common.variants(config, arg, **common.accelerators(256, 15_000, 20))
