"""A signal while there is nothing to save: exit code 75 and the command, at once, nothing held."""

from __future__ import annotations

import ctypes
import os
import pkgutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import genlab
from genlab.errors import UserError
from genlab.training import ends
from tests import launcher
from tests.conftest import ROOT, tiny_config

CONFIG = "--config=configs/digits_pixelcnn.py:smoke"
AT_AN_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "genlab":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
"""


def stop_at(place: str, number: int) -> None:
    """The process sends itself a signal where "module:function" is called, and stays in C code
    then, as while XLA compiles: Python's own handlers never have their turn."""

    def stopped(*_, **__):
        os.kill(os.getpid(), number)
        while True:
            ctypes.CDLL(None).sleep(600)

    module, _, function = place.partition(":")
    setattr(pkgutil.resolve_name(module), function, stopped)


def assert_stopped(found: launcher.Launch, name: str) -> None:
    assert found.wait() == 75, found.stderr
    (told,) = [x for x in found.stderr.splitlines() if x.startswith("launch.py: ")]
    assert f"stopped by {name}, with nothing to save; the same command goes on: python" in told


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("genlab.data:load", "SIGTERM"),
        ("genlab.training.starts:initial_state", "SIGUSR1"),
        ("genlab.training.loop:compile_steps", "SIGUSR2"),
    ],
)
def test_a_run_that_is_stopped_before_its_first_step(tmp_path, place, name):
    workdir = tmp_path / "run"
    first = partial(stop_at, place, signal.Signals[name])
    assert_stopped(launcher.start(CONFIG, f"--workdir={workdir}", first=first), name)
    assert not list(workdir.glob("*lock")) and not list(workdir.glob("checkpoints/[0-9]*"))


def test_a_process_that_is_stopped_while_it_reads_a_checkpoint(trained):
    """Where what others write to stderr is kept from the user."""
    first = partial(stop_at, "orbax.checkpoint.CheckpointManager:restore", signal.SIGTERM)
    command = (f"--workdir={trained}", "--mode=eval")
    assert_stopped(launcher.start(*command, first=first), "SIGTERM")


def test_a_signal_that_comes_while_a_run_takes_them_is_not_lost(tmp_path):
    """The first one finds no run, and the thread that would answer it comes too late."""
    workdir = tmp_path / "run"
    ended = launcher.launch(CONFIG, f"--workdir={workdir}", first=stop_between_the_handlers)
    assert ended.returncode == 75 and "stopped by SIGUSR1 and saved at step" in ended.stderr


def stop_between_the_handlers() -> None:
    """As `take` begins, a signal is handled in Python, but not yet seen by the thread."""
    from genlab.hosts import stops
    from genlab.training.signals import Signals

    take = Signals.take

    def taken(own: Signals) -> None:
        if not own._before:
            stops._nothing(signal.SIGUSR1, None)
        take(own)

    Signals.take = taken


@pytest.fixture
def _a_script_hears_ctrl_c():
    """Also where the tests were started in the background, where a shell turns it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_a_script_hears_ctrl_c")
def test_a_signal_at_the_last_step_reaches_the_script_and_no_later_training(tmp_path, monkeypatch):
    finished = ends.Ends.finished

    def interrupted(own: ends.Ends, step: int) -> None:
        signal.raise_signal(signal.SIGINT)
        finished(own, step)

    monkeypatch.setattr(ends.Ends, "finished", interrupted)
    with pytest.raises(KeyboardInterrupt):
        genlab.train(tiny_config(), str(tmp_path / "first"))
    monkeypatch.undo()
    steps = genlab.restore(str(tmp_path / "first")).step
    assert genlab.train(tiny_config(), str(tmp_path / "second")).step == steps


def fork_at_the_data() -> None:
    """Where data is loaded the process forks a worker and terminates it."""

    def load(*_):
        if not (worker := os.fork()):
            signal.pause()
        os.kill(worker, signal.SIGTERM)
        ended = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
        raise UserError(f"the worker's exit code is {ended}")

    pkgutil.resolve_name("genlab.data").load = load


def test_a_worker_that_is_terminated_does_not_end_who_forked_it(tmp_path):
    ended = launcher.launch(CONFIG, f"--workdir={tmp_path / 'run'}", first=fork_at_the_data)
    assert ended.returncode == 2 and "the worker's exit code is -15" in ended.stderr


def test_a_signal_while_modules_are_imported_waits_for_them(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(AT_AN_IMPORT)
    command = [sys.executable, "launch.py", CONFIG, f"--workdir={tmp_path / 'run'}"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert ended.returncode == 75 and "stopped by SIGTERM" in ended.stderr, ended.stderr
    assert not Path(tmp_path / "run").exists()
