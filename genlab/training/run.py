"""One run on its way: what is due after each call, and what that leads to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
from ml_collections import ConfigDict

from genlab import data
from genlab.errors import Preempted, RunStopped
from genlab.parallel import Replicas
from genlab.training.ends import Ends
from genlab.training.keeping import Keeper
from genlab.training.measuring import Meter
from genlab.training.progress import Due, Progress, patience_over
from genlab.training.starts import Starts

GOES_ON, OVER, BACK = "goes on", "over", "back"


@dataclass(frozen=True)
class Run:
    """What a run needs to tell, measure and keep.

    images: in its training split.
    """

    config: ConfigDict
    replicas: Replicas
    images: int
    starts: Starts
    meter: Meter
    keeper: Keeper
    ends: Ends

    def rows(self, step: int) -> data.Rows:
        """The examples of its calls from a step on."""
        config, train = self.config, self.config.train
        size, scan = config.data.batch_size, train.steps_per_call
        return data.training_rows(config.seed, size, self.images, step, train.steps, scan)

    def begin(self, start: Progress) -> Progress:
        """A start, with its state on the devices."""
        return dataclasses.replace(start, state=self.replicas.replicate(start.state))

    def after(self, here: Progress) -> tuple[Progress, str]:
        """What is due after a call; and whether the run goes on, is over, or has gone back to its
        best checkpoint, which is then where it stands.

        Raises: RunStopped, Preempted or KeyboardInterrupt; see `genlab/training/ends.py`.
        """
        due = self._due(here.step)
        here = self.meter.collect(here) if due.numbers else here
        here, logged = self.meter.log(here) if due.log else (here, None)
        valid = self.meter.validate(here) if due.evaluate else None
        here, action = self.meter.heed(here, logged, valid)
        if action == "rollback":
            return self._roll_back(here), BACK
        due = dataclasses.replace(due, stop=due.stop or action == "stop")
        here, best = self.keeper.note_best(here, valid)
        enough = valid is not None and patience_over(self.config.train, here.step, here.best)
        here = self.keeper.keep(here, due.as_last() if enough else due, valid, best)
        if action == "stop":
            self.ends.stopped_by_watch(here.step)
        if due.last:
            self.ends.finished(here.step)
        elif enough:
            self.ends.out_of_patience(here.step, self.config.train, here.best)
        elif due.stop:
            self.ends.preempted(here.step)
        return here, OVER if due.last or enough else GOES_ON

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

    def _roll_back(self, here: Progress) -> Progress:
        attempt = int(jax.device_get(self.replicas.first(here.state)).attempt)
        start = self.starts.after_rollback(here.step, attempt + 1)
        self.ends.report.say(f"{self.starts.workdir}: back to step {start.step}, with other noise")
        return self.begin(start)


@dataclass
class Standing:
    """Where a run stands, and what stopped it, if anything has before its end."""

    run: Run
    here: Progress
    over: bool = False
    stopped: BaseException | None = None

    def advance(self, metrics: Any, steps: int) -> None:
        """Notes a call that has been handed to the devices."""
        pending = (*self.here.pending, (self.here.step, metrics))
        step = self.here.step + steps
        self.here = dataclasses.replace(self.here, step=step, pending=pending)
        self.run.ends.report.advance(steps)

    def after(self) -> bool:
        """Does what is due; whether the run has jumped to another step."""
        try:
            self.here, verdict = self.run.after(self.here)
        except (RunStopped, Preempted, KeyboardInterrupt) as error:
            self.stopped = error
            verdict = OVER
        self.over = verdict == OVER
        return verdict == BACK
