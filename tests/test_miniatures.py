"""Configs of colour images on TFDS's own builders: miniature sets, written as TFDS writes them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from PIL import Image

from genlab import config as configs
from genlab import data, restore
from genlab.training import loop as train
from tests.conftest import ROOT

pytestmark = pytest.mark.thorough

SPLITS = {
    "lfw": {"train": 20},
    "celeb_a": {"train": 12, "validation": 4, "test": 4},
    "cifar10": {"train": 20, "test": 4},
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    import tensorflow_datasets as tfds

    where, rng = tmp_path_factory.mktemp("tfds"), np.random.default_rng(0)
    features = {
        "lfw": {"label": tfds.features.Text(), "image": tfds.features.Image(shape=(250, 250, 3))},
        "celeb_a": {"image": tfds.features.Image(shape=(218, 178, 3))},
        "cifar10": {
            "label": tfds.features.ClassLabel(names=["ship", "truck"]),
            "image": tfds.features.Image(shape=(32, 32, 3)),
        },
    }
    labels = {"lfw": lambda i: f"person {i % 3}", "cifar10": lambda i: i % 2}
    for name, sizes in SPLITS.items():
        shape = features[name]["image"].shape

        def example(i, name=name, shape=shape):
            image = rng.integers(0, 256, shape, np.uint8)
            return {"image": image} | ({"label": labels[name](i)} if name in labels else {})

        builder = tfds.builder(name, data_dir=where)
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version=str(builder.version),
            data_dir=where,
            features=tfds.features.FeaturesDict(features[name]),
            split_datasets={
                split: [(i, example(i)) for i in range(size)] for split, size in sizes.items()
            },
            file_format="array_record",
            disable_shuffling=True,
        )
    return str(where)


def few(config):
    """The config with networks of a few units, and two steps of four images."""
    config = config.unlock()
    config.data.batch_size = 4
    if config.task == "gan":
        config.model.generator.update(start=4, features=(4, 4))
        config.model.discriminator.features = (4, 4, 4)
    else:
        config.model.update(features=(4, 4, 4, 4), decoder_features=(4, 4, 4, 4), start=4, code=3)
        config.density.components = 2
    config.train.update(steps=2, log_every=1, eval_every=2, checkpoint_every=2, sample_every=0)
    config.report.writers = ()
    config.sample.batch_size = 16
    return config


@pytest.mark.parametrize(
    ("name", "source"), [("lfw_ae", "lfw"), ("celeba_ae", "celeb_a"), ("celeba_dcgan", "celeb_a")]
)
def test_a_face_config_trains_from_tfds(name, source, data_dir, tmp_path):
    config = few(configs.load(f"{ROOT}/configs/{name}.py"))
    assert config.data.source == f"tfds:{source}"
    config.data.update(data_dir=data_dir, download=False)
    train.train(config.lock(), str(tmp_path))
    model = restore(str(tmp_path))
    side = config.data.image_size
    assert model.task.shape == (side, side, 3) and model.step == 2
    classes = tuple(f"person {i}" for i in range(3)) if source == "lfw" else ()
    assert model.classes == classes
    sets = data.load(config.data)
    sizes = SPLITS[source]
    wanted = (12, 4, 4) if "test" in sizes else (17, 1, 2)
    assert (len(sets.train), len(sets.valid), len(sets.test)) == wanted


def test_a_cifar10_config_trains_from_tfds(data_dir, tmp_path):
    config = configs.load(f"{ROOT}/configs/cifar10_pixelcnn.py:smoke").unlock()
    full = configs.load(f"{ROOT}/configs/cifar10_pixelcnn.py").data
    assert full.source == "tfds:cifar10"
    config.data = full
    config.data.update(data_dir=data_dir, download=False, batch_size=4)
    config.train.update(steps=2, log_every=1, eval_every=2, checkpoint_every=2)
    train.train(config.lock(), str(tmp_path))
    model = restore(str(tmp_path))
    assert model.task.shape == (32, 32, 3) and model.classes == ("ship", "truck")
    sets = data.load(config.data)
    assert (len(sets.train), len(sets.valid), len(sets.test)) == (18, 2, 4)


def test_the_face_gan_trains_from_a_flat_folder(tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "faces"
    folder.mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (40, 32, 3), np.uint8)).save(folder / f"{i}.png")
    config = few(configs.load(f"{ROOT}/configs/celeba_dcgan.py:folder"))
    config.data.source = f"folder:{folder}"
    train.train(config.lock(), str(tmp_path / "run"))
    images = restore(str(tmp_path / "run")).sample(jax.random.key(0), 3)
    assert images.shape == (3, 28, 28, 3)
