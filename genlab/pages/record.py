"""What a workdir says of its run."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from etils import epath

from genlab import config as configs
from genlab import task as tasks
from genlab.errors import UserError
from genlab.workdir import configs as run_configs
from genlab.workdir import lines
from genlab.workdir.lines import Line


@dataclass(frozen=True)
class Record:
    """A run, as its files tell of it.

    config: {"data.batch_size": 32, ...}; empty where only evaluations were written.
    starts: the lines of runs.jsonl.
    """

    name: str
    folder: epath.Path
    config: dict[str, Any]
    metrics: list[Line]
    evaluations: list[Line]
    events: list[Line]
    starts: list[Line]

    @property
    def units(self) -> dict[str, str]:
        """Of the metrics of its family."""
        with contextlib.suppress(UserError):  # a family that is not installed here
            return dict(tasks.family(self.config.get("task", "")).units)
        return {}

    @property
    def headline(self) -> str:
        """Its metric to look at first: that of its family, else the first of its validation."""
        with contextlib.suppress(UserError):
            own: Any = tasks.family(self.config.get("task", "")).headline
            if isinstance(own, str):
                return own
        names = (n for line in self.metrics if line.get("split") == "valid" for n in line)
        return next((n for n in names if n not in ("step", "epoch", "split")), "")

    @property
    def step(self) -> int:
        """The last step that its lines tell of."""
        return max((line["step"] for line in self.metrics), default=0)

    @property
    def parameters(self) -> int | None:
        """Trainable numbers of all players."""
        if not self.starts:
            return None
        return sum(x["trainable"] for x in self.starts[-1].get("parameters", {}).values())

    @property
    def hardware(self) -> str:
        """ "8 x tpu:TPU v5e, 2 processes"; of several starts, each kind once."""
        return "; ".join(dict.fromkeys(hardware(start) for start in self.starts))


def read(name: str, folder: epath.Path) -> Record:
    """Reads a workdir. Lines that cannot be read are left out, as everywhere.

    Raises: UserError for a config that is not one.
    """
    found = (lines.read_lines(folder / f"{x}.jsonl") for x in ("metrics", "eval", "events", "runs"))
    metrics, evaluations, events, starts = found
    config = _config(folder / "config.json")
    return Record(name, folder, config, metrics, evaluations, events, starts)


def _config(path: epath.Path) -> dict[str, Any]:
    """Completed with today's defaults, so that runs of two versions differ in what they are."""
    try:
        config = run_configs.from_json(path.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a config ({error}).") from None
    with contextlib.suppress(UserError):  # a family or a network that is not installed here
        configs.complete(config)
    return configs.flat(config)


def hardware(start: Line) -> str:
    """The devices of a start, as "8 x tpu:TPU v5e"."""
    devices = start.get("devices", [])
    kinds = dict.fromkeys(devices)
    told = ", ".join(f"{devices.count(kind)} x {_device(kind)}" for kind in kinds)
    processes = start.get("processes", 1)
    return f"{told}, {processes} processes" if processes > 1 else told


def _device(name: str) -> str:
    """ "cpu:cpu" is "cpu"; "gpu:NVIDIA H100" is "NVIDIA H100"."""
    platform, _, kind = name.partition(":")
    return kind or platform


def shown(value: Any) -> str:
    """A value of a config, as one writes it."""
    return json.dumps(value) if isinstance(value, (bool, tuple, list)) else str(value)
