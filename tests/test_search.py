"""Searches by Optuna: what is asked for follows from what the sweep's folder holds."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from genlab.errors import RunStopped, UserError
from genlab.modes import evaluate
from genlab.sweeps import pictures, table
from genlab.sweeps.search import TRIALS, Search
from genlab.training import loop as train
from genlab.workdir import lines as json_lines
from tests.sweeps import experiment, swept_from

BEST = 3e-3  # the rate whose made-up metric is least


def suggest(trial):
    return {
        "optim.learning_rate": trial.suggest_float("rate", 1e-5, 1e-1, log=True),
        "model.features": 4 * trial.suggest_int("fours", 1, 2),
    }


@pytest.fixture
def trained(monkeypatch):
    """Training and evaluation replaced by their books; the rates that were tried."""
    rates = []

    def run(config, folder):
        rates.append(rate := config.optim.learning_rate)
        nll = math.log(rate / BEST) ** 2 + config.model.features / 8
        line = {"step": config.train.steps, "split": "valid", "nll": nll}
        json_lines.append(Path(folder) / "metrics.jsonl", line)

    def measure(config, folder):
        line = {"step": config.train.steps, "nll": 1.0, "protocol": {}}
        json_lines.append(Path(folder) / "eval.jsonl", line)

    monkeypatch.setattr(train, "train", run)
    monkeypatch.setattr(evaluate, "evaluate_run", measure)
    for name in ("draw_samples", "draw_metrics", "draw_curves"):
        monkeypatch.setattr(pictures, name, lambda *_: None)
    monkeypatch.setattr(table, "_differences", lambda *_: [])
    return rates


def searched(folder: Path, how=suggest, **settings) -> None:
    config = experiment(metric="nll", **settings)
    swept_from(Search(how, config, folder), config, str(folder))


def test_a_search_goes_another_way_for_other_values(tmp_path, trained):
    """Its first ten trials are random; what follows depends on what those before have reached."""
    for name, mode in (("one", "min"), ("other", "max")):
        searched(tmp_path / name, trials=14, metric_mode=mode)
    one, other = trained[:14], trained[14:]
    assert len(set(one)) == 14
    assert one[:10] == other[:10] and not set(one[10:]) & set(other[10:])
    assert "| optim.learning_rate | model.features |" in (tmp_path / "one/table.md").read_text()


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_search_that_was_stopped_asks_for_what_it_would_have(tmp_path, trained, at_once):
    searched(tmp_path / "whole", trials=14, trials_at_once=at_once)
    assert len(trained) == 14 == len((tmp_path / "whole" / TRIALS).read_text().splitlines())
    trained.clear()
    real = train.train
    patch = pytest.MonkeyPatch()
    for stop in (3, 8):

        def stopping(config, folder, stop=stop):
            if len(trained) == stop:
                raise KeyboardInterrupt
            real(config, folder)

        patch.setattr(train, "train", stopping)
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / "parts", trials=14, trials_at_once=at_once)
    patch.undo()
    searched(tmp_path / "parts", trials=14, trials_at_once=at_once)
    asked = [(tmp_path / name / TRIALS).read_text() for name in ("whole", "parts")]
    assert asked[0] == asked[1] and len(trained) == 14


def test_a_trial_that_fails_is_told_as_failed_and_another_is_asked_for(tmp_path, trained):
    def odd(trial):
        return suggest(trial) | {"train.init_from": "/nowhere" if trial.number == 1 else ""}

    real, patch = train.train, pytest.MonkeyPatch()

    def failing(config, folder):
        if config.train.init_from:
            raise UserError("no config.json there")
        real(config, folder)

    patch.setattr(train, "train", failing)
    with pytest.raises(RunStopped, match="5 of 6 done, 1 failed"):
        searched(tmp_path, how=odd, trials=6)
    patch.undo()


def test_a_point_that_is_suggested_twice_is_trained_once(tmp_path, trained):
    def few(trial):
        return {"model.features": 4 * trial.suggest_int("fours", 1, 2)}

    searched(tmp_path, how=few, trials=12)
    asked = [json.loads(x) for x in (tmp_path / TRIALS).read_text().splitlines()]
    assert len(asked) == 12 and len(trained) == 2


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"metric": ""}, "needs sweep.metric"),
        ({"metric": "nl"}, "has no 'nl'. Did you mean 'nll'"),
        ({"metric": "nll", "halve_from": 2}, "leave it at 0"),
    ],
)
def test_a_search_that_cannot_be_is_one_line(tmp_path, trained, settings, told):
    config = experiment(trials=2, **settings)
    with pytest.raises(UserError, match=told):
        swept_from(Search(suggest, config, tmp_path), config, str(tmp_path))


def test_without_optuna_the_extra_is_named(tmp_path, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r'pip install "genlab\[optuna\]"'):
        searched(tmp_path)
