"""Signals that ask a run to stop: noted, so that the loop can save and leave.

SIGTERM comes from schedulers, SIGUSR1 from `sbatch --signal`, SIGUSR2 from submitit, SIGINT from
Ctrl-C. Of several processes one may get it alone; all must stop at the same step. JAX agrees on one
for SIGTERM, which its own handler takes; the others are passed on to that handler.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import jax

NOTED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """The signals that have come to this process, oldest first. The second Ctrl-C interrupts."""

    def __init__(self) -> None:
        self._numbers: list[int] = []

    @property
    def number(self) -> int | None:
        """The first signal, if any has come."""
        return self._numbers[0] if self._numbers else None

    @property
    def name(self) -> str:
        """Its name, for messages."""
        return signal.Signals(self.number).name if self.number else "a signal"

    @contextlib.contextmanager
    def noted(self) -> Iterator[Signals]:
        """Takes the signals, and gives them back at the end."""
        alone = jax.process_count() == 1
        taken = [number for number in NOTED if alone or number != signal.SIGTERM]
        note = self._note if alone else self._pass_on
        before = {number: signal.signal(number, note) for number in taken}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: Any) -> None:
        self._numbers.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _pass_on(self, number: int, frame: Any) -> None:
        self._note(number, frame)
        os.kill(os.getpid(), signal.SIGTERM)
