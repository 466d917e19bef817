"""Populations: runs that share a program are what they would have been alone."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import genlab
from genlab import config as configs
from genlab.condition import Spec
from genlab.errors import Preempted, RunStopped, UserError
from genlab.training import loop as train
from genlab.training import population
from genlab.training.ends import Ends
from genlab.workdir import configs as run_configs
from genlab.workdir.lines import read_lines
from tests import helpers, sweeps
from tests.conftest import ROOT, tiny_config

SPEC = Spec((8, 8, 1), tuple("0123456789"))


def small(**varied):
    """A classifier of a few filters: the programs compile in a second, it draws few pictures."""
    config = helpers.classifier_config(steps=12, best_metric="cross_entropy")
    return with_population(config, varied)


def with_population(config, varied):
    config = config.copy_and_resolve_references().unlock()
    configs.complete(config)
    for key, values in varied.items():
        configs.admit(config, f"{configs.POPULATION}.{key}")
        path, _, name = f"{configs.POPULATION}.{key}".rpartition(".")
        configs.at(config, path)[name] = values
    return config.lock()


def same_numbers(first: Path, second: Path, tolerance: float = 1e-4):
    for file in ("metrics.jsonl",):
        ours, theirs = read_lines(first / file), read_lines(second / file)
        assert [x.keys() for x in ours] == [x.keys() for x in theirs] and ours
        for one, other in zip(ours, theirs, strict=True):
            numbers = [k for k in one if isinstance(one[k], float)]
            for key in numbers:
                assert one[key] == pytest.approx(other[key], rel=tolerance, abs=1e-6), key


RATES = (1e-3, 3e-3)


@pytest.fixture(scope="module")
def trained_together(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("population")
    varied = {"seed": (0, 1), "optim.learning_rate": RATES}
    train.train(small(**varied), str(folder))
    return folder


@pytest.mark.parametrize("index", [1, pytest.param(0, marks=pytest.mark.thorough)])
def test_each_run_is_what_it_would_have_been_alone(index, trained_together, tmp_path):
    """Metric lines, checkpoint, evaluation: equal to 1e-4 of their size after 12 steps."""
    (own,) = trained_together.glob(f"*seed={index}")
    config = run_configs.read(str(own))
    assert config.seed == index and config.optim.learning_rate == RATES[index]
    assert not configs.flat(config.train.population)
    train.train(config, str(tmp_path))
    same_numbers(own, tmp_path)
    ours, theirs = genlab.restore(str(own)), genlab.restore(str(tmp_path))
    for x, y in zip(*(jax.tree.leaves(m.state.params) for m in (ours, theirs)), strict=True):
        np.testing.assert_allclose(x, y, atol=2e-5)


def test_a_population_resumes_exactly(trained_together, tmp_path, monkeypatch):
    """Stopped by a signal halfway, all save; the same command gives the same bits."""
    varied = {"seed": (0, 1), "optim.learning_rate": RATES}
    with monkeypatch.context() as patch:
        patch.setattr(Ends, "asked", lambda self, step: step >= 7)
        with pytest.raises(Preempted):
            train.train(small(**varied), str(tmp_path))
    train.train(small(**varied), str(tmp_path))
    for own in sorted(p for p in trained_together.iterdir() if p.is_dir()):
        resumed = tmp_path / own.name
        kinds = [line["event"] for line in read_lines(resumed / "events.jsonl")]
        assert kinds == ["preempted", "resume", "trained"]
        assert (resumed / "metrics.jsonl").read_text() == (own / "metrics.jsonl").read_text()
        ours, theirs = genlab.restore(str(resumed)), genlab.restore(str(own))
        for x, y in zip(*(jax.tree.leaves(m.state) for m in (ours, theirs)), strict=True):
            assert np.array_equal(x, y)


def test_a_run_that_is_no_longer_finite_ends_alone(tmp_path, capsys):
    rates = (1e-3, 1e30)
    config = small(**{"optim.learning_rate": rates}).copy_and_resolve_references().unlock()
    config.optim.name = "sgd"
    with pytest.raises(RunStopped, match=r"1 of 2 runs stopped: .*1e.30"):
        train.train(config.lock(), str(tmp_path))
    good = tmp_path / "optim.learning_rate=0.001"
    assert genlab.restore(str(good)).step == 12
    (bad,) = (p for p in tmp_path.iterdir() if p.is_dir() and p != good)
    assert read_lines(bad / "events.jsonl")[-1]["event"] == "not_finite"


def test_runs_that_are_done_are_not_trained_again(trained_together, capsys):
    varied = {"seed": (0, 1), "optim.learning_rate": RATES}
    train.train(small(**varied), str(trained_together))
    assert capsys.readouterr().out.count("nothing to train") == 2


def test_a_run_of_a_population_may_go_on_alone(trained_together, tmp_path):
    (own,) = trained_together.glob("*seed=0")
    config = run_configs.read(str(own)).copy_and_resolve_references().unlock()
    assert json.loads((own / "config.json").read_text())["train"]["population"] == {}
    config.train.steps = 12
    train.train(config.lock(), str(own))


def pixels():
    config = tiny_config()
    configs.complete(config)
    return config


def gan():
    config = configs.load(f"{ROOT}/configs/mnist_gan.py:smoke").unlock()
    config.model.generator.hidden, config.model.discriminator.hidden = (8,), (8,)
    return config


@pytest.mark.parametrize(
    ("make", "key", "can"),
    [
        (pixels, "seed", True),
        (pixels, "optim.learning_rate", True),
        (gan, "optim.generator.learning_rate", True),
        (lambda: helpers.code_config("mnist_vae"), "vae.beta", True),
        (pixels, "optim.ema", False),
        (pixels, "model.dropout", False),
        (pixels, "model.features", False),
        (pixels, "data.batch_size", False),
        (pixels, "train.steps", False),
        (pixels, "sample.temperature", False),
    ],
)
def test_what_a_step_does_not_have_to_know_may_differ(make, key, can):
    assert population.can_differ(make(), SPEC, key) == can


@pytest.mark.parametrize(
    ("varied", "told"),
    [
        ({"data.batch_size": (8, 16)}, r"population.data.batch_size: it decides what is compiled"),
        ({"model.hidden": (2, 3)}, "population.model.hidden: it decides"),
        ({"optim.ema": (0.0, 0.9)}, "population.optim.ema: it decides"),
        ({"seed": (0, 1), "optim.learning_rate": (1e-3,)}, "as many values of each key"),
        ({"seed": (0, 0)}, "not all different"),
        ({"seed": 3}, "take a tuple of values"),
        ({"optim.learning_rate": (0.1, -1.0)}, "optim.learning_rate=-1.0"),
        ({"optim.learning_rate": ("a", "b")}, "'a' is not float"),
    ],
)
def test_what_cannot_be_a_population_is_one_line(varied, told, tmp_path):
    config = small().unlock()
    for key, values in varied.items():
        path, _, name = f"{configs.POPULATION}.{key}".rpartition(".")
        configs.at(config, path, make=True)[name] = values
    with pytest.raises(UserError, match=told):
        train.train(config, str(tmp_path))
    assert not list(tmp_path.iterdir())


def swept(count: int, **sweeping):
    config = small().unlock()
    config.train.steps = 2
    configs.admit_sweep(config)
    config.sweep.update(population=count, **sweeping)
    return config.lock()


@pytest.mark.thorough
def test_a_sweep_trains_runs_next_to_each_other_by_one_program(tmp_path, monkeypatch):
    """Each is measured as ever."""
    trained, own = [], train.population

    def counted(runs, spec):
        trained.append(len(runs))
        return own(runs, spec)

    monkeypatch.setattr(train, "population", counted)
    points = [{"seed": seed} for seed in range(2)]
    sweeps.swept(swept(2), str(tmp_path), points, ("cross_entropy",))
    assert trained == [2] and "| 2 |" in (tmp_path / "table.md").read_text()
    assert all((tmp_path / f"seed={seed}" / "eval.jsonl").exists() for seed in range(2))


def test_a_sweep_of_populations_is_one_line(tmp_path):
    config = with_population(swept(1), {"seed": (0, 1)})
    with pytest.raises(UserError, match=r"leave it out and set sweep.population"):
        sweeps.swept(config, str(tmp_path), [{"seed": 0}], ("cross_entropy",))


@pytest.mark.parametrize(
    ("points", "sweeping", "told"),
    [
        ([{"model.hidden": 2}, {"model.hidden": 3}], {}, "population.model.hidden: it decides"),
        ([{"seed": 0}, {"seed": 1}], {"parallel": 2}, "leave out .*sweep.parallel"),
    ],
)
def test_a_sweep_that_cannot_go_together_is_one_line(points, sweeping, told, tmp_path):
    with pytest.raises(UserError, match=told):
        sweeps.swept(swept(2, **sweeping), str(tmp_path), points, ("cross_entropy",))
