"""Convolutional VAE of faces (CelebA), 64x64 RGB, discretised logistic likelihood.

python launch.py --config=configs/celeba_vae.py --workdir=runs/celeba_vae

`:tpu`, `:gpu`: 10,000 steps of 512 images, 25 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 2.54 ms a step, 201,000 images/s, 2,031 MB a chip. One H100 needs 2,833
MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import vae


def get_config(arg: str = "") -> ConfigDict:
    config = vae.config("conv.StridedAutoencoder", features=(32, 64, 128, 256))
    config.model.update(strides=(2, 2, 2, 2), code=128, start=256)
    config.model.update(decoder_features=(128, 64, 32, 32), decoder_strides=(2, 2, 2, 2))
    config.likelihood.update(name="logistic", levels=256, binarisation="fixed")
    config.data.update(source="tfds:celeb_a", image_size=64, channels=3, batch_size=64)
    config.data.resident_mb = 4096  # 2 GB of training images
    config.optim.ema = 0.999
    common.in_epochs(config, 2500, epochs=10)
    config.eval.update(samples=10, chunk=10, batch_size=64)
    fast = common.accelerators(512, 10_000, 25, rate=2e-3)
    return common.variants(config, arg, folder=common.flat_folder, **fast)
