"""A run that was killed goes on as if it had not been: same lines, same parameters, bit for bit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from genlab import restore
from tests import launcher

STEPS = 24
OVERRIDES = [
    "--config=configs/digits_pixelcnn.py:smoke",
    f"--config.train.steps={STEPS}",
    "--config.train.log_every=7",
    "--config.train.eval_every=12",
    "--config.train.checkpoint_every=3",
    "--config.data.train_split=train[:50]",
    "--config.optim.schedule=constant",
]
# The programs that users run: those of other tests are compiled without optimising.
OPTIMISED = {"XLA_FLAGS": ""}


def start(workdir: Path, first: Callable[[], None] | None = None) -> launcher.Launch:
    return launcher.start(f"--workdir={workdir}", *OVERRIDES, environment=OPTIMISED, first=first)


def at_the_save_of(step: int, stop: int, before: bool) -> None:
    """The process sends itself a signal when a checkpoint of that step or a later one gets its
    name, which is the last act of a save: before it, or just after."""
    rename = os.rename

    def watched(source, target, **kwargs):
        name = Path(target).name
        due = Path(target).parent.name == "checkpoints" and name.isdigit() and int(name) >= step
        if due and before:
            os.kill(os.getpid(), stop)
        rename(source, target, **kwargs)
        if due:
            os.rename = rename
            os.kill(os.getpid(), stop)

    os.rename = watched


def kill_after_the_save_of_9() -> None:
    at_the_save_of(9, signal.SIGKILL, before=False)


def kill_in_the_save_of_15() -> None:
    at_the_save_of(15, signal.SIGKILL, before=True)


def terminate_after_the_save_of_3() -> None:
    at_the_save_of(3, signal.SIGTERM, before=False)


def saved(workdir: Path) -> list[int]:
    return [int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]


def assert_same_run(workdir: Path, whole: Path) -> None:
    assert (workdir / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    one, other = restore(str(workdir)), restore(str(whole))
    assert one.step == other.step == STEPS
    for a, b in zip(jax.tree.leaves(one.state), jax.tree.leaves(other.state), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    done = start(workdir)
    assert done.wait() == 0, done.stderr
    return workdir


def test_kill_9_between_and_during_saves_changes_nothing(whole, tmp_path):
    workdir = tmp_path / "run"
    assert start(workdir, kill_after_the_save_of_9).wait() == -signal.SIGKILL
    assert max(saved(workdir)) == 9
    assert start(workdir, kill_in_the_save_of_15).wait() == -signal.SIGKILL
    assert max(saved(workdir)) == 12
    assert [p for p in (workdir / "checkpoints").iterdir() if not p.name.isdigit()], "nothing half"
    torn = workdir / "metrics.jsonl"
    torn.write_text(torn.read_text() + '{"step": 999, "spl')
    done = start(workdir)
    assert done.wait() == 0, done.stderr
    assert_same_run(workdir, whole)
    resumed = [json.loads(x) for x in (workdir / "events.jsonl").read_text().splitlines()]
    assert resumed[-1]["event"] == "resume"
    assert len((workdir / "runs.jsonl").read_text().splitlines()) == 3


def test_sigterm_saves_and_exits_0_saying_how_to_resume(whole, tmp_path):
    workdir = tmp_path / "run"
    stopped = start(workdir, terminate_after_the_save_of_3)
    assert stopped.wait() == 0, stopped.stderr
    step, told = max(saved(workdir)), stopped.stderr
    assert f"saved at step {step}" in told and f"python launch.py --workdir={workdir}" in told
    assert 3 <= step < STEPS
    # The line that was told is enough: no --config.
    done = launcher.start(f"--workdir={workdir}", environment=OPTIMISED)
    assert done.wait() == 0, done.stderr
    assert_same_run(workdir, whole)
