"""A run that an earlier version trained is evaluated, sampled and resumed as that version would.

The archive holds two tiny runs of 6 steps of the version before networks of GANs were called
`gan.*` and `eval.features` was called `eval.classifier`, and what that version found: its line of
eval.jsonl, four samples of seed 0, and the metrics of the same runs trained to step 12.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest

from genlab import restore
from genlab.modes import evaluate
from genlab.training import loop as train
from genlab.workdir import configs
from genlab.workdir.lines import read_lines
from tests.conftest import ROOT

FAMILIES = ("autoregressive", "gan")
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # another processor may round another way


@pytest.fixture
def before(tmp_path, monkeypatch) -> Path:
    for pictures in ("progress", "finale"):  # they take longer than the rest
        monkeypatch.setattr(f"genlab.pictures.run.{pictures}", lambda *_: iter(()))
    with tarfile.open(ROOT / "tests" / "data" / "before_the_rooms.tar.xz") as archive:
        # What extractall takes as `filter` from Python 3.11.4 on.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    return tmp_path / "before"


def numbers(line: dict) -> dict:
    return {k: v for k, v in line.items() if isinstance(v, (int, float))}


def assert_holds(found: dict, wanted: dict) -> None:
    for name, value in numbers(wanted).items():
        np.testing.assert_allclose(found[name], value, err_msg=name, **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_evaluated_and_sampled_to_equal_numbers(before, family):
    workdir = before / family
    evaluate.evaluate_run(configs.read(str(workdir)), str(workdir))
    (found,) = read_lines(workdir / "eval.jsonl")
    (wanted,) = read_lines(workdir / "expected" / "eval.jsonl")
    assert_holds(found, wanted)
    assert wanted["protocol"].items() <= found["protocol"].items()
    drawn = restore(str(workdir)).sample(jax.random.key(0), 4)
    images = np.load(workdir / "expected" / "samples.npz")["images"]
    largest = 0 if family == "autoregressive" else 1  # a level of drawn pixels, a rounded grey
    assert np.abs(drawn.astype(int) - images).max() <= largest


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_resumed_to_the_lines_of_a_run_never_stopped(before, family):
    workdir = before / family
    config = configs.read(str(workdir)).unlock()
    config.train.steps = 12
    train.train(config, str(workdir))
    found = read_lines(workdir / "metrics.jsonl")
    wanted = read_lines(workdir / "expected" / "metrics.jsonl")
    places = [[(x["step"], x["split"]) for x in lines] for lines in (found, wanted)]
    assert places[0] == places[1]
    for line, line_before in zip(found, wanted, strict=True):
        assert_holds(line, line_before)
    written = json.loads((workdir / "config.json").read_text())
    assert configs.from_json(json.dumps(written)) == config.lock()
