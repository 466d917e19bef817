"""What judging is made of: copies, remarks, names; without a trained model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from genlab import data
from genlab.judging import copies, inputs, judge, judgement
from tests.helpers import classifier_config


def test_a_model_that_copies_is_found_out_in_pixels_and_in_features():
    """A copy that was moved by a pixel is far in pixels, and found by features that do not mind."""
    sets = data.load(classifier_config().data)
    train_images = sets.train.read(np.arange(64))["image"]
    test_images = sets.test.read(np.arange(32))["image"]
    moved = np.roll(train_images[:32], 1, 2)
    position = lambda images: np.sort(images.reshape(len(images), -1), 1) / np.float32(255)  # noqa: E731
    found = copies.search(
        {"copied": train_images[:32], "moved": moved, "fair": test_images[:16]},
        test_images,
        copies.OfSplit(sets.train),
        train_images[:32],
        position,
    )
    copied, shifted, fair = (found[name].numbers for name in ("copied", "moved", "fair"))
    assert copied["nearest_training"] == 0.0 < copied["nearest_training_of_test"]
    assert copied["memorisation_p"] < 1e-6 and copied["nearer_training"] == 1.0
    assert shifted["memorisation_p"] > 0.05 and shifted["nearest_training"] > 0.0
    assert shifted["nearest_training_features"] == 0.0
    assert shifted["memorisation_p_features"] < 1e-6
    assert fair["memorisation_p"] > 0.05
    rows = sets.train.read(found["copied"].found[""].place)["image"]
    np.testing.assert_array_equal(rows, train_images[:32])


def test_what_misleads_is_said():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
    assert judge._remarks({"a": grey}, grey, {"a": 40}, 39) == []
    (told,) = judge._remarks({"a": grey // 128 * 255}, grey, {"a": 40}, 39)
    assert "a: 2 pixel values, real images 256" in told
    (told,) = judge._remarks({"a": grey}, grey // 128 * 255, {"a": 40}, 40)
    assert "40 images have no full covariance of 40 features" in told


def test_names_are_the_shortest_that_differ():
    assert inputs._short(["runs/a/", "x/b.npz"]) == ["a", "b"]
    assert inputs._short(["a/samples.npz", "b/samples.npz"]) == ["a/samples", "b/samples"]
    assert inputs._short(["s.npz", "s.npz"]) == ["s", "s (1)"]
    assert inputs._short(["floor", "train[:10]"]) == ["floor (set)", "train[:10]"]


def test_long_numbers_stay_apart():
    wide = SimpleNamespace(value=lambda key: "0.01141 ± 0.0039")
    (row,) = judgement._rows({"x": ("x", "")}, {"a": wide, "b": wide})
    assert row.split() == ["x", *["0.01141", "±", "0.0039"] * 2]
