"""Trackers: what they are told, when they are refused, and that none of them ends a training."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import json
import logging
import os
import sys
import types
from typing import Any, ClassVar

import numpy as np
import pytest
from etils import epath

from genlab import cli, restore
from genlab import config as configs
from genlab.errors import UserError
from genlab.sections.shared import TRACKERS
from genlab.trackers import choose
from genlab.trackers.contract import Writer
from genlab.training import loop as train
from genlab.workdir import configs as run_configs
from genlab.workdir import lines

NOT_HERE = ("wandb", "mlflow", "trackio")


class Told(Writer):
    """Notes what it is told."""

    made: ClassVar[list[Told]] = []

    def __init__(self, run):
        self.run, self.calls = run, []
        self.made.append(self)

    def scalars(self, step, values):
        self.calls.append((step, dict(values)))

    def image(self, step, name, picture):
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        self.calls.append((step, name))

    def close(self):
        self.calls.append("closed")


class Broken(Told):
    def scalars(self, step, values):
        raise ConnectionError("no\nroute")


@pytest.fixture
def told(monkeypatch):
    """Every tracker notes what it is told; wandb fails at its first number."""
    monkeypatch.setattr(Told, "made", [])
    monkeypatch.setattr(
        choose,
        "KINDS",
        {
            name: dataclasses.replace(kind, make=Broken if name == "wandb" else Told, needs=())
            for name, kind in choose.KINDS.items()
        },
    )
    return Told.made


@pytest.fixture
def said(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("genlab"), "propagate", True)
    caplog.set_level(logging.INFO, "genlab")
    return caplog


def test_a_tracker_is_told_all_that_the_lines_hold_and_keeps_its_identity(tmp_path, config, told):
    config.report.update(writers=("mlflow", "trackio"), project="digits")
    for steps in (3, 6):
        config.train.update(steps=steps, log_every=1, eval_every=3)
        train.train(config, str(tmp_path))
    expected = [
        (x["step"], {f"{x['split']}/{name}": x[name] for name in list(x)[3:]})
        for x in lines.read_lines(epath.Path(tmp_path) / "metrics.jsonl")
    ]
    found = [call for w in told[::2] for call in w.calls if isinstance(call[1], dict)]
    assert [x for x in found if "steps_per_second" not in x[1]] == expected
    for writer in told:
        assert writer.calls[-1] == "closed" and (writer.run.workdir.name == tmp_path.name)
        assert any(call[1] == "samples" for call in writer.calls)
        assert writer.run.project == "digits" and writer.run.settings["seed"] == config.seed
        assert all(isinstance(x, (bool, int, float, str)) for x in writer.run.settings.values())
    assert len({writer.run.identity for writer in told}) == 1 and len(told) == 4


def test_a_tracker_that_fails_is_left_out_and_training_goes_on(tmp_path, config, told, said):
    config.report.writers = ("wandb", "mlflow")
    train.train(config, str(tmp_path))
    assert said.text.count("wandb is off from here on: ConnectionError: no route") == 1
    assert restore(str(tmp_path)).step == 6 and told[1].calls[-1] == "closed"


def test_a_tracker_without_its_package_is_refused_before_training(tmp_path, config, monkeypatch):
    monkeypatch.setattr(choose, "_is_here", lambda package: False)
    for name in NOT_HERE:
        config.report.writers = (name,)
        with pytest.raises(UserError, match=f"{name} needs .*; pip install {name}, or"):
            train.train(config, str(tmp_path / name))
        assert not (tmp_path / name).exists()


def test_tensorboard_that_nobody_asked_for_is_left_out_and_said_once(
    tmp_path, config, monkeypatch, said
):
    monkeypatch.setattr(choose, "_is_here", lambda package: False)
    config.report.writers = configs.base().report.writers
    train.train(config, str(tmp_path))
    assert said.text.count("TensorBoard is off: no tensorflow; pip install") == 1
    assert restore(str(tmp_path)).step == 6


def test_a_tracker_that_does_not_start_is_one_line(tmp_path, monkeypatch):
    def refuse(run):
        raise ValueError("no API key\nconfigured")

    kind = dataclasses.replace(choose.KINDS["wandb"], make=refuse)
    monkeypatch.setattr(choose, "KINDS", {"wandb": kind})
    with pytest.raises(UserError, match="wandb does not start: no API key configured"):
        choose.opened(["wandb"], epath.Path(tmp_path), "p", {})


def test_tensorboard_has_numbers_pictures_and_hyper_parameters(tmp_path, config):
    config.report.writers = ("tensorboard",)
    config.train.update(steps=2, eval_every=2, checkpoint_every=2)
    train.train(config, str(tmp_path))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    board = EventAccumulator(str(tmp_path)).Reload()
    tags = {tag for kind in board.Tags().values() if isinstance(kind, list) for tag in kind}
    assert {"train/nll", "valid/nll", "samples"} <= tags
    (content,) = board.PluginTagToContent("hparams").values()
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["optim.learning_rate"].number_value == config.optim.learning_rate
    assert settings["model.name"].string_value == "masked.PixelCNN"
    assert not (tmp_path / choose.IDENTITY).exists()


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_that_a_config_may_name_is_there(name):
    assert set(choose.KINDS) == set(TRACKERS)
    configs.check_values(_with(name))


def _with(*names):
    config = configs.load("configs/digits_pixelcnn.py").unlock()
    config.report.writers = names
    return config


@pytest.mark.parametrize(("old", "new"), [(True, ("tensorboard",)), (False, ())])
def test_the_old_key_is_still_read(tmp_path, config, old, new):
    written = json.loads(run_configs.to_json(config))
    written["train"]["tensorboard"] = old
    del written["report"]
    (tmp_path / "config.json").write_text(json.dumps(written))
    found = run_configs.read(str(tmp_path))
    assert found.report.writers == new and "tensorboard" not in found.train
    assert run_configs.identity_differences(found, config) == []
    flag = cli._spelled_today(f"--config.train.tensorboard={old}")
    assert flag == f"--config.report.writers={new}"
    assert cli._spelled_today("--config.eval.features=1") == "--config.eval.classifier=1"


class Noted(types.ModuleType):
    """A package that is not installed: notes every call, and answers with itself."""

    def __init__(self, name: str, calls: list[tuple[str, Any]], answers: dict[str, Any]):
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.__path__ = []
        self._calls, self._answers = calls, answers

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*given, **named):
            self._calls.append((name, given, named))
            return self._answers.get(name, self)

        return call


@pytest.fixture
def noted(monkeypatch):
    """Stands for the packages; the trackers then are told a little."""
    calls: list[Any] = []
    for name in (*NOT_HERE, "mlflow.entities"):
        made = types.SimpleNamespace(info=types.SimpleNamespace(run_id="r"))
        answers = {"get_experiment_by_name": None, "search_runs": [], "create_run": made}
        module = Noted(name, calls, answers)
        monkeypatch.setitem(sys.modules, name, module)
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    return calls


def _tell(name, workdir):
    writers = choose.opened([name], epath.Path(workdir), "p", {"a": 1, "b": (1, 2)})
    writers.scalars(7, {"train/nll": 2.0})
    writers.image(7, "samples", np.zeros((4, 4, 3), np.uint8))
    writers.close()


def test_wandb_is_offline_in_the_workdir_unless_told_otherwise(tmp_path, noted, monkeypatch):
    for mode in ("offline", "online"):
        noted.clear()
        monkeypatch.setenv("WANDB_MODE", mode) if mode == "online" else None
        _tell("wandb", tmp_path)
        named = {name: (given, rest) for name, given, rest in noted}
        started = named["init"][1]
        assert (started["mode"], started["dir"]) == (mode, os.fspath(tmp_path))
        assert started["resume"] == "allow" and started["config"] == {"a": 1, "b": "(1, 2)"}
        assert ("log", ({"step": 7, "train/nll": 2.0},), {}) in noted
    assert [name for name, *_ in noted][-1] == "finish"


def test_mlflow_is_kept_in_the_workdir_unless_told_otherwise(tmp_path, noted, monkeypatch):
    for uri in (f"sqlite:///{tmp_path}/mlflow.db", "http://tracking"):
        noted.clear()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri) if uri.startswith("http") else None
        _tell("mlflow", tmp_path)
        assert noted[0] == ("MlflowClient", (uri,), {})
        assert ("Param", ("b", "(1, 2)"), {}) in noted
        (metric,) = [given for name, given, _ in noted if name == "Metric"]
        assert metric[:2] == ("train/nll", 2.0) and metric[3] == 7
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr(choose, "_identity", lambda workdir: "x")
    with pytest.raises(UserError, match="mlflow cannot keep a run in gs://"):
        choose.opened(["mlflow"], epath.Path("gs://bucket/run"), "p", {})


def test_trackio_knows_a_run_by_a_name_that_no_other_has(tmp_path, noted):
    _tell("trackio", tmp_path)
    started = next(named for name, _, named in noted if name == "init")
    assert started["name"].startswith(f"{tmp_path.name}-") and started["resume"] == "allow"
    assert ("log", ({"train/nll": 2.0},), {"step": 7}) in noted
