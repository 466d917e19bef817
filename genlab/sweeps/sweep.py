"""`--mode=sweep`: starts what is to be started of an experiment, and shows where all of it stands.

Whoever gives the command again looks at the same folder: a finished run is not repeated, a lost one
goes on, one that failed is told.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from genlab import config as configs
from genlab.errors import Held, Preempted, RunStopped, UserError, hint, log
from genlab.hosts import watchdog
from genlab.modes import report
from genlab.sweeps import books, halving, pictures, points, states, table
from genlab.sweeps.launcher import Launcher
from genlab.sweeps.points import Run
from genlab.sweeps.source import Source
from genlab.sweeps.states import Standing
from genlab.sweeps.table import Result
from genlab.sweeps.work import work
from genlab.workdir import lock, paths

AT_WORK = ("running", "queued")
POLL = 5.0  # seconds between two looks


def sweep(
    config: ConfigDict,
    workdir: str,
    source: Source,
    metrics: tuple[str, ...],
    launcher: Callable[[ConfigDict, epath.Path], Launcher],
) -> None:
    """Trains and evaluates every run that is not finished; keeps the table up to date.

    Args:
      launcher: makes one of the config's section `sweep` and the folder; see `launchers.choose`.

    Raises: RunStopped when runs have failed, Preempted (exit code 75) when some are unfinished.
    """
    if configs.flat(config.train.population):
        raise UserError("train.population: in a sweep, leave it out and set sweep.population.")
    folder = paths.of(workdir)
    if config.sweep.only:
        _alone(_prepared(config, folder, source), config.sweep)
        return
    if not source.points():
        watchdog.on_first(lambda: source.more([]))
    runs = _prepared(config, folder, source)
    paths.make_folder(folder)
    Sweep(config, folder, runs, source, metrics, launcher(config.sweep, folder)).run()


def _prepared(config: ConfigDict, folder: epath.Path, source: Source) -> list[Run]:
    """The runs of the points that are known by now."""
    runs = points.prepared(config, folder, source.points())
    halving.check(runs, config.sweep)
    return runs


def _alone(runs: Sequence[Run], settings: ConfigDict) -> None:
    """One run, for a launcher. Another process that does it already is no failure."""
    chosen = [run for run in runs if run.name == settings.only]
    if not chosen:
        names = [run.name for run in runs]
        raise UserError(f"sweep.only={settings.only}: no such run.{hint(settings.only, names)}")
    (run,) = chosen
    try:
        work(points.up_to(run, settings.until or run.steps))
    except Held as error:
        log.info("%s", error)


class Sweep:
    """The runs of an experiment on their way."""

    def __init__(
        self,
        config: ConfigDict,
        folder: epath.Path,
        runs: list[Run],
        source: Source,
        metrics: tuple[str, ...],
        launcher: Launcher,
    ) -> None:
        self.config, self.settings, self.folder = config, config.sweep, folder
        self.runs, self.source = runs, source
        self.metrics, self.launcher = metrics, launcher
        self._told: dict[str, str] = {}
        self._drawn: list[Result] = []

    def run(self) -> None:
        """Rung by rung, until nothing is left to start or to wait for; then shows it all."""
        watchdog.on_first(self._greet)
        try:
            self._go()
        except (Held, Preempted, KeyboardInterrupt):
            watchdog.on_first(self._show)
            raise
        watchdog.on_first(self._draw)
        if results := _results(self._standings()):
            with contextlib.nullcontext() if jax.process_count() > 1 else self._alone_at_files():
                pictures.draw_samples(self.folder, results)  # by all: they restore together
            watchdog.on_first(lambda: report.report(str(self.folder)))
        watchdog.on_first(self._show)
        self._end()

    def _greet(self) -> None:
        """Shows a sweep that has begun before."""
        if self.settings.retry:
            for run in self.runs:
                books.forget_failure(run)
        found = self._standings()
        if self.settings.wait and any(x.state not in ("done", "to do") for x in found):
            log.info("%s", states.shown(found))

    def _go(self) -> None:
        """Starts each run once to each rung; what others are at is waited for."""
        tried: list[list[Any]] = []
        while True:
            todo, others = watchdog.from_first(functools.partial(self._plan, tried))
            if not todo and not others:
                if not self._more():
                    return
                continue
            if todo:
                tried += todo
                known = {run.name: run for run in self.runs}
                runs = [points.up_to(known[name], steps) for name, steps in todo]
                self.launcher.start(runs, self._tell_together)
            if not self.settings.wait:
                return
            watchdog.on_first(self._wait)

    def _more(self) -> bool:
        """Whether there are further runs, now that all have ended."""
        if not watchdog.from_first(lambda: self.source.more(self.runs)):
            return False
        self.runs = _prepared(self.config, self.folder, self.source)
        return True

    def _tell_together(self) -> None:
        watchdog.on_first(self._tell)

    def _plan(self, tried: list[list[Any]]) -> tuple[list[list[Any]], bool]:
        """Name and steps of each run to start, and whether others are at some. The first process
        plans for all: while one of them looks, another may have gone on."""
        found = self._standings()
        startable = [[x.run.name, x.run.steps] for x in found if x.startable]
        return [x for x in startable if x not in tried], any(x.state in AT_WORK for x in found)

    def _standings(self) -> list[Standing]:
        """Of all runs, in the order of the experiment."""
        stage = halving.stage(self.runs, self.settings)
        seen = self.launcher.look([run for run in stage.active if not books.done(run)])
        found = states.standings(stage.active, seen)
        found += [Standing(run, "stopped", told) for run, told in stage.stopped]
        order = [run.name for run in self.runs]
        return sorted(found, key=lambda x: order.index(x.run.name))

    def _wait(self) -> None:
        """Until all runs that others are at have ended."""
        while any(x.state in AT_WORK for x in self._tell()):
            time.sleep(POLL)

    def _tell(self) -> list[Standing]:
        """Says which runs have changed, and brings the table up to date."""
        found = self._standings()
        for x in found:
            if x.state != self._told.get(x.run.name) and self._told:
                log.info("%s", f"{x.run.name}: {x.state} {x.told}".rstrip())
        self._told = {x.run.name: x.state for x in found}
        results = _results(found)
        if results and results != self._drawn:
            self._drawn = results
            with self._alone_at_files():
                table.write(self.folder, results, self.metrics)
                pictures.draw_metrics(self.folder, results, self.metrics)
        return found

    def _draw(self) -> None:
        if results := _results(self._tell()):
            with self._alone_at_files():
                pictures.draw_curves(self.folder, results, self.metrics)

    def _alone_at_files(self) -> contextlib.AbstractContextManager[None]:
        """Several may look at a sweep, and write its table and figures."""
        return lock.briefly(self.folder / "table", patience=600.0)

    def _show(self) -> None:
        """Prints where all runs stand, and the table of those that have ended."""
        found = self._tell()
        if any(x.state != "done" for x in found):
            print(states.shown(found))
        if _results(found):
            print((self.folder / "table.md").read_text(), end="")

    def _end(self) -> None:
        """Raises for runs that are not done."""
        unfinished, failed, told = watchdog.from_first(self._verdict)
        if unfinished:
            raise Preempted(f"{told}; the same command goes on.")
        if failed:
            raise RunStopped(f"{told}; mend the cause and add --config.sweep.retry=True.")

    def _verdict(self) -> tuple[bool, bool, str]:
        found = self._standings()
        unfinished = any(x.state in states.UNFINISHED for x in found)
        failed = any(x.state == "failed" for x in found)
        return unfinished, failed, f"{self.folder}: {states.counted(found)}"


def _results(found: Sequence[Standing]) -> list[Result]:
    """Of the runs that have ended: those trained to their end, and those that failed."""
    results = []
    for x in found:
        line: dict[str, Any] | None = books.evaluation(x.run) if x.state == "done" else None
        if line:
            results.append(Result.of(x.run.point, line))
        elif x.state == "failed":
            results.append(
                Result(x.run.point, {}, (books.failure(x.run) or {"error": ""})["error"])
            )
    return results
