"""Files of JSON lines: one object a line, appended while a run goes on.

Local files are appended to. An object store has no append: there a file is read and written whole,
which replaces it atomically; a run's metrics wait for its checkpoints (`Appended`), so that this
happens once a checkpoint and not once a line.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from typing import Any

from etils import epath

from genlab.workdir import lock, paths

Line = dict[str, Any]


def append(path: epath.Path, *lines: Line) -> None:
    """Adds objects to a file of JSON lines; those of other processes never come in between."""
    text = _text(lines)
    if paths.is_local(path):
        _append_locally(path, text)
        return
    with lock.briefly(path):
        path.write_text(_whole(path) + text)


def _append_locally(path: epath.Path, text: str) -> None:
    with open(path, "ab+") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)  # only now: another may have been in the middle of a line
        torn = end and os.pread(file.fileno(), 1, end - 1) != b"\n"
        file.write((("\n" if torn else "") + text).encode())


class Appended:
    """The lines of a run that a resume trims to its checkpoint.

    On an object store they wait for `flush`, which comes before each checkpoint: a kill loses only
    lines that the resume would have removed.
    """

    def __init__(self, path: epath.Path) -> None:
        self.path, self._waiting = path, list[Line]()

    def add(self, line: Line) -> None:
        """Adds one object."""
        self._waiting.append(line)
        if paths.is_local(self.path):
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        if self._waiting:
            append(self.path, *self._waiting)
            self._waiting.clear()


def read_lines(path: epath.Path) -> list[Line]:
    """The whole lines of such a file; a line torn by a kill is left out."""
    lines = []
    for text in _whole(path).splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def _whole(path: epath.Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def write_atomically(path: epath.Path, text: str) -> None:
    """Replaces a file whole, or not at all."""
    if not paths.is_local(path):  # a new object replaces the old one whole
        path.write_text(text)
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")  # another may write it too
    partial.write_text(text)
    os.replace(partial, path)


def trim(path: epath.Path, step: float) -> None:
    """Removes lines beyond a step, and a torn last line, atomically."""
    if path.exists():
        kept = [line for line in read_lines(path) if line["step"] <= step]
        write_atomically(path, _text(kept))


def _text(lines: Iterable[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)
