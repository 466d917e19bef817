"""Patience: a run ends when its best metric has not improved, the same whether resumed or not."""

from __future__ import annotations

import numpy as np
import pytest

from genlab import restore
from genlab.errors import UserError
from genlab.training import loop as train
from genlab.training.progress import patience_over
from genlab.workdir.lines import read_lines
from tests.sweeps import swept


def impatient(config, tmp_path, name: str, steps: int = 20):
    """A run whose weights do not move after the first evaluation, so that nothing improves."""
    config.optim.update(learning_rate=0.0, ema=0.0)
    config.train.update(steps=steps, eval_every=2, checkpoint_every=2, patience=3, log_every=2)
    return config, tmp_path / name


def test_evaluations_since_the_best_are_counted_from_its_step(config):
    config.train.update(eval_every=10, patience=2)
    over = [patience_over(config.train, step, {"step": 30}) for step in (30, 40, 49, 50, 60)]
    assert over == [False, False, False, True, True]
    config.train.patience = 0
    assert not patience_over(config.train, 500, {"step": 30})


def test_a_run_ends_when_nothing_improves_and_stays_ended(config, tmp_path, capsys):
    config, folder = impatient(config, tmp_path, "whole")
    train.train(config, str(folder))
    (event,) = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "patience"]
    assert (event["step"], event["best"]["step"]) == (8, 2)
    assert restore(str(folder)).step == 8
    assert (folder / "figures" / "loss.png").exists()  # as at the end of any run
    train.train(config, str(folder))
    assert "has not improved for 3 evaluations, since step 2" in capsys.readouterr().out
    assert restore(str(folder)).step == 8
    config.train.patience = 4
    train.train(config, str(folder))
    assert restore(str(folder)).step == 10


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(config, tmp_path):
    config, folder = impatient(config, tmp_path, "halves")
    for steps in (4, 20):
        config.train.steps = steps
        train.train(config, str(folder))
    assert restore(str(folder)).step == 8


def test_a_run_that_improves_goes_on_to_its_last_step(config, tmp_path):
    config, folder = impatient(config, tmp_path, "better", steps=10)
    config.optim.learning_rate = 1e-2
    train.train(config, str(folder))
    assert restore(str(folder)).step == 10
    assert not [e for e in read_lines(folder / "events.jsonl") if e["event"] == "patience"]


def test_a_sweep_takes_a_run_that_ended_early(config, tmp_path):
    config, folder = impatient(config, tmp_path, "sweep")
    for _ in range(2):  # the second start only reads
        swept(config, str(folder), [{"seed": 0}], ("nll",))
    (line,) = read_lines(folder / "seed=0" / "eval.jsonl")
    assert line["step"] == 8
    text = (folder / "table.md").read_text()
    assert f"{line['nll']:.4g} (± " in text and np.isfinite(line["standard_error"]["nll"])


def test_patience_needs_something_to_improve(config, tmp_path):
    config, folder = impatient(config, tmp_path, "none")
    config.train.best_metric = ""
    with pytest.raises(UserError, match=r"train\.patience needs train\.best_metric"):
        train.train(config, str(folder))
