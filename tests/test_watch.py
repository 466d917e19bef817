"""Watched metrics: warnings, stops and rollbacks, each named in the log and reproducible."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from genlab import restore
from genlab.errors import RunStopped, UserError
from genlab.training import loop as train
from genlab.training.watch import Limit, exceeded
from genlab.workdir import lines as json_lines


def watched(config, **bound):
    config.model.dropout = 0.3  # so that another attempt draws other numbers
    config.train.update(steps=6, eval_every=2, checkpoint_every=2, log_every=1)
    config.train.watch = type(config)({"nll": bound} if bound else {})
    return config


def events(workdir, kind):
    return [e for e in json_lines.read_lines(workdir / "events.jsonl") if e["event"] == kind]


def test_patience_counts_lines_in_a_row_and_a_warning_is_said_once():
    limits = (Limit("x", low=1.0, patience=2), Limit("y", high=9.0, action="stop"))
    outside, seen = {}, []
    for x in (0, 5, 0, 0, 0):
        outside, alarms = exceeded(limits, outside, "valid", {"x": x, "y": 0})
        seen.append([limit.metric for limit, _ in alarms])
    assert seen == [[], [], [], ["x"], []]
    outside, seen = {}, []
    for _ in range(2):
        outside, alarms = exceeded(limits, outside, "valid", {"x": 0.0, "y": float("nan")})
        seen.append([limit.action for limit, _ in alarms])
    assert seen == [["stop"], ["warn", "stop"]]
    assert exceeded(limits, outside, "train", {"x": 0.0, "y": 0.0}) == (outside, [])
    assert exceeded(limits, outside, "valid", None) == (outside, [])


def test_a_warning_names_step_and_metric_and_training_goes_on(config, tmp_path):
    train.train(watched(config, high=0.0), str(tmp_path))
    (event,) = events(tmp_path, "watch")
    assert (event["step"], event["metric"], event["action"]) == (2, "nll", "warn")
    assert restore(str(tmp_path)).step == 6


def test_a_stop_saves_and_says_where(config, tmp_path):
    with pytest.raises(RunStopped, match=r"stopped by train.watch and saved at step 4"):
        train.train(watched(config, high=0.0, patience=2, action="stop"), str(tmp_path))
    assert restore(str(tmp_path)).step == 4


def test_a_rollback_goes_back_to_the_best_with_other_numbers_and_resumes_bit_for_bit(
    config, tmp_path
):
    """Run a fails again when resumed, then goes on to its end; run b is stopped on its way."""
    config = watched(config, high=0.0, patience=2, action="rollback")
    config.train.max_attempts = 1
    for name in ("a", "a", "b"):
        with pytest.raises(RunStopped, match="1 rollbacks made"):
            train.train(config, str(tmp_path / name))
        (found,) = events(tmp_path / name, "rollback")
        assert (found["step"], found["to"], found["attempt"]) == (4, 2, 1)
    config = watched(config)
    for name, steps in (("a", (6,)), ("b", (4, 6)), ("first", (6,))):
        for config.train.steps in steps:
            train.train(config, str(tmp_path / name))
    a, b, first = (restore(str(tmp_path / n), weights="raw").state for n in ("a", "b", "first"))
    assert int(a.attempt) == 1 and int(first.attempt) == 0
    same = [np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)]
    assert all(same)
    pairs = zip(*(jax.tree.leaves(each.params) for each in (a, first)), strict=True)
    assert not all(np.array_equal(x, y) for x, y in pairs)
    lines = json_lines.read_lines(tmp_path / "a" / "metrics.jsonl")
    assert [line["step"] for line in lines if line["split"] == "train"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ({"hi": 1.0}, "train.watch.nll.hi: no such key.*high"),
        ({"action": "halt"}, "train.watch.nll.action: 'halt'"),
        ({"split": "test"}, "train.watch.nll.split: 'test'"),
        ({"patience": 0}, "patience=0: take 1 or more"),
    ],
)
def test_a_limit_that_cannot_be_is_one_line(config, tmp_path, bound, told):
    with pytest.raises(UserError, match=told):
        train.train(watched(config, **bound), str(tmp_path))


def test_a_metric_that_is_not_there_or_has_no_best_is_one_line(config, tmp_path):
    config.train.watch = type(config)({"nl": {"high": 1.0, "split": "train"}})
    with pytest.raises(UserError, match=r"no metric 'nl' of train.*nll"):
        train.train(config, str(tmp_path))
    config.train.watch = type(config)({"nll": {"high": 1.0, "action": "rollback"}})
    config.train.best_metric = ""
    with pytest.raises(UserError, match=r"rollback needs train.best_metric"):
        train.train(config, str(tmp_path))
