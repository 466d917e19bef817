"""Runs `launch.py`, and functions, in processes forked from one that has imported everything.

To import JAX, Flax and Orbax takes two CPU seconds; most launches of tests need less than one of
their own. The process that forks has imported and used nothing, so that a fork is a process of
its own in all that tests look at: arguments, environment, streams, signals, exit code. Only
variables that JAX reads on import (JAX_...) come too late.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pkgutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HANG = 3600.0  # seconds: ends what would never end; no test waits for it
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["tests.launcher", "launch", "sklearn.datasets", "matplotlib.figure", "scipy.stats"]
)


@dataclass(frozen=True)
class Launch:
    """One run of launch.py; its streams are files, read when it has ended."""

    process: ForkServerProcess
    streams: tuple[Path, Path]

    def wait(self) -> int:
        """The exit code; minus the signal that ended it."""
        self.process.join(HANG)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"launch.py is still running: {self.stderr[-2000:]}")
        return self.process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    @property
    def stdout(self) -> str:
        return self.streams[0].read_text()

    @property
    def stderr(self) -> str:
        return self.streams[1].read_text()


def start(
    *arguments: str,
    environment: dict[str, str] | None = None,
    first: Callable[[], None] | None = None,
) -> Launch:
    """Starts `python launch.py *arguments`; `first` is called in its process before."""
    return fork("tests.launcher:program", arguments, first, environment=environment)


def launch(*arguments: str, first: Callable[[], None] | None = None, **environment: str) -> Launch:
    """Runs `python launch.py *arguments` to its end; see `start`."""
    started = start(*arguments, environment=environment, first=first)
    started.wait()
    return started


def fork(act: str, *given: Any, environment: dict[str, str] | None = None) -> Launch:
    """Starts act(*given), of "module:function", in a process of its own; the module is imported
    when the environment is set."""
    assert not any(name.startswith("JAX_") for name in environment or ()), "read on import"
    folder = Path(tempfile.mkdtemp(prefix="launch-", dir=os.environ["GENLAB_TESTS"]))
    streams = folder / "stdout", folder / "stderr"
    for stream in streams:
        stream.touch()  # the process may be killed before it opens them
    process = CONTEXT.Process(
        target=_run, args=(dict(os.environ) | (environment or {}), streams, act, given)
    )
    os.environ["PYTHONPATH"] = str(ROOT)  # of the process that forks, at its start
    process.start()
    atexit.register(lambda: process.is_alive() and process.kill())
    return Launch(process, streams)


def _run(
    environment: dict[str, str],
    streams: tuple[Path, Path],
    act: str,
    given: tuple[Any, ...],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for stream, number in zip(streams, (1, 2), strict=True):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pkgutil.resolve_name(act)(*given)


def program(arguments: tuple[str, ...], first: Callable[[], None] | None) -> None:
    from absl import app

    import launch
    from genlab import cli

    launch.note_early()
    sys.argv = ["launch.py", *arguments]
    if first:
        first()
    app.run(launch.main, argv=sys.argv, flags_parser=cli.parse)
