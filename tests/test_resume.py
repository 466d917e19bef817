"""A run that was killed goes on as if it had not been: same lines, same parameters, bit for bit."""

from __future__ import annotations

import json
import os
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


def start(workdir: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "launch.py", f"--workdir={workdir}", *OVERRIDES],
        cwd=ROOT,
        # Compiled anew by each: a kill may also hit the writing of a shared program.
        env=os.environ | {"XLA_FLAGS": "", "JAX_ENABLE_COMPILATION_CACHE": "false"},
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


def test_sigterm_saves_and_exits_0_saying_how_to_resume(whole, tmp_path):
    workdir = tmp_path / "run"
    process = start(workdir)
    wait_for(lambda: any(step >= 3 for step in saved(workdir)), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    told = process.stderr.read()
    step = max(saved(workdir))
    assert f"saved at step {step}" in told and f"python launch.py --workdir={workdir}" in told
    assert 3 <= step < STEPS
    # The line that was told is enough: no --config.
    done = subprocess.run(
        [sys.executable, "launch.py", f"--workdir={workdir}"],
        cwd=ROOT,
        # Compiled anew by each: a kill may also hit the writing of a shared program.
        env=os.environ | {"XLA_FLAGS": "", "JAX_ENABLE_COMPILATION_CACHE": "false"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(workdir, whole)
