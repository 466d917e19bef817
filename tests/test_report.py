"""Files of lines, and pictures."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from genlab.pictures import files
from genlab.workdir import lines, runs


def test_trimming_removes_later_lines_and_a_torn_one(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        lines.append(path, {"step": step, "nll": 0.1 * step})
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole) + '{"step": 4, "nl')
    lines.trim(path, 2)
    assert path.read_text() == "".join(whole[:2])
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_lines_keep_every_bit_of_a_number(tmp_path):
    path = tmp_path / "x.jsonl"
    value = float(np.float32(0.1)) / 3
    lines.append(path, {"step": 0, "x": value})
    assert json.loads(path.read_text())["x"] == value


def test_parameters_are_counted_by_player_and_kind():
    found = runs.counts({"g": {"w": np.zeros((3, 4))}, "d": np.zeros(5)}, {"g": np.zeros(2)})
    assert found["g"] == {"trainable": 12, "other": 2, "total": 14}
    assert found["d"] == {"trainable": 5, "other": 0, "total": 5}


def test_a_grid_shows_every_image_in_its_place():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * 10 + np.zeros((5, 120, 120, 1))
    sheet = files.grid(images.astype(np.uint8), columns=3)
    gap, side = files.GAP, 120
    assert sheet.shape == (2 * (side + gap) + gap, 3 * (side + gap) + gap, 3)
    for i in range(5):
        top, left = gap + i // 3 * (side + gap), gap + i % 3 * (side + gap)
        assert (sheet[top : top + side, left : left + side] == i * 10).all()


def test_small_images_are_enlarged_by_a_whole_factor(tmp_path):
    sheet = files.save_grid(tmp_path / "deep" / "x.png", np.zeros((4, 8, 8, 3), np.uint8))
    assert sheet.shape[0] % (files.SMALL // 8) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "deep" / "x.png")), sheet)
