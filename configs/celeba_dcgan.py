"""DCGAN on CelebA at 28x28x3, and at 64x64x3 as `:large`.

python launch.py --config=configs/celeba_dcgan.py --workdir=runs/celeba_dcgan
python launch.py --config=configs/celeba_dcgan.py:folder --workdir=runs/faces \\
    --config.data.source=folder:<path>

Not yet trained on CelebA. The source's, of one epoch of about 6,330 steps, drew rough faces.

`:tpu`, `:gpu`: 12,500 steps of 128 images, 50 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 2.14 ms a step, 59,900 images/s, 541 MB a chip. One H100 needs 545 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import gan


def get_config(arg: str = "") -> ConfigDict:
    config = gan.dcgan()
    config.data.update(source="tfds:celeb_a", image_size=28, channels=3, batch_size=32)
    common.in_epochs(config, 5_087, epochs=5)
    fast = common.accelerators(128, 12_500, 50)
    return common.variants(config, arg, large=large, folder=common.flat_folder, **fast)


def large(config: ConfigDict) -> None:
    """64x64, one more convolution on each side (ours; Radford et al., arXiv 1511.06434)."""
    config.data.image_size = 64
    config.model.generator.features = (256, 128, 64)
    config.model.discriminator.features = (64, 128, 256, 512)
