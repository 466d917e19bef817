"""Two processes of a run, of which one is killed, gets a signal, or wants something else.

`make test-cluster` runs it: it takes minutes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import launcher
from tests.conftest import ROOT
from tests.sweeps import PATIENCE, until

pytestmark = pytest.mark.cluster

LOST = 20.0  # --lost_timeout
SLACK = 600.0  # seconds, for a machine that is busy otherwise
FLAGS = [
    "--config=configs/digits_pixelcnn.py:smoke",
    "--config.train.steps=100000",
    "--config.train.eval_every=20000",
    "--config.train.checkpoint_every=20",
    "--processes=2",
]


class Pair:
    """Two processes that train together."""

    def __init__(self, workdir: Path, *of_the_second: str, lost: float = PATIENCE):
        with socket.create_server(("", 0)) as free:
            where = f"--coordinator=localhost:{free.getsockname()[1]}"
        self.workdir = workdir
        more = (f"--workdir={workdir}", where, f"--lost_timeout={lost}")
        command = [sys.executable, "launch.py", *FLAGS, *more]
        self.processes = [
            subprocess.Popen(
                [*command, f"--process={i}", *(of_the_second if i else ())],
                cwd=ROOT,
                env=os.environ | {"JAX_PLATFORMS": "cpu"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for i in range(2)
        ]

    def saved(self) -> int:
        steps = (self.workdir / "checkpoints").glob("[0-9]*")
        return max((int(p.name) for p in steps if p.name.isdigit()), default=0)

    def until_saved(self) -> None:
        while not self.saved():
            assert all(p.poll() is None for p in self.processes)
            time.sleep(0.2)

    def ends(self) -> list[tuple[int, str]]:
        """(exit code, what was said) of each."""
        told = [p.communicate(timeout=PATIENCE)[1] for p in self.processes]
        return [(p.returncode, text) for p, text in zip(self.processes, told, strict=True)]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_process_ends_the_other_with_75_and_one_line(tmp_path, lost):
    pair = Pair(tmp_path / "run", lost=LOST)
    pair.until_saved()
    pair.processes[lost].kill()
    began = time.monotonic()
    code, told = pair.ends()[1 - lost]
    assert code == 75 and time.monotonic() - began < LOST + SLACK
    (line,) = [x for x in told.splitlines() if x.startswith("launch.py: ")]
    assert f"process {lost} was lost at step " in line and "the last checkpoint is step " in line
    assert "Traceback" not in told and "***" not in told


@pytest.mark.parametrize("number", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT"])
def test_a_signal_to_one_process_stops_both_at_one_step(tmp_path, number):
    pair = Pair(tmp_path / "run")
    pair.until_saved()
    pair.processes[1].send_signal(signal.Signals[number])
    (first, told), (second, _) = pair.ends()
    assert first == 75 and second == (130 if number == "SIGINT" else 75)
    assert f"saved at step {pair.saved()}" in told and "Traceback" not in told


def get_sigterm_at_compilation() -> None:
    """The process that trains gets it, not the one that users see, and JAX hears of it."""
    from genlab.hosts import watchdog
    from genlab.training import loop

    compile_steps = loop.compile_steps

    def stopped(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: watchdog.is_set(watchdog.NOTICE))
        return compile_steps(*given)

    loop.compile_steps = stopped


def test_a_sigterm_before_the_first_step_of_a_resumed_run_is_not_lost(tmp_path):
    own = (FLAGS[0], f"--workdir={tmp_path / 'run'}", "--config.optim.schedule=constant")
    assert launcher.launch(*own).returncode == 0
    with socket.create_server(("", 0)) as free:
        where = f"--coordinator=localhost:{free.getsockname()[1]}"
    firsts = (None, get_sigterm_at_compilation)
    more = (*own, *FLAGS[1:], where)
    pair = [launcher.start(*more, f"--process={i}", first=first) for i, first in enumerate(firsts)]
    assert [found.wait() for found in pair] == [75, 75]
    assert "saved at step 7" in pair[0].stderr


def test_processes_of_other_configs_end_at_once_with_the_same_line(tmp_path):
    ends = Pair(tmp_path / "run", "--config.optim.learning_rate=0.5").ends()
    for code, told in ends:
        assert code == 2 and "config.optim.learning_rate: process 0 has 0.002" in told
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_another_holds_ends_both_with_the_same_line(tmp_path):
    from etils import epath

    from genlab.workdir import lock

    with lock.held(epath.Path(tmp_path)):
        for code, told in Pair(tmp_path).ends():
            assert code == 2 and f"process {os.getpid()} on " in told and "Traceback" not in told
