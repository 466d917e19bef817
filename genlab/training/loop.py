"""The only training loop."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import signal
from collections import deque
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import config as settings
from genlab import evaluate, parallel
from genlab import task as tasks
from genlab.data import splits as data
from genlab.errors import RunStopped, UserError, hint
from genlab.model import Model
from genlab.parallel import Replicas
from genlab.pictures import run as gallery
from genlab.state import State, Tree
from genlab.training import report, watch
from genlab.training.compiled import compile_steps, metrics_of_a_step
from genlab.training.signals import Signals
from genlab.training.starts import Start, Starts
from genlab.training.watch import Bound, Watch
from genlab.workdir import configs
from genlab.workdir.checkpoint import Checkpoints

IN_FLIGHT = 8  # calls handed to the device before the host waits for one


def train(config: ConfigDict, workdir: str) -> None:
    """Trains to `config.train.steps`, going on from the workdir's newest checkpoint if any.

    Raises: UserError for what the user can mend; RunStopped when a number is no longer finite.
    """
    settings.check_values(config)
    replicas = parallel.replicas(config.parallel)
    configs.refuse_another_run(config, workdir)
    sets = data.load(config.data)
    task = tasks.load(config, sets.spec)
    replicas.rows(np.zeros((1, config.data.batch_size)))  # refuses a size that does not divide
    metric, known = config.train.best_metric, evaluate.metric_names(task, sets.spec)
    if metric and metric not in known:
        raise UserError(f"train.best_metric: no metric {metric!r}.{hint(metric, known)}")
    size = config.data.batch_size
    logged = {"valid": lambda: known, "train": lambda: metrics_of_a_step(task, sets.spec, size)}
    bounds = watch.bounds(config.train, logged)
    Run(config, Path(workdir), replicas, sets, task, bounds).go()


class Run:
    """One start of a run: what it needs, and the loop."""

    def __init__(
        self,
        config: ConfigDict,
        workdir: Path,
        replicas: Replicas,
        sets: data.Data,
        task: Any,
        bounds: tuple[Bound, ...],
    ):
        self.config, self.workdir, self.replicas = config, workdir, replicas
        self.sets, self.task, self.watch = sets, task, Watch(bounds, {})
        self.signals = Signals()

    def go(self) -> None:
        """From the newest checkpoint, or from scratch, to the last step or a signal."""
        train = self.config.train
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunStopped(
                f"{self.workdir}: cannot be made ({error.strerror}); take another --workdir."
            ) from None
        checkpoints = Checkpoints(
            str(self.workdir), train.best_metric, train.best_mode, train.keep, write=True
        )
        with contextlib.closing(checkpoints) as self.checkpoints:
            self.starts = Starts(checkpoints, self.workdir, self.task, self.sets, self.config)
            start: Start | None = self.starts.first()
            if start.step >= train.steps:
                print(f"{self.workdir} is at step {start.step} of {train.steps}: nothing to train.")
                return
            announced = contextlib.closing(self._announce(start.state, start.step))
            with announced as self.report, self.signals.noted():
                self._prepare()
                while start:
                    start = self._loop(start)

    def _announce(self, state: State, step: int) -> report.Report:
        """Writes what is known at the start: config.json, runs.jsonl, a resume."""
        train = self.config.train
        found = report.Report(self.workdir, train.steps, step, train.tensorboard)
        if found.active:
            report.write_atomically(self.workdir / "config.json", configs.to_json(self.config))
            sizes = report.counts(state.params, state.stats)
            report.append(self.workdir / "runs.jsonl", report.start_of_run(sizes))
        if step:
            found.event("resume", step=step)
            found.say(f"resuming {self.workdir} at step {step}")
        return found

    def _prepare(self) -> None:
        """Puts the data in place and compiles."""
        config = self.config
        self.feed = data.feed(self.sets.train, self.replicas, config.data.resident_mb)
        self.call = compile_steps(self.task, self.replicas, self.feed, config)
        self.evaluate = evaluate.evaluator(
            self.task,
            self.sets.valid,
            self.replicas,
            config.eval.batch_size,
            config.data.resident_mb,
            config.seed,
        )

    def _loop(self, start: Start) -> Start | None:
        """From a start to the end, or to the rollback whose start it returns."""
        config, train, step = self.config, self.config.train, start.step
        self.window, self.best, self.watch.outside = start.window, start.best, start.outside
        self.saved = step or None
        n, size = len(self.sets.train), config.data.batch_size
        rows = data.training_rows(config.seed, size, n, step, train.steps, train.steps_per_call)
        state: Tree = self.replicas.replicate(start.state)
        due = lambda every: every > 0 and step % every == 0  # noqa: E731
        pending: deque[tuple[int, Any]] = deque()
        for part in self.feed.calls(rows):
            state, metrics = self.call(state, self.feed.shared, part)
            pending.append((step, metrics))
            step += train.steps_per_call
            self.report.advance(train.steps_per_call)
            if len(pending) > IN_FLIGHT:
                jax.block_until_ready(pending[-IN_FLIGHT][1])
            last, stop = step >= train.steps, self._should_stop(step)
            cadences = (train.log_every, train.checkpoint_every, train.eval_every)
            if last or stop or any(map(due, cadences)):
                self._collect(pending)
            means = None
            if due(train.log_every):
                means = {name: float(np.mean(x)) for name, x in self.window.items()}
                self.report.metrics(step, step * size / n, "train", means)
                self.window = {}
            found = self._validate(state, step, n) if due(train.eval_every) or last else None
            alarms = self.watch.left("train", means) + self.watch.left("valid", found)
            action = self._heed(alarms, step)
            if action == "rollback":
                start = self.starts.after_rollback(step, int(start.state.attempt) + 1)
                self.report.say(f"{self.workdir}: back to step {start.step}, with other noise")
                return start
            best, stop = self._note_if_best(step, found), stop or action == "stop"
            if best or due(train.checkpoint_every) or last or stop:
                saved = self._save(state, step, found, finish=best or last)
            if due(train.sample_every) or last:
                self._draw(saved if last else self.replicas.first(state), step, last)
            if action == "stop":
                self._stop_watched(step)
            if stop and not last:
                self._leave(step)
                return None
        self._finish(step)
        return None

    def _collect(self, pending: deque[tuple[int, Any]]) -> None:
        """Brings metrics to the host, and stops the run at the first that is not finite."""
        while pending:
            first, metrics = pending.popleft()
            values = jax.device_get(self.replicas.first(metrics))  # {name: f32[steps_per_call]}
            for offset in range(self.config.train.steps_per_call):
                for name, series in values.items():
                    value = float(series[offset])
                    if not math.isfinite(value):
                        self._stop(first + offset + 1, name, value)
                    self.window.setdefault(name, []).append(value)

    def _stop(self, step: int, name: str, value: float) -> None:
        self.checkpoints.wait()
        self.report.event("not_finite", step=step, metric=name, value=str(value))
        kept = (
            f"the last good checkpoint is step {self.saved}" if self.saved is not None
            else "no checkpoint was saved yet"
        )  # fmt: skip
        raise RunStopped(
            f"{self.workdir}: {name} is {value} at step {step}; {kept}. Lower optim.learning_rate"
            " or set optim.clip_norm."
        )

    def _heed(self, alarms: list[tuple[Bound, float]], step: int) -> str:
        """Says what left its bounds, and returns the gravest action asked for."""
        for bound, value in alarms:
            said = {"metric": bound.metric, "value": value, "action": bound.action}
            self.report.event("watch", step=step, **said)
            self.report.say(f"{self.workdir}: {bound.told(value, step)}: {bound.action}")
        return max((b.action for b, _ in alarms), key=watch.ACTIONS.index, default="")

    def _stop_watched(self, step: int) -> None:
        self.checkpoints.wait()
        raise RunStopped(f"{self.workdir}: stopped by train.watch and saved at step {step}.")

    def _validate(self, state: Tree, step: int, n: int) -> dict[str, float]:
        weights = _weights(self.config, state)
        found = self.evaluate(state.with_weights(weights))
        bad = [name for name, value in found.items() if not np.all(np.isfinite(value))]
        if bad:
            self._stop(step, f"valid {bad[0]}", found[bad[0]])
        self.report.metrics(step, step * self.config.data.batch_size / n, "valid", found)
        return found

    def _note_if_best(self, step: int, found: dict[str, float] | None) -> bool:
        """Whether these are the best validation metrics so far; remembers them if so."""
        metric = self.config.train.best_metric
        if not found or not metric:
            return False
        sign = 1.0 if self.config.train.best_mode == "min" else -1.0
        if self.best and sign * found[metric] >= sign * self.best["value"]:
            return False
        self.best = {"step": step, "value": found[metric]}
        return True

    def _save(self, state: Tree, step: int, found: dict[str, float] | None, finish: bool) -> State:
        """Starts saving the state, finished by the task if asked for, and returns it."""
        host = jax.device_get(self.replicas.first(state))
        if finish:
            finished = self.task.finish(host.with_weights(_weights(self.config, host)), self.sets)
            host = host.replace(stats=jax.device_get(finished.stats))
        for path, x in jax.tree_util.tree_leaves_with_path(host):
            if not np.all(np.isfinite(x)):  # a state that is not finite is never saved
                self._stop(step, jax.tree_util.keystr(path), float("nan"))
        about = {
            "config": json.loads(configs.to_json(self.config)),
            "shape": list(self.sets.spec.shape),
            "classes": list(self.sets.spec.classes),
            "versions": report.versions(),
            "window": self.window,
            "best": self.best,
            "outside": self.watch.outside,
        }
        numbers = found and {k: v for k, v in found.items() if not isinstance(v, list)}
        self.checkpoints.save(host, about, numbers)
        self.saved = step
        return host

    def _draw(self, state: State, step: int, last: bool) -> None:
        """A progress sheet; at the end, the figures of the family and the loss curves."""
        if not self.report.active:
            return
        weights, spec = _weights(self.config, state), self.sets.spec
        one = jax.tree.map(jax.numpy.asarray, state.with_weights(weights))
        model = Model(self.config, step, weights, self.task, spec, one, str(self.workdir))
        pictures = [gallery.progress(model, self.sets.valid)]
        if last:
            pictures.append(gallery.finale(model, self.sets.test))
        for name, picture in itertools.chain(*pictures):
            self.report.image(step, name, picture)

    def _should_stop(self, step: int) -> bool:
        if jax.process_count() > 1:
            return self.checkpoints.reached_preemption(step)
        return self.signals.number is not None

    def _leave(self, step: int) -> None:
        self.checkpoints.wait()
        self.report.event("preempted", step=step)
        self.report.say(
            f"stopped by a signal and saved at step {step}; the same command resumes:"
            f" python launch.py --workdir={self.workdir}"
        )
        if self.signals.number == signal.SIGINT:
            raise KeyboardInterrupt

    def _finish(self, step: int) -> None:
        self.checkpoints.wait()
        self.report.say(f"{self.workdir}: trained to step {step}; pictures in samples/, figures/.")


def _weights(config: ConfigDict, state: Tree) -> str:
    return config.eval.weights if state.ema else "raw"
