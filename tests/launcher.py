"""Runs `launch.py` in processes forked from one that has imported everything and used nothing.

To import JAX, Flax and Orbax takes two CPU seconds; most launches of tests need less than one of
their own. A fork is a process of its own in all that tests look at: arguments, environment,
streams, signals, exit code. Only variables that JAX reads on import (JAX_...) come too late.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[1]
HANG = 1200.0  # seconds: ends what would never end; no test waits for it
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.launcher", "launch"])


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
    assert not any(name.startswith("JAX_") for name in environment or ()), "read on import"
    folder = Path(tempfile.mkdtemp(prefix="launch-", dir=os.environ["GENLAB_TESTS"]))
    streams = folder / "stdout", folder / "stderr"
    process = CONTEXT.Process(
        target=_launch, args=(arguments, dict(os.environ) | (environment or {}), streams, first)
    )
    os.environ["PYTHONPATH"] = str(ROOT)  # of the process that forks, at its start
    process.start()
    atexit.register(lambda: process.is_alive() and process.kill())
    return Launch(process, streams)


def launch(*arguments: str, **environment: str) -> Launch:
    """Runs `python launch.py *arguments` to its end."""
    started = start(*arguments, environment=environment)
    started.wait()
    return started


def _launch(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    streams: tuple[Path, Path],
    first: Callable[[], None] | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for stream, number in zip(streams, (1, 2), strict=True):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["launch.py", *arguments]
    if first:
        first()
    from absl import app

    import launch as program
    from genlab import cli

    app.run(program.main, argv=sys.argv, flags_parser=cli.parse)
