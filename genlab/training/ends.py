"""The ways in which a run ends."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
from etils import epath
from ml_collections import ConfigDict

from genlab.errors import Preempted, RunStopped
from genlab.training.report import Report
from genlab.training.signals import Signals
from genlab.workdir import runs
from genlab.workdir.checkpoint import Checkpoints


def told_patience(train: ConfigDict, best: dict[str, float]) -> str:
    """Why a run ends early."""
    return (
        f"{train.best_metric} has not improved for {train.patience} evaluations, since step"
        f" {best['step']} ({best['value']:.4g})"
    )


@dataclass(frozen=True)
class Ends:
    """Each waits for what is being saved, and says how the run ended and where it stands."""

    workdir: epath.Path
    checkpoints: Checkpoints
    report: Report
    signals: Signals

    def asked(self, step: int) -> bool:
        """Whether a signal asks the run to stop at this step; the same on all hosts."""
        if jax.process_count() > 1:
            return self.checkpoints.reached_preemption(step) or self.signals.came_early()
        return self.signals.number is not None

    def finished(self, step: int) -> None:
        """At its last step."""
        self.checkpoints.wait()
        self.report.event("trained", step=step)
        made = [f"{n}/" for n in ("samples", "figures") if (self.workdir / n).exists()]
        told = f"; pictures in {', '.join(made)}" if made else ""
        self.report.say(f"{self.workdir}: trained to step {step}{told}.")

    def out_of_patience(self, step: int, train: ConfigDict, best: dict[str, float]) -> None:
        """By `train.patience`, before its last step."""
        self.checkpoints.wait()
        self.report.event("patience", step=step, metric=train.best_metric, best=best)
        told = told_patience(train, best)
        self.report.say(f"{self.workdir}: ended at step {step}: {told}; --mode=eval takes the"
                        " newest checkpoint, --config.eval.step=best that one.")  # fmt: skip

    def preempted(self, step: int) -> NoReturn:
        """By a signal. Raises Preempted, or KeyboardInterrupt for Ctrl-C."""
        self.checkpoints.wait()
        self.report.event("preempted", step=step)
        told = (
            f"{self.workdir}: stopped by {self.signals.name} and saved at step {step}; the same"
            f" command resumes: {runs.command()}"
        )
        if self.signals.number == signal.SIGINT:
            self.report.say(told)
            raise KeyboardInterrupt
        raise Preempted(told if self.report.active else "")

    def unreadable(self, error: OSError) -> NoReturn:
        """By data that can no longer be read; nothing more is saved."""
        self.checkpoints.wait()
        newest = max(self.checkpoints.manager.all_steps(), default=None)
        kept = "no checkpoint was saved yet" if newest is None else f"the last is step {newest}"
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise RunStopped(
            f"{self.workdir}: the data cannot be read ({' '.join(what.split())}); put it back and"
            f" give the same command again ({kept})."
        )

    def stopped_by_watch(self, step: int) -> NoReturn:
        """By a limit whose action is "stop"."""
        self.checkpoints.wait()
        self.report.event("stopped_by_watch", step=step)
        raise RunStopped(f"{self.workdir}: stopped by train.watch and saved at step {step}.")

    def not_finite(self, step: int, name: str, value: Any, saved: int | None) -> NoReturn:
        """By a metric, or an array of the state, that is not finite; saved: the last checkpoint."""
        self.checkpoints.wait()
        self.report.event("not_finite", step=step, metric=name, value=str(value))
        kept = (
            "no checkpoint was saved yet" if saved is None
            else f"the last good checkpoint is step {saved}"
        )  # fmt: skip
        raise RunStopped(
            f"{self.workdir}: {name} is {value} at step {step}; {kept}. Lower optim.learning_rate"
            " or set optim.clip_norm."
        )
