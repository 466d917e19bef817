"""Arrays: splits, labels, layouts and ranges of .npz and .npy files."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from genlab import data
from genlab.data import arrays, npy
from genlab.data.splits import load
from genlab.errors import UserError
from tests.data_sets import section

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 6, 5), np.uint8)
RGB = RNG.integers(0, 256, (8, 6, 5, 3), np.uint8)
LABELS = np.arange(20) % 3


def of(path, **changes):
    return section(source=f"npz:{path}", **{"eval_split": "train"} | changes)


def whole(config, split: str = "test"):
    found = getattr(load(config), split)
    return found.read(np.arange(len(found)))


def refused(config, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        whole(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_is_read_compressed_or_not(tmp_path, save):
    save(tmp_path / "a.npz", image=GREY, label=LABELS, classes=np.array(["ant", "bee", "cow"]))
    found = whole(of(tmp_path / "a.npz"))
    np.testing.assert_array_equal(found["image"][..., 0], GREY)
    np.testing.assert_array_equal(found["label"], LABELS)
    assert load(of(tmp_path / "a.npz")).spec == data.load(of(tmp_path / "a.npz")).spec
    assert load(of(tmp_path / "a.npz")).spec.classes == ("ant", "bee", "cow")


def test_splits_are_told_by_prefix(tmp_path):
    np.savez(
        tmp_path / "a.npz", train_image=RGB, train_label=LABELS[:8], test_image=RGB[::-1],
        test_label=LABELS[:8], note="by hand",
    )  # fmt: skip
    sets = load(of(tmp_path / "a.npz", eval_split="test"))
    np.testing.assert_array_equal(sets.test.read(np.arange(8))["image"], RGB[::-1])
    assert len(sets.train) == 7 and len(sets.valid) == 1 and sets.spec.shape == (6, 5, 3)
    assert sets.spec.classes == ("0", "1", "2")


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_splits_are_told_by_file(tmp_path, kind):
    for split, values in (("train", GREY), ("Test", GREY[::-1]), ("val", GREY[:4])):
        if kind == "npz":
            np.savez(tmp_path / f"{split}.npz", images=values, labels=LABELS[: len(values)])
        else:
            np.save(tmp_path / f"{split}_image.npy", values)
            np.save(tmp_path / f"{split}_label.npy", LABELS[: len(values)])
    (tmp_path / "README.txt").write_text("by hand")
    sets = load(of(tmp_path, eval_split="test"))
    np.testing.assert_array_equal(sets.test.read(np.arange(20))["image"][..., 0], GREY[::-1])
    assert len(sets.train) == 20 and len(sets.valid) == 4  # val stands for validation
    assert sets.test.read(np.arange(3))["label"].tolist() == [0, 1, 2]


def test_a_lone_npy_file_is_a_set_without_labels(tmp_path):
    np.save(tmp_path / "faces.npy", RGB)
    found = whole(of(tmp_path / "faces.npy"))
    np.testing.assert_array_equal(found["image"], RGB)
    assert set(found["label"].tolist()) == {-1}


def test_what_sampling_writes_is_a_set(tmp_path):
    np.savez_compressed(tmp_path / "samples.npz", images=RGB)
    np.testing.assert_array_equal(whole(of(tmp_path / "samples.npz"))["image"], RGB)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.save, np.savez])
def test_plain_arrays_are_mapped_not_loaded(tmp_path, save, order):
    values, path = (
        np.asarray(RGB, order=order),
        tmp_path / f"a.{'npy' if save is np.save else 'npz'}",
    )
    save(path, values) if save is np.save else save(path, image=values)
    source = load(of(path)).source.splits["train"]
    assert isinstance(source.images, np.memmap)
    np.testing.assert_array_equal(source.images, RGB)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint16, ">i4"])
def test_integers_of_any_type_are_bytes(tmp_path, dtype):
    np.save(tmp_path / "a.npy", GREY.astype(dtype))
    np.testing.assert_array_equal(whole(of(tmp_path / "a.npy"))["image"][..., 0], GREY)


def test_alpha_is_composed(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[[200, 100, 50, 0]] * 5], [[[200, 100, 50, 255]] * 5]]))
    found = whole(of(tmp_path / "a.npy", background=9))["image"]
    assert found[:, 0, 0].tolist() == [[9, 9, 9], [200, 100, 50]]


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (GREY / 255, "holds float64, .*multiply by 255 and round"),
        (GREY > 128, "holds bool, .*multiply by 255"),
        (GREY.astype(complex), "holds complex128"),
        (GREY // 128, "no value of .* is above 1"),
        (
            GREY.astype(int) * 300,
            r"image\] \d+: cannot be read \(its values .* beyond 0..255",
        ),
        (GREY.astype(int) - 1, "beyond 0..255"),
        (RGB.transpose(0, 3, 1, 2), r"\[8, 3, 6, 5\].*channels come last: transpose"),
        (RGB[0], r"for one image write image\[None\]"),
        (GREY.reshape(20, 30), "reshape its rows to images"),
        (GREY[0, 0], "has shape"),
        (np.zeros((0, 4, 8), np.uint8), "selects no image|is empty"),
        (np.zeros((4, 0, 8), np.uint8), "is empty, of shape"),
        (np.array(["a"]), "holds <U1"),
    ],
)
def test_other_layouts_and_ranges_are_refused(tmp_path, image, match):
    np.savez(tmp_path / "a.npz", image=image)
    refused(of(tmp_path / "a.npz", valid_split="train"[:5]), match)


def test_a_binary_array_is_refused_by_all_its_values_not_a_sample(tmp_path):
    values = np.zeros((300, 4, 5), np.uint8)
    np.save(tmp_path / "a.npy", values)
    refused(of(tmp_path / "a.npy"), "no value of")
    values[-1, -1, -1] = 2
    np.save(tmp_path / "a.npy", values)
    assert whole(of(tmp_path / "a.npy"))["image"].max() == 2


@pytest.mark.parametrize(
    ("label", "classes", "numbers"),
    [
        (np.array(["b", "a10", "a9"]), ("a9", "a10", "b"), [2, 1, 0]),
        (np.array([b"y", b"x", b"y"]), ("x", "y"), [1, 0, 1]),
        (np.array([True, False, True]), ("0", "1"), [1, 0, 1]),
        (np.array([2, -1, 0], np.int8), ("0", "1", "2"), [2, -1, 0]),
    ],
)
def test_labels_are_numbers_or_texts(tmp_path, label, classes, numbers):
    np.savez(tmp_path / "a.npz", image=RGB[:3], label=label)
    assert load(of(tmp_path / "a.npz")).test.spec.classes == classes
    assert whole(of(tmp_path / "a.npz"))["label"].tolist() == numbers


def test_attributes_are_booleans(tmp_path):
    values = RNG.integers(0, 2, (8, 2)).astype(bool)
    np.savez(tmp_path / "a.npz", image=RGB, attributes=values, classes=["hat", "smile"])
    config = of(tmp_path / "a.npz", label="attributes")
    found = whole(config)["label"]
    assert found.dtype == bool and load(config).test.spec.attributes == ("hat", "smile")
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("given", "changes", "match"),
    [
        ({"label": np.arange(7)}, {}, "has 7 labels for 8 images"),
        ({"label": np.ones(8)}, {}, r"float64\[8\]; labels are one integer"),
        ({"label": np.ones((8, 2), int)}, {}, "labels are one integer"),
        ({"label": np.array(3)}, {}, "has 0 labels"),
        ({"label": np.arange(8) - 2}, {}, "from -2 to 5"),
        ({"label": np.arange(8), "classes": ["a", "b"]}, {}, "and 2 are named"),
        (
            {"label": np.array(["c"] * 8), "classes": ["a", "b"]},
            {},
            "'c' of .* not in 'classes'",
        ),
        ({"label": np.arange(8) % 2, "classes": ["a", "a"]}, {}, "names a class twice"),
        ({}, {"label": "age"}, "no array 'age'"),
        ({"images": RGB}, {}, "both 'image'; keep one"),
        ({"label": np.array([{}] * 8)}, {}, "never unpickled"),
    ],
)
def test_labels_that_do_not_fit_are_one_line(tmp_path, given, changes, match):
    np.savez(tmp_path / "a.npz", image=RGB, **given)
    refused(of(tmp_path / "a.npz", **changes), match)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_ever_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Evil()] * 8))
    refused(of(tmp_path / "a.npy"), "never unpickled")
    np.savez(tmp_path / "b.npz", image=np.array([Evil()] * 8))
    refused(of(tmp_path / "b.npz"), "never unpickled")
    np.savez(tmp_path / "c.npz", image=RGB, notes=np.array([Evil()]))
    np.testing.assert_array_equal(whole(of(tmp_path / "c.npz"))["image"], RGB)
    (tmp_path / "d.npy").write_bytes(pickle.dumps([1, 2, 3]))
    refused(of(tmp_path / "d.npy"), "cannot be read as .npy or .npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_larger_than_memory_is_one_line_if_it_must_be_unpacked(
    tmp_path, save, monkeypatch
):
    save(tmp_path / "a.npz", image=RGB)
    monkeypatch.setattr(npy, "memory_left", lambda: 100)
    if save is np.savez:
        np.testing.assert_array_equal(whole(of(tmp_path / "a.npz"))["image"], RGB)
    else:
        refused(of(tmp_path / "a.npz"), "unpacks to .* save it with np.savez, which")


def test_a_header_that_promises_more_than_there_is_is_damaged(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 99, 99)}
    )
    (tmp_path / "a.npy").write_bytes(file.getvalue() + b"few")
    refused(of(tmp_path / "a.npy"), "cannot be read as .npy or .npz .3 bytes instead of")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", file.getvalue() + b"few")
    refused(of(tmp_path / "b.npz"), "cannot be read as .npy or .npz .image has 3 bytes instead of")


def test_cut_and_flipped_archives_are_one_line_or_right(tmp_path):
    path, seen = tmp_path / "a.npz", set()
    for save in (np.savez, np.savez_compressed):
        save(path, image=RGB, label=LABELS[:8])
        good = path.read_bytes()
        for place in range(0, len(good), 37):
            for bad in (
                good[:place],
                good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :],
            ):
                path.write_bytes(bad)
                try:
                    assert whole(of(path))["image"].dtype == np.uint8
                except UserError as error:
                    seen.add("\n" in str(error))
    assert seen == {False}


def test_paths_that_are_not_there_or_hold_nothing_are_one_line(tmp_path):
    refused(of(tmp_path / "no.npz"), "no file or folder")
    refused(of("gs://bucket/a.npz"), "not on a disk")
    refused(of(""), "no file or folder")
    refused(of(tmp_path), "has no array 'image' or 'images'")
    np.savez(tmp_path / "a.npz", x_train=RGB)
    refused(of(tmp_path / "a.npz"), "has no array 'image' or 'images'")


def test_black_is_looked_for_in_chunks(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK", 64)
    values = np.zeros((50, 4, 4, 1), np.uint8)
    assert arrays._is_black(values)
    values[-1] = 2
    assert not arrays._is_black(values)
