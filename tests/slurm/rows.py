"""What befalls two tasks of one run on the Slurm of up.sh, and what users do wrong: a table.

    python -m tests.slurm.rows [--only=PART]

A row says how both tasks ended, after how many seconds (from the start, or from what befell them),
and the last line that they said. Not part of the tests; it takes minutes. What two hosts meet when
a link or the power fails is in tests/test_two_hosts.py, preemption in tests/test_slurm.py.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT
from tests.sweeps import TINY, until

TRAIN = (
    "--config=configs/digits_pixelcnn.py:smoke",
    "--config.train.eval_every=0",
    "--config.train.log_every=20",
    "--config.train.checkpoint_every=20",
    "--config.report.writers=()",
    "--lost_timeout=20",
)
LONG, SHORT = "--config.train.steps=100000", "--config.train.steps=60"
AUTO = "--coordinator=auto"
FLAGS = r"(?<=python launch\.py)(?: --[^\s;)]+| '[^']+')+"
LAUNCH = (sys.executable, "launch.py")
SWEEP = (
    TINY
    + """

def sweep(add):
    for seed, start in enumerate(("", "/nowhere", "")):
        add({"seed": seed, "train.init_from": start, "train.steps": 40})
"""
)


@dataclass(frozen=True)
class Row:
    """A line of the table: its name, and the commands that bring it about.

    Attributes:
        flags: of all tasks; FOLDER is the row's folder, PROCESS the task's number.
        second: more flags of the second task.
        hidden: a folder of the row that the second task sees empty.
        befall: what befalls the tasks, by number and signal, when their run has first saved.
        by: "srun" of two tasks, "hand" for one process, "hands" for two, without Slurm.
        before: flags of a run that ends in the row's folder first, if any.
    """

    what: str
    flags: tuple[str, ...]
    second: tuple[str, ...] = ()
    hidden: str = ""
    befall: tuple[tuple[int, signal.Signals], ...] = ()
    by: str = "srun"
    before: tuple[str, ...] = ()


def rows() -> Iterator[Row]:
    """First runs that a signal ends, then mistakes of users."""
    run = (*TRAIN, "--workdir=FOLDER/run")
    both = (0, 1)
    term, kill = signal.SIGTERM, signal.SIGKILL
    for name in (term, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        sent = tuple((task, name) for task in both)
        yield Row(f"{name.name} to both", (*run, LONG, AUTO), befall=sent)
    yield Row("SIGTERM to process 1", (*run, LONG, AUTO), befall=((1, term),))
    for task in both:
        yield Row(f"`kill -9` of process {task}", (*run, LONG, AUTO), befall=((task, kill),))

    yield Row("two tasks, `--coordinator` not given", (*run, SHORT))
    yield Row("two trainings in one workdir", (*run, SHORT), by="hands")
    yield Row("other configs", (*run, SHORT, AUTO), second=("--config.seed=1",))
    yield Row("a workdir that the second host does not share", (*run, LONG, AUTO),
              hidden="run", before=(*run, SHORT))  # fmt: skip
    splits = [f"--config.data.{name}_split=train[300:]" for name in ("valid", "eval")]
    data = ("--config.data.source=folder:FOLDER/images", *splits)
    yield Row("data that the second host lacks", (*run, SHORT, AUTO, *data), hidden="images")

    told = ("--processes=3", "--process=PROCESS", "--join_timeout=40")
    yield Row("three asked for, two started", (*run, SHORT, "--coordinator=localhost:PORT", *told))
    told = ("--processes=2", "--process=PROCESS", "--join_timeout=40")
    yield Row("an unknown host", (*run, SHORT, "--coordinator=nowhere.invalid:7711", *told))
    yield Row("a coordinator without a port", (*run, SHORT, "--coordinator=localhost", *told))
    yield Row("`--process=2 --processes=2`", (*run, SHORT, "--coordinator=localhost:PORT",
              "--processes=2", "--process=2"), by="hand")  # fmt: skip
    yield Row("`--process` without a coordinator", (*run, SHORT, "--process=1"), by="hand")
    yield Row("`--coordinator=auto` outside Slurm", (*run, SHORT, AUTO), by="hand")

    sweep = ("--config=FOLDER/three.py", "--workdir=FOLDER/sweep", "--mode=sweep")
    yield Row("a mistake in point 2 of 3 of a sweep", sweep, by="hand")
    yield Row("one sweep, started twice", sweep, by="hands")


@dataclass(frozen=True)
class Trial:
    """A row, in a folder of its own."""

    row: Row
    folder: Path

    def prepare(self) -> None:
        """Fills the folder with what flags name."""
        for name in ("images", "empty"):
            (self.folder / name).mkdir(parents=True)
        for number in range(400):
            Image.new("L", (8, 8), number % 256).save(self.folder / "images" / f"{number}.png")
        (self.folder / "three.py").write_text(SWEEP)
        with socket.create_server(("", 0)) as free:
            (self.folder / "port").write_text(str(free.getsockname()[1]))

    def run(self) -> str:
        """Its line of the table."""
        self.prepare()
        if self.row.before:
            subprocess.run([*LAUNCH, *self.flags(0, self.row.before)], cwd=ROOT, check=True)
        began = time.time()
        started = [subprocess.Popen(command, cwd=ROOT) for command in self.commands()]
        if self.row.befall:
            saved = self.folder / "run" / "checkpoints" / "20"
            until(saved.exists)
            began = time.time()
            for task, number in self.row.befall:
                os.kill(int((self.folder / f"{task}.pid").read_text()), number)
        for process in started:
            process.wait()
        ends = [json.loads(p.read_text()) for p in sorted(self.folder.glob("*.end"))]
        codes = ", ".join(str(end["code"]) for end in ends)
        seconds = ", ".join(f"{end['time'] - began:.0f}" for end in ends)
        return f"| {self.row.what} | {codes} | {seconds} | {self.said()} |"

    def commands(self) -> list[list[str]]:
        """Of what is started."""
        own = [sys.executable, "-m", "tests.slurm.rows", f"--within={self.folder}"]
        own.append(f"--only={self.row.what}")
        if self.row.by == "srun":
            return [["srun", "--ntasks=2", "--kill-on-bad-exit=0", "--quiet", *own]]
        return [[*own, f"--task={i}"] for i in range(1 if self.row.by == "hand" else 2)]

    def be(self, task: int) -> None:
        """One task, from its start to its end."""
        command = [*LAUNCH, *self.flags(task, self.row.flags)]
        if task == 1:
            command += self.row.second
        if task == 1 and self.row.hidden:
            hide = f"mount --bind {self.folder}/empty {self.folder}/{self.row.hidden}"
            command = ["unshare", "--mount", "bash", "-c", f'{hide}; exec "$@"', "-", *command]
        with open(self.folder / f"{task}.said", "w") as said:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)
        (self.folder / f"{task}.pid").write_text(str(process.pid))
        end = {"code": process.wait(), "time": time.time()}
        (self.folder / f"{task}.end").write_text(json.dumps(end))

    def flags(self, task: int, flags: tuple[str, ...]) -> list[str]:
        port = (self.folder / "port").read_text()
        values = {"FOLDER": str(self.folder), "PROCESS": str(task), "PORT": port}
        for name, value in values.items():
            flags = tuple(flag.replace(name, value) for flag in flags)
        return list(flags)

    def said(self) -> str:
        """The last lines of both, each once, without progress and the flags of commands."""
        last = []
        for path in sorted(self.folder.glob("*.said")):
            text = path.read_text().replace(str(self.folder), "...")
            assert "Traceback" not in text, text
            text = re.sub(FLAGS, " ...", text)
            found = [line for line in text.splitlines() if not line.startswith("step ")]
            last += [line for line in found[-2:] if line not in last]
        return "; ".join(f"`{line}`" for line in last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="rows that have this in their name")
    parser.add_argument("--within", type=Path, help="be a task of the row in that folder")
    parser.add_argument("--task", type=int, default=int(os.environ.get("SLURM_PROCID", "0")))
    given = parser.parse_args()
    chosen = [row for row in rows() if given.only in row.what]
    if given.within:
        found = next(row for row in chosen if row.what == given.only)
        Trial(found, given.within).be(given.task)
        return
    root = Path(tempfile.mkdtemp(prefix="rows-"))
    print("| what | exit codes | seconds | the last line |\n| --- | --- | --- | --- |", flush=True)
    for number, row in enumerate(chosen):
        print(Trial(row, root / str(number)).run(), flush=True)


if __name__ == "__main__":
    main()
