"""A run that was killed goes on as if it had not been: same lines, same parameters, bit for bit."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable
from functools import partial
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


def start(
    workdir: Path, *flags: str, first: Callable[[], None] | None = None, **environment: str
) -> launcher.Launch:
    arguments = (f"--workdir={workdir}", *OVERRIDES, *flags)
    return launcher.start(*arguments, environment=OPTIMISED | environment, first=first)


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
    kill = partial(at_the_save_of, 9, signal.SIGKILL, before=False)
    assert start(workdir, first=kill).wait() == -signal.SIGKILL
    assert max(saved(workdir)) == 9
    kill = partial(at_the_save_of, 15, signal.SIGKILL, before=True)
    assert start(workdir, first=kill).wait() == -signal.SIGKILL
    assert max(saved(workdir)) == 12
    assert [p for p in (workdir / "checkpoints").iterdir() if not p.name.isdigit()], "nothing half"
    torn = workdir / "metrics.jsonl"
    torn.write_text(torn.read_text() + '{"step": 999, "spl')
    done = start(workdir)
    assert done.wait() == 0, done.stderr
    assert_same_run(workdir, whole)
    resumed = [json.loads(x) for x in (workdir / "events.jsonl").read_text().splitlines()]
    assert [x["event"] for x in resumed][-2:] == ["resume", "trained"]
    assert len((workdir / "runs.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT"])
def test_a_signal_saves_and_exits_saying_the_command_that_resumes(whole, tmp_path, name):
    """75 is "try again" for schedulers; Ctrl-C is 130 as everywhere."""
    workdir, number = tmp_path / "a run", signal.Signals[name]
    stopped = start(workdir, first=partial(at_the_save_of, 3, number, before=False))
    assert stopped.wait() == (130 if name == "SIGINT" else 75), stopped.stderr
    step, told = max(saved(workdir)), stopped.stderr
    assert f"stopped by {name} and saved at step {step}" in told and 3 <= step < STEPS
    command = next(line for line in told.splitlines() if "saved at" in line).partition(": python ")
    words = shlex.split(command[2])
    assert words == ["launch.py", f"--workdir={workdir}", *OVERRIDES]
    if name == "SIGUSR1":
        done = launcher.start(*words[1:], environment=OPTIMISED)
        assert done.wait() == 0, done.stderr
        assert_same_run(workdir, whole)


def test_a_requeue_asks_slurm_for_the_job_or_the_element_of_its_array(tmp_path):
    asked, slurm = tmp_path / "asked", tmp_path / "bin" / "scontrol"
    slurm.parent.mkdir()
    slurm.write_text(f"#!/bin/sh\necho $@ >> {asked}\n")
    slurm.chmod(0o755)
    queue = slurm.with_name("squeue")
    queue.write_text("#!/bin/sh\necho $STATE\n")
    queue.chmod(0o755)
    job = {"STATE": "RUNNING", "PATH": f"{slurm.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    array = job | {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}
    terminate = partial(at_the_save_of, 3, signal.SIGTERM, before=False)
    for environment, words in ((job, "requeue 7\n"), (array, "requeue 5_3\n")):
        asked.unlink(missing_ok=True)
        workdir = tmp_path / words.split()[1]
        stopped = start(workdir, "--requeue", first=terminate, **environment)
        assert stopped.wait() == 75 and asked.read_text() == words
    asked.unlink()
    cancelled = job | {"STATE": "COMPLETING"}
    stopped = start(tmp_path / "cancelled", "--requeue", first=terminate, **cancelled)
    assert stopped.wait() == 75 and not asked.exists()
    refused = start(tmp_path / "none", "--requeue", SLURM_JOB_ID="")
    assert refused.wait() == 2 and "this is no Slurm job" in refused.stderr


def no_save_gets_its_name() -> None:
    rename = os.rename

    def refused(source, target, **kwargs):
        if Path(target).parent.name == "checkpoints":
            raise OSError(28, "No space left on device", str(target))
        rename(source, target, **kwargs)

    os.rename = refused


def test_a_save_that_fails_behind_the_training_is_one_line(tmp_path):
    """Not what the library that saves says of it, at length."""
    ended = start(tmp_path / "run", first=no_save_gets_its_name)
    assert ended.wait() == 1
    assert "Traceback" not in ended.stderr and "No space left on device" in ended.stderr
