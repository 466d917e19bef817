"""What a run tells: lines of JSON, TensorBoard, and a person at a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from genlab.errors import log
from genlab.state import Tree


def append(path: Path, line: dict[str, Any]) -> None:
    """Adds one object to a file of JSON lines."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of such a file; a line torn by a kill is left out."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file whole, or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def trim(path: Path, step: float) -> None:
    """Removes lines beyond a step, and a torn last line, atomically."""
    if path.exists():
        kept = [line for line in read_lines(path) if line["step"] <= step]
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))


def counts(params: Tree, other: Tree) -> dict[str, dict[str, int]]:
    """{player: {"trainable", "other", "total"}} numbers of parameters."""
    size = lambda tree: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))  # noqa: E731
    found = {}
    for player, tree in params.items():
        own, more = size(tree), size(other.get(player, {}))
        found[player] = {"trainable": own, "other": more, "total": own + more}
    return found


def versions() -> dict[str, str]:
    """Of the packages that decide a run's numbers."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "ml_collections")
    return {name: metadata.version(name) for name in packages}


def start_of_run(parameters: dict[str, Any]) -> dict[str, Any]:
    """What runs.jsonl records of a start."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": sys.argv,
        "commit": git.stdout.strip() or None,
        "python": sys.version.split()[0],
        "versions": versions(),
        "devices": [f"{d.platform}:{d.device_kind}" for d in jax.devices()],
        "processes": jax.process_count(),
        "parameters": parameters,
    }


class Report:
    """Where a training run writes. On all processes but the first it is silent.

    metrics.jsonl holds only what config and step determine; speeds go to the bar and TensorBoard.
    """

    def __init__(self, workdir: Path, steps: int, start: int, tensorboard: bool):
        self.workdir, self.steps, self.active = workdir, steps, jax.process_index() == 0
        self.board = _tensorboard(workdir) if tensorboard and self.active else None
        self.began, self.start, self.told = time.monotonic(), start, -1e9
        terminal = sys.stderr.isatty() and self.active
        self.bar = tqdm(total=steps, initial=start, unit="step", disable=not terminal)

    def metrics(self, step: int, epoch: float, split: str, values: dict[str, Any]) -> None:
        """One line of metrics.jsonl, TensorBoard scalars, and word to the terminal; numbers only,
        lists are left to evaluations."""
        if not self.active:
            return
        values = {name: x for name, x in values.items() if not isinstance(x, list)}
        line = {"step": step, "epoch": round(epoch, 4), "split": split, **values}
        append(self.workdir / "metrics.jsonl", line)
        if self.board:
            self.board.write_scalars(step, {f"{split}/{k}": v for k, v in values.items()})
        shown = {k: v for k, v in values.items() if "/" not in k}
        text = ", ".join(f"{k} {v:.4g}" for k, v in shown.items())
        if not self.bar.disable:
            self.bar.write(f"step {step} {split}: {text}", sys.stderr) if split != "train" else (
                self.bar.set_postfix_str(text)
            )
        elif split != "train" or time.monotonic() - self.told > 10:
            self.told = time.monotonic()
            log.info("step %d/%d %s: %s%s", step, self.steps, split, text, self._left(step))

    def _left(self, step: int) -> str:
        speed = (step - self.start) / (time.monotonic() - self.began)
        return f" ({speed:.3g} steps/s, {(self.steps - step) / speed:.0f} s left)" if speed else ""

    def advance(self, steps: int) -> None:
        """Moves the bar."""
        self.bar.update(steps)

    def event(self, kind: str, **what: Any) -> None:
        """One line of events.jsonl: something that happened, such as a resume."""
        if self.active:
            append(self.workdir / "events.jsonl", {"event": kind, **what})

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """u8[h,w,3] to TensorBoard."""
        if self.board:
            self.board.write_images(step, {name: picture[None]})

    def say(self, text: str) -> None:
        """A line for a person, above the bar."""
        if self.active:
            tqdm.write(text, sys.stderr)

    def close(self) -> None:
        """Ends the bar and the event file."""
        self.bar.close()
        if self.board:
            speed = (self.bar.n - self.start) / max(time.monotonic() - self.began, 1e-9)
            self.board.write_scalars(self.bar.n, {"steps_per_second": speed})
            self.board.close()


def _tensorboard(workdir: Path) -> Any:
    """A clu writer of event files, or None without TensorFlow, said once."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow's notice about it
    try:
        from clu import metric_writers
    except ImportError:
        log.info("TensorBoard is off: TensorFlow is not installed.")
        return None
    return metric_writers.SummaryWriter(str(workdir))
