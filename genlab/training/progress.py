"""Where a run stands, and what is due there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ml_collections import ConfigDict

from genlab.state import State
from genlab.training.watch import Outside

CARRIED = ("window", "best", "outside")  # what a checkpoint keeps beside the state


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
      state: on the host where a run starts, on the devices while it goes on.
      step: steps made.
      window: {metric: values since the last line}.
      best: step and value of the best validation so far; empty before the first.
      outside: see `genlab/training/watch.py`.
      saved: step of the newest checkpoint; None before the first.
      pending: (step before, metrics) of each call whose metrics are still on the devices.
    """

    state: State
    step: int = 0
    window: dict[str, list[float]] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    outside: Outside = field(default_factory=dict)
    saved: int | None = None
    pending: tuple[tuple[int, Any], ...] = ()

    def carried(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the state."""
        return {name: getattr(self, name) for name in CARRIED}


def patience_over(train: ConfigDict, step: int, best: dict[str, float]) -> bool:
    """Whether `train.patience` evaluations have passed since the best one; says so of a resumed run
    as of one that went on."""
    if not (train.patience and best):
        return False
    return (step - best["step"]) // train.eval_every >= train.patience


@dataclass(frozen=True)
class Due:
    """What is due after a step."""

    log: bool
    evaluate: bool
    checkpoint: bool
    sample: bool
    last: bool
    stop: bool  # a signal has come

    @property
    def numbers(self) -> bool:
        """Whether the host needs the metrics of the steps so far."""
        return self.log or self.checkpoint or self.evaluate or self.stop

    def as_last(self) -> Due:
        """The same at the end of a run."""
        return dataclasses.replace(self, evaluate=True, checkpoint=True, sample=True, last=True)
