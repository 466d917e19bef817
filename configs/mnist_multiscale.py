"""Multi-scale PixelRNN on MNIST: a Diagonal BiLSTM at 7x7, then a Gated PixelCNN at 28x28.

python launch.py --config=configs/mnist_multiscale.py --workdir=runs/mnist_multiscale

Measured on 2 CPU cores (AMD EPYC, float32): a step takes 148 ms, 0.27 of the matrix-product peak; a
sample of 64 images 2.7 full forward passes (0.38 s), 228 times less than a pass for every pixel.

`:tpu`, `:gpu`: 10,000 steps of 256 images, 20 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 9.63 ms a step, 26,600 images/s, 504 MB a chip. One H100 needs 1,569 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive


def get_config(arg: str = "") -> ConfigDict:
    small = {"name": "recurrent.DiagonalBiLSTM", "layers": 3}
    large = {"name": "gated.GatedPixelCNN"}
    config = autoregressive.config("multiscale.MultiScale", factor=4, small=small, large=large)
    common.grey_mnist(config, steps=2500)
    return common.variants(config, arg, **common.accelerators(256, 10_000, 20))
