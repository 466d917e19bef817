"""What evaluations left in a workdir: lines of eval.jsonl, and the values of each image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.errors import UserError
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


@dataclass(frozen=True)
class Measured:
    """Numbers that were measured under one protocol.

    errors: {metric: standard error of its mean over images}, of those that are such means.
    values: the file with the values of each image, "" without one.
    """

    step: int
    protocol: dict[str, Any]
    numbers: dict[str, float]
    errors: dict[str, float]
    remarks: tuple[str, ...] = ()
    values: str = ""


def measured(line: lines.Line) -> list[Measured]:
    """What a line of eval.jsonl holds: its own numbers and, where samples were compared with
    images, theirs, which stand after the protocol and have another."""
    names = list(line)
    place = names.index("protocol") if "protocol" in names else len(names)
    own, later = ({n: line[n] for n in part if _is_number(n, line[n])}
                  for part in (names[:place], names[place:]))  # fmt: skip
    remarks, errors = tuple(line.get("remarks", ())), line.get("standard_error", {})
    step, values = line["step"], line.get(VALUES, "")
    found = [Measured(step, line.get("protocol", {}), own, errors, remarks, values)]
    if later:
        found.append(Measured(step, line.get("samples_protocol", {}), later, errors))
    return found


def _is_number(name: str, value: Any) -> bool:
    return name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool)
