"""Bayesian search: an experiment's `suggest(trial)` makes each next point of an Optuna trial.

    def suggest(trial):
        return {"optim.learning_rate": trial.suggest_float("rate", 1e-4, 1e-2, log=True)}

Optuna gets the results of all earlier trials, in their order, and is asked for one more (its
ask-and-tell interface; sampler: TPE, Bergstra et al. 2011). What it answers is kept in the sweep's
folder, and depends on the config's seed, the trial's number and the trials before alone: a search
that was killed goes on as one that was not. `sweep.trials_at_once` are asked for together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from genlab.errors import UserError
from genlab.sweeps import books
from genlab.sweeps.points import Point, Run, name
from genlab.workdir import lines, lock, paths

TRIALS = "trials.jsonl"
Asked = dict[str, Any]  # a line of it: {"trial", "point", "params", "distributions"}


@dataclass(frozen=True)
class Search:
    """See `Source`.

    suggest: makes a point of an Optuna trial.
    config: of the experiment, with the section of sweeps.
    folder: of the sweep.
    """

    suggest: Callable[[Any], Point]
    config: ConfigDict
    folder: epath.Path

    def points(self) -> list[Point]:
        """Each once, however often Optuna has suggested it."""
        return list({name(x["point"]): x["point"] for x in self._asked()}.values())

    def more(self, runs: Sequence[Run]) -> bool:
        """Asks for a round of trials; for another while there is no new point among them."""
        _check(self.config.sweep)
        if any(not books.done(run) and not books.failure(run) for run in runs):
            return False  # first they are to end
        paths.make_folder(self.folder)
        values = {run.name: _value(run, self.config.sweep.metric) for run in runs}
        with lock.briefly(self.folder / TRIALS):  # of two who ask, the second finds the answer
            asked = self._asked()
            while all(name(x["point"]) in values for x in asked):
                if len(asked) >= self.config.sweep.trials:
                    return False
                asked = self._round(asked, values)
        return True

    def _round(self, asked: list[Asked], values: dict[str, float | None]) -> list[Asked]:
        """Those before and a round of others, written at once: a kill leaves no part of it."""
        settings, asked = self.config.sweep, list(asked)
        for _ in range(min(settings.trials_at_once, settings.trials - len(asked))):
            asked.append(self._ask(asked, values))
        text = "".join(json.dumps(x) + "\n" for x in asked)
        lines.write_atomically(self.folder / TRIALS, text)
        return asked

    def _asked(self) -> list[Asked]:
        found = lines.read_lines(self.folder / TRIALS)
        return [x | {"point": {k: _value_of_json(v) for k, v in x["point"].items()}} for x in found]

    def _ask(self, asked: Sequence[Asked], values: dict[str, float | None]) -> Asked:
        optuna, number = _optuna(), len(asked)
        seed = int(np.random.SeedSequence([self.config.seed, number]).generate_state(1)[0])
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            direction="minimize" if self.config.sweep.metric_mode == "min" else "maximize",
        )
        for past in asked:
            study.add_trial(_told(past, values))
        trial = study.ask()
        point = self.suggest(trial)
        spell = optuna.distributions.distribution_to_json
        told = {key: json.loads(spell(x)) for key, x in trial.distributions.items()}
        return {"trial": number, "point": point, "params": trial.params, "distributions": told}


def _told(past: Asked, values: dict[str, float | None]) -> Any:
    """The Optuna trial of one that was asked before: with its value, failed, or without one yet."""
    optuna, own = _optuna(), name(past["point"])
    states, value = optuna.trial.TrialState, values.get(own)
    state = states.FAIL if value is None else states.COMPLETE
    read = optuna.distributions.json_to_distribution
    return optuna.trial.create_trial(
        state=state if own in values else states.RUNNING,
        value=value,
        params=past["params"],
        distributions={k: read(json.dumps(x)) for k, x in past["distributions"].items()},
    )


def _value(run: Run, metric: str) -> float | None:
    """The metric of the validation split at the run's end; None of one that failed."""
    if not books.done(run):
        return None
    value = books.metric(run, books.validation(run), metric)
    return value if math.isfinite(value) else None


def _check(settings: ConfigDict) -> None:
    if not settings.metric:
        raise UserError("a search needs sweep.metric, of the validation split.")
    if settings.halve_from:
        raise UserError("sweep.halve_from: a search does not stop its runs; leave it at 0.")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError('this experiment needs Optuna: pip install "genlab[optuna]".') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _value_of_json(value: Any) -> Any:
    return tuple(map(_value_of_json, value)) if isinstance(value, list) else value
