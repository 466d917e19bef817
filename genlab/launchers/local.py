"""Runs on this machine: one after another in this process, or several at a time in their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import jax
from etils import epath
from ml_collections import ConfigDict

from genlab.errors import Held, Preempted, UserError, log
from genlab.hosts import parent, writer
from genlab.launchers import command
from genlab.launchers.job import verdict
from genlab.sweeps import books
from genlab.sweeps.points import Run
from genlab.sweeps.states import QUEUED
from genlab.sweeps.work import train_together, work
from genlab.training.signals import Signals
from genlab.workdir import lock, paths

POLL = 0.2  # seconds


class Local:
    """See `Launcher`. One process starts the runs of a sweep here; others may look."""

    def __init__(self, settings: ConfigDict, workdir: epath.Path) -> None:
        self.settings, self.workdir = settings, workdir
        self._waiting: list[Run] = []

    def start(self, runs: Sequence[Run], tell: Callable[[], None]) -> None:
        """Runs them to their end; with `sweep.wait` off, nothing. Raises Held if another does."""
        if not self.settings.wait or not runs:
            return
        with writer.held_by_first(self.workdir):
            self._waiting = list(runs)
            try:
                if self.settings.parallel > 1:
                    Crew(_shares(self.settings.parallel), self._waiting, tell).work()
                else:
                    self._one_after_another(tell)
            finally:
                self._waiting = []

    def look(self, runs: Sequence[Run]) -> dict[str, str]:
        """All wait for their turn while another process goes through them."""
        holder = lock.holder(self.workdir)
        own = holder is not None and holder.pid == os.getpid() and holder.lives_here()
        waiting = self._waiting if own else runs if holder else []
        return {run.name: QUEUED for run in waiting}

    def _one_after_another(self, tell: Callable[[], None]) -> None:
        while self._waiting:
            group = self._waiting[: self.settings.population]
            if len(group) > 1:
                train_together(group)
            for _ in group:  # measures them, and trains what was left
                _here(self._waiting.pop(0))
                jax.clear_caches()  # programs of other shapes would pile up
                tell()


def _here(run: Run) -> None:
    """The run, in this process; a failure is noted in its folder, and the next one's turn comes."""
    log.info("run %s", run.name)
    try:
        work(run)
    except Preempted:
        raise
    except Exception as error:
        if jax.process_count() > 1:  # the others may not know: they end with this one
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        log.info("%s %s: %s%s", run.name, "waits" if isinstance(error, Held) else "failed",
                 kind, error)  # fmt: skip


@dataclass(frozen=True)
class Share:
    """What one of several runs at a time has of the machine."""

    cores: tuple[int, ...]
    environment: dict[str, str]


def _shares(parallel: int) -> list[Share]:
    """A GPU for each, where there are any; else the cores, divided."""
    cores, gpus = _cores(), _gpus()
    if gpus and parallel > len(gpus):
        log.info("sweep.parallel=%d: %d at a time, one on each GPU.", parallel, len(gpus))
    count = min(parallel, len(gpus)) if gpus else parallel
    return [
        Share(
            tuple(cores[i::count] or cores[i % max(len(cores), 1) :][:1]),
            {"CUDA_VISIBLE_DEVICES": gpus[i]} if gpus else {},
        )
        for i in range(count)
    ]


def _cores() -> list[int]:
    """Those that this process may use; none where the system does not divide them."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def _gpus() -> list[str]:
    """Names for CUDA_VISIBLE_DEVICES of the GPUs that this process may use; JAX, which would take
    their memory, is not asked."""
    if os.environ.get("JAX_PLATFORMS", "cuda").partition(",")[0] not in ("cuda", "gpu", ""):
        return []
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [x for x in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if x]
    return sorted(p.name.removeprefix("nvidia") for p in Path("/dev").glob("nvidia[0-9]*"))


@dataclass
class Hand:
    """A run at work in its process."""

    run: Run
    process: subprocess.Popen[bytes]
    log: str
    sent_home: bool = False


class Crew:
    """Processes that take the waiting runs in turn, each with its share of the machine."""

    def __init__(self, shares: list[Share], waiting: list[Run], tell: Callable[[], None]) -> None:
        self.shares, self.waiting, self.tell = shares, waiting, tell
        self.hands: dict[int, Hand] = {}

    def work(self) -> None:
        """Until none is left. Raises Preempted or KeyboardInterrupt, when all have saved."""
        with contextlib.closing(Signals()) as signals:
            signals.take()
            while self.hands or self.waiting:
                if signals.number is not None:
                    self._send_home()
                self._fill()
                self._collect()
                time.sleep(POLL)
        if signals.number == signal.SIGINT:
            raise KeyboardInterrupt
        if signals.number is not None:
            raise Preempted(f"stopped by {signals.name}; the same command goes on.")

    def _fill(self) -> None:
        for i, share in enumerate(self.shares):
            if i not in self.hands and self.waiting:
                self.hands[i] = _started(self.waiting.pop(0), share)

    def _send_home(self) -> None:
        self.waiting.clear()
        for hand in self.hands.values():
            if not hand.sent_home:
                hand.process.send_signal(signal.SIGTERM)
                hand.sent_home = True

    def _collect(self) -> None:
        for i, hand in list(self.hands.items()):
            code = hand.process.poll()
            if code is not None:
                del self.hands[i]
                if (text := verdict(code, hand.log)) and not books.failure(hand.run):
                    books.note_failure(hand.run, text, hand.log)
                self.tell()


def _started(run: Run, share: Share) -> Hand:
    log.info("run %s", run.name)
    path, file = _log_of(run)
    # nothing is left at work when this process is killed
    more = {books.LOG: path, parent.NAME: str(os.getpid())}
    with file, _on(share.cores):
        process = subprocess.Popen(
            command.of(run),
            env=os.environ | share.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return Hand(run, process, path)


@contextlib.contextmanager
def _on(cores: Sequence[int]) -> Iterator[None]:
    """What is started meanwhile has these cores, for a process takes over those of the thread that
    starts it; to set them in the child, a process with JAX's threads would have to be forked."""
    before = _cores()
    if before:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        if before:
            os.sched_setaffinity(0, before)


def _log_of(run: Run) -> tuple[str, IO[bytes]]:
    """Path and file of what a run says: in its folder, or here if that is on an object store."""
    if not paths.is_local(run.folder):
        file = tempfile.NamedTemporaryFile(prefix="genlab-", suffix=".txt", delete=False)  # noqa: SIM115
        return file.name, file
    paths.make_folder(run.folder)
    path = os.path.abspath(run.folder / "log.txt")
    return path, open(path, "ab")
