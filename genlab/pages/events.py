"""What happened to runs, in words."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from genlab.pages.record import Record, hardware
from genlab.workdir.lines import Line

GRAVE = ("watch", "rollback", "not_finite", "stopped_by_watch", "preempted")


@dataclass(frozen=True)
class Event:
    """time: "" where an older version did not note it."""

    run: str
    step: int | None
    time: str
    kind: str
    told: str
    grave: bool


def events(record: Record) -> list[Event]:
    """Starts and events in their order: each resume belongs to the next start."""
    starts, found = iter(record.starts), []
    if first := next(starts, None):
        found.append(_start(record, first))
    for line in record.events:
        if line["event"] == "resume" and (again := next(starts, None)):
            found.append(_start(record, again))
        found.append(_event(record, line))
    return found + [_start(record, again) for again in starts]


def _start(record: Record, start: Line) -> Event:
    commit = start.get("commit") or ""
    told = [hardware(start), f"commit {commit[:12]}" if commit else ""]
    told += [f"jax {start['versions']['jax']}"] if start.get("versions") else []
    return Event(
        record.name, None, start.get("time", ""), "start", ", ".join(filter(None, told)), False
    )


def _event(record: Record, line: Line) -> Event:
    kind, told = line["event"], _told(line)
    return Event(record.name, line.get("step"), line.get("time", ""), kind, told, kind in GRAVE)


def _told(line: dict[str, Any]) -> str:
    match line["event"]:
        case "resume":
            return "went on from its checkpoint"
        case "watch":
            return f"{line['metric']} is {line['value']:.4g}, outside its limits: {line['action']}"
        case "rollback":
            return f"back to step {line['to']} with other random numbers, attempt {line['attempt']}"
        case "not_finite":
            return f"{line['metric']} is {line['value']}"
        case "preempted":
            return "stopped by a signal, after saving"
        case "patience":
            best = line["best"]
            return f"{line['metric']} no better since step {best['step']} ({best['value']:.4g})"
        case "stopped_by_watch":
            return "stopped by train.watch, after saving"
        case "trained":
            return "trained to its end"
    known = ("event", "step", "time")
    return json.dumps({name: x for name, x in line.items() if name not in known})


@dataclass(frozen=True)
class Commands:
    """How to make a run again: the commit of its code, and the commands given."""

    run: str
    commit: str
    dirty: bool
    versions: str
    lines: list[str]


def commands(record: Record) -> Commands | None:
    """Of a run that was started; each command once, in their order."""
    if not record.starts:
        return None
    commit = record.starts[0].get("commit") or ""
    versions = record.starts[0].get("versions", {})
    given = [shlex.join(["python", *start.get("command", [])]) for start in record.starts]
    folder = shlex.quote(str(record.folder))
    evaluated = [f"python launch.py --workdir={folder} --mode=eval"] if record.evaluations else []
    return Commands(
        record.name,
        commit.removesuffix("-dirty"),
        commit.endswith("-dirty"),
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        list(dict.fromkeys(given)) + evaluated,
    )
