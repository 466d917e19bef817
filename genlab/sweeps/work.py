"""One run of a sweep: trained and measured as far as needed, or why not."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import jax
from ml_collections import ConfigDict

from genlab.errors import Held, Preempted, RunStopped
from genlab.hosts import stops, watchdog, writer
from genlab.modes import evaluate
from genlab.sweeps import books
from genlab.sweeps.points import Run
from genlab.training import loop as train
from genlab.training.population import Member
from genlab.workdir import configs, paths

LOCK = "run.lock"  # held from the first step to the end of the evaluation


def work(run: Run) -> None:
    """Brings a run to its end, in this process; notes on disk why it could not.

    Raises: Held if another process does; Preempted or KeyboardInterrupt if a signal stopped it on
      its way; else what made it fail.
    """
    if books.done(run):
        return
    paths.make_folder(run.folder)
    with writer.held_by_first(run.folder, LOCK):
        try:
            _trained_and_measured(run)
        except (Held, Preempted):
            raise
        except Exception as error:
            if jax.process_index() == 0 and not watchdog.is_loss(error):
                books.keep_failure(run, error)
            raise


def train_together(runs: Sequence[Run]) -> None:
    """Trains runs by one program as far as they come together; what fails alone is left to `work`.

    Raises: UserError for runs that differ in what one program cannot; Preempted, KeyboardInterrupt.
    """
    runs = [run for run in runs if not books.done(run)]
    with contextlib.ExitStack() as stack:
        for run in runs:
            paths.make_folder(run.folder)
            stack.enter_context(writer.held_by_first(run.folder, LOCK))
        with contextlib.suppress(RunStopped):
            train.train_together([Member(_up_to_now(run), str(run.folder)) for run in runs])


def _up_to_now(run: Run) -> ConfigDict:
    config = configs.copy(run.config).unlock()
    config.train.steps = run.steps
    return config.lock()


def _trained_and_measured(run: Run) -> None:
    folder, config = str(run.folder), _up_to_now(run)
    if jax.process_index() == 0:
        books.forget_failure(run)
    train.train(config, folder)
    if jax.process_count() == 1:  # several stop together, at the first step of the next run
        stops.answer()
    if run.whole:
        evaluate.evaluate_run(config, folder)
    elif jax.process_index() == 0:
        books.keep_rung(run)
