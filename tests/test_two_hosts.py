"""One run over two hosts (tests/slurm/two_hosts.sh), whose link is cut.

`make test-hosts` runs it, as root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import launcher
from tests.conftest import ROOT
from tests.sweeps import PATIENCE

pytestmark = pytest.mark.hosts

HOSTS, FIRST = ("genlabA", "genlabB"), "10.78.0.11:7711"
LOST = 20.0  # --lost_timeout
SLACK = 120.0  # seconds, for a machine that is busy otherwise
FLAGS = (
    "--config=configs/digits_pixelcnn.py:smoke",
    "--config.train.eval_every=0",
    "--config.train.checkpoint_every=20",
    "--config.train.log_every=20",
)


def start(workdir: Path, steps: int) -> list[subprocess.Popen]:
    """A process on each host."""
    more = (f"--workdir={workdir}", f"--config.train.steps={steps}", f"--lost_timeout={LOST:.0f}")
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


def saved(workdir: Path) -> bool:
    return any(p.name.isdigit() for p in (workdir / "checkpoints").glob("[0-9]*"))


def link(state: str) -> None:
    """Of the second host."""
    subprocess.run(["ip", "link", "set", f"v{HOSTS[1]}", state], check=True)


@pytest.fixture
def cut():
    """Cuts the link; it is mended after the test."""
    yield lambda: link("down")
    link("up")


def until_saved(workdir: Path, processes: list[subprocess.Popen]) -> None:
    while not saved(workdir):
        assert all(p.poll() is None for p in processes), [p.communicate() for p in processes]
        time.sleep(0.2)


def test_two_hosts_equal_one_process_with_two_devices_though_their_link_was_cut(tmp_path, cut):
    """For a quarter of the time after which a host is given up."""
    pair = start(tmp_path / "pair", 400)
    until_saved(tmp_path / "pair", pair)
    cut()
    time.sleep(LOST / 4)
    link("up")
    assert [p.wait(PATIENCE) for p in pair] == [0, 0]
    two = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    alone = (f"--workdir={tmp_path / 'alone'}", "--config.train.steps=400")
    assert launcher.launch(*FLAGS, *alone, XLA_FLAGS=two).returncode == 0
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("pair", "alone")]
    assert lines[0] == lines[1] and lines[0].count("\n") == 21


def test_a_link_that_is_cut_for_good_ends_both_with_75(tmp_path, cut):
    pair = start(tmp_path / "pair", 100_000)
    until_saved(tmp_path / "pair", pair)
    cut()
    began = time.monotonic()
    told = [p.communicate(timeout=PATIENCE)[1] for p in pair]
    assert time.monotonic() - began < 2 * LOST + SLACK
    for process, said in zip(pair, told, strict=True):
        assert process.returncode == 75, said
        assert "was lost at step " in said and "Traceback" not in said
