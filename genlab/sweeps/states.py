"""Where each run of a sweep stands, as its folder and the launcher's queue tell."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genlab.sweeps import books
from genlab.sweeps.points import Run
from genlab.sweeps.work import LOCK
from genlab.workdir import lines, lock

QUEUED, RUNNING = "queued", "running"  # what a launcher says of a run
UNFINISHED = ("running", "queued", "preempted", "lost", "to do")


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    state: "done", "running", "queued", "failed", "preempted" (a signal stopped it), "lost" (it
      began and nobody goes on with it), "to do" or "stopped" (by halving).
    told: more about it, for a person.
    """

    run: Run
    state: str
    told: str = ""

    @property
    def startable(self) -> bool:
        """Whether a launcher should start it."""
        return self.state in ("preempted", "lost", "to do")


def standings(runs: Sequence[Run], seen: Mapping[str, str]) -> list[Standing]:
    """Of each run; seen: what the launcher says of them."""
    return [_standing(run, seen.get(run.name, "")) for run in runs]


def _standing(run: Run, seen: str) -> Standing:
    """seen: what the launcher says of it: QUEUED, RUNNING, how its job ended, or ""."""
    if books.done(run):
        return Standing(run, "done", f"step {run.steps}")
    step, began = _step(run), (run.folder / "config.json").exists()
    holder = lock.holder(run.folder, LOCK) or lock.holder(run.folder)
    if holder:
        at = f"step {step} of {run.steps}{_left(run, step)}"
        return Standing(run, "running", f"{at}, process {holder.pid} on {holder.host}")
    if failed := books.failure(run):
        log = f"; log: {failed['log']}" if failed["log"] else ""
        return Standing(run, "failed", f"{failed['error']}{log}")
    if seen == RUNNING:
        return Standing(run, "running", f"step {step} of {run.steps}, starting or ending")
    if seen == QUEUED:
        return Standing(run, "queued", f"goes on from step {step}" if step else "")
    if began or seen:
        told = f"step {step} of {run.steps}" + (f", {seen}" if seen else "")
        return Standing(run, "preempted" if _preempted(run) else "lost", told)
    return Standing(run, "to do")


def _step(run: Run) -> int:
    """The last step that its lines tell of."""
    return max((line["step"] for line in _lines(run, "metrics")), default=0)


def _left(run: Run, step: int) -> str:
    """How long it will take to its end, at the speed since its last start."""
    try:
        starts, path = _lines(run, "runs"), run.folder / "metrics.jsonl"
        began = calendar.timegm(time.strptime(starts[-1]["time"], "%Y-%m-%dT%H:%M:%SZ"))
        seconds = path.stat().mtime - began
    except (OSError, LookupError, ValueError):
        return ""
    resumed = [x["step"] for x in _lines(run, "events") if x["event"] == "resume"]
    steps = step - (resumed[-1] if len(starts) > 1 and resumed else 0)
    if steps <= 0 or seconds <= 0:
        return ""
    return f", {_duration((run.steps - step) * seconds / steps)} left"


def _duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _preempted(run: Run) -> bool:
    """Whether the last that happened to it was a signal that asked it to stop."""
    events = _lines(run, "events")
    return bool(events) and events[-1]["event"] == "preempted"


def _lines(run: Run, name: str) -> list[dict[str, Any]]:
    return lines.read_lines(run.folder / f"{name}.jsonl")


def shown(found: Sequence[Standing]) -> str:
    """A line for each run, and a count."""
    width = max(len(x.run.name) for x in found)
    rows = [f"{x.run.name:<{width}}  {x.state:<9}  {x.told}".rstrip() for x in found]
    return "\n".join([*rows, counted(found)])


def counted(found: Sequence[Standing]) -> str:
    """ "3 of 8 done, 1 running, 4 queued"."""
    names = ("running", "queued", "failed", "preempted", "lost", "to do", "stopped")
    count = {name: sum(x.state == name for x in found) for name in ("done", *names)}
    rest = [f"{count[name]} {name}" for name in names if count[name]]
    return ", ".join([f"{count['done']} of {len(found)} done", *rest])
