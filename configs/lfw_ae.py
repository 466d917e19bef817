"""Convolutional autoencoder of faces (LFW), 64x64 RGB.

python launch.py --config=configs/lfw_ae.py --workdir=runs/lfw_ae
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    network, features = "conv.StridedAutoencoder", (32, 64, 128, 256)
    common.autoencoder(config, name=network, features=features, strides=(2, 2, 2, 2), code=128)
    config.model.update(decoder_features=(128, 64, 32, 32), decoder_strides=(2, 2, 2, 2), start=256)
    config.model.update(hidden=0, kernel=3, activation="relu", dense_activation="relu")
    config.loss = "mse"
    config.data.update(source="tfds:lfw", image_size=64, channels=3, batch_size=64)
    common.flat_folder(config)
    common.in_epochs(config, 167, epochs=50)
    return common.variants(config, arg, smoke=common.smoke)
