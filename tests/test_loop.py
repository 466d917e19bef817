"""The loop: it learns, stops on NaN, keeps what it should, refuses another run's workdir."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import data, restore, task
from genlab.errors import RunStopped, UserError
from genlab.tasks.autoregressive import task as autoregressive
from genlab.training import compiled as program
from genlab.training import loop as train
from genlab.workdir.configs import from_json, identity_differences, to_json
from tests.conftest import tiny_config


def lines(workdir: str | Path, name: str = "metrics.jsonl") -> list[dict]:
    return [json.loads(x) for x in (Path(workdir) / name).read_text().splitlines()]


def test_a_run_leaves_what_the_readme_promises(trained):
    root = Path(trained)
    assert (root / "config.json").read_text() == to_json(tiny_config())
    (start,) = lines(root, "runs.jsonl")
    assert start["parameters"]["model"]["trainable"] > 0 and start["versions"]["jax"]
    splits = [(line["step"], line["split"]) for line in lines(root)]
    assert splits == [(2, "train"), (3, "valid"), (4, "train"), (6, "train"), (6, "valid")]
    assert {"nll", "bits_per_dim", "model/grad_norm", "model/update_norm"} <= lines(root)[0].keys()
    pictures = {p.name for p in (root / "figures").iterdir()}
    assert pictures == {
        "loss.png",
        "one_step_prediction.png",
        "receptive_field.png",
        "completions.png",
    }
    assert [p.name for p in (root / "samples").iterdir()] == ["step_00000006.png"]


def test_training_learns(tmp_path, config):
    config.train.update(steps=80, log_every=40, eval_every=40)
    config.optim.learning_rate = 2e-2
    train.train(config, str(tmp_path))
    valid = [line["nll"] for line in lines(tmp_path) if line["split"] == "valid"]
    uniform = 64 * np.log(4)
    assert valid[-1] < 0.75 * uniform and valid[-1] < valid[0]


def test_several_steps_a_call_are_the_same_steps(tmp_path, config, trained):
    """lax.scan changes no step, only rounding."""
    config.train.update(steps_per_call=2, eval_every=6, checkpoint_every=6)
    train.train(config, str(tmp_path))
    one, many = restore(trained).state.params, restore(str(tmp_path)).state.params
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_set_too_large_for_the_device_trains_the_same(tmp_path, config, trained):
    config.data.resident_mb = 0
    train.train(config, str(tmp_path))
    assert lines(tmp_path) == lines(trained)


@dataclasses.dataclass(frozen=True)
class Breaking(autoregressive.Task):
    """Its metric is NaN once, at its fifth step."""

    def step(self, state, batch, key):
        state, metrics = super().step(state, batch, key)
        return state, metrics | {"odd": jnp.where(state.step == 4, jnp.nan, 1.0)}


def test_nan_stops_the_run_naming_step_metric_and_checkpoint(tmp_path, config, monkeypatch):
    monkeypatch.setattr(autoregressive, "Task", Breaking)
    with pytest.raises(
        RunStopped, match=r"odd is nan at step 5; the last good checkpoint is step 3"
    ):
        train.train(config, str(tmp_path))
    event = lines(tmp_path, "events.jsonl")[-1]
    assert event.pop("time").endswith("Z")
    assert event == {
        "event": "not_finite",
        "step": 5,
        "metric": "odd",
        "value": "nan",
    }
    monkeypatch.undo()
    assert restore(str(tmp_path)).step == 3


def test_a_loss_that_explodes_stops_the_run(tmp_path, config):
    config.optim.update(learning_rate=1e30, clip_norm=0.0, ema=0.0)
    with pytest.raises(RunStopped, match=r"is (nan|inf) at step .*no checkpoint was saved yet"):
        train.train(config, str(tmp_path))


def test_the_best_checkpoint_stays_beside_the_newest(tmp_path, config):
    """With a rate that undoes what was learnt, the best is not the last."""
    config.train.update(steps=40, eval_every=10, checkpoint_every=10)
    config.optim.update(learning_rate=0.3, ema=0.0, clip_norm=0.0)
    train.train(config, str(tmp_path))
    valid = {r["step"]: r["nll"] for r in lines(tmp_path) if r["split"] == "valid"}
    best = min(valid, key=valid.get)
    assert restore(str(tmp_path), step="best").step == best
    assert restore(str(tmp_path)).step == 40


def test_init_from_takes_parameters_only(tmp_path, config, trained):
    config.train.init_from = trained
    sets = data.load(config.data)
    made = task.load(config, sets.spec)
    fresh = program.initial_state(made, sets, config.seed)
    started = program.initialised_from(fresh, trained)
    source = restore(trained, weights="raw").state
    jax.tree.map(np.testing.assert_array_equal, started.params, jax.device_get(source.params))
    jax.tree.map(np.testing.assert_array_equal, started.ema, jax.device_get(source.params))
    jax.tree.map(np.testing.assert_array_equal, started.opt, fresh.opt)
    assert started.step == 0
    config.model.features = 8
    other = program.initial_state(task.load(config, sets.spec), sets, 0)
    with pytest.raises(UserError, match="init_from"):
        program.initialised_from(other, trained)


def test_bfloat16_computes_and_float32_keeps(tmp_path, config, trained):
    config.model.dtype = "bfloat16"
    train.train(config, str(tmp_path))
    model = restore(str(tmp_path))
    assert {x.dtype for x in jax.tree.leaves(model.state.params)} == {jnp.dtype("float32")}
    half = restore(trained).task.network.clone(dtype="bfloat16")
    x = jnp.ones((1, 8, 8, 1))
    params = {"params": model.state.params["model"]}
    text = jax.jit(half.apply).lower(params, x).as_text()
    assert "bf16" in text and half.apply(params, x).dtype == jnp.float32
    exact, found = lines(trained)[-1]["nll"], lines(tmp_path)[-1]["nll"]
    assert exact != found and abs(exact - found) < 0.02 * exact


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, ["seed: 0 -> 1"]),
        ({"model.features": 8}, ["model.features: 4 -> 8"]),
        ({"data.batch_size": 4}, ["data.batch_size: 8 -> 4"]),
        ({"optim.learning_rate": 1.0}, ["optim.learning_rate: 0.001 -> 1.0"]),
        ({"train.steps": 9}, []),
        ({"train.steps": 9, "optim.schedule": "cosine"}, ["schedule", "train.steps: 6 -> 9"]),
        ({"optim.schedule": "linear", "optim.decay_steps": 5, "train.steps": 9}, ["dec", "sched"]),
        ({"sample.count": 1, "eval.batch_size": 2, "parallel": "pmap"}, []),
        ({"train.log_every": 1, "data.data_dir": "x"}, []),
        ({"train.steps_per_call": 2}, ["train.steps_per_call: 1 -> 2"]),
    ],
)
def test_what_makes_it_another_run(config, change, told):
    other = from_json(to_json(config))
    for key, value in change.items():
        section, _, name = key.rpartition(".")
        (other[section] if section else other)[name] = value
    found = identity_differences(config, other)
    assert len(found) == len(told)
    assert all(want in got for want, got in zip(told, found, strict=True))


def test_another_run_is_refused_with_its_keys_and_nothing_changes(config, trained):
    before = {p: p.stat().st_mtime_ns for p in Path(trained).rglob("*")}
    config.update(seed=3)
    config.optim.learning_rate = 0.5
    with pytest.raises(UserError, match=r"optim\.learning_rate: 0\.001 -> 0\.5; seed: 0 -> 3"):
        train.train(config, trained)
    assert before == {p: p.stat().st_mtime_ns for p in Path(trained).rglob("*")}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 0}, "train.steps=0"),
        ({"log_every": 0}, "train.log_every=0"),
        ({"steps_per_call": 4}, "train.steps=6 is not a multiple"),
        ({"best_mode": "least"}, "best_mode"),
        ({"best_metric": "nl"}, "no metric 'nl'. Did you mean 'nll'"),
    ],
)
def test_a_train_section_that_cannot_be_is_one_line(tmp_path, config, change, told):
    config.train.update(change)
    with pytest.raises(UserError, match=told) as caught:
        train.train(config, str(tmp_path))
    assert "\n" not in str(caught.value)


def test_data_that_is_lost_ends_the_run_in_one_line_and_keeps_the_checkpoint(
    tmp_path, config, monkeypatch
):
    made = data.feed

    def losing(*args):
        feed = made(*args)

        def calls(rows):
            for number, part in enumerate(feed.calls(rows)):
                if number == 4:
                    raise FileNotFoundError(2, "No such file or directory", "a/7.png")
                yield part

        return dataclasses.replace(feed, calls=calls)

    monkeypatch.setattr(data, "feed", losing)
    told = r"the data cannot be read \(a/7.png: No such file.*the last is step 3"
    with pytest.raises(RunStopped, match=told) as caught:
        train.train(config, str(tmp_path))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert restore(str(tmp_path)).step == 3
