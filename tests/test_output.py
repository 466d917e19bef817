"""Evaluation and sampling: overrides are applied or refused, and what was made is never lost."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from genlab.errors import UserError
from genlab.modes import evaluate, sample
from genlab.workdir import configs

NOWHERE = "/proc/genlab"  # nobody can write there, not even root


def asked(workdir: str, **changes):
    """The config of a run with overrides, as the command line makes it."""
    config = configs.read(workdir).unlock()
    for key, value in changes.items():
        section, _, name = key.replace("__", ".").rpartition(".")
        config[section][name] = value
    return config.lock()


@pytest.fixture
def told(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genlab"), "propagate", True)
    with caplog.at_level(logging.INFO, "genlab"):
        yield caplog


def test_a_workdir_that_cannot_be_written_to_is_evaluated_and_said_once(trained, capsys, told):
    evaluate.evaluate_run(asked(trained), trained, NOWHERE)
    assert "nats per image" in capsys.readouterr().out
    (line,) = [text for text in told.text.splitlines() if "not written" in text]
    assert NOWHERE in line and "--output" in line


def test_samples_with_no_place_to_go_are_refused_before_any_is_drawn(trained, monkeypatch):
    monkeypatch.setattr("genlab.model.Model.sample", lambda *_, **__: pytest.fail("was drawn"))
    with pytest.raises(UserError, match="--output"):
        sample.sample(asked(trained), trained, NOWHERE)


def test_output_takes_what_a_mode_writes_and_the_workdir_stays_as_it_is(trained, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in Path(trained).rglob("*")}
    evaluate.evaluate_run(asked(trained), trained, str(tmp_path))
    sample.sample(asked(trained, sample__count=2), trained, str(tmp_path))
    assert before == {p: p.stat().st_mtime_ns for p in Path(trained).rglob("*")}
    (line,) = (tmp_path / "eval.jsonl").read_text().splitlines()
    assert json.loads(line)["protocol"]["weights"] == "ema"
    (file,) = (tmp_path / "samples").glob("*.npz")
    assert np.load(file)["images"].shape == (2, 8, 8, 1)


def test_another_request_for_samples_has_another_name(trained):
    requests = [
        {},
        {"sample__count": 2},
        {"sample__seed": 1},
        {"sample__temperature": 0.5},
        {"sample__method": "naive"},
        {"eval__weights": "raw"},
    ]
    names = {sample.file_name(asked(trained, **request), 6) for request in requests}
    assert len(names) == len(requests)


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        ("eval", {"likelihood__levels": 8}),
        ("eval", {"optim__learning_rate": 0.5}),
        ("eval", {"data__batch_size": 3}),
        ("eval", {"model__features": 5}),
        ("sample", {"data__eval_split": "train"}),
        ("sample", {"train__steps": 7}),
    ],
)
def test_an_override_that_a_mode_does_not_read_is_refused_by_name(trained, mode, change):
    key = next(iter(change)).replace("__", r"\.")
    run = {"eval": evaluate.evaluate_run, "sample": sample.sample}[mode]
    with pytest.raises(UserError, match=rf"config\.{key}=.*--mode={mode} does not read it"):
        run(asked(trained, **change), trained)


def test_an_override_that_has_a_meaning_is_applied_and_stamped(trained, tmp_path):
    evaluate.evaluate_run(asked(trained, data__eval_split="train[:7]"), trained, str(tmp_path))
    line = json.loads((tmp_path / "eval.jsonl").read_text())
    assert line["protocol"]["split"] == "train[:7]" and line["protocol"]["images"] == 7


@pytest.mark.thorough
def test_another_corruption_is_what_a_denoiser_is_measured_on(tmp_path):
    from genlab.training import loop as train
    from tests.test_codes import code_config

    config = code_config("mnist_dae_salt").unlock()
    config.train.update(steps=2, log_every=2, eval_every=2, checkpoint_every=2)
    workdir = str(tmp_path / "run")
    train.train(config.lock(), workdir)
    protocols, gains = [], []
    for change in ({}, {"corruption__share": 0.9}):
        evaluate.evaluate_run(asked(workdir, **change), workdir)
        line = json.loads((tmp_path / "run" / "eval.jsonl").read_text().splitlines()[-1])
        protocols.append(line["protocol"]["corruption"])
        gains.append(line["corrupted_mse"])
    assert protocols == ["salt share 0.3", "salt share 0.9"] and gains[1] > gains[0]
