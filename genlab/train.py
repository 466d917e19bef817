"""The only training loop."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import config as configs
from genlab import data, evaluate, gallery, parallel, report
from genlab import task as tasks
from genlab.checkpoint import Checkpoints
from genlab.errors import RunStopped, UserError, nearest
from genlab.model import Model, restore
from genlab.parallel import Replicas
from genlab.program import compile_steps, initial_state
from genlab.state import State, Tree

IN_FLIGHT = 8  # calls handed to the device before the host waits for one


def train(config: ConfigDict, workdir: str) -> None:
    """Trains to `config.train.steps`, going on from the workdir's newest checkpoint if any.

    Raises: UserError for what the user can mend; RunStopped when a number is no longer finite.
    """
    configs.check_train(config)
    replicas = parallel.replicas(config.parallel)
    configs.refuse_another_run(config, workdir)
    sets = data.load(config.data)
    task = tasks.load(config, sets.spec)
    replicas.rows(np.zeros((1, config.data.batch_size)))  # refuses a size that does not divide
    metric, known = config.train.best_metric, evaluate.metric_names(task, sets.spec)
    if metric and metric not in known:
        raise UserError(f"train.best_metric: no metric {metric!r}.{nearest(metric, known)}")
    Run(config, Path(workdir), replicas, sets, task).go()


class Run:
    """One start of a run: what it needs, and the loop."""

    def __init__(
        self, config: ConfigDict, workdir: Path, replicas: Replicas, sets: data.Data, task: Any
    ):
        self.config, self.workdir, self.replicas = config, workdir, replicas
        self.sets, self.task = sets, task
        self.window: dict[str, list[float]] = {}  # metrics since the last line
        self.best: dict[str, float] = {}
        self.saved: int | None = None
        self.signal: int | None = None

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
            state, step = self._begin()
            if step >= train.steps:
                print(f"{self.workdir} is at step {step} of {train.steps}: nothing to train.")
                return
            announced = contextlib.closing(self._announce(state, step))
            with announced as self.report, self._signals_noted():
                self._loop(self.replicas.replicate(state), step)

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

    def _begin(self) -> tuple[State, int]:
        """The host state to start from, and its step; trims lines written after it."""
        steps = self.checkpoints.manager.all_steps()
        if jax.process_index() == 0:
            report.trim(self.workdir / "metrics.jsonl", max(steps, default=-1))
            report.trim(self.workdir / "events.jsonl", math.inf)  # what happened, happened
        if steps:
            step = max(steps)
            state = self.checkpoints.restore(step, tasks.abstract_state(self.task, self.sets.spec))
            about = self.checkpoints.about(step)
            self.window, self.best, self.saved = about["window"], about["best"], step
            return state, step
        return self._initialised_from(initial_state(self.task, self.sets, self.config.seed)), 0

    def _initialised_from(self, state: State) -> State:
        """The state with the parameters of the run that `train.init_from` names."""
        source = self.config.train.init_from
        if not source:
            return state
        params = jax.device_get(restore(source, weights="raw").state.params)
        spell = lambda tree: jax.tree.map(np.shape, tree)  # noqa: E731
        if spell(params) != spell(state.params):
            raise UserError(
                f"train.init_from={source}: its parameters have other names or shapes than this"
                " model's; take the same model section."
            )
        return state.replace(params=params, ema={player: params[player] for player in state.ema})

    def _loop(self, state: Tree, step: int) -> None:
        config, train = self.config, self.config.train
        n, size = len(self.sets.train), config.data.batch_size
        feed = data.feed(self.sets.train, self.replicas, config.data.resident_mb)
        call = compile_steps(self.task, self.replicas, feed, config)
        rows = data.training_rows(config.seed, size, n, step, train.steps, train.steps_per_call)
        self.evaluate = evaluate.evaluator(
            self.task,
            self.sets.valid,
            self.replicas,
            config.eval.batch_size,
            config.data.resident_mb,
            config.seed,
        )
        due = lambda every: every > 0 and step % every == 0  # noqa: E731
        pending: deque[tuple[int, Any]] = deque()
        for part in feed.calls(rows):
            state, metrics = call(state, feed.shared, part)
            pending.append((step, metrics))
            step += train.steps_per_call
            self.report.advance(train.steps_per_call)
            if len(pending) > IN_FLIGHT:
                jax.block_until_ready(pending[-IN_FLIGHT][1])
            last, stop = step >= train.steps, self._should_stop(step)
            cadences = (train.log_every, train.checkpoint_every, train.eval_every)
            if last or stop or any(map(due, cadences)):
                self._collect(pending)
            if due(train.log_every):
                means = {name: float(np.mean(x)) for name, x in self.window.items()}
                self.report.metrics(step, step * size / n, "train", means)
                self.window = {}
            found = self._validate(state, step, n) if due(train.eval_every) or last else None
            best = self._note_if_best(step, found)
            if best or due(train.checkpoint_every) or last or stop:
                saved = self._save(state, step, found, finish=best or last)
            if due(train.sample_every) or last:
                self._draw(saved if last else self.replicas.first(state), step, last)
            if stop and not last:
                return self._leave(step)
        self._finish(step)

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
        if finish and hasattr(self.task, "finish"):
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

    @contextlib.contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """SIGTERM (a preempted job) and the first Ctrl-C: finish the call, save, leave."""
        if jax.process_count() > 1:
            yield  # jax.distributed tells all hosts at the same step
            return

        def note(number: int, _: Any) -> None:
            self.signal = number
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _should_stop(self, step: int) -> bool:
        if jax.process_count() > 1:
            return self.checkpoints.reached_preemption(step)
        return self.signal is not None

    def _leave(self, step: int) -> None:
        self.checkpoints.wait()
        self.report.event("preempted", step=step)
        self.report.say(
            f"stopped by a signal and saved at step {step}; the same command resumes:"
            f" python launch.py --workdir={self.workdir}"
        )
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt

    def _finish(self, step: int) -> None:
        self.checkpoints.wait()
        self.report.say(f"{self.workdir}: trained to step {step}; pictures in samples/, figures/.")


def _weights(config: ConfigDict, state: Tree) -> str:
    return config.eval.weights if state.ema else "raw"
