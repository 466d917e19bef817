"""Gated PixelCNN on MNIST at all 256 levels, told the class, 7 layers of p=32.

python launch.py --config=configs/mnist_gated_pixelcnn.py --workdir=runs/mnist_gated_pixelcnn

Measured on one H100, shared with nine other trainings, 2026-11-27: p=48, a first mask of 21x21, 64
images a step at 0.005, 20,000 steps (26 epochs, 9 minutes, seed 0): 463.6 nats, 0.853 bits/dim on
the 10,000 test images, EMA weights. Without the class it is at most ln 10 nats more, 0.004
bits/dim. `docs/zoo.md` has the command and the weights.

`:tpu`, `:gpu`: 10,000 steps of 256 images, 50 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 5.6 ms a step, 45,700 images/s, 435 MB a chip. One H100 needs 1,128 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    config = autoregressive.config("gated.GatedPixelCNN")
    common.grey_mnist(config, steps=2500)
    config.autoregressive.conditional = True
    return common.variants(config, arg, **common.accelerators(256, 10_000, 50))
