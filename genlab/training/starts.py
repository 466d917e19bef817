"""Where a run starts: from scratch, from its newest checkpoint, or back from one that it leaves."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from genlab import data
from genlab.data.fingerprint import Print, difference
from genlab.errors import RunStopped, UserError
from genlab.task import abstract_state
from genlab.training.compiled import initial_state, initialised_from
from genlab.training.progress import CARRIED, Progress
from genlab.workdir import lines as json_lines
from genlab.workdir import runs
from genlab.workdir.checkpoint import Checkpoints


@dataclass(frozen=True)
class Starts:
    """The starts that a workdir offers; fingerprint: of the data that is there now."""

    checkpoints: Checkpoints
    workdir: epath.Path
    task: Any
    sets: data.Data
    fingerprint: Print
    config: ConfigDict

    def first(self) -> Progress:
        """The newest checkpoint, or a fresh state; trims lines written after it."""
        steps = self.checkpoints.manager.all_steps()
        if jax.process_index() == 0:
            json_lines.trim(self.workdir / "metrics.jsonl", max(steps, default=-1))
            json_lines.trim(self.workdir / "events.jsonl", math.inf)  # what happened, happened
        if not steps:
            state = initial_state(self.task, self.sets, self.config.seed)
            return Progress(initialised_from(state, self.config.train.init_from))
        self._check_data(self.checkpoints.about(max(steps)).get("data"))
        newest, last = self._read(max(steps)), self._last_rollback()
        if int(newest.state.attempt) < last["attempt"]:  # killed before its first checkpoint
            return self._back(last["to"], last["attempt"])
        return newest

    def _check_data(self, then: Print | None) -> None:
        """Raises UserError for a run whose data has changed; older versions noted none."""
        change = difference(then, self.fingerprint) if then else None
        if change is None or (change.grew and self.config.data.changed == "allow"):
            return
        way = " or give --config.data.changed=allow" if change.grew else ""
        raise UserError(
            f"{self.workdir}: the data is not what the run was trained on ({change.words}); put it"
            f" back, take another workdir{way}."
        )

    def after_rollback(self, step: int, attempt: int) -> Progress:
        """The best checkpoint, as the start of that attempt: with other random numbers.

        Raises: RunStopped if there is none, or `train.max_attempts` have been made.
        """
        self.checkpoints.wait()
        best = self.checkpoints.manager.best_step()
        if best is None or attempt > self.config.train.max_attempts:
            why = "no checkpoint to go back to" if best is None else f"{attempt - 1} rollbacks made"
            raise RunStopped(
                f"{self.workdir}: stopped at step {step}, {why}; change the config, or train.watch."
            )
        if jax.process_index() == 0:  # noted first: a kill from here on resumes as this attempt
            note = {"event": "rollback", "step": step, "to": best, "attempt": attempt}
            json_lines.append(self.workdir / "events.jsonl", note | {"time": runs.now()})
        return self._back(best, attempt)

    def _back(self, to: int, attempt: int) -> Progress:
        """A checkpoint as the start of that attempt; what came after it is removed."""
        for step in self.checkpoints.manager.all_steps():
            if step > to:
                self.checkpoints.manager.delete(step)
        if jax.process_index() == 0:
            json_lines.trim(self.workdir / "metrics.jsonl", to)
        found = self._read(to)
        state = found.state.replace(attempt=np.int32(attempt))
        return dataclasses.replace(found, state=state)

    def _last_rollback(self) -> dict[str, Any]:
        lines = json_lines.read_lines(self.workdir / "events.jsonl")
        return ([line for line in lines if line["event"] == "rollback"] or [{"attempt": 0}])[-1]

    def _read(self, step: int) -> Progress:
        state = self.checkpoints.restore(step, abstract_state(self.task, self.sets.spec))
        about = self.checkpoints.about(step)
        return Progress(state, step, **{name: about.get(name, {}) for name in CARRIED}, saved=step)
