"""Intervals: of a mean over images, and of the difference of two models on the same images."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genlab import restore
from genlab.errors import UserError
from genlab.evaluate import IMAGE
from genlab.metrics import paired
from genlab.modes import compare, evaluate
from genlab.training import loop as train
from tests import launcher
from tests.conftest import tiny_config


def test_an_interval_holds_the_mean_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(2000):
        values = rng.exponential(size=50)
        half = paired.half_width(paired.standard_error(values), 50)
        inside.append(abs(values.mean() - 1.0) <= half)
    assert 0.90 < np.mean(inside) < 0.97


def test_pairing_sees_what_the_separate_intervals_hide():
    rng = np.random.default_rng(0)
    first = rng.normal(80.0, 20.0, 1000)
    second = first - 0.5 + rng.normal(0.0, 1.0, 1000)
    found = paired.difference(first, second)
    assert not found.none and found.mean == pytest.approx(0.5, abs=0.1)
    assert found.half < 0.1 < paired.half_width(paired.standard_error(first), 1000)
    same = paired.difference(first, first + rng.normal(0.0, 1.0, 1000))
    assert same.none and str(same).endswith("no difference")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root, names = tmp_path_factory.mktemp("runs"), []
    for seed in (0, 1):
        config = tiny_config()
        config.seed = seed
        names.append(str(root / str(seed)))
        train.train(config, names[-1])
        evaluate.evaluate_run(config, names[-1])
    return names


def test_an_evaluation_keeps_the_value_of_each_image(runs):
    """In the order of the split, whatever the batch; their mean is the line's number."""
    found = compare.last_of(runs[0])
    model = restore(runs[0])
    from genlab.data import splits

    images = splits.load(model.config.data).test.read(np.arange(20))["image"]
    np.testing.assert_allclose(found.values["nll"], -model.log_prob(images), rtol=1e-5)
    assert found.line["nll"] == pytest.approx(found.values["nll"].mean(), rel=1e-6)
    error = found.values["nll"].std(ddof=1) / np.sqrt(20)
    assert found.line["standard_error"]["nll"] == pytest.approx(error, rel=1e-5)
    assert len(np.unique(found.values[IMAGE])) == 20


def test_two_runs_are_compared_pair_by_pair(runs, capsys):
    compare.compare(*runs)
    printed = capsys.readouterr().out
    first, second = (compare.last_of(name) for name in runs)
    wanted = first.line["nll"] - second.line["nll"]
    assert f"nll {wanted:+.4g} (95 % interval" in printed
    compare.compare(runs[0], runs[0])
    assert "no difference" in capsys.readouterr().out


def test_other_images_and_missing_values_are_one_line(runs, tmp_path):
    config = tiny_config()
    config.data.eval_split = "test[20:40]"
    evaluate.evaluate_run(config, runs[1], str(tmp_path / "other"))
    with pytest.raises(UserError, match=r"other images.*test\[:20\].*test\[20:40\]"):
        compare.compare(runs[0], str(tmp_path / "other"))
    with pytest.raises(UserError, match="run --mode=eval"):
        compare.compare(runs[0], str(tmp_path))
    with pytest.raises(UserError, match="--against"):
        compare.compare(runs[0], "")


def test_a_protocol_that_differs_is_told(runs, tmp_path, capsys):
    config = tiny_config()
    config.eval.weights = "raw"
    evaluate.evaluate_run(config, runs[0], str(tmp_path))
    line = json.loads((tmp_path / "eval.jsonl").read_text())
    capsys.readouterr()
    compare.compare(runs[0], str(tmp_path))
    assert "differ in their weights" not in capsys.readouterr().out
    line["protocol"]["binarisation"] = "stochastic"
    (tmp_path / "eval.jsonl").write_text(json.dumps(line))
    compare.compare(runs[0], str(tmp_path))
    assert "differ in their binarisation" in capsys.readouterr().out


def test_an_output_folder_is_compared_as_a_workdir_is(runs, tmp_path):
    """Of a mixture, say, which has no workdir."""
    evaluate.evaluate_run(tiny_config(), runs[0], str(tmp_path / "output"))
    given = ("--mode=compare", f"--workdir={tmp_path / 'output'}", f"--against={runs[1]}")
    ended = launcher.launch(*given)
    assert ended.returncode == 0 and "nll " in ended.stdout, ended.stderr
    refused = launcher.launch(*given, "--config.seed=1")
    assert refused.returncode == 2 and "--mode=compare takes evaluations as" in refused.stderr
