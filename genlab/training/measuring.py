"""The numbers of a run: brought to the host, told, and held against their limits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab.parallel import Replicas
from genlab.state import State, Tree
from genlab.training.ends import Ends
from genlab.training.progress import Progress
from genlab.training.report import Report
from genlab.training.watch import ACTIONS, Limit, exceeded

Numbers = dict[str, Any]  # {metric: a number, or a list of them}


def weights(config: ConfigDict, state: State) -> str:
    """Which weights are evaluated: "ema" only where the run keeps an average."""
    return config.eval.weights if state.ema else "raw"


@dataclass(frozen=True)
class Meter:
    """Attributes:
    evaluate: state -> metrics of the validation split.
    images: size of the training split.
    """

    config: ConfigDict
    replicas: Replicas
    limits: tuple[Limit, ...]
    evaluate: Callable[[Tree], Numbers]
    images: int
    report: Report
    ends: Ends

    def collect(self, here: Progress) -> Progress:
        """Brings metrics to the host, and stops the run at the first that is not finite."""
        window = {name: list(values) for name, values in here.window.items()}
        for first, metrics in here.pending:
            values = jax.device_get(self.replicas.first(metrics))  # {name: f32[steps_per_call]}
            for offset in range(self.config.train.steps_per_call):
                for name, series in values.items():
                    value = float(series[offset])
                    if not math.isfinite(value):
                        self.ends.not_finite(first + offset + 1, name, value, here.saved)
                    window.setdefault(name, []).append(value)
        return dataclasses.replace(here, window=window, pending=())

    def log(self, here: Progress) -> tuple[Progress, Numbers]:
        """A line of training metrics: their means since the last."""
        means = {name: float(np.mean(values)) for name, values in here.window.items()}
        self.report.metrics(here.step, self._epoch(here.step), "train", means)
        return dataclasses.replace(here, window={}), means

    def validate(self, here: Progress) -> Numbers:
        """A line of validation metrics; stops the run if one is not finite."""
        numbers = self.evaluate(here.state.with_weights(weights(self.config, here.state)))
        for name, value in numbers.items():
            if not np.all(np.isfinite(value)):
                self.ends.not_finite(here.step, f"valid {name}", value, here.saved)
        self.report.metrics(here.step, self._epoch(here.step), "valid", numbers)
        return numbers

    def heed(
        self, here: Progress, logged: Numbers | None, valid: Numbers | None
    ) -> tuple[Progress, str]:
        """Says what left its limits, and which is the gravest action asked for."""
        outside, alarms = here.outside, []
        for split, numbers in (("train", logged), ("valid", valid)):
            outside, more = exceeded(self.limits, outside, split, numbers)
            alarms += more
        for limit, value in alarms:
            self.report.alarm(limit, value, here.step)
        action = max((limit.action for limit, _ in alarms), key=ACTIONS.index, default="")
        return dataclasses.replace(here, outside=outside), action

    def _epoch(self, step: int) -> float:
        return step * self.config.data.batch_size / self.images
