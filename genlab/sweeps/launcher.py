"""What a launcher promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from genlab.sweeps.points import Run


class Launcher(Protocol):
    """Starts runs, and knows which of them wait for their turn.

    How a run ended is not its to tell: the run's folder does.
    """

    def start(self, runs: Sequence[Run], tell: Callable[[], None]) -> None:
        """Starts each run once; returns when that is done, or when all have ended.

        Args:
          tell: called whenever a run has ended.

        Raises: Preempted or KeyboardInterrupt if a signal says so.
        """

    def look(self, runs: Sequence[Run]) -> dict[str, str]:
        """{name: QUEUED, RUNNING, or how its job ended}, as far as it knows the runs."""
