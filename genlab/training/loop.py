"""The only training loop."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from genlab import config as settings
from genlab import data, evaluate, parallel
from genlab import task as tasks
from genlab.data.fingerprint import fingerprint
from genlab.errors import RunStopped, UserError, hint
from genlab.hosts import board, writer
from genlab.parallel import Replicas
from genlab.trackers import choose as trackers
from genlab.training import watch
from genlab.training.compiled import compile_steps, compile_together, metrics_of_a_step
from genlab.training.ends import Ends, told_patience
from genlab.training.keeping import Keeper
from genlab.training.measuring import Meter
from genlab.training.population import Member, Population, members, population
from genlab.training.profiling import Profiler, profiler
from genlab.training.progress import Progress, patience_over
from genlab.training.report import Report
from genlab.training.run import Run, Standing
from genlab.training.signals import Signals
from genlab.training.starts import Starts
from genlab.training.watch import Limit
from genlab.workdir import configs, paths, runs
from genlab.workdir.checkpoint import Checkpoints
from genlab.workdir.lines import append, write_atomically

IN_FLIGHT = 8  # calls handed to the device before the host waits for one


def train(config: ConfigDict, workdir: str) -> None:
    """Trains to `config.train.steps`, going on from the workdir's newest checkpoint if any; with
    `train.population` all of its runs at once, each in a folder of its own.

    Raises: UserError for what the user can mend; RunStopped when a number is no longer finite.
    """
    settings.check_values(config)
    train_together(members(config, workdir))


def train_together(wanted: Sequence[Member]) -> None:
    """Trains runs by one program, each as if it were alone, up to rounding.

    Raises: UserError for runs that differ in what one program cannot; see `train`.
    """
    config = wanted[0].config
    trackers.refuse_missing(config.report.writers)
    replicas = parallel.replicas(config.parallel)
    for one in wanted:
        configs.refuse_another_run(one.config, one.workdir)
    sets = data.load(config.data)
    sets.check()
    replicas.check(config.data.batch_size)
    together = population(wanted, sets.spec) if len(wanted) > 1 else None
    with contextlib.ExitStack() as stack:
        opened = [_open(one, sets, stack) for one in wanted]
        if all(each.over for each in opened):
            return
        signals = stack.enter_context(contextlib.closing(Signals()))
        several = len(opened) > 1
        standings = [_standing(each, replicas, signals, several, stack) for each in opened]
        _loop(standings, replicas, sets, together).run()
        signals.hand_on()


@dataclass(frozen=True)
class Opened:
    """A run whose workdir is held; over: whether there is nothing left to train."""

    starts: Starts
    start: Progress
    limits: tuple[Limit, ...]
    over: bool


def _open(one: Member, sets: data.Data, stack: contextlib.ExitStack) -> Opened:
    config, folder = one.config, paths.of(one.workdir)
    task = tasks.load(config, sets.spec)
    limits = _limits(config, task, sets)
    _make(folder)
    stack.enter_context(writer.held_by_first(folder))
    checkpoints = stack.enter_context(contextlib.closing(_checkpoints(config, folder)))
    starts = Starts(checkpoints, folder, task, sets, fingerprint(sets), config)
    start, why = starts.first(), ""
    if start.step >= config.train.steps:
        why = f" is at step {start.step} of {config.train.steps}"
    elif patience_over(config.train, start.step, start.best):
        why = f": {told_patience(config.train, start.best)}"
    if why:
        print(f"{one.workdir}{why}: nothing to train.")
    return Opened(starts, start, limits, bool(why))


def _standing(
    opened: Opened,
    replicas: Replicas,
    signals: Signals,
    several: bool,
    stack: contextlib.ExitStack,
) -> Standing:
    starts = opened.starts
    config, sets, task = starts.config, starts.sets, starts.task
    report = stack.enter_context(contextlib.closing(_announce(opened, several)))
    ends = Ends(starts.workdir, starts.checkpoints, report, signals)
    size, resident, images = config.eval.batch_size, config.data.resident_mb, len(sets.train)
    measure = evaluate.evaluator(task, sets.valid, replicas, size, resident, config.seed)
    meter = Meter(config, replicas, opened.limits, measure, images, report, ends)
    keeper = Keeper(config, sets, starts.fingerprint, task, replicas, ends)
    run = Run(config, replicas, images, starts, meter, keeper, ends)
    return Standing(run, run.begin(opened.start), opened.over)


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


def _announce(opened: Opened, several: bool) -> Report:
    """Writes what is known at the start: config.json, runs.jsonl, a resume."""
    config, workdir, start = opened.starts.config, opened.starts.workdir, opened.start
    writes = jax.process_index() == 0 and not opened.over
    names = trackers.available(config.report.writers) if writes else []
    told = trackers.opened(names, workdir, config.report.project, settings.flat(config))
    name = workdir.name if several else ""
    report = Report(workdir, config.train.steps, start.step, told, name)
    if opened.over:
        return report
    if report.active:
        write_atomically(workdir / "config.json", configs.to_json(config))
        sizes = runs.counts(start.state.params, start.state.stats)
        append(workdir / "runs.jsonl", runs.start_of_run(sizes))
    if start.step:
        report.event("resume", step=start.step)
        report.say(f"resuming {workdir} at step {start.step}")
    return report


def _loop(
    standings: list[Standing], replicas: Replicas, sets: data.Data, together: Population | None
) -> Loop:
    """Puts the training data in place and compiles."""
    first = standings[0].run
    feed = data.feed(sets.train, replicas, first.config.data.resident_mb)
    trace = profiler(first.config.train.profile, first.starts.workdir)
    if together:
        call = compile_together(together, sets.spec, replicas, feed)
    else:
        call = _of_one(compile_steps(first.starts.task, replicas, feed, first.config))
    return Loop(standings, feed, call, first.config.train.steps_per_call, trace)


def _of_one(call: Any) -> Any:
    """A call of one state as one of several."""

    def together(states: tuple[Any], shared: Any, part: Any) -> tuple[Any, Any]:
        state, metrics = call(states[0], shared, part)
        return (state,), (metrics,)

    return together


@dataclass(frozen=True)
class Loop:
    """What runs need to go from where they stand to their ends, by one program.

    Attributes:
      call: (states, shared, split) -> (states, ({name: f32[steps_per_call]}, ...)), one of each
        run; see `genlab/training/compiled.py`.
      scan: steps of a call.
    """

    standings: list[Standing]
    feed: data.Feed
    call: Any
    scan: int
    profiler: Profiler

    def run(self) -> None:
        """To the last step of each run, or to what stops it before that.

        Raises: RunStopped, Preempted or KeyboardInterrupt, when no run goes on.
        """
        with contextlib.closing(self.profiler):
            while self._going:
                self._until_one_jumps()
        _tell_stopped(self.standings)

    @property
    def _going(self) -> list[Standing]:
        return [each for each in self.standings if not each.over]

    def _until_one_jumps(self) -> None:
        """Goes on until all are over, or one has gone back to another step."""
        for part in self._parts():
            self._advance(part)
            self._going[0].run.ends.signals.take()  # from the first step on there is some to save
            jumped = [each.after() for each in self._going]
            if any(jumped) or not self._going:
                return

    def _parts(self) -> Iterator[Any]:
        """What each call is fed; a file that is gone ends the runs, not a checkpoint."""
        try:
            yield from self.feed.calls(self._rows())
        except OSError as error:
            self._going[0].run.ends.unreadable(error)

    def _rows(self) -> data.Rows:
        """The rows of all runs, one after another: i64[steps*runs,B]. Runs that are over take part
        to no end, with any rows."""
        each = [standing.run.rows(standing.here.step) for standing in self.standings]
        count = max(len(rows) for rows in each)
        idle = np.zeros((self.scan, self._batch), np.int64)

        def rows(call: int) -> np.ndarray:
            own = [one[call] if call < len(one) else idle for one in each]
            return np.stack(own, 1).reshape(-1, self._batch)  # i64[steps,runs,B] -> [.,B]

        return data.Rows(count, rows)

    @property
    def _batch(self) -> int:
        return self.standings[0].run.config.data.batch_size

    def _advance(self, part: Any) -> None:
        """One call: `steps_per_call` steps, handed to the devices."""
        leading = self._going[0]
        self.profiler.before(leading.here.step)
        states = tuple(standing.here.state for standing in self.standings)
        states, metrics = self.call(states, self.feed.shared, part)
        self.profiler.after(leading.here.step + self.scan, metrics)
        for standing, state, own in zip(self.standings, states, metrics, strict=True):
            standing.here = dataclasses.replace(standing.here, state=state)
            if not standing.over:
                standing.advance(own, self.scan)
        pending = leading.here.pending
        if len(pending) > IN_FLIGHT:
            jax.block_until_ready(pending[-IN_FLIGHT][1])
        board.write(leading.here.step)


def _tell_stopped(standings: Sequence[Standing]) -> None:
    """Raises for runs that were stopped before their ends: of one its own error; of several what a
    signal did first, else all that failed."""
    stopped = [each.stopped for each in standings if each.stopped]
    if not stopped:
        return
    for error in stopped:
        if len(standings) == 1 or not isinstance(error, RunStopped):
            raise error
    told = " ".join(str(error) for error in stopped)
    raise RunStopped(f"{len(stopped)} of {len(standings)} runs stopped: {told}")
