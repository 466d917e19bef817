"""DCGAN on MNIST: from 4x4 by 5x5 transposed convolutions, 8x8 resized to 7x7.

python launch.py --config=configs/mnist_dcgan_resize.py --workdir=runs/mnist_dcgan_resize

Measured on 2 CPU cores (AMD EPYC, float32), seed 0, after 2,577 steps (3 epochs) of 0.33 s, 14
minutes alone, 26 CPU-minutes; mnist_classifier features (99.52 %), EMA off, 10,000 samples against
the 10,000 test images; the floor is 10,000 training images in the place of samples:

                           samples   floor
    Frechet distance       39.7      0.65
    precision, recall      0.67, 0.73    0.86, 0.88
    coverage               0.53      0.95
    entropy of labels      2.29      2.30   (nats; all ten digits)

A smaller generator for longer, `mnist_dcgan_resize` of `docs/zoo.md`, which has the command: from
4x4x128, (128, 64) features, latent 64, EMA 0.999, a cosine rate, dropout of 0.3 in the
discriminator alone; 25,000 steps of 128 images on one H100, shared with nine other trainings
(5.4 minutes, seed 0): Frechet distance 5.69, coverage 0.84, precision 0.74, recall 0.84, entropy of
labels 2.30.

`:tpu`, `:gpu`: 2,500 steps of 256 images, 50 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 3.09 ms a step, 82,900 images/s, 210 MB a chip. One H100 needs 282 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import gan


def get_config(arg: str = "") -> ConfigDict:
    config = gan.dcgan()
    common.mnist(config, batch_size=64, epochs=3)
    return common.variants(config, arg, **common.accelerators(256, 2_500, 50))
