"""Convolutional VAE on CIFAR-10, discretised logistic likelihood on 256 levels.

python launch.py --config=configs/cifar10_vae.py --workdir=runs/cifar10_vae

Not yet trained to its end: 150 steps on CIFAR-10 JPEGs took it from 8.38 to 7.83 bits/dim.

`:tpu`, `:gpu`: 20,000 steps of 512 images, 50 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 1.3 ms a step, 393,000 images/s, 244 MB a chip. One H100 needs 600 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import vae


def get_config(arg: str = "") -> ConfigDict:
    config = vae.config("conv.StridedAutoencoder", features=(64, 128, 256), strides=(2, 2, 2))
    config.model.update(decoder_features=(128, 64, 64), decoder_strides=(2, 2, 2))
    config.model.update(code=128, start=256)
    config.likelihood.update(name="logistic", levels=256, binarisation="fixed")
    config.data.update(source="tfds:cifar10", image_size=32, channels=3, batch_size=64)
    config.optim.ema = 0.999
    common.in_epochs(config, 703, epochs=100, every=5)
    config.eval.update(samples=100, chunk=25, batch_size=64)
    return common.variants(config, arg, **common.accelerators(512, 20_000, 50, rate=2e-3))
