"""One run of two processes, killed a hundred times at random moments; not part of the tests.

    python -m tests.kills [--kills=100] [--seed=0] [--longest=15] [--folder=...]

Each start is left alone for a random time, in which its processes meet, restore, compile, train and
save: half of the times from its beginning, half from its first checkpoint. Then one or both of them
(the process that users see, or the one below it, which trains) get SIGKILL or SIGTERM. One that is
left must end by itself. At last the run goes on to a step a little further, and must have the lines
and the parameters of a run of one process with two devices that nobody disturbed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from genlab import restore
from genlab.workdir import paths
from tests import launcher
from tests.sweeps import with_two_devices

MORE = 100  # steps after the last kill
ENDLESS = 10**7  # steps: no run gets there
FLAGS = (
    "--config=configs/digits_pixelcnn.py:smoke",
    "--config.train.eval_every=500",
    "--config.train.log_every=20",
    "--config.train.checkpoint_every=20",
    "--config.report.writers=()",
    "--config.model.features=4",
    "--config.model.layers=1",
    "--config.optim.schedule=constant",  # of the cosine the last step is part
    "--lost_timeout=10",
    "--join_timeout=20",
)


def start(workdir: Path, steps: int) -> list[launcher.Launch]:
    """Two processes that train together."""
    with socket.create_server(("", 0)) as free:
        where = f"--coordinator=localhost:{free.getsockname()[1]}"
    own = (*FLAGS, f"--workdir={workdir}", f"--config.train.steps={steps}", where, "--processes=2")
    return [launcher.start(*own, f"--process={i}") for i in range(2)]


def saved(workdir: Path) -> int:
    """The step of the newest checkpoint, 0 before the first."""
    return max(paths.checkpoints(str(workdir)), default=0)


def disturb(pair: list[launcher.Launch], workdir: Path, draw: random.Random, longest: float) -> str:
    """Kills one or both after a random time; what was done."""
    victims = draw.choice([(0,), (1,), (0, 1)])
    number = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    before = saved(workdir)
    if draw.random() < 0.5:
        while saved(workdir) == before and all(found.process.is_alive() for found in pair):
            time.sleep(0.05)
        longest /= 4
    time.sleep(draw.uniform(0, longest))
    below = draw.random() < 0.3
    for victim in victims:
        with contextlib.suppress(
            FileNotFoundError, ProcessLookupError
        ):  # it came in vain, and left
            os.kill(_below(pair[victim]) if below else pair[victim].process.pid, number)
    return f"{number.name} to {' and '.join(map(str, victims))}{' below' if below else ''}"


def _below(found: launcher.Launch) -> int:
    """The process that trains, if it is there already."""
    own = found.process.pid
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return int(children[0]) if children else own


def ends(pair: list[launcher.Launch]) -> tuple[list[int], float]:
    """Exit codes, and the seconds from now to the end of both."""
    began = time.monotonic()
    return [found.wait() for found in pair], time.monotonic() - began


def check_ends(pair: list[launcher.Launch], codes: list[int]) -> None:
    """Each was killed, or ended with one line about the loss; none printed a traceback."""
    for found, code in zip(pair, codes, strict=True):
        told = found.stderr
        killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)
        killed |= code == -signal.SIGTERM and not told  # before launch.py had begun
        alone = code == 2 and "did not come in time (--join_timeout)" in told
        assert (killed or alone or code == 75) and "Traceback" not in told, (codes, told)
    told = " ".join(found.stderr for found in pair)  # of those who save the first one says it
    assert 75 not in codes or "the same command " in told, (codes, told)


def check_equal(one: Path, other: Path) -> None:
    lines = [(folder / "metrics.jsonl").read_text() for folder in (one, other)]
    assert lines[0] == lines[1], "the lines differ"
    states = [restore(str(folder), weights="raw").state for folder in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *states)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=15, help="seconds before a kill")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    draw, counts, began = random.Random(given.seed), collections.Counter[str](), time.monotonic()
    slowest = 0.0
    for number in range(given.kills):
        before, pair = saved(folder / "run"), start(folder / "run", ENDLESS)
        what = disturb(pair, folder / "run", draw, given.longest)
        codes, seconds = ends(pair)
        check_ends(pair, codes)
        now = saved(folder / "run")
        assert now >= before, "a checkpoint was lost"
        counts[what] += 1
        slowest = max(slowest, seconds)
        print(f"{number + 1}: {what}, {codes} after {seconds:.1f} s; step {before} -> {now}",
              flush=True)  # fmt: skip
    steps = saved(folder / "run") + MORE
    assert [found.wait() for found in start(folder / "run", steps)] == [0, 0]
    alone = (*FLAGS, f"--workdir={folder / 'alone'}", f"--config.train.steps={steps}")
    assert launcher.launch(*alone, **with_two_devices()).returncode == 0
    check_equal(folder / "run", folder / "alone")
    starts = len((folder / "run" / "runs.jsonl").read_text().splitlines())
    report = {"kills": dict(counts), "starts that trained": starts, "steps": steps,
              "slowest end, s": round(slowest, 1),
              "minutes": round((time.monotonic() - began) / 60, 1)}  # fmt: skip
    print(json.dumps(report), file=sys.stdout)


if __name__ == "__main__":
    main()
