"""The runs that a command line names: a run, a folder of runs such as a sweep, or several."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from etils import epath

from genlab.errors import UserError
from genlab.workdir import paths, places

OF_A_RUN = ("config.json", "metrics.jsonl", "eval.jsonl", "failed.json")
INSIDE_A_RUN = ("checkpoints", "samples", "figures", "eval")
DEPTH = 3  # folders below a named one in which runs are looked for


def runs(workdir: str, more: str = "") -> list[epath.Path]:
    """The folders of all runs that are named, each once, in the order of the names.

    Args:
      workdir: a run, or a folder that holds runs.
      more: others, with commas between them.

    Raises: UserError for a name without a run.
    """
    found: dict[str, epath.Path] = {}
    others, left = places.listed(more, _existing)
    if left:
        raise UserError(f"{left}: no such folder; name workdirs, with commas between them.")
    for place in (paths.of(workdir), *others):
        inside = list(_below(place, DEPTH))
        if not inside:
            raise UserError(f"{place}: no run there; name a workdir, or a folder of workdirs.")
        found |= {os.fspath(paths.absolute(run)): run for run in inside}
    return list(found.values())


def _existing(text: str) -> epath.Path | None:
    path = paths.of(text)
    return path if path.exists() else None


def is_run(folder: epath.Path) -> bool:
    """Whether a run has written to the folder."""
    return any((folder / name).exists() for name in OF_A_RUN)


def _below(folder: epath.Path, depth: int) -> Iterator[epath.Path]:
    if is_run(folder):
        yield folder
    elif depth and folder.is_dir():
        inner = [p for p in folder.iterdir() if p.is_dir() and p.name not in INSIDE_A_RUN]
        for path in sorted(inner, key=_by_numbers):
            yield from _below(path, depth - 1)


def _by_numbers(path: epath.Path) -> list[tuple[int, str]]:
    """Sorts code=2 before code=16."""
    return [(int(x) if x.isdigit() else -1, x) for x in re.split(r"(\d+)", path.name)]


def names(folders: list[epath.Path]) -> list[str]:
    """What tells them apart: of each path its last part, and as many before it as needed."""
    ends = ["/" + "/".join(paths.absolute(folder).parts) for folder in folders]
    return [_shortest(end, [other for other in ends if other != end]) for end in ends]


def _shortest(end: str, others: list[str]) -> str:
    parts = [part for part in end.split("/") if part]
    for count in range(1, len(parts)):
        name = "/".join(parts[-count:])
        if not any(other.endswith(f"/{name}") for other in others):
            return name
    return end
