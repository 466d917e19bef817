"""A run that was killed goes on as if it had not been: same lines, same parameters, bit for bit."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from genlab import restore
from tests.conftest import ROOT

STEPS = 60
OVERRIDES = [
    "--config=configs/digits_pixelcnn.py:smoke",
    f"--config.train.steps={STEPS}",
    "--config.train.log_every=7",
    "--config.train.eval_every=20",
    "--config.train.checkpoint_every=3",
    "--config.data.train_split=train[:50]",
    "--config.optim.schedule=constant",
]


# Compiled anew by each: a kill may also hit the writing of a shared program.
ALONE = os.environ | {"XLA_FLAGS": "", "JAX_ENABLE_COMPILATION_CACHE": "false"}


def start(workdir: Path, *flags: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "launch.py", f"--workdir={workdir}", *OVERRIDES, *flags],
        cwd=ROOT,
        env=ALONE | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(found, process: subprocess.Popen) -> None:
    """Returns as soon as found() is true, while the process runs."""
    while not found():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)


def saved(workdir: Path) -> list[int]:
    folder = workdir / "checkpoints"
    return [int(p.name) for p in folder.glob("*") if p.name.isdigit()] if folder.exists() else []


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
    process = start(workdir)
    assert process.wait(300) == 0, process.stderr.read()
    return workdir


def test_kill_9_between_and_during_saves_changes_nothing(whole, tmp_path):
    workdir = tmp_path / "run"
    process = start(workdir)
    wait_for(lambda: any(step >= 9 for step in saved(workdir)), process)
    process.kill()
    process.wait()
    first = max(saved(workdir))
    assert first < STEPS, "the run ended before it could be killed"
    # Now in the middle of a save: a temporary folder beside the finished ones.
    process = start(workdir)
    busy = lambda: any(  # noqa: E731
        "tmp" in p.name and int(p.name.split(".")[0]) > first + 6
        for p in (workdir / "checkpoints").glob("*tmp*")
    )
    wait_for(busy, process)
    process.kill()
    process.wait()
    assert max(saved(workdir)) < STEPS
    torn = workdir / "metrics.jsonl"
    torn.write_text(torn.read_text() + '{"step": 999, "spl')
    process = start(workdir)
    assert process.wait(300) == 0, process.stderr.read()
    assert_same_run(workdir, whole)
    resumed = [json.loads(x) for x in (workdir / "events.jsonl").read_text().splitlines()]
    assert resumed[-1]["event"] == "resume"
    assert len((workdir / "runs.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("number", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT"])
def test_a_signal_saves_and_exits_saying_the_command_that_resumes(whole, tmp_path, number):
    """75 is "try again" for schedulers; Ctrl-C is 130 as everywhere."""
    workdir = tmp_path / "a run"
    process = start(workdir)
    wait_for(lambda: any(step >= 3 for step in saved(workdir)), process)
    process.send_signal(signal.Signals[number])
    assert process.wait(120) == (130 if number == "SIGINT" else 75)
    told = process.stderr.read()
    step = max(saved(workdir))
    assert f"stopped by {number} and saved at step {step}" in told and 3 <= step < STEPS
    command = next(line for line in told.splitlines() if "saved at" in line).partition(": python ")
    assert shlex.split(command[2]) == ["launch.py", f"--workdir={workdir}", *OVERRIDES]
    if number == "SIGUSR1":
        done = subprocess.run(
            [sys.executable, *shlex.split(command[2])],
            cwd=ROOT,
            env=ALONE,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert_same_run(workdir, whole)


def test_a_requeue_asks_slurm_for_the_job_or_the_element_of_its_array(tmp_path):
    asked, slurm = tmp_path / "asked", tmp_path / "bin" / "scontrol"
    slurm.parent.mkdir()
    slurm.write_text(f"#!/bin/sh\necho $@ >> {asked}\n")
    slurm.chmod(0o755)
    found = {"PATH": f"{slurm.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    array = found | {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}
    for environment, told in ((found, "requeue 7\n"), (array, "requeue 5_3\n")):
        asked.unlink(missing_ok=True)
        workdir = tmp_path / told.split()[1]
        process = start(workdir, "--requeue", **environment)
        wait_for(lambda workdir=workdir: saved(workdir), process)
        process.terminate()
        assert process.wait(120) == 75 and asked.read_text() == told
    process = start(tmp_path / "none", "--requeue", SLURM_JOB_ID="")
    assert process.wait(120) == 2 and "this is no Slurm job" in process.stderr.read()
