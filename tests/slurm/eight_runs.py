"""A sweep of eight runs on the Slurm of up.sh, two at a time, and all that may befall it.

    python -m tests.slurm.eight_runs [folder]

Prints the table at each moment: the command that submitted is killed, a job is cancelled, another
gets SIGTERM, a third meets its time limit (cut while it runs), and one config is wrong. The runs
that end must be equal, byte for byte, to those of a local sweep. Not part of the tests; it takes
minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.sweeps import TINY, Sweep, limit, requeued, scancel, state, until

SMOKE = (
    TINY
    + """
STEPS = {0: 1500, 1: 4000, 2: 1500}  # of seeds that something befalls on their way


def sweep(add):
    for seed in range(7):
        add({"seed": seed, "train.steps": STEPS.get(seed, 200), "train.init_from": ""})
    add({"seed": 0, "train.steps": 200, "train.init_from": "/nowhere"})
"""
)
LIMITS = (
    "--config.sweep.slurm.cpus=2",  # of the four that the node claims: two runs at a time
    "--config.sweep.slurm.minutes=10",
    "--config.sweep.slurm.save_seconds=100",
)
BEGAN = time.monotonic()


class Eight(Sweep):
    def __init__(self, folder: Path):
        self.folder = folder
        file = folder.parent / "eight.py"
        file.write_text(SMOKE)
        self.command = (f"--config={file}", f"--workdir={folder}", "--mode=sweep")

    def trains(self, seed: int) -> bool:
        """Whether a run is amid its steps."""
        return self.saved(seed) > 0 and state(self.job(seed)) == "RUNNING"

    def show(self, moment: str) -> None:
        """The table as it is now; what is lost is submitted."""
        told = self.end("--launcher=slurm", *LIMITS, "--config.sweep.wait=False").stdout
        print(f"\n## {moment} ({time.monotonic() - BEGAN:.0f} s)\n{told}", flush=True)


def main() -> None:
    root = Path(sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp(prefix="eight-"))
    root.mkdir(exist_ok=True)
    slurm, local = Eight(root / "slurm"), Eight(root / "local")
    controller = slurm.start("--launcher=slurm", *LIMITS)
    until(lambda: len(slurm.jobs()) == 8)
    controller.process.kill()
    slurm.show("submitted, and the command that submitted killed")
    until(lambda: slurm.saved(0))
    first = slurm.job(0)
    scancel(first)
    until(lambda: state(first) == "CANCELLED")
    slurm.show("seed 0 cancelled, and submitted again")
    until(lambda: slurm.saved(1))
    limit(slurm.job(1), 2)
    until(lambda: slurm.trains(2))
    scancel("--signal=TERM", slurm.job(2))
    until(lambda: "preempted" in slurm.events(2))
    slurm.show("seed 2 preempted")
    until(lambda: "timed-out" in slurm.log(1) and requeued(slurm.job(1)))
    limit(slurm.job(1), 600)
    slurm.show("seed 1 met its time limit, and is back in the queue")
    ended = slurm.on_slurm(*LIMITS)
    print(f"\n## the end, exit code {ended.returncode}\n{ended.stdout}{ended.stderr}", flush=True)
    assert ended.returncode == 1 and "7 of 8 done, 1 failed" in ended.stderr
    assert local.end().returncode == 1
    assert slurm.lines() == local.lines() and len(local.lines()) == 14
    for seed in range(7):
        print(f"seed {seed}: {slurm.starts(seed)} starts, {slurm.events(seed)}")
    print(f"equal byte for byte: {len(local.lines())} files; {time.monotonic() - BEGAN:.0f} s")


if __name__ == "__main__":
    main()
