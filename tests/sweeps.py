"""Sweeps of tiny runs: in this process, or started through launch.py."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.launchers import choose as launchers
from genlab.sweeps import sweep
from genlab.sweeps.points import Point
from genlab.sweeps.source import Listed, Source
from tests import launcher
from tests.conftest import tiny_config

PATIENCE = 3600.0  # seconds: ends what would never come; no test waits for it
TINY = """
from configs import digits_pixelcnn

METRICS = ("nll",)


def get_config():
    config = digits_pixelcnn.get_config()
    config.model.update(features=4, layers=1, first_kernel=3, head=4)
    config.data.update(train_split="train[:40]", valid_split="train[40:56]")
    config.data.update(eval_split="test[:20]", batch_size=8)
    config.train.update(eval_every=0, log_every=20, checkpoint_every=20)
    config.report.writers = ()
    return config
"""
EXPERIMENT = (
    TINY
    + """

def sweep(add, arg):
    runs, steps, *broken = arg.split("-")
    for seed in range(int(runs)):
        add({"seed": seed, "train.steps": int(steps), "train.init_from": ""})
    for place in broken:
        add({"seed": 0, "train.steps": int(steps), "train.init_from": f"/{place}"})
"""
)


def experiment(**settings: Any) -> ConfigDict:
    """A tiny config with the section of sweeps."""
    config = tiny_config()
    configs.admit_sweep(config)
    config.sweep.update(**settings)
    return config


def swept(config: ConfigDict, workdir: str, found: list[Point], metrics: tuple[str, ...]) -> None:
    """`--mode=sweep` on this machine, in this process."""
    swept_from(Listed(found), config, workdir, metrics)


def swept_from(
    source: Source, config: ConfigDict, workdir: str, metrics: tuple[str, ...] = ()
) -> None:
    configs.admit_sweep(config)
    sweep.sweep(config, workdir, source, metrics, functools.partial(launchers.choose, "local"))


class Sweep:
    """A sweep in its folder; its runs are called by their seeds.

    arg: "<runs>-<steps>", and "-<name>" for each run that starts from a folder that is not there.
    """

    def __init__(self, arg: str, folder: Path):
        self.folder = folder
        file = folder.parent / "runs.py"
        file.write_text(EXPERIMENT)
        self.command = (f"--config={file}:{arg}", f"--workdir={folder}", "--mode=sweep")

    def start(self, *more: str, **environment: str) -> launcher.Launch:
        return launcher.start(*self.command, *more, environment=environment)

    def end(self, *more: str, **environment: str) -> launcher.Launch:
        found = self.start(*more, **environment)
        found.wait()
        assert "Traceback" not in found.stderr
        return found

    def on_slurm(self, *more: str) -> launcher.Launch:
        return self.end("--launcher=slurm", *more)

    def look(self, *more: str) -> str:
        """The table as it is now, when what was lost is submitted."""
        return self.on_slurm("--config.sweep.wait=False", *more).stdout

    def run(self, seed: int) -> Path:
        (found,) = self.folder.glob(f"seed={seed},*init_from=")
        return found

    def job(self, seed: int) -> str:
        return json.loads((self.run(seed) / "job.json").read_text())["job"]

    def jobs(self) -> set[str]:
        return {json.loads(p.read_text())["job"] for p in self.folder.glob("*/job.json")}

    def log(self, seed: int) -> str:
        path = Path(json.loads((self.run(seed) / "job.json").read_text())["log"])
        return path.read_text() if path.exists() else ""

    def saved(self, seed: int) -> int:
        """The step of its newest checkpoint, 0 before the first."""
        steps = self.folder.glob(f"seed={seed},*/checkpoints/[0-9]*")
        return max((int(p.name) for p in steps if p.name.isdigit()), default=0)

    def starts(self, seed: int) -> int:
        return len((self.run(seed) / "runs.jsonl").read_text().splitlines())

    def events(self, seed: int) -> list[str]:
        path = self.run(seed) / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)["event"] for line in lines]

    def at_work(self) -> list[Path]:
        return list(self.folder.glob("*/run.lock"))

    def lines(self) -> dict[str, str]:
        """What all runs measured."""
        return {
            f"{path.parent.name}/{path.name}": path.read_text()
            for name in ("metrics", "eval")
            for path in self.folder.glob(f"*/{name}.jsonl")
        }


def until(holds: Callable[[], object]) -> None:
    """Waits; what it waits for must come."""
    stop = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < stop
        time.sleep(0.2)


def line_of(shown: str, seed: int) -> str:
    (line,) = [x for x in shown.splitlines() if x.startswith(f"seed={seed},")]
    return line


def scancel(*given: str) -> None:
    subprocess.run(["scancel", *given], check=True)


def state(job: str) -> str:
    """What Slurm says of it."""
    return _squeue(job, "%T")


def requeued(job: str) -> bool:
    """Whether Slurm has put it back into its queue.

    What submitit says of it may be lost: the signal that it asks for may end the command that asks.
    """
    told = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True).stdout
    return " Restarts=" in told and " Restarts=0 " not in told


def _squeue(job: str, form: str) -> str:
    asked = ["squeue", "--noheader", "--array", "--states=all", f"--format={form}"]
    asked.append(f"--jobs={job}")
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def limit(job: str, minutes: int) -> None:
    """Lets a job have so many more minutes, as Slurm counts them: whole ones, from its start."""
    *_, hours, past, _ = [0, *map(int, re.split("[-:]", "0:" + _squeue(job, "%M")))]
    whole = f"TimeLimit={60 * hours + past + minutes}"
    subprocess.run(["scontrol", "update", f"JobId={job}", whole], check=True)


def preempt() -> None:
    """A job that outranks all others takes the whole node for a moment."""
    job = ("--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true")
    subprocess.run(["sbatch", *job], check=True, capture_output=True)


def with_two_devices() -> dict[str, str]:
    flags = os.environ.get("XLA_FLAGS", "")
    return {"XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2"}
