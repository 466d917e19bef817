"""Workdirs as training and evaluations write them, without either."""

from __future__ import annotations

from pathlib import Path

from etils import epath

from genlab.pages import record
from genlab.workdir import configs as run_configs
from genlab.workdir import lines
from tests.conftest import tiny_config

PROTOCOL = {"source": "digits", "split": "test", "images": 20, "estimate": "exact"}
FIRST = "2026-01-01T00:00:00Z"


def run(folder: Path, *, valid: float = 3.0, events=(), starts=(FIRST,), **changes) -> Path:
    """A workdir as training writes it, of six steps, without training."""
    config = tiny_config()
    config.update_from_flattened_dict(changes)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(run_configs.to_json(config))
    for step in (3, 6):
        for split, value in (("train", valid + 1), ("valid", valid)):
            line = {"step": step, "epoch": step / 5, "split": split, "nll": value / step}
            lines.append(folder / "metrics.jsonl", line)
    for time in starts:
        start = {"time": time, "command": ["launch.py", "--workdir=a b"], "commit": "abc-dirty"}
        start |= {"devices": ["cpu:cpu"], "versions": {"jax": "1"}, "processes": 1}
        start |= {"parameters": {"g": {"trainable": 7}, "d": {"trainable": 5}}}
        lines.append(folder / "runs.jsonl", start)
    lines.append(folder / "events.jsonl", *events)
    return folder


def evaluated(folder: Path, value: float, **protocol) -> Path:
    line = {"step": 6, "nll": value, "list": [1.0, 2.0], "protocol": PROTOCOL | protocol}
    lines.append(folder / "eval.jsonl", line | {"standard_error": {"nll": 0.5}})
    return folder


def read(*places: Path) -> list[record.Record]:
    return [record.read(place.name, epath.Path(place)) for place in places]
