"""Signals that ask a run to stop: noted, so that the loop can save and leave.

SIGTERM comes from schedulers, SIGUSR1 from `sbatch --signal`, SIGUSR2 from submitit, SIGINT from
Ctrl-C. Of several processes one may get it alone; all must stop at the same step. JAX agrees on one
for SIGTERM, which its own handler takes; the others are passed on to that handler.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import jax

from genlab.hosts import board, stops, watchdog

NOTED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """The signals that have come to this process since `take`, oldest first. The second Ctrl-C
    interrupts."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._before: dict[int, Any] = {}
        self._early: bool | None = None

    @property
    def number(self) -> int | None:
        """The first signal, if any has come."""
        return self._numbers[0] if self._numbers else None

    @property
    def name(self) -> str:
        """Its name, for messages."""
        return signal.Signals(self.number).name if self.number else "a signal"

    def take(self) -> None:
        """Notes them from now on: there is something to save. Until then `hosts/stops.py` does."""
        if self._before:
            return
        alone = jax.process_count() == 1
        taken = [number for number in NOTED if alone or number != signal.SIGTERM]
        note = self._note if alone else self._pass_on
        self._before = {number: signal.signal(number, note) for number in taken}
        board.note_saves(True)
        for number in stops.unanswered():
            signal.raise_signal(number)

    def came_early(self) -> bool:
        """Whether SIGTERM came to one of several processes before the first of their steps. JAX has
        then agreed on the first that it was asked about, but counts from 0, not from a resume."""
        if self._early is None:
            self._early = watchdog.noticed()
        return self._early

    def hand_on(self) -> None:
        """Leaves what has come to whoever goes on: the run was at its end, and did not stop."""
        stops.leave(self._numbers)

    def close(self) -> None:
        """Gives them back."""
        board.note_saves(False)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _: Any) -> None:
        self._numbers.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _pass_on(self, number: int, frame: Any) -> None:
        self._note(number, frame)
        os.kill(os.getpid(), signal.SIGTERM)
