"""Gated PixelCNN on CIFAR-10 (size ours), with the mixture of logistics of PixelCNN++.

python launch.py --config=configs/cifar10_gated_pixelcnn.py --workdir=runs/cifar10_gated_pixelcnn

Measured on 2 CPU cores (AMD EPYC, float32): a sample of 64 images takes 1.9 full
forward passes (5.4 s).
Not trained to any length: 80 steps on 3,600 JPEGs, 400 held out, reached 4.96 bits/dim (seed 0).

`:tpu`, `:gpu`: 50,000 steps of 256 images, 10 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 36.5 ms a step, 7,020 images/s, 1,820 MB a chip. One H100 needs 11,728
MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("gated.GatedPixelCNN", features=128, layers=15, head=256)
    config.model.update(dropout=0.1, skip=True, colour_groups=False)
    common.cifar10(config, steps=200_000)
    config.likelihood.name = "logistic_mixture"
    return common.variants(config, arg, **common.accelerators(256, 50_000, 10))
