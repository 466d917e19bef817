"""TFDS sets: scale, types, alpha and labels follow from features and all values; no TensorFlow."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab import data
from genlab.errors import UserError
from tests.conftest import ROOT, SHARED
from tests.data_sets import image_feature, section, stored

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Callable[..., str]:
    """`stored`, in a folder of its own."""
    return lambda *wanted: stored(str(tmp_path_factory.mktemp("tfds")), *wanted)


def whole(root: str, name: str, split: str = "test", **changes):
    found = data.load(section(source=f"tfds:{name}", data_dir=root, eval_split=split, **changes))
    return found.test.read(np.arange(len(found.test)))


@pytest.fixture(scope="module")
def miniature(store) -> tuple[str, dict[str, np.ndarray]]:
    """A set of zeros and ones with texts for labels."""
    import tensorflow_datasets as tfds

    images = {
        k: RNG.integers(0, 2, (n, 6, 6, 1), np.uint8) for k, n in (("train", 12), ("test", 5))
    }
    splits = {
        name: [{"image": x, "label": "ba"[i % 2]} for i, x in enumerate(found)]
        for name, found in images.items()
    }
    features = {"image": image_feature(6, 6, 1), "label": tfds.features.Text()}
    return store("miniature", features, splits), images


def test_records_keep_their_order_and_bits_become_bytes(miniature):
    root, images = miniature
    found = whole(root, "miniature")
    np.testing.assert_array_equal(found["image"], images["test"] * 255)
    assert found["label"].tolist() == [1, 0, 1, 0, 1]
    config = section(source="tfds:miniature", data_dir=root)
    assert data.load(config).spec.classes == ("a", "b")


def test_the_scale_follows_from_all_values_not_from_the_first(store):
    """Two hundred images of zeros and ones, and one value of 2 in the last of another split."""
    dark = [{"image": RNG.integers(0, 2, (4, 4, 1), np.uint8)} for _ in range(200)]
    last = [{"image": np.full((4, 4, 1), 2, np.uint8)}]
    features = {"image": image_feature(4, 4, 1)}
    root = store("dark", features, {"train": dark, "test": dark[:3] + last})
    assert whole(root, "dark")["image"].max() == 2
    assert whole(root, "dark", "train")["image"].max() == 1


def test_a_photo_in_a_record_is_read_as_one_in_a_file(store, tmp_path):
    """16 bits give their high byte, hidden colours do not appear, declared channels are kept."""
    deep = np.array([[0, 16384], [32768, 65535]], np.uint16)[..., None]
    root = store(
        "deep", {"image": image_feature(2, 2, 1, dtype=np.uint16)}, {"test": [{"image": deep}]}
    )
    assert whole(root, "deep")["image"].ravel().tolist() == [0, 64, 128, 255]
    clear = np.array([[[200, 100, 50, 0], [200, 100, 50, 255]]], np.uint8)
    root = store("clear", {"image": image_feature(1, 2, 4)}, {"test": [{"image": clear}]})
    found = whole(root, "clear", background=7)["image"]
    assert found.tolist() == [[[[7, 7, 7], [200, 100, 50]]]]
    grey = tmp_path / "grey.png"
    Image.fromarray(np.array([[9, 90]], np.uint8)).save(grey)
    root = store("grey", {"image": image_feature(1, 2, 3)}, {"test": [{"image": str(grey)}]})
    assert whole(root, "grey")["image"].tolist() == [[[[9] * 3, [90] * 3]]]


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint16", "float32", "bool"])
def test_tensors_are_images_where_their_values_say_so(store, dtype):
    import tensorflow_datasets as tfds

    values = np.array([[0, 1], [0, 1]]) if dtype in ("float32", "bool") else [[0, 3], [200, 255]]
    values = np.asarray(values).astype(dtype)[..., None]
    features = {"image": tfds.features.Tensor(shape=(2, 2, 1), dtype=np.dtype(dtype))}
    root = store(f"tensor_{dtype}", features, {"test": [{"image": values}]})
    wanted = values * 255 if dtype in ("float32", "bool") else values
    np.testing.assert_array_equal(whole(root, f"tensor_{dtype}")["image"][0], wanted)
    if dtype != "bool":
        bad = store(f"bad_{dtype}", features, {"test": [{"image": values * 2}]})
        with pytest.raises(UserError, match=f"tfds:bad_{dtype}, test record 0: cannot be read"):
            whole(bad, f"bad_{dtype}")


@pytest.fixture(scope="module")
def faces(store) -> str:
    """CelebA's features in little, and others a user may name."""
    import tensorflow_datasets as tfds

    features = {
        "image": image_feature(2, 2, 3),
        "attributes": {"Smiling": np.bool_, "Bald": np.bool_},
        "landmarks": {"nose_x": np.int64},
        "glasses": np.bool_,
        "age": np.int64,
        "name": tfds.features.Text(),
        "kind": tfds.features.ClassLabel(names=["man", "woman"]),
        "weight": np.float32,
    }
    examples = [
        {
            "image": np.full((2, 2, 3), 9 * i, np.uint8),
            "attributes": {"Smiling": i % 2 == 0, "Bald": i == 1},
            "landmarks": {"nose_x": 7 - i},
            "glasses": i > 1,
            "age": [40, 7, 100, 7][i],
            "name": ["bob", "ann", "bob", "eve"][i],
            "kind": "woman" if i else "man",
            "weight": 1.0,
        }
        for i in range(4)
    ]
    return store("faces", features, {"train": examples, "test": examples})


@pytest.mark.parametrize(
    ("label", "classes", "numbers"),
    [
        ("", (), [-1] * 4),
        ("kind", ("man", "woman"), [0, 1, 1, 1]),
        ("name", ("ann", "bob", "eve"), [1, 0, 1, 2]),
        ("age", ("7", "40", "100"), [1, 0, 2, 0]),
        ("glasses", ("no", "yes"), [0, 0, 1, 1]),
        ("attributes/Bald", ("no", "yes"), [0, 1, 0, 0]),
        ("landmarks/nose_x", ("4", "5", "6", "7"), [3, 2, 1, 0]),
    ],
)
def test_any_feature_that_tells_classes_can_be_the_label(faces, label, classes, numbers):
    config = section(source="tfds:faces", data_dir=faces, label=label)
    assert data.load(config).test.spec.classes == classes
    found = whole(faces, "faces", label=label)["label"]
    assert found.dtype == np.int32 and found.tolist() == numbers


def test_attributes_are_a_vector_of_booleans(faces):
    config = section(source="tfds:faces", data_dir=faces, label="attributes")
    spec = data.load(config).spec
    assert spec.classes == () and spec.attributes == ("Bald", "Smiling")
    found = whole(faces, "faces", label="attributes")["label"]
    assert found.dtype == bool
    assert found.tolist() == [[False, True], [True, False], [False, True], [False, False]]


@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("nme", "no feature 'nme'. Did you mean 'name'"),
        ("attributes/Smile", "Did you mean 'Smiling'"),
        ("kind/x", "no feature 'kind/x'"),
        ("weight", "neither a class, a text, an integer nor booleans"),
        ("landmarks", "neither a class"),
        ("image", "neither a class"),
    ],
)
def test_a_feature_that_is_no_label_is_one_line(faces, label, match):
    with pytest.raises(UserError, match=match) as caught:
        whole(faces, "faces", label=label)
    assert "\n" not in str(caught.value)


def test_a_damaged_shard_is_one_line(store):
    features = {"image": image_feature(8, 8, 3)}
    examples = [{"image": RNG.integers(0, 256, (8, 8, 3), np.uint8)} for _ in range(8)]
    root = store("cut", features, {"test": examples})
    shard = next(Path(root).rglob("*array_record*"))
    good = shard.read_bytes()
    for bad in (good[: len(good) // 2], b"", good[:700] + bytes(300) + good[1000:]):
        shard.write_bytes(bad)
        with pytest.raises(UserError) as caught:
            whole(root, "cut")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_set", "mnist:99.0.0", "a b", "mnist/x", "/", "Ümlaut"])
def test_a_set_that_tfds_does_not_have_is_one_line(name, tmp_path):
    config = section(source=f"tfds:{name}", data_dir=str(tmp_path), download=False)
    with pytest.raises(UserError) as caught:
        data.load(config)
    assert "\n" not in str(caught.value)


def test_a_set_that_is_not_prepared_says_so(tmp_path):
    with pytest.raises(UserError, match="tfds:mnist is not prepared"):
        data.load(section(source="tfds:mnist", data_dir=str(tmp_path), download=False))


def test_a_network_that_is_away_says_so_at_once(tmp_path, monkeypatch):
    def away(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", away)
    with pytest.raises(UserError, match="the network is away"):
        data.load(section(source="tfds:mnist", data_dir=str(tmp_path)))


def test_a_set_without_images_is_one_line(store):
    import tensorflow_datasets as tfds

    root = store("words", {"text": tfds.features.Text()}, {"test": [{"text": "a"}]})
    with pytest.raises(UserError, match="has no feature 'image', but text"):
        whole(root, "words")


def test_prepared_sets_are_read_without_tensorflow(miniature):
    script = (
        "import sys\n"
        "from genlab import config as configs\n"
        "from genlab import data\n"
        "section = configs.base().data\n"
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


def test_an_animated_record_is_its_first_frame(store, tmp_path):
    frames = [Image.new("L", (2, 2), value) for value in (30, 90)]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    (tmp_path / "a.png").write_bytes(file.getvalue())
    examples = [{"image": str(tmp_path / "a.png")}]
    root = store("moving", {"image": image_feature(2, 2, 1)}, {"test": examples})
    assert set(whole(root, "moving")["image"].ravel()) == {30}
