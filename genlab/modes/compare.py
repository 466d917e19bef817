"""`--mode=compare`: two evaluated runs on the same images, pair by pair."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.errors import UserError
from genlab.evaluate import IMAGE
from genlab.metrics.paired import Difference, difference
from genlab.workdir import lines, paths, places

VALUES = "values"  # the key of a line of eval.jsonl that names its array
FREE = ("weights", "orders", "members")  # of a protocol: two models may differ in these


@dataclass(frozen=True)
class Evaluated:
    """A line of eval.jsonl with the values of each image.

    values: {metric: f32[N]}, and what tells images apart.
    """

    name: str
    line: dict[str, Any]
    values: dict[str, np.ndarray]


def last_of(workdir: str, step: int | None = None) -> Evaluated:
    """The last evaluation of a run that kept its values; step: of that step alone.

    Raises: UserError if there is none.
    """
    folder = paths.of(places.output(workdir))
    found = [
        line
        for line in lines.read_lines(folder / "eval.jsonl")
        if VALUES in line and (step is None or line["step"] == step)
    ]
    if not found or not (folder / found[-1][VALUES]).exists():
        raise UserError(
            f"{workdir}: no evaluation with values of each image; run --mode=eval on it."
        )
    packed = io.BytesIO((folder / found[-1][VALUES]).read_bytes())
    with np.load(packed) as arrays:
        return Evaluated(workdir, found[-1], dict(arrays))


def differences(first: Evaluated, second: Evaluated) -> dict[str, Difference]:
    """{metric: first minus second}, of the metrics that both have of each image.

    Raises: UserError if the images are not the same.
    """
    if not np.array_equal(first.values[IMAGE], second.values[IMAGE]):
        raise UserError(
            f"{first.name} and {second.name} were evaluated on other images"
            f" ({_split(first)}; {_split(second)}); evaluate both on the same split."
        )
    shared = [name for name in first.values if name in second.values and name != IMAGE]
    return {name: difference(first.values[name], second.values[name]) for name in shared}


def against_the_first(runs: dict[str, str], metrics: list[str]) -> list[str]:
    """Lines for a table: each run of {name: workdir} that kept its values minus the first."""
    kept = {}
    for name, workdir in runs.items():
        with contextlib.suppress(UserError):  # of an older version, or a family without them
            kept[name] = last_of(workdir)
    told = []
    for name, found in list(kept.items())[1:]:
        first, base = next(iter(kept.items()))
        with contextlib.suppress(UserError):  # evaluated on other images
            each = differences(found, base)
            told += [f"- {name} minus {first}: {m} {each[m]}" for m in metrics if m in each]
    return told


def _split(found: Evaluated) -> str:
    protocol = found.line["protocol"]
    return f"{protocol['source']} {protocol['split']}, {protocol['images']} images"


def compare(workdir: str, against: str) -> None:
    """Prints the differences of two runs, and in what their protocols differ."""
    if not against:
        raise UserError("--mode=compare needs --against, another evaluated workdir.")
    first, second = last_of(workdir), last_of(against)
    found = differences(first, second)
    print(f"{workdir} (step {first.line['step']}) minus {against} (step {second.line['step']})")
    for name, each in found.items():
        print(f"{name} {each}")
    was, now = first.line["protocol"], second.line["protocol"]
    for key in sorted((was.keys() | now.keys()) - set(FREE)):
        if was.get(key) != now.get(key):
            print(f"Note: they differ in their {key}: {was.get(key)}; {now.get(key)}.")
