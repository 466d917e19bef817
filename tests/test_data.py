"""Data: the order law, equal feeds, splits and their messages."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab import data, parallel
from genlab.data import feeds
from genlab.errors import UserError
from tests.data_sets import section


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 40), st.integers(1, 60), st.integers(0, 30))
def test_batches_run_through_permutations_without_a_gap(seed, n, size, step):
    """Any window of batches is the same window of the epochs' permutations laid end to end."""
    epochs = (step + 1) * size // n + 1
    endless = np.concatenate([data.order(seed, e, n) for e in range(epochs)])
    np.testing.assert_array_equal(
        data.batch_rows(seed, step, size, n), endless[step * size : (step + 1) * size]
    )
    np.testing.assert_array_equal(np.sort(data.order(seed, 0, n)), np.arange(n))


def test_orders_differ_between_seeds_and_epochs():
    found = {tuple(data.order(s, e, 50)) for s in range(3) for e in range(3)}
    assert len(found) == 9


def batches(split: data.Split, resident_mb: int, rows: data.Rows):
    replicas = parallel.replicas()
    feed = data.feed(split, replicas, resident_mb)
    assert bool(feed.shared) == (resident_mb > 0)
    for part in feed.calls(rows):
        one = {name: x[0][0] for name, x in part.items()}
        yield {k: np.asarray(v) for k, v in feed.fetch(feed.shared, one).items()}, one["mask"]


def test_streamed_and_resident_feeds_give_the_same_batches():
    split = data.load(section(train_split="train[:30]", valid_split="train[30:40]")).train
    rows = data.training_rows(0, 8, len(split), 3, 13, 1)
    pairs = zip(batches(split, 1, rows), batches(split, 0, rows), strict=True)
    for (resident, _), (streamed, _) in pairs:
        np.testing.assert_array_equal(resident["image"], streamed["image"])
        np.testing.assert_array_equal(resident["label"], streamed["label"])


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
def test_resident_rows_are_whole_lanes_and_give_back_the_images(count, height, width, channels):
    shape = (count, height, width, channels)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    rows = feeds.as_rows(images)
    size = height * width * channels
    assert rows.shape == (count, -(-size // 128) * 128)
    np.testing.assert_array_equal(rows[:, :size].reshape(shape), images)
    assert not rows[:, size:].any()


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_a_resident_set_is_an_argument_of_the_compiled_call(mode):
    """Closed over, XLA would fold it into the program as a constant."""
    split = data.load(section(train_split="train[:30]", valid_split="train[30:40]")).train
    replicas = parallel.replicas(mode)
    feed = data.feed(split, replicas, 1)
    rows = data.training_rows(0, 8, len(split), 0, 1, 1)
    part = next(iter(feed.calls(rows)))

    def call(carry, shared, part):
        return carry, feed.fetch(shared, jax.tree.map(lambda x: x[0], part))

    program = replicas.compile(call)
    carry = replicas.replicate(np.zeros(1))
    text = program.lower(carry, feed.shared, part).as_text("hlo")
    assert not [line for line in text.splitlines() if "u8[30,128]" in line and "constant" in line]
    _, batch = program(carry, feed.shared, part)
    wanted = split.read(data.batch_rows(0, 0, 8, len(split)))
    found = jax.device_get(replicas.first(batch))
    np.testing.assert_array_equal(found["image"], wanted["image"])
    np.testing.assert_array_equal(found["label"], wanted["label"])


@pytest.mark.parametrize("resident_mb", [0, 1])
def test_an_evaluation_sees_every_example_once(resident_mb):
    split = data.load(section(eval_split="test[:21]")).test
    rows = data.evaluation_rows(8, 21)
    seen = [
        image
        for batch, mask in batches(split, resident_mb, rows)
        for image, real in zip(batch["image"], mask, strict=True)
        if real
    ]
    np.testing.assert_array_equal(np.stack(seen), split.read(np.arange(21))["image"])


def test_a_validation_split_is_carved_where_the_set_has_none():
    sets = data.load(section())
    train, valid = set(map(tuple, sets.train.rows)), set(map(tuple, sets.valid.rows))
    assert len(sets.valid) == 143 and len(sets.train) == 1294 and not train & valid
    again = data.load(section())
    np.testing.assert_array_equal(sets.valid.rows, again.valid.rows)
    assert sets.spec.shape == (8, 8, 1) and sets.spec.classes == tuple("0123456789")


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    sets = data.load(section())
    splits = (sets.train, sets.valid, sets.test)
    every = np.concatenate([s.read(np.arange(len(s)))["image"].reshape(-1, 64) for s in splits])
    wanted = np.round(load_digits().data * 255 / 16).astype(np.uint8)
    assert sorted(every.tolist()) == sorted(wanted.tolist())


def test_a_centre_crop_takes_the_centre():
    wide = np.zeros((4, 12, 1), np.uint8)
    wide[:, 4:8] = 200
    found = data.Fit(4, 0, False)(wide, "wide")
    np.testing.assert_array_equal(found, np.full((4, 4, 1), 200))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.sampled_from([0, 1, 3]))
def test_fitted_images_have_the_shape_that_is_asked_for(height, width, stored, wanted):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, stored), np.uint8)
    found = data.Fit(5, wanted, True)(pixels, "noise")
    assert found.shape == (5, 5, wanted or stored) and found.dtype == np.uint8
    if min(height, width) < 5:
        with pytest.raises(UserError, match=f"noise is {width} wide and {height} high, smaller"):
            data.Fit(5, wanted, False)(pixels, "noise")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": "folder:/nowhere"}, "no folder '/nowhere'"),
        ({"source": "digit"}, "'digit' is none of"),
        ({"source": "tfds:no_such_set"}, "no set 'no_such_set'"),
        ({"train_split": "train[:9999]"}, "data.train_split"),
        ({"train_split": "trian"}, "Unknown split"),
        ({"valid_split": "train[:5]"}, "overlaps"),
        ({"eval_split": "test[5:5]"}, "selects no image"),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"channels": 2}, "data.channels=2"),
        ({"background": 256}, "data.background=256"),
        ({"on_broken": "skp"}, "data.on_broken: 'skp'"),
        ({"label": "age"}, "data.label='age': the labels of digits have no name"),
        ({"train_split": "train[:1]"}, "selects one image"),
    ],
)
def test_bad_data_sections_are_one_line(changes, told):
    with pytest.raises(UserError, match=told.replace("[", r"\[")) as caught:
        data.load(section(**changes)).check()
    assert "\n" not in str(caught.value)
