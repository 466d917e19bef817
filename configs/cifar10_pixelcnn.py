"""PixelCNN on CIFAR-10: the paper's 15 layers of h=128.

python launch.py --config=configs/cifar10_pixelcnn.py --workdir=runs/cifar10_pixelcnn

Measured on 2 CPU cores (AMD EPYC, float32): a step of 16 images takes 1.5 s, 0.55 of the
matrix-product peak; a sample of 64 images 3.8 full forward passes (5.5 s; 4.1 in another run).
Not trained to any length: 80 steps on 3,600 JPEGs, 400 held out, reached 6.66 bits/dim (seed 0).

`:tpu`, `:gpu`: 50,000 steps of 256 images, 10 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 34 ms a step, 8,000 images/s, 2,638 MB a chip. One H100 needs 6,843 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("masked.PixelCNN", features=128, layers=15, head=1024)
    common.cifar10(config, steps=200_000)
    return common.variants(config, arg, **common.accelerators(256, 50_000, 10))
