"""Folders: what is an image, a class and a split; fair slices; lazy reading."""

from __future__ import annotations

import os

import numpy as np
import pytest

from genlab import data, parallel
from genlab.data import fingerprint, folders
from genlab.data.folders import Folder
from genlab.data.listing import natural
from genlab.errors import UserError
from tests.data_sets import class_folders, fill, grey, of_folder, section, told


def refused(config, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        data.load(config).check()
    assert "\n" not in str(caught.value)


def test_classes_and_files_are_in_natural_order(tmp_path):
    sets = data.load(of_folder(class_folders(tmp_path, *map(str, range(12)))))
    assert sets.spec.classes == tuple(map(str, range(12)))
    assert all(label == value // 20 for value, label in told(sets.train).items())
    names = ["a10", "a2", "b", "10", "9", "a02"]
    assert sorted(names, key=natural) == ["9", "10", "a02", "a2", "a10", "b"]


def test_what_is_no_image_or_hidden_is_passed_over_and_counted(tmp_path, heard):
    class_folders(tmp_path, "cat", "dog")
    fill(tmp_path, {".ipynb_checkpoints/0.png": 200, "__MACOSX/cat/0.png": 200})
    fill(tmp_path, {"cat/.thumbnails/1.png": 200})
    for name in ("cat/._0.png", "notes.txt", "cat/a.PDF", "dog/table.csv", "dog/Thumbs.db"):
        (tmp_path / name).write_bytes(b"no image")
    for name in ("empty", "empty/deeper", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes" / "read.me").write_text("no image")
    sets = data.load(of_folder(tmp_path, train_split="train", eval_split="train"))
    assert sets.spec.classes == ("cat", "dog") and set(told(sets.test)) == {0, 1, 2, 20, 21, 22}
    lines = [line for line in heard().splitlines() if "passed over" in line]
    assert len(lines) == 1 and ".pdf" in lines[0] and "hidden" in lines[0]


@pytest.mark.parametrize("names", [("Train", "Test"), ("TRAIN", "val"), ("train", "notes2")])
def test_split_folders_are_found_whatever_their_case(tmp_path, names):
    first, second = names
    class_folders(tmp_path / first, "cat", "dog")
    class_folders(tmp_path / second, "cat", "dog", first=10)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x.json").write_text("{}")
    sets = data.load(section(source=f"folder:{tmp_path}", eval_split=second.casefold()))
    assert sets.spec.classes == ("cat", "dog")
    assert set(told(sets.train)) <= {0, 1, 2, 20, 21, 22}
    assert set(told(sets.test)) == {10, 11, 12, 30, 31, 32}
    assert (len(sets.train) == 6) == (second == "val")  # which stands for validation


def test_only_a_test_folder_is_a_split(tmp_path):
    class_folders(tmp_path / "Test", "cat", "dog")
    assert len(data.load(section(source=f"folder:{tmp_path}")).test) == 6


def test_a_class_that_a_split_lacks_keeps_the_numbers_of_the_others(tmp_path):
    class_folders(tmp_path / "train", "ant", "bee", "cow")
    fill(tmp_path, {"test/bee/0.png": 100, "test/cow/0.png": 101})
    assert told(data.load(section(source=f"folder:{tmp_path}")).test) == {100: 1, 101: 2}


def test_two_folders_of_one_split_are_refused(tmp_path):
    class_folders(tmp_path / "train", "cat")
    class_folders(tmp_path / "Train", "cat")
    refused(section(source=f"folder:{tmp_path}"), "Train, train; keep one")


@pytest.mark.parametrize("where", ["", "train/"])
def test_loose_images_beside_folders_are_refused_named_and_counted(tmp_path, where):
    class_folders(tmp_path / where, "cat", "dog")
    fill(tmp_path, {f"{where}loose{i}.png": i for i in range(12)})
    refused(
        section(source=f"folder:{tmp_path}", eval_split="train"),
        r"12 images \(loose0.png, loose1.png, loose2.png, \.\.\.\) lie beside",
    )


def test_loose_images_beside_splits_are_refused(tmp_path):
    class_folders(tmp_path / "train", "cat")
    refused(
        of_folder(fill(tmp_path, {"x.png": 0})),
        r"1 image \(x.png\) lie beside folders of images .train",
    )


def test_a_split_without_classes_beside_one_with_is_said(tmp_path):
    class_folders(tmp_path / "train", "cat", "dog")
    fill(tmp_path, {"test/0.png": 0})
    refused(section(source=f"folder:{tmp_path}"), "test has no class folders, but train has")


def test_a_set_one_folder_deeper_is_refused(tmp_path):
    class_folders(tmp_path / "photos" / "train", "cat", "dog")
    class_folders(tmp_path / "photos" / "test", "cat", "dog")
    refused(of_folder(tmp_path), "photos' holds splits; name it instead")


@pytest.mark.parametrize("layout", ["", "class", "train/class"])
def test_a_folder_without_images_is_one_line(tmp_path, layout):
    (tmp_path / layout).mkdir(parents=True, exist_ok=True)
    (tmp_path / layout / "x.txt").write_text("x")
    refused(of_folder(tmp_path), "no image in")


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    refused(of_folder(tmp_path / "nowhere"), "no folder '.*nowhere'")
    (tmp_path / "file.png").write_bytes(b"x")
    refused(of_folder(tmp_path / "file.png"), "no folder")
    refused(section(source="folder:"), "no folder")


def test_a_slice_of_files_sorted_by_class_is_a_fair_sample(tmp_path):
    for label in range(4):
        fill(tmp_path, {f"{label}/{i:03}.png": label for i in range(100)})
    sets = data.load(of_folder(tmp_path))
    for split in (sets.test, sets.valid):  # of 40, 10 of each class: 2.7 is one deviation
        counts = np.bincount(split.read(np.arange(len(split)))["label"], minlength=4)
        assert counts.min() >= 3, counts


def names_of(split) -> set[str]:
    parts = list(split.source.splits.values())
    return {parts[part].name(place) for part, place in split.rows}


def test_a_new_file_moves_no_other_between_training_and_validation(tmp_path):
    fill(tmp_path, {f"cat/{i}.png": i for i in range(200)})
    before = data.load(of_folder(tmp_path, train_split="train", eval_split="train"))
    assert 10 <= len(before.valid) <= 30
    fill(tmp_path, {"cat/000.png": 0, "cat/new.png": 0, "ant/1.png": 0})
    after = data.load(of_folder(tmp_path, train_split="train", eval_split="train"))
    assert names_of(before.train) <= names_of(after.train)
    assert names_of(before.valid) <= names_of(after.valid)
    assert not names_of(after.train) & names_of(after.valid)


def test_order_and_hold_out_do_not_depend_on_where_the_set_lies(tmp_path):
    splits = []
    for place in ("here", "deeper/there"):
        root = class_folders(tmp_path / place, "cat", "dog", count=9)
        splits.append(data.load(of_folder(root)).train.read(np.arange(12)))
    np.testing.assert_array_equal(splits[0]["image"], splits[1]["image"])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_images_make_splits_or_one_line(tmp_path, count):
    fill(tmp_path, {f"{i}.png": i for i in range(count)})
    config = of_folder(tmp_path, train_split="train", eval_split="train")
    if count == 1:
        refused(config, "selects one image, of which none can be held out")
        return
    sets = data.load(config)
    assert len(sets.train) and len(sets.valid) and len(sets.train) + len(sets.valid) == count
    refused(of_folder(tmp_path, train_split="train", eval_split="train[99%:]"), "selects no image")


def test_links_wrong_suffixes_and_odd_names_are_read(tmp_path):
    root = tmp_path / "set"
    fill(root, {"cat/a.PNG": 1, "cat/deep/er/ü\nö.png": 2})
    grey(3).save(root / "cat" / "wrong.jpg", "PNG")
    with open(os.fsencode(root) + b"/cat/\xff\xfe.png", "wb") as file:
        grey(4).save(file, "PNG")
    fill(tmp_path, {"else/5.png": 5, "else/dog/6.png": 6})
    (root / "cat" / "link.png").symlink_to(tmp_path / "else" / "5.png")
    (root / "dog").symlink_to(tmp_path / "else" / "dog")
    (root / "cat" / "circle").symlink_to(root)
    sets = data.load(of_folder(root, train_split="train", eval_split="train"))
    greys = told_twice(sets.test)
    assert greys == {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 1}
    assert all(name.isprintable() for name in names_of(sets.test))


def told_twice(split) -> dict[int, int]:
    """As `told`, where links let an image be found in several ways: its first."""
    found = split.read(np.arange(len(split)))
    return dict(zip(found["image"][:, 0, 0, 0].tolist(), found["label"].tolist(), strict=True))


def test_a_pipe_with_the_name_of_an_image_does_not_hang(tmp_path):
    class_folders(tmp_path, "cat")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "link.png").symlink_to(tmp_path / "cat" / "pipe.png")
    assert len(data.load(of_folder(tmp_path, eval_split="train")).test) == 3


def test_starting_lists_files_and_decodes_none_but_the_first(tmp_path, monkeypatch):
    fill(tmp_path, {f"cat/{i}.png": i for i in range(50)})
    read, opened = folders.read_file, []
    monkeypatch.setattr(folders, "read_file", lambda *a: opened.append(a) or read(*a))
    sets = data.load(of_folder(tmp_path))
    sets.check()
    assert not opened
    assert sets.spec.shape == (4, 4, 1) and len(opened) == 1
    sized = data.load(of_folder(tmp_path, image_size=4, channels=1))
    assert sized.spec.shape == (4, 4, 1) and len(opened) == 1


def test_an_evaluation_lists_no_training_folder(tmp_path, monkeypatch):
    class_folders(tmp_path / "train", "cat", "dog")
    class_folders(tmp_path / "test", "cat", "dog")
    listed = Folder.__dict__["_listed"].func
    seen = []
    monkeypatch.setattr(
        Folder, "_listed", property(lambda self: seen.append(self.below) or listed(self))
    )
    sets = data.load(section(source=f"folder:{tmp_path}"))
    assert sets.test.spec.classes == ("cat", "dog") and len(sets.test) == 6
    assert set(seen) == {"test"}


def test_many_files_stream_whatever_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr("genlab.data.feeds.RESIDENT_FILES", 20)
    fill(tmp_path, {f"cat/{i}.png": i for i in range(30)})
    for split, resident in (("train", False), ("train[:10]", True)):
        test = data.load(of_folder(tmp_path, eval_split=split)).test
        assert bool(data.feed(test, parallel.replicas(), 1024).shared) is resident


def test_the_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    class_folders(tmp_path / "photos", "cat")
    config = section(source="folder:~/photos", eval_split="train")
    assert len(data.load(config).test) == 3
    assert fingerprint.fingerprint(data.load(config))["source"] == "folder"
