"""One run over two hosts (tests/slurm/two_hosts.sh), of which one loses its link or its power.

`make test-hosts` runs it, as root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genlab.workdir import paths
from tests import launcher
from tests.conftest import ROOT
from tests.sweeps import PATIENCE

pytestmark = pytest.mark.hosts

HOSTS, FIRST = ("genlabA", "genlabB"), "10.78.0.11:7711"
LOST = 20  # --lost_timeout
SLACK = 600.0  # seconds, for a machine that is busy otherwise
FLAGS = (
    "--config=configs/digits_pixelcnn.py:smoke",
    "--config.train.eval_every=0",
    "--config.train.checkpoint_every=20",
    "--config.train.log_every=20",
    "--config.optim.schedule=constant",  # of the cosine the last step is part
)
MORE = 100  # steps of a run that goes on


def start(workdir: Path, steps: int, lost: int = LOST) -> list[subprocess.Popen]:
    """A process on each host."""
    more = (f"--workdir={workdir}", f"--config.train.steps={steps}", f"--lost_timeout={lost}")
    joint = (f"--coordinator={FIRST}", "--processes=2")
    return [
        subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, "launch.py", *FLAGS, *more, *joint,
             f"--process={i}"],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for i, host in enumerate(HOSTS)
    ]  # fmt: skip


def saved(workdir: Path) -> int:
    """The step of the newest checkpoint, 0 before the first."""
    return max(paths.checkpoints(str(workdir)), default=0)


def link(host: int, state: str) -> None:
    subprocess.run(["ip", "link", "set", f"v{HOSTS[host]}", state], check=True)


@pytest.fixture
def cut():
    """Cuts the link of a host; all are mended after the test."""
    yield lambda host: link(host, "down")
    for host in range(2):
        link(host, "up")


def until_saved(workdir: Path, processes: list[subprocess.Popen]) -> None:
    while not saved(workdir):
        assert all(p.poll() is None for p in processes), [p.communicate() for p in processes]
        time.sleep(0.2)


def assert_equals_a_run_of_two_devices(workdir: Path, steps: int) -> None:
    two = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    alone = workdir.parent / "alone"
    more = (f"--workdir={alone}", f"--config.train.steps={steps}")
    assert launcher.launch(*FLAGS, *more, XLA_FLAGS=two).returncode == 0
    lines = [(folder / "metrics.jsonl").read_text() for folder in (workdir, alone)]
    assert lines[0] == lines[1] and lines[0].count("\n") > steps // 20


def test_a_link_that_is_cut_for_30_s_changes_nothing(tmp_path, cut):
    """It is less than the time after which a host is given up."""
    pair = start(tmp_path / "pair", 400, lost=3600)
    until_saved(tmp_path / "pair", pair)
    cut(1)
    time.sleep(30.0)
    link(1, "up")
    assert [p.wait(PATIENCE) for p in pair] == [0, 0]
    assert_equals_a_run_of_two_devices(tmp_path / "pair", 400)


def test_a_link_that_is_cut_for_good_ends_both_with_75(tmp_path, cut):
    pair = start(tmp_path / "pair", 100_000)
    until_saved(tmp_path / "pair", pair)
    cut(1)
    began = time.monotonic()
    for process in pair:
        assert_lost(process, began)
    assert_goes_on(tmp_path / "pair")


@pytest.mark.parametrize("off", [0, 1])
def test_a_host_without_power_ends_the_other_with_75(tmp_path, cut, off):
    """Nobody says that it is gone: neither its processes nor its kernel."""
    pair = start(tmp_path / "pair", 100_000)
    until_saved(tmp_path / "pair", pair)
    cut(off)
    pair[off].kill()
    assert f"process {off} was lost at step " in assert_lost(pair[1 - off], time.monotonic())
    assert_goes_on(tmp_path / "pair")


def assert_lost(process: subprocess.Popen, began: float) -> str:
    """It says so, in time."""
    said = process.communicate(timeout=PATIENCE)[1]
    assert time.monotonic() - began < 2 * LOST + SLACK
    assert process.returncode == 75, said
    assert "was lost at step " in said and "Traceback" not in said
    return said


def assert_goes_on(workdir: Path) -> None:
    """With its link again, to the lines of a run that was never disturbed."""
    for host in range(2):
        link(host, "up")
    steps = saved(workdir) + MORE
    assert [p.wait(PATIENCE) for p in start(workdir, steps)] == [0, 0]
    assert_equals_a_run_of_two_devices(workdir, steps)
