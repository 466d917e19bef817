"""Convolutional autoencoder of faces (LFW), 64x64 RGB.

python launch.py --config=configs/lfw_ae.py --workdir=runs/lfw_ae
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("conv.StridedAutoencoder", features=(32, 64, 128, 256))
    config.model.update(strides=(2, 2, 2, 2), code=128, start=256)
    config.model.update(decoder_features=(128, 64, 32, 32), decoder_strides=(2, 2, 2, 2))
    config.loss = "mse"
    config.data.update(source="tfds:lfw", image_size=64, channels=3, batch_size=64)
    common.flat_folder(config)
    common.in_epochs(config, 167, epochs=50)
    return config
