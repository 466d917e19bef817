"""Files of JSON lines: one object a line, appended while a run goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def append(path: Path, line: Line) -> None:
    """Adds one object to a file of JSON lines."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def read_lines(path: Path) -> list[Line]:
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
