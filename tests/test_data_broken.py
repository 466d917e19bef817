"""Files of a folder that cannot be read, or do not fit: met when read, named, stood in for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab import data, parallel
from genlab.errors import UserError
from tests.data_sets import fill, grey, of_folder


def broken_set(root: Path, count: int = 30, broken: tuple[int, ...] = (3, 11)) -> Path:
    fill(root, {f"cat/{i}.png": i for i in range(count)})
    for i in broken:
        path = root / "cat" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:45])
    return root


ALL = {"train_split": "train", "valid_split": "train", "eval_split": "train"}


def test_a_broken_file_is_met_when_it_is_read_and_stops_with_its_name(tmp_path):
    sets = data.load(of_folder(broken_set(tmp_path)))
    sets.check()
    with pytest.raises(UserError, match=r"cat/(3|11)\.png: cannot be read .*on_broken=skip"):
        sets.train.read(np.arange(len(sets.train)))


def test_a_skipped_file_is_stood_in_for_alike_in_every_order_and_feed(tmp_path, heard):
    """What a row holds depends on the files alone: not on what was read before it, or how."""
    config = of_folder(
        broken_set(tmp_path), on_broken="skip", **{**ALL, "valid_split": "train[:1]"}
    )
    config.train_split = "train[1:]"
    split = data.load(config).train
    whole = split.read(np.arange(len(split)))["image"]
    again = data.load(config).train
    rows = np.random.default_rng(0).permutation(len(split))
    np.testing.assert_array_equal(again.read(rows)["image"], whole[rows])
    for resident_mb in (0, 1):
        feed = data.feed(data.load(config).train, parallel.replicas(), resident_mb)
        calls = feed.calls(data.training_rows(0, 4, len(split), 0, 9, 1))
        for step, part in enumerate(calls):
            one = {name: x[0][0] for name, x in part.items()}
            wanted = whole[data.batch_rows(0, step, 4, len(split))]
            np.testing.assert_array_equal(feed.fetch(feed.shared, one)["image"], wanted)
    lines = [line for line in heard().splitlines() if "stands in its place" in line]
    named = {line.split(": ")[0] for line in lines}
    assert named == {str(tmp_path / "cat" / f"{i}.png") for i in (3, 11)}
    assert any("2 of 29 skipped so far" in line for line in lines)


@pytest.mark.parametrize("resident_mb", [0, 1])
def test_an_evaluation_counts_no_stand_in(tmp_path, resident_mb):
    config = of_folder(broken_set(tmp_path), on_broken="skip", eval_split="train")
    split = data.load(config).test
    feed, seen = data.feed(split, parallel.replicas(), resident_mb), []
    for part in feed.calls(data.evaluation_rows(8, len(split))):
        one = {name: x[0][0] for name, x in part.items()}
        images = np.asarray(feed.fetch(feed.shared, one)["image"])[:, 0, 0, 0]
        seen += images[np.asarray(one["mask"]) > 0].tolist()
    assert sorted(seen) == [i for i in range(30) if i not in (3, 11)]


def test_a_set_of_broken_files_is_one_line(tmp_path):
    config = of_folder(
        broken_set(tmp_path, 6, tuple(range(6))), on_broken="skip", eval_split="train"
    )
    with pytest.raises(UserError, match="none of 6 examples in a row can be read, from"):
        data.load(config).test.read(np.arange(1))


@pytest.mark.parametrize("resident_mb", [0])
def test_a_file_deleted_during_training_is_one_line(tmp_path, resident_mb):
    fill(tmp_path, {f"cat/{i}.png": i for i in range(40)})
    split = data.load(of_folder(tmp_path, image_size=4, channels=1)).train
    feed = data.feed(split, parallel.replicas(), resident_mb)
    calls = feed.calls(data.training_rows(0, 4, len(split), 0, 500, 1))
    next(calls)
    for path in (tmp_path / "cat").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"cat/\d+\.png: cannot be read \(No such file") as caught:
        for _ in calls:
            pass
    assert "\n" not in str(caught.value)


def test_too_large_a_picture_is_a_broken_file(tmp_path, monkeypatch, heard):
    fill(tmp_path, {f"cat/{i}.png": i for i in range(5)})
    grey(9, (60, 60)).save(tmp_path / "cat" / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    config = of_folder(tmp_path, on_broken="skip", eval_split="train", image_size=4, channels=1)
    data.load(config).test.read(np.arange(6))
    assert "huge.png: cannot be read (too large" in heard()


@pytest.mark.parametrize(
    ("size", "mode", "changes", "match"),
    [
        (
            (3, 9),
            "L",
            {"image_size": 8},
            r"odd.png is 3 wide and 9 high, smaller than data.image_s",
        ),
        ((6, 4), "L", {}, r"odd.png has shape \[4, 6, 1\]|, not \[4, 6, 1\]"),
        ((4, 4), "RGB", {}, r"odd.png has shape \[4, 4, 3\]|, not \[4, 4, 3\]"),
    ],
)
def test_an_image_that_does_not_fit_is_named(tmp_path, size, mode, changes, match):
    for i in range(4):
        path = tmp_path / "cat" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        grey(i, (8, 8) if changes else (4, 4)).save(path)
    Image.new(mode, size).save(tmp_path / "cat" / "odd.png")
    split = data.load(of_folder(tmp_path, eval_split="train", **changes)).test
    with pytest.raises(UserError, match=match) as caught:
        split.read(np.arange(5))
    assert ".png" in str(caught.value)
