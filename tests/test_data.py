"""Data: the order law, equal feeds, splits, folders, TFDS records, canonical pixels."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from configs import common
from genlab import data, parallel
from genlab.errors import UserError
from tests.conftest import ROOT, SHARED


def section(**changes):
    found = common.base().data
    found.update(**changes)
    return found


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of coloured and grey images of several formats and sizes."""
    for name, mode, size, ending in [
        ("cat", "RGB", (20, 16), "png"),
        ("cat", "L", (16, 16), "bmp"),
        ("dog", "RGBA", (12, 40), "png"),
        ("dog", "RGB", (16, 16), "jpg"),
    ]:
        (tmp_path / name).mkdir(exist_ok=True)
        pixels = np.random.default_rng(len(ending)).integers(0, 255, (*size[::-1], 4), np.uint8)
        Image.fromarray(pixels, "RGBA").convert(mode).save(
            tmp_path / name / f"{mode}{size[0]}.{ending}"
        )
    return tmp_path


def of_folder(folder: Path, **changes):
    return section(
        source=f"folder:{folder}", train_split="train[:3]", valid_split="train[3:]",
        eval_split="train", **changes,
    )  # fmt: skip


def test_a_folder_is_cropped_resized_and_labelled_by_class(folder):
    sets = data.load(of_folder(folder, image_size=8, channels=3))
    found = sets.test.read(np.arange(4))
    assert found["image"].shape == (4, 8, 8, 3) and found["image"].dtype == np.uint8
    assert found["label"].tolist() == [0, 0, 1, 1] and sets.spec.classes == ("cat", "dog")


def test_a_centre_crop_takes_the_centre():
    wide = np.zeros((4, 12, 1), np.uint8)
    wide[:, 4:8] = 200
    np.testing.assert_array_equal(data.fit(wide, 4, 0, False), np.full((4, 4, 1), 200))


def test_a_broken_file_stops_or_is_skipped_and_named(folder, caplog):
    broken = folder / "dog" / "broken.png"
    whole = (folder / "dog" / "RGBA12.png").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"1 of 5 image files cannot be read: .*broken\.png"):
        data.load(of_folder(folder, image_size=8, channels=3))
    with caplog.at_level(logging.WARNING, "genlab"):
        logging.getLogger("genlab").propagate = True
        sets = data.load(of_folder(folder, image_size=8, channels=3, on_broken="skip"))
    assert "broken.png" in caplog.text and len(sets.test) == 4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image_size": 0}, "native sizes"),
        ({"image_size": 32, "channels": 3}, "smaller than data.image_size=32"),
        ({"image_size": 8, "channels": 2}, "data.channels=2"),
    ],
)
def test_images_that_do_not_fit_are_one_line(folder, changes, told):
    with pytest.raises(UserError, match=told):
        data.load(of_folder(folder, **changes)).test.read(np.arange(4))


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
    ],
)
def test_bad_data_sections_are_one_line(changes, told):
    with pytest.raises(UserError, match=told.replace("[", r"\[")) as caught:
        data.load(section(**changes))
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_one_line(tmp_path):
    (tmp_path / "class").mkdir()
    with pytest.raises(UserError, match="no image in"):
        data.load(section(source=f"folder:{tmp_path}"))


def test_a_set_that_is_not_prepared_says_so(tmp_path):
    with pytest.raises(UserError, match="tfds:mnist is not prepared"):
        data.load(section(source="tfds:mnist", data_dir=str(tmp_path), download=False))


def test_a_network_that_is_away_says_so_at_once(tmp_path, monkeypatch):
    def away(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", away)
    with pytest.raises(UserError, match="the network is away"):
        data.load(section(source="tfds:mnist", data_dir=str(tmp_path)))


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, np.ndarray]]:
    """A set of zeros and ones in TFDS format, without labels, as `binarized_mnist` is."""
    import tensorflow_datasets as tfds

    root = str(tmp_path_factory.mktemp("tfds"))
    rng = np.random.default_rng(0)
    images = {"train": rng.integers(0, 2, (12, 6, 6, 1), np.uint8)}
    images["test"] = rng.integers(0, 2, (5, 6, 6, 1), np.uint8)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="miniature",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(6, 6, 1)), "label": tfds.features.Text()}
        ),
        split_datasets={
            name: [(i, {"image": x, "label": "ba"[i % 2]}) for i, x in enumerate(found)]
            for name, found in images.items()
        },
        data_dir=root,
        file_format="array_record",
        disable_shuffling=True,
    )
    return root, images


def test_tfds_records_keep_their_order_and_bits_become_bytes(miniature):
    root, images = miniature
    sets = data.load(section(source="tfds:miniature", data_dir=root))
    np.testing.assert_array_equal(sets.test.read(np.arange(5))["image"], images["test"] * 255)
    assert sets.test.read(np.arange(5))["label"].tolist() == [1, 0, 1, 0, 1]
    assert sets.spec.classes == ("a", "b")


def test_prepared_sets_are_read_without_tensorflow(miniature):
    script = (
        "import sys, launch\n"
        "from configs import common\n"
        "from genlab import data\n"
        "section = common.base().data\n"
        f"section.update(source='tfds:miniature', data_dir={miniature[0]!r})\n"
        "print(data.load(section).spec.shape, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "(6, 6, 1) False", done.stderr


CANONICAL = {  # SHA-256 of the u8 pixels of the test split, in file order
    "digits": "aae8e623118f6dd329dbb0a528dd92bcecf778338747ee072a1244153082249d",
    "mnist": "a85d8dffc6063fb89dcbc2122651701e7bbc18837f940fc9d76df48c224558ca",
    "binarized_mnist": "8e1f8b56d0ae7f4e5b72733736ea7ddf0a220cb74e3cdeff2ccdf3facf4e2c35",
}


PRESENT = [n for n in CANONICAL if n == "digits" or (SHARED / "tfds" / n).is_dir()]


@pytest.mark.parametrize("name", PRESENT)
def test_real_sets_have_their_canonical_pixels_and_order(name):
    source = name if name == "digits" else f"tfds:{name}"
    sets = data.load(section(source=source, data_dir=str(SHARED / "tfds")))
    pixels = sets.test.read(np.arange(len(sets.test)))["image"]
    assert pixels.shape == ((360, 8, 8, 1) if name == "digits" else (10_000, 28, 28, 1))
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == CANONICAL[name]
