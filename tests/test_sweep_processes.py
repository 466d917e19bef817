"""Sweeps over several processes of this machine.

`make test-cluster` runs it: it takes minutes.
"""

from __future__ import annotations

import os
import signal
import socket
from functools import partial

import pytest
from etils import epath

from genlab.training import ends
from genlab.workdir import lock
from tests import launcher
from tests.sweeps import Sweep, until, with_two_devices
from tests.test_stops import assert_stopped, stop_at

pytestmark = pytest.mark.cluster

SLOW = 1500  # steps of runs that something befalls on their way


def test_a_controller_that_is_stopped_stops_its_runs(tmp_path):
    """SIGTERM: all save, exit code 75. SIGKILL: nothing is left at work. Then it goes on, and ends
    with the numbers of one that was never stopped."""
    local = Sweep(f"2-{SLOW}", tmp_path / "local")
    for number, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)):
        before = [local.saved(seed) for seed in range(2)]
        controller = local.start("--config.sweep.parallel=2")
        until(lambda old=before: any(local.saved(seed) > old[seed] for seed in range(2)))
        os.kill(controller.process.pid, number)
        assert controller.wait() == code
        until(lambda: not local.at_work())
        shown = local.end("--config.sweep.wait=False")
        assert shown.returncode == 75 and "0 of 2 done" in shown.stderr
        assert " preempted " in shown.stdout and " running " not in shown.stdout
    assert local.end("--config.sweep.parallel=2").returncode == 0
    undisturbed = Sweep(f"2-{SLOW}", tmp_path / "undisturbed")
    assert undisturbed.end().returncode == 0
    assert undisturbed.lines() == local.lines() and len(local.lines()) == 4


def test_a_sweep_that_is_stopped_in_an_evaluation_goes_on_there(tmp_path):
    sweep = Sweep("1-20", tmp_path / "sweep")
    first = partial(stop_at, "genlab.modes.evaluate:evaluate_run", signal.SIGTERM)
    assert_stopped(launcher.start(*sweep.command, first=first), "SIGTERM")
    assert sweep.saved(0) == 20 and not list(sweep.folder.rglob("*lock"))
    assert sweep.end().returncode == 0 and sweep.starts(0) == 1


def test_a_sweep_that_is_stopped_at_a_run_s_last_step_begins_no_other(tmp_path):
    sweep = Sweep("2-20", tmp_path / "sweep")
    first = partial(signal_at_last_step, signal.SIGTERM)
    assert_stopped(launcher.start(*sweep.command, first=first), "SIGTERM")
    assert sweep.saved(0) == 20 and not (sweep.folder / "seed=1").exists()
    assert sweep.end().returncode == 0 and sweep.starts(0) == sweep.starts(1) == 1


def signal_at_last_step(number: int) -> None:
    """The process sends itself a signal where a run says that it is trained."""
    finished = ends.Ends.finished

    def signalled(self: ends.Ends, step: int) -> None:
        os.kill(os.getpid(), number)
        finished(self, step)

    ends.Ends.finished = signalled


def test_a_second_controller_watches_and_takes_over(tmp_path):
    """It starts nothing while the first lives; when that is gone, it goes on in its place."""
    local = Sweep("1-20", tmp_path / "local")
    local.folder.mkdir()
    with lock.held(epath.Path(local.folder)):
        second = local.start()
        until(lambda: "0 of 1 done, 1 queued" in second.stderr)
        assert not list(local.folder.glob("seed=*"))
    assert second.wait() == 0 and local.starts(0) == 1


def test_a_sweep_of_two_processes_equals_that_of_one_with_two_devices(tmp_path):
    pair, alone = (Sweep("2-20", tmp_path / name) for name in ("pair", "alone"))
    with socket.create_server(("", 0)) as free:
        where = f"--coordinator=localhost:{free.getsockname()[1]}"
    both = [pair.start(where, "--processes=2", f"--process={i}") for i in range(2)]
    assert [found.wait() for found in both] == [0, 0]
    assert alone.end(**with_two_devices()).returncode == 0
    assert pair.lines() == alone.lines() and len(alone.lines()) == 4
    assert both[0].stdout.endswith((alone.folder / "table.md").read_text())


def test_a_run_that_halving_lets_go_on_is_the_run_that_it_would_have_been(tmp_path):
    halved, whole = (Sweep("3-40", tmp_path / name) for name in ("halved", "whole"))
    flags = ("--config.sweep.halve_from=10", "--config.sweep.metric=nll")
    schedule = "--config.optim.decay_steps=40"
    ended = halved.end(*flags, schedule)
    assert ended.returncode == 0 and "1 of 3 done, 2 stopped" in ended.stdout
    assert whole.end(schedule).returncode == 0
    evaluated = {name: text for name, text in halved.lines().items() if name.endswith("eval.jsonl")}
    assert len(evaluated) == 1 and evaluated.items() <= whole.lines().items()
