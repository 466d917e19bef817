"""What a run tells: lines of JSON, trackers, and a person at a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from typing import Any

import jax
import numpy as np
from etils import epath
from tqdm import tqdm

from genlab.errors import log
from genlab.trackers.contract import Writer
from genlab.training.watch import Limit
from genlab.workdir import runs
from genlab.workdir.lines import Appended, append


class Report:
    """Where a training run writes. On all processes but the first it is silent.

    metrics.jsonl holds only what config and step determine; speeds go to the bar and trackers.
    Of several runs at once each has a `name`, for a person.
    """

    def __init__(
        self, workdir: epath.Path, steps: int, start: int, trackers: Writer, name: str = ""
    ) -> None:
        self.workdir, self.steps, self.active = workdir, steps, jax.process_index() == 0
        self.name = f"{name} " if name else ""
        self.lines = Appended(workdir / "metrics.jsonl")
        self.trackers = trackers
        self.began, self.start, self.told = time.monotonic(), start, deque([-math.inf], 1)
        terminal = sys.stderr.isatty() and self.active
        self.bar = tqdm(total=steps, initial=start, unit="step", disable=not terminal)

    def metrics(self, step: int, epoch: float, split: str, values: dict[str, Any]) -> None:
        """One line of metrics.jsonl, the same to trackers, and word to the terminal; numbers only,
        lists are left to evaluations."""
        if not self.active:
            return
        values = {name: x for name, x in values.items() if not isinstance(x, list)}
        line = {"step": step, "epoch": round(epoch, 4), "split": split, **values}
        self.lines.add(line)
        self.trackers.scalars(step, {f"{split}/{k}": v for k, v in values.items()})
        shown = {k: v for k, v in values.items() if "/" not in k}
        text = ", ".join(f"{k} {v:.4g}" for k, v in shown.items())
        if not self.bar.disable:
            self.bar.write(
                f"{self.name}step {step} {split}: {text}", sys.stderr
            ) if split != "train" else (self.bar.set_postfix_str(text))
        elif split != "train" or time.monotonic() - self.told[0] > 10:
            self.told.append(time.monotonic())
            place = f"{self.name}step {step}/{self.steps}"
            log.info("%s %s: %s%s", place, split, text, self._left(step))

    def _left(self, step: int) -> str:
        speed = (step - self.start) / (time.monotonic() - self.began)
        return f" ({speed:.3g} steps/s, {(self.steps - step) / speed:.0f} s left)" if speed else ""

    def advance(self, steps: int) -> None:
        """Moves the bar."""
        self.bar.update(steps)

    def event(self, kind: str, **what: Any) -> None:
        """One line of events.jsonl: something that happened, such as a resume, and when."""
        if self.active:
            append(self.workdir / "events.jsonl", {"event": kind, **what, "time": runs.now()})

    def alarm(self, limit: Limit, value: float, step: int) -> None:
        """A watched metric that left its limits."""
        said = {"metric": limit.metric, "value": value, "action": limit.action}
        self.event("watch", step=step, **said)
        self.say(f"{self.workdir}: {limit.told(value, step)}: {limit.action}")

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """u8[h,w,3] to trackers."""
        self.trackers.image(step, name, picture)

    def say(self, text: str) -> None:
        """A line for a person, above the bar."""
        if self.active:
            tqdm.write(text, sys.stderr)

    def flush(self) -> None:
        """Writes the lines that wait for a checkpoint."""
        self.lines.flush()

    def close(self) -> None:
        """Writes what waits, and ends the bar and the trackers."""
        self.flush()
        self.bar.close()
        speed = (self.bar.n - self.start) / max(time.monotonic() - self.began, 1e-9)
        self.trackers.scalars(self.bar.n, {"steps_per_second": speed})
        self.trackers.close()
