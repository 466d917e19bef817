"""Examples read together are those read one by one, and no more of them are held."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest

from genlab import data
from genlab.data import folders
from tests.data_sets import grey, image_feature, of_folder, section, stored

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("damage", [None, 2500, 6000])
def test_records_read_together_are_those_read_one_by_one(tmp_path, damage):
    """A part of the shard may be damaged: others stand in alike."""
    import tensorflow_datasets as tfds

    features = {"image": image_feature(8, 8, 3), "label": tfds.features.Text()}
    examples = [
        {"image": RNG.integers(0, 256, (8, 8, 3), np.uint8), "label": "ab"[i % 2]}
        for i in range(40)
    ]
    root = stored(str(tmp_path), "cut", features, {"train": examples[:9], "test": examples})
    (shard,) = (path for path in Path(root).rglob("*test.array_record*"))
    if damage:
        good = shard.read_bytes()
        shard.write_bytes(good[:damage] + bytes(20) + good[damage + 20 :])
    config = section(source="tfds:cut", data_dir=root, on_broken="skip")
    split = data.load(config).test
    rows = np.random.default_rng(0).permutation(40).reshape(8, 5)
    together, own = split.read_marked(rows)
    assert own.all() == (damage is None)
    images, labels = together["image"].reshape(40, 8, 8, 3), together["label"].ravel()
    again = data.load(config).test
    for row, image, label in zip(rows.ravel(), images, labels, strict=True):
        np.testing.assert_array_equal(image, again[row][0])
        assert label == again[row][1]


def test_large_images_are_fitted_one_after_another(tmp_path, monkeypatch):
    """A few hundred photographs as they are stored would not fit into memory."""
    (tmp_path / "cat").mkdir()
    for i in range(12):
        grey(i, (64, 64)).save(tmp_path / "cat" / f"{i}.png")
    read, stored_ones, held = folders.Folder.read, [], []

    def watched(self, place):
        pixels, label = read(self, place)
        stored_ones.append(weakref.ref(pixels))
        held.append(sum(ref() is not None for ref in stored_ones))
        return pixels, label

    monkeypatch.setattr(folders.Folder, "read", watched)
    split = data.load(of_folder(tmp_path, train_split="train", image_size=8)).train
    split.read(np.arange(len(split)))
    assert len(held) >= 11 and max(held) <= 2
