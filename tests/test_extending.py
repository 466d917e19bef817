"""The family and the network of docs/extending.md, outside genlab, do all that others do."""

from __future__ import annotations

import json
import re

import jax
import numpy as np
import pytest

from genlab import config as configs
from genlab import restore
from genlab.errors import UserError
from genlab.modes import evaluate, summary
from genlab.training import loop as train
from tests.conftest import ROOT

BLOCK = re.compile(r"```python\n# (\S+)\n(.*?)```", re.DOTALL)


def blocks() -> dict[str, str]:
    """{file: code} of the document."""
    return dict(BLOCK.findall((ROOT / "docs" / "extending.md").read_text()))


@pytest.fixture
def config(tmp_path, monkeypatch):
    for file, code in blocks().items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return configs.load(f"{tmp_path}/my_config.py:smoke")


def test_they_are_short():
    for file, most in (("my_lab/tables.py", 20), ("my_lab/independent.py", 45)):
        assert len([line for line in blocks()[file].splitlines() if line.strip()]) <= most
    body = blocks()["my_lab/independent.py"].partition("class Task")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 30


def test_they_train_evaluate_sample_and_restore(config, tmp_path, capsys):
    workdir = str(tmp_path / "run")
    train.train(config, workdir)
    evaluate.evaluate_run(config, workdir)
    line = json.loads((tmp_path / "run" / "eval.jsonl").read_text())
    model = restore(workdir)
    images = model.sample(jax.random.key(0), 3)
    assert images.shape == (3, 8, 8, 1) and images.dtype == np.uint8
    assert line["nll"] < 64 * np.log(256)  # it has learned more than nothing
    assert (model.log_prob(images) < 0).all()
    with pytest.raises(UserError, match=r"my_lab.independent has no encode; families that have"):
        model.encode(images)
    summary.summary(config, "")
    assert f"total {64 * 256:,}" in capsys.readouterr().out


def test_their_fields_are_checked_as_all_others(config):
    config.unlock().model.deviation = -1.0
    with pytest.raises(UserError, match=r"model.deviation=-1.0: take 0 or more"):
        configs.check_values(config)
    config.model = {"name": "my_lab.tables.Tabel"}
    with pytest.raises(UserError, match=r"model.name: no network 'my_lab.tables.Tabel'"):
        configs.check_values(config)
    config.task = "my_lab.tables"
    with pytest.raises(UserError, match=r"config.task: no task 'my_lab.tables'"):
        configs.check_values(config)
