"""Signals that ask a run to stop: noted, so that the loop can save and leave.

SIGTERM comes from schedulers, SIGUSR1 from `sbatch --signal`, SIGUSR2 from submitit, SIGINT from
Ctrl-C.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import jax

NOTED = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The signals that have come, oldest first. The second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self._numbers: list[int] = []

    @property
    def number(self) -> int | None:
        """The first signal, if any has come."""
        return self._numbers[0] if self._numbers else None

    @contextlib.contextmanager
    def noted(self) -> Iterator[Signals]:
        """Takes the signals, and gives them back at the end."""
        if jax.process_count() > 1:
            yield self  # jax.distributed tells all hosts at the same step
            return
        before = {number: signal.signal(number, self._note) for number in NOTED}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: Any) -> None:
        self._numbers.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
