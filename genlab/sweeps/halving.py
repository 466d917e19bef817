"""Successive halving: runs grow rung by rung, and at each the worse half stops.

Which runs go on is a function of what their folders hold, so that any process finds the same, and a
sweep resumes exactly (Jamieson and Talwalkar 2016, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ml_collections import ConfigDict

from genlab.errors import UserError
from genlab.sweeps import books
from genlab.sweeps.points import Run, up_to
from genlab.workdir import configs as run_configs


@dataclass(frozen=True)
class Stage:
    """Where a sweep stands.

    Attributes:
      active: runs with the steps that they are to reach now, and runs that failed.
      stopped: runs that were worse than others, and what is said of each.
    """

    active: list[Run]
    stopped: list[tuple[Run, str]] = field(default_factory=list)


def check(runs: Sequence[Run], settings: ConfigDict) -> None:
    """Raises UserError where runs cannot grow, or nobody says which of them are worse."""
    first = settings.halve_from
    if not first:
        return
    if not settings.metric:
        raise UserError("sweep.halve_from needs sweep.metric, which says which runs are worse.")
    if len({run.config.train.steps for run in runs}) > 1:
        raise UserError("sweep.halve_from needs runs of the same train.steps.")
    for run in runs:
        _check_growth(run, first)


def _check_growth(run: Run, first: int) -> None:
    train = run.config.train
    if first >= train.steps or first % train.steps_per_call:
        raise UserError(
            f"sweep.halve_from={first}: take less than train.steps={train.steps}, and a multiple of"
            f" train.steps_per_call={train.steps_per_call}."
        )
    shorter = run_configs.copy(run.config)
    shorter.train.steps = first
    if run_configs.identity_differences(shorter, run.config):
        raise UserError(
            f"{run.name}: its learning-rate schedule depends on train.steps, so it cannot grow from"
            f" {first} steps; set optim.decay_steps, or leave sweep.halve_from at 0."
        )


def rungs(steps: int, first: int) -> list[int]:
    """first, twice as many, and so on, below `steps`; then `steps`."""
    count = math.ceil(math.log2(steps / first))
    return [first * 2**i for i in range(count)] + [steps]


def stage(runs: Sequence[Run], settings: ConfigDict) -> Stage:
    """The lowest rung that not all of its runs have reached; without rungs, each run's end."""
    if not settings.halve_from:
        return Stage(list(runs))
    alive, failed, stopped = list(runs), list[Run](), list[tuple[Run, str]]()
    for steps in rungs(runs[0].config.train.steps, settings.halve_from):
        here = [up_to(run, steps) for run in alive]
        waiting = [r for r in here if not books.done(r) and not books.failure(r)]
        if waiting or steps == runs[0].config.train.steps:
            return Stage(here + failed, stopped)
        failed += [run for run in here if not books.done(run)]
        alive, worse = _halves(here, settings)
        stopped += worse
    raise AssertionError("the last rung is that of all steps")


def _halves(runs: list[Run], settings: ConfigDict) -> tuple[list[Run], list[tuple[Run, str]]]:
    """The better half of the runs of a rung, in their order; and the others, with what they had."""
    scores = {run.name: _score(run, settings) for run in runs if books.done(run)}
    ranked = sorted(scores, key=lambda name: _rank(scores[name], settings.metric_mode))
    kept = set(ranked[: math.ceil(len(runs) / 2)])
    told = [
        (run, f"at step {run.steps}: {settings.metric} {scores[run.name]:.4g}, number"
         f" {ranked.index(run.name) + 1} of {len(runs)}")
        for run in runs if run.name in scores and run.name not in kept
    ]  # fmt: skip
    return [run for run in runs if run.name in kept], told


def _score(run: Run, settings: ConfigDict) -> float:
    return books.metric(run, books.rung(run, run.steps) or {}, settings.metric)


def _rank(score: float, mode: str) -> float:
    return math.inf if math.isnan(score) else score if mode == "min" else -score
