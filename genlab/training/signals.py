"""SIGTERM (a preempted job) and Ctrl-C: noted, so that the loop can save and leave."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax


@dataclass
class Signals:
    """number: the signal that came, if one did. The second Ctrl-C interrupts at once."""

    number: int | None = None

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Takes the signals, and gives them back at the end."""
        if jax.process_count() > 1:
            yield  # jax.distributed tells all hosts at the same step
            return

        def note(number: int, _: Any) -> None:
            self.number = number
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
