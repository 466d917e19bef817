"""Where the points of a sweep come from: listed by its experiment, or asked for one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from genlab.sweeps.points import Point, Run


class Source(Protocol):
    """The points of a sweep. Every process that looks at the sweep's folder finds the same."""

    def points(self) -> list[Point]:
        """Those that are known by now."""

    def more(self, runs: Sequence[Run]) -> bool:
        """When all those runs have ended: whether `points` has others now."""


@dataclass(frozen=True)
class Listed:
    """All points are known from the start."""

    found: list[Point]

    def points(self) -> list[Point]:
        return self.found

    def more(self, runs: Sequence[Run]) -> bool:
        return False
