"""Signals that come while there is nothing to save: before a run's first step, or in an evaluation.

Such a process ends at once, with exit code 75 and its command. A thread sees to that, since XLA may
compile for minutes in which Python's own handlers wait. Whoever has something to save takes the
signals meanwhile (`training/signals.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from genlab.errors import Preempted, last_words
from genlab.hosts import board
from genlab.workdir import lock, runs

NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_CAME: list[int] = []


def heed(earlier: Sequence[int] = (), at_end: Callable[[], None] = lambda: None) -> None:
    """From now on these signals end the process.

    Args:
      earlier: those that have come already.
      at_end: called just before.
    """
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    for number in NUMBERS:
        signal.signal(number, _nothing)
    os.register_at_fork(before=_wait, after_in_parent=_let, after_in_child=_forget)
    threading.Thread(target=_watch, args=(ours, at_end), daemon=True).start()
    for past in earlier:
        signal.raise_signal(past)


def _wait() -> None:
    """While this process forks a worker, which has its handlers for a moment."""
    signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)


def _let() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


def _forget() -> None:
    """In the worker: what it gets is not meant for this process."""
    with contextlib.suppress(ValueError):  # forked by a thread
        signal.set_wakeup_fd(-1)
        for number in NUMBERS:
            if signal.getsignal(number) is _nothing:
                signal.signal(number, signal.SIG_DFL)
    _let()


def ignore() -> None:
    """From now on they do nothing: the process is about to end."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def leave(numbers: Sequence[int]) -> None:
    """For the next that asks for what is unanswered."""
    _CAME.extend(numbers)


def answer() -> None:
    """Ends this process if a signal is unanswered."""
    for number in unanswered():
        signal.raise_signal(number)


def unanswered() -> list[int]:
    """Those that nobody has acted on: they came just before another took them, so that the thread
    may have left them, or were left by a run that was at its end."""
    found = list(_CAME)
    _CAME.clear()
    return found


def _nothing(number: int, _: Any) -> None:
    """The thread acts: it has been told before."""
    _CAME.append(number)


def _watch(file: int, at_end: Callable[[], None]) -> None:
    while told := os.read(file, 1):
        number = int(told[0])
        if number in NUMBERS and signal.getsignal(number) is _nothing:
            _end(board.signal() or number, at_end)


def _end(number: int, at_end: Callable[[], None]) -> None:
    why = f"stopped by {signal.Signals(number).name}, with nothing to save"
    last_words(f"{why}; the same command goes on: {runs.command()}")
    try:
        lock.free_all()
        at_end()
    finally:
        os._exit(Preempted.exit_code)
