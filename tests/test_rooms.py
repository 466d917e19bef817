"""The house: folders of `genlab/`, its rooms, import each other in one direction."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

HOUSE = ROOT / "genlab"


def room(module: str) -> str:
    """ "genlab.data.feeds" is in "data"; a module of the hall is a room of its own."""
    return module.split(".")[1] if "." in module else ""


def imported(file: Path) -> Iterator[str]:
    """What a file imports when it is imported itself; not what a function imports later."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "genlab":
            yield from (f"genlab.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_rooms_import_each_other_in_a_circle():
    rooms: dict[str, set[str]] = {}
    for file in HOUSE.rglob("*.py"):
        own = room(".".join(file.relative_to(ROOT).with_suffix("").parts))
        ours = {room(name) for name in imported(file) if name.startswith("genlab.")}
        rooms.setdefault(own, set()).update(ours - {own})
    assert {"sweeps", "launchers", "modes"} <= rooms.keys()
    tuple(graphlib.TopologicalSorter(rooms).static_order())  # raises CycleError, which names them
