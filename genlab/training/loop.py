"""The only training loop."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from genlab import config as settings
from genlab import data, evaluate, parallel
from genlab import task as tasks
from genlab.data.fingerprint import fingerprint
from genlab.errors import RunStopped, UserError, hint
from genlab.hosts import board, writer
from genlab.parallel import Replicas
from genlab.training import watch
from genlab.training.compiled import compile_steps, metrics_of_a_step
from genlab.training.ends import Ends, told_patience
from genlab.training.keeping import Keeper
from genlab.training.measuring import Meter
from genlab.training.profiling import Profiler, profiler
from genlab.training.progress import Due, Progress, patience_over
from genlab.training.report import Report
from genlab.training.signals import Signals
from genlab.training.starts import Starts
from genlab.training.watch import Limit
from genlab.workdir import configs, paths, runs
from genlab.workdir.checkpoint import Checkpoints
from genlab.workdir.lines import append, write_atomically

IN_FLIGHT = 8  # calls handed to the device before the host waits for one


def train(config: ConfigDict, workdir: str) -> None:
    """Trains to `config.train.steps`, going on from the workdir's newest checkpoint if any.

    Raises: UserError for what the user can mend; RunStopped when a number is no longer finite.
    """
    folder = paths.of(workdir)
    settings.check_values(config)
    replicas = parallel.replicas(config.parallel)
    configs.refuse_another_run(config, workdir)
    sets = data.load(config.data)
    sets.check()
    task = tasks.load(config, sets.spec)
    replicas.check(config.data.batch_size)
    limits = _limits(config, task, sets)
    _make(folder)
    with (
        writer.held_by_first(folder),
        contextlib.closing(_checkpoints(config, folder)) as checkpoints,
    ):
        starts = Starts(checkpoints, folder, task, sets, fingerprint(sets), config)
        start = starts.first()
        if start.step >= config.train.steps:
            print(f"{workdir} is at step {start.step} of {config.train.steps}: nothing to train.")
            return
        if patience_over(config.train, start.step, start.best):
            print(f"{workdir}: {told_patience(config.train, start.best)}: nothing to train.")
            return
        report = _announce(config, folder, start)
        with contextlib.closing(report), contextlib.closing(Signals()) as signals:
            ends = Ends(folder, checkpoints, report, signals)
            _loop(config, replicas, limits, starts, ends).run(start)


def _limits(config: ConfigDict, task: Any, sets: data.Data) -> tuple[Limit, ...]:
    """The limits of `train.watch`. Raises UserError for a metric that the task does not have."""
    spec, size = sets.spec, config.data.batch_size
    metric, known = config.train.best_metric, evaluate.metric_names(task, spec)
    if config.train.patience and not (metric and config.train.eval_every):
        raise UserError("train.patience needs train.best_metric and train.eval_every.")
    if metric and metric not in known:
        raise UserError(f"train.best_metric: no metric {metric!r}.{hint(metric, known)}")
    logged = {"valid": lambda: known, "train": lambda: metrics_of_a_step(task, spec, size)}
    return watch.limits(config.train, logged)


def _make(workdir: epath.Path) -> None:
    try:
        paths.make_folder(workdir)
    except OSError as error:
        raise RunStopped(
            f"{workdir}: cannot be made ({error.strerror}); take another --workdir."
        ) from None


def _checkpoints(config: ConfigDict, workdir: epath.Path) -> Checkpoints:
    train = config.train
    return Checkpoints(str(workdir), train.best_metric, train.best_mode, train.keep, write=True)


def _announce(config: ConfigDict, workdir: epath.Path, start: Progress) -> Report:
    """Writes what is known at the start: config.json, runs.jsonl, a resume."""
    report = Report(workdir, config.train.steps, start.step, config.train.tensorboard)
    if report.active:
        write_atomically(workdir / "config.json", configs.to_json(config))
        sizes = runs.counts(start.state.params, start.state.stats)
        append(workdir / "runs.jsonl", runs.start_of_run(sizes))
    if start.step:
        report.event("resume", step=start.step)
        report.say(f"resuming {workdir} at step {start.step}")
    return report


def _loop(
    config: ConfigDict, replicas: Replicas, limits: tuple[Limit, ...], starts: Starts, ends: Ends
) -> Loop:
    """Puts the data in place and compiles."""
    sets, task, report = starts.sets, starts.task, ends.report
    feed = data.feed(sets.train, replicas, config.data.resident_mb)
    call = compile_steps(task, replicas, feed, config)
    measure = evaluate.evaluator(
        task,
        sets.valid,
        replicas,
        config.eval.batch_size,
        config.data.resident_mb,
        config.seed,
    )
    meter = Meter(config, replicas, limits, measure, len(sets.train), report, ends)
    keeper = Keeper(config, sets, starts.fingerprint, task, replicas, ends)
    trace = profiler(config.train.profile, starts.workdir)
    return Loop(config, sets, replicas, feed, call, starts, meter, keeper, ends, trace)


@dataclass(frozen=True)
class Loop:
    """What a run needs to go from a start to its end.

    Attributes:
      call: (state, shared, split) -> (state, {name: f32[steps_per_call]}), see `compile_steps`.
    """

    config: ConfigDict
    sets: data.Data
    replicas: Replicas
    feed: data.Feed
    call: Any
    starts: Starts
    meter: Meter
    keeper: Keeper
    ends: Ends
    profiler: Profiler

    def run(self, start: Progress) -> None:
        """From a start to the last step, or to what stops the run before it.

        Raises: RunStopped, Preempted or KeyboardInterrupt; see `genlab/training/ends.py`.
        """
        again: Progress | None = start
        with contextlib.closing(self.profiler):
            while again:
                again = self._attempt(again)

    def _attempt(self, start: Progress) -> Progress | None:
        """From a start to the end, or to the rollback whose start it returns."""
        here = dataclasses.replace(start, state=self.replicas.replicate(start.state))
        for part in self._parts(here):
            here = self._advance(here, part)
            self.ends.signals.take()  # from its first step on a run has something to save
            due = self._due(here.step)
            here = self.meter.collect(here) if due.numbers else here
            here, logged = self.meter.log(here) if due.log else (here, None)
            valid = self.meter.validate(here) if due.evaluate else None
            here, action = self.meter.heed(here, logged, valid)
            if action == "rollback":
                return self._roll_back(here, int(start.state.attempt))
            due = dataclasses.replace(due, stop=due.stop or action == "stop")
            here, best = self.keeper.note_best(here, valid)
            enough = valid is not None and patience_over(self.config.train, here.step, here.best)
            here = self.keeper.keep(here, due.as_last() if enough else due, valid, best)
            if action == "stop":
                self.ends.stopped_by_watch(here.step)
            if enough and not due.last:
                self.ends.out_of_patience(here.step, self.config.train, here.best)
                return None
            if due.stop and not due.last:
                self.ends.preempted(here.step)
        self.ends.finished(here.step)
        return None

    def _rows(self, step: int) -> Any:
        config, train = self.config, self.config.train
        size, n = config.data.batch_size, len(self.sets.train)
        return data.training_rows(config.seed, size, n, step, train.steps, train.steps_per_call)

    def _parts(self, start: Progress) -> Iterator[Any]:
        """What each call is fed; a file that is gone ends the run, not a checkpoint."""
        try:
            yield from self.feed.calls(self._rows(start.step))
        except OSError as error:
            self.ends.unreadable(error)

    def _advance(self, here: Progress, part: Any) -> Progress:
        """One call: `steps_per_call` steps, handed to the devices."""
        self.profiler.before(here.step)
        state, metrics = self.call(here.state, self.feed.shared, part)
        self.profiler.after(here.step + self.config.train.steps_per_call, metrics)
        pending = (*here.pending, (here.step, metrics))
        if len(pending) > IN_FLIGHT:
            jax.block_until_ready(pending[-IN_FLIGHT][1])
        scan = self.config.train.steps_per_call
        self.ends.report.advance(scan)
        board.write(here.step + scan)
        return dataclasses.replace(here, state=state, step=here.step + scan, pending=pending)

    def _due(self, step: int) -> Due:
        train = self.config.train
        due = lambda every: every > 0 and step % every == 0  # noqa: E731
        last = step >= train.steps
        return Due(
            log=due(train.log_every),
            evaluate=due(train.eval_every) or last,
            checkpoint=due(train.checkpoint_every) or last,
            sample=due(train.sample_every) or last,
            last=last,
            stop=self.ends.asked(step),
        )

    def _roll_back(self, here: Progress, attempt: int) -> Progress:
        start = self.starts.after_rollback(here.step, attempt + 1)
        self.ends.report.say(f"{self.starts.workdir}: back to step {start.step}, with other noise")
        return start
