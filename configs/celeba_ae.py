"""Convolutional autoencoder of faces (CelebA), 64x64 RGB.

python launch.py --config=configs/celeba_ae.py --workdir=runs/celeba_ae

`:tpu`, `:gpu`: 10,000 steps of 512 images, 25 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 2.1 ms a step, 244,000 images/s, 2,017 MB a chip. One H100 needs 2,775
MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config(arg: str = "") -> ConfigDict:
    config = autoencoder.config("conv.StridedAutoencoder", features=(32, 64, 128, 256))
    config.model.update(strides=(2, 2, 2, 2), code=128, start=256)
    config.model.update(decoder_features=(128, 64, 32, 32), decoder_strides=(2, 2, 2, 2))
    config.loss = "mse"
    config.data.update(source="tfds:celeb_a", image_size=64, channels=3, batch_size=64)
    config.data.resident_mb = 4096  # 2 GB of training images
    common.in_epochs(config, 2500, epochs=10)
    fast = common.accelerators(512, 10_000, 25, rate=2e-3)
    return common.variants(config, arg, folder=common.flat_folder, **fast)
