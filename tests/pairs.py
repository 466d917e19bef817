"""Two processes on one workdir, at random distances: `python tests/pairs.py [pairs] [seed]`.

Not in the suite. One of the two trains to the end, and its lines are those of a run alone; the
other is refused in one line that names it, or, started when the first had ended, finds the run
trained.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = ["--config=configs/digits_pixelcnn.py:smoke", "--config.train.steps=40"]
EVERY = [f"--config.train.{name}_every=10" for name in ("log", "eval", "checkpoint")]


def start(workdir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "launch.py", f"--workdir={workdir}", *RUN, *EVERY]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    told = process.communicate()[0]
    return process.returncode, told.strip().splitlines()[-1]


def pair(folder: Path, distance: float, alone: bytes, seconds: float) -> None:
    """Starts two and holds them to what they must do."""
    first = start(folder)
    time.sleep(distance)
    second = start(folder)
    results = [end(first), end(second)]
    codes = sorted(code for code, _ in results)
    refused = [line for code, line in results if code == 2]
    print(f"{distance:6.2f} s of {seconds:.0f}: codes {codes}; {(refused or ['both found it'])[0]}")
    assert codes in ([0, 2], [0, 0]), results
    assert all("writes to it" in line and str(folder) in line for line in refused), refused
    assert (folder / "metrics.jsonl").read_bytes() == alone, "the lines differ from a run alone"
    assert not (folder / "lock").exists()


def main(pairs: int = 10, seed: int = 0) -> None:
    with tempfile.TemporaryDirectory() as made:
        began = time.monotonic()
        assert end(start(Path(made) / "alone"))[0] == 0
        seconds = time.monotonic() - began
        alone = (Path(made) / "alone" / "metrics.jsonl").read_bytes()
        draw = random.Random(seed)
        for number in range(pairs):
            pair(Path(made) / str(number), draw.uniform(0, seconds), alone, seconds)
    print(f"{pairs} pairs: one run each, equal to a run alone")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
