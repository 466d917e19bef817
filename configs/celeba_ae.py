"""Convolutional autoencoder of faces (CelebA), 64x64 RGB.

python launch.py --config=configs/celeba_ae.py --workdir=runs/celeba_ae
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
    config.data.update(source="tfds:celeb_a", image_size=64, channels=3, batch_size=64)
    config.data.resident_mb = 4096  # 2 GB of training images
    common.in_epochs(config, 2500, epochs=10)
    return common.variants(config, arg, smoke=common.smoke, folder=common.flat_folder)
