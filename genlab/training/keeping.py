"""What a run keeps on its way: checkpoints and pictures."""

from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import data
from genlab.data.fingerprint import Print
from genlab.model import Model
from genlab.parallel import Replicas
from genlab.pictures import run as pictures
from genlab.state import State
from genlab.training.ends import Ends
from genlab.training.measuring import Numbers, weights
from genlab.training.progress import Due, Progress
from genlab.workdir import configs, runs


@dataclass(frozen=True)
class Keeper:
    """Saves states and draws pictures of them."""

    config: ConfigDict
    sets: data.Data
    fingerprint: Print
    task: Any
    replicas: Replicas
    ends: Ends

    def note_best(self, here: Progress, valid: Numbers | None) -> tuple[Progress, bool]:
        """Remembers the best validation; and whether it is this one."""
        if valid is None or not self._is_best(here, valid):
            return here, False
        value = valid[self.config.train.best_metric]
        return dataclasses.replace(here, best={"step": here.step, "value": value}), True

    def keep(self, here: Progress, due: Due, valid: Numbers | None, best: bool) -> Progress:
        """Saves and draws what is due.

        valid: the metrics of an evaluation at this very step.
        best: whether it is the best so far.
        """
        host = None
        if best or due.checkpoint or due.stop:
            host = self._host(here, finish=best or due.last)
            here = self._save(here, host, valid)
        if due.sample:
            shown = host if due.last and host else self.replicas.first(here.state)
            self._draw(shown, here.step, due.last)
        return here

    def _is_best(self, here: Progress, valid: Numbers | None) -> bool:
        """Whether these are the best validation metrics so far."""
        metric = self.config.train.best_metric
        if not valid or not metric:
            return False
        sign = 1.0 if self.config.train.best_mode == "min" else -1.0
        return not here.best or sign * valid[metric] < sign * here.best["value"]

    def _host(self, here: Progress, finish: bool) -> State:
        """The state on the host, finished by the task if asked for. It is always finite."""
        host = jax.device_get(self.replicas.first(here.state))
        if finish:
            finished = self.task.finish(host.with_weights(weights(self.config, host)), self.sets)
            host = host.replace(stats=jax.device_get(finished.stats))
        for path, x in jax.tree_util.tree_leaves_with_path(host):
            if not np.all(np.isfinite(x)):  # a state that is not finite is never saved
                name = jax.tree_util.keystr(path)
                self.ends.not_finite(here.step, name, float("nan"), here.saved)
        return host

    def _save(self, here: Progress, host: State, valid: Numbers | None) -> Progress:
        """Starts saving a host state."""
        about = {
            "config": json.loads(configs.to_json(self.config)),
            "shape": list(self.sets.spec.shape),
            "classes": list(self.sets.spec.classes),
            "attributes": list(self.sets.spec.attributes),
            "data": self.fingerprint,
            "versions": runs.versions(),
            **here.carried(),
        }
        numbers = valid and {k: v for k, v in valid.items() if not isinstance(v, list)}
        self.ends.report.flush()  # before the checkpoint: a resume trims lines, it adds none
        self.ends.checkpoints.save(host, about, numbers)
        return dataclasses.replace(here, saved=here.step)

    def _draw(self, state: State, step: int, last: bool) -> None:
        """A progress sheet; at the end, the figures of the family and the loss curves."""
        if not self.ends.report.active:
            return
        chosen, spec = weights(self.config, state), self.sets.spec
        one = jax.tree.map(jax.numpy.asarray, state.with_weights(chosen))
        workdir = str(self.ends.report.workdir)
        model = Model(self.config, step, chosen, self.task, spec, one, workdir)
        sheets = [pictures.progress(model, self.sets.valid)]
        if last and self.config.train.figures:
            sheets.append(pictures.finale(model, self.sets.test))
        for name, picture in itertools.chain(*sheets):
            self.ends.report.image(step, name, picture)
