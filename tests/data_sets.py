"""Sets that tests of data make on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from genlab import config as configs


def section(**changes) -> ConfigDict:
    """A `data` section: the defaults, but for what is given."""
    found = configs.base().data
    found.update(**changes)
    return found


def of_folder(root: Path, **changes) -> ConfigDict:
    """That of a folder without splits, as `configs/common.flat_folder` reads it."""
    wanted = {"train_split": "train[:90%]", "eval_split": "train[90%:]"} | changes
    return section(source=f"folder:{root}", **wanted)


def grey(value: int, size: tuple[int, int] = (4, 4)) -> Image.Image:
    """One grey, so that an image says which it is."""
    return Image.new("L", size, value)


def fill(root: Path, files: dict[str, int]) -> Path:
    """Writes grey images of 4x4 by their names below a root."""
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey(value).save(path)
    return root


def class_folders(root: Path, *classes: str, count: int = 3, first: int = 0) -> Path:
    """`count` images in each class folder; an image's grey is 20 times its class plus its place."""
    for label, name in enumerate(classes):
        fill(root, {f"{name}/{i}.png": 20 * label + i for i in range(first, first + count)})
    return root


def told(split) -> dict[int, int]:
    """{grey of an image: its label} of all examples of a split."""
    found = split.read(np.arange(len(split)))
    greys = found["image"][:, 0, 0, 0].tolist()
    assert len(set(greys)) == len(greys)
    return dict(zip(greys, found["label"].tolist(), strict=True))


def stored(root: str, name: str, features: dict[str, Any], splits: dict[str, list[dict]]) -> str:
    """Writes a set as TFDS does, of {feature: f} and {split: [examples]}; its data_dir."""
    import tensorflow_datasets as tfds

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: list(enumerate(found)) for split, found in splits.items()},
        data_dir=root,
        file_format="array_record",
        disable_shuffling=True,
    )
    return root


def image_feature(*shape, **options):
    import tensorflow_datasets as tfds

    return tfds.features.Image(shape=shape, **options)
