"""Where a run stands, and how long it took, as its workdir tells."""

from __future__ import annotations

import calendar
import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from etils import epath

from genlab.pages.record import Record
from genlab.workdir import lock, runs

LOCKS = ("lock", "run.lock")  # of a run, and of a run of a sweep
ENDS = {
    "trained": "trained",
    "patience": "trained",
    "preempted": "stopped",
    "stopped_by_watch": "stopped",
    "not_finite": "failed",
}
TOLD = {
    "patience": "ended early by train.patience",
    "preempted": "a signal stopped it; the same command goes on",
    "stopped_by_watch": "train.watch stopped it",
}


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    state: "running", "trained", "stopped" (it may go on), "failed", "lost" (it began, and nobody is
      at it) or "evaluated" (its workdir holds evaluations alone).
    told: more about it.
    seconds: of training, over all starts; None where nothing tells.
    exact: whether they are all of it; else the end of a start that was killed is missing.
    """

    state: str
    told: str
    step: int
    steps: int
    seconds: float | None
    exact: bool


def standing(record: Record) -> Standing:
    """Where a run stands now."""
    steps = record.config.get("train.steps", 0)
    state, told = _state(record, steps)
    seconds, exact = duration(record)
    return Standing(state, told, record.step, steps, seconds, exact and state != "running")


def _state(record: Record, steps: int) -> tuple[str, str]:
    for name in LOCKS:
        if holder := lock.holder(record.folder, name):
            return "running", f"process {holder.pid} on {holder.host}"
    if failure := _failure(record.folder):
        return "failed", failure
    if not record.starts and not record.metrics:
        return ("evaluated", "") if record.evaluations else ("lost", "it has not begun")
    if steps and record.step >= steps:
        return "trained", ""
    last = record.events[-1] if record.events else {"event": ""}
    if last["event"] == "not_finite":
        return "failed", f"{last['metric']} is {last['value']} at step {last['step']}"
    if last["event"] in ENDS:
        return ENDS[last["event"]], TOLD.get(last["event"], "")
    return "lost", "nobody is at it; the same command goes on"


def _failure(folder: epath.Path) -> str:
    """Why a run of a sweep failed."""
    try:
        return str(json.loads((folder / "failed.json").read_text())["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def duration(record: Record) -> tuple[float | None, bool]:
    """Seconds from each start to the last that is known of it, and whether that was its end: what
    an event or a finished checkpoint says, never the time of a file, which a copy changes."""
    began = [seconds for start in record.starts if (seconds := _seconds(start.get("time")))]
    marks, total, exact = sorted(_marks(record)), 0.0, True
    for start, following in pairwise([*began, math.inf]):
        own = [(when, ends) for when, ends in marks if start <= when < following]
        if own:
            total += own[-1][0] - start
        exact &= bool(own) and own[-1][1]
    return (total, exact) if total else (None, False)


def _marks(record: Record) -> Iterator[tuple[float, bool]]:
    """Moments at which the run was there, and whether it then ended."""
    for event in record.events:
        if when := _seconds(event.get("time")):
            yield when, event["event"] in ENDS
    for path in (record.folder / "checkpoints").glob("[0-9]*/_CHECKPOINT_METADATA"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            when = json.loads(path.read_text())["commit_timestamp_nsecs"] / 1e9
            yield when, path.parent.name == str(record.config.get("train.steps"))


def _seconds(text: str | None) -> float:
    """Since the epoch; 0 where there is no time."""
    try:
        return calendar.timegm(time.strptime(text or "", runs.TIME))
    except ValueError:
        return 0.0


def spoken(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
