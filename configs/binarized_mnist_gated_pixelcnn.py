"""Gated PixelCNN on the fixed binarised MNIST, 7 layers of p=32.

python launch.py --config=configs/binarized_mnist_gated_pixelcnn.py --workdir=runs/gated_pixelcnn
python launch.py --config=configs/binarized_mnist_gated_pixelcnn.py:wide --workdir=runs/gated_wide
python launch.py --config=configs/binarized_mnist_gated_pixelcnn.py:deep --workdir=runs/gated_deep

Measured on one core of an AMD EPYC (float32), seed 0; test file of 10,000 images, EMA weights of
the last step, exact NLL. CPU-minutes are user time of the whole run.

             steps   CPU-minutes   nats    bits/dim
    default  10,000      25        85.51    0.1574
    :wide    10,000      26        82.52    0.1518

Trained again with the code of 2026-11-26: `:wide` 82.51. What holds the default back is its view,
10 rows up; `:wide` sees 17, `:deep` all 20 of a digit.

`:deep` is for a GPU: ten layers of p=48, 64 images a step at 0.005, dropout of 0.2, decay of
matrices, images turned by 180 degrees, steps in calls of 50. On one H100, shared with eight other
trainings, 2026-11-27, seed 0: 12,000 steps in 8.8 minutes; its best on the validation split, after
10,000 (12.8 epochs), has 79.24 nats. Published for a long run: 80.10. On the validation
split it has 79.53; seven layers with dropout of 0.3, of upright images, have 81.09, and without
dropout and decay 81.72 after 5,000 of 20,000 steps, at whose end they have learnt their training
images by heart (86.88).
`docs/zoo.md` has the weights.
On both cores, alone: a step takes 94 ms, 0.31 of the matrix-product peak; a sample of 64 images 2.2
full forward passes (0.19 s), 392 times less than a pass for every pixel.

`:tpu`, `:gpu`: 15,000 steps of 256 images, 50 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 4.32 ms a step, 59,300 images/s, 250 MB a chip. One H100 needs 880 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("gated.GatedPixelCNN")
    common.binarized_mnist(config, steps=10_000)
    fast = common.accelerators(256, 15_000, 50)
    return common.variants(config, arg, wide=autoregressive.wide, deep=deep, **fast)


def deep(config: ConfigDict) -> None:
    """Sees a whole digit, and is kept from learning by heart."""
    autoregressive.deep(config, features=48, dropout=0.2, steps=12_000)
    config.autoregressive.orders = ("rotate180",)
