"""PixelCNN on the fixed binarised MNIST (Larochelle's files), 7 blocks of h=32.

    python launch.py --config=configs/binarized_mnist_pixelcnn.py --workdir=runs/bmnist_pixelcnn
    python launch.py --config=configs/binarized_mnist_pixelcnn.py:wide --workdir=runs/bmnist_wide
    python launch.py --config=configs/binarized_mnist_pixelcnn.py:deep --workdir=runs/bmnist_deep

Measured on one core of an AMD EPYC (float32), seed 0; test file of 10,000 images, EMA weights of
the last step, exact NLL. CPU-minutes are user time of the whole run.

             steps   CPU-minutes   nats    bits/dim
    default  15,000      16        88.60    0.1630
    :wide    15,000      17        83.38    0.1534
    published for a long run of a PixelCNN (PixelVAE, table 1): 81.30

`:deep` is for a GPU: ten blocks of h=64, 64 images a step at 0.005, dropout of 0.3, decay of
matrices, steps in calls of 50. On one H100, shared with eight other trainings, 2026-11-27, seed 0:
18,000 steps in 8.4 minutes; its best on the validation split, after 17,000 (21.8 epochs), has 79.63
nats. With seven blocks (dropout of 0.2, no decay, images turned by 180 degrees) it ends at 81.94 of
the validation split, where `:deep` has 79.92. `docs/zoo.md` has the weights.

The default is the paper's shape, a 7x7 mask A and 3x3 mask B; what holds it back is its view, 10
rows up: its samples start a second digit below the first.
On both cores, alone: a step takes 45 ms, 0.28 of the matrix-product peak; a sample of 64 images 2.0
full forward passes (0.10 s), 392 times less than a pass for every pixel.

`:tpu`, `:gpu`: 15,000 steps of 256 images, 50 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 2.1 ms a step, 122,000 images/s, 156 MB a chip. One H100 needs 462 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("masked.PixelCNN")
    common.binarized_mnist(config, steps=15_000)
    fast = common.accelerators(256, 15_000, 50)
    return common.variants(config, arg, wide=autoregressive.wide, deep=deep, **fast)


def deep(config: ConfigDict) -> None:
    """Sees a whole digit, and is kept from learning by heart."""
    autoregressive.deep(config, features=64, dropout=0.3, steps=18_000)
