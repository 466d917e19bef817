"""The contract of a tracker."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath

Scalars = dict[str, float]


@dataclass(frozen=True)
class Tracked:
    """What a tracker gets to know about a run.

    name: for people; several runs may have it.
    identity: of this run alone, and the same whenever it goes on.
    project: where a tracker keeps runs that belong together.
    config: {"data.batch_size": 32, ...}.
    """

    workdir: epath.Path
    name: str
    identity: str
    project: str
    config: dict[str, Any]

    @property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The config as trackers take it: tuples as text."""
        plain = (bool, int, float, str)
        return {k: v if isinstance(v, plain) else str(v) for k, v in self.config.items()}


class Writer(abc.ABC):
    """One tracker of one run."""

    @abc.abstractmethod
    def scalars(self, step: int, values: Scalars) -> None:
        """Numbers of a step, by name ("train/nll")."""

    @abc.abstractmethod
    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """A picture u8[h,w,3] of a step."""

    @abc.abstractmethod
    def close(self) -> None:
        """Writes what waits; the run may go on another time."""
