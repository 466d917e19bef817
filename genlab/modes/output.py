"""Where a mode writes what it made: the workdir, or elsewhere when that cannot be written to."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from etils import epath

from genlab.errors import UserError, log
from genlab.pictures import figures, files
from genlab.workdir import lines, paths, places


class Output:
    """A folder to write to. What cannot be written is said once, and the mode goes on."""

    def __init__(self, workdir: str, elsewhere: str = "") -> None:
        self.folder = paths.of(elsewhere or places.output(workdir))
        self.lost: list[str] = []  # what could not be written

    def check(self) -> None:
        """Raises UserError, before anything is computed, if nothing can be written."""
        probe = self.folder / ".genlab-writes"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written to ({error.strerror}); name another folder with"
                " --output."
            ) from None

    def line(self, name: str, line: dict[str, Any]) -> None:
        """Adds a line to a file of JSON lines."""
        with self._writing(name):
            self.folder.mkdir(parents=True, exist_ok=True)
            lines.append(self.folder / name, line)

    def picture(self, name: str, picture: figures.Picture) -> None:
        """Writes a figure as PNG."""
        with self._writing(name):
            files.save(self.folder / name, picture)

    def grid(self, name: str, images: np.ndarray) -> epath.Path:
        """Writes u8[N,H,W,C] as one PNG, and returns its path."""
        with self._writing(name):
            files.save_grid(self.folder / name, images)
        return self.folder / name

    def array(self, name: str, **arrays: np.ndarray) -> epath.Path:
        """Writes arrays as an .npz, and returns its path."""
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
        with self._writing(name):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(packed.getvalue())
        return self.folder / name

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self.lost:
                path = self.folder / name
                log.warning(
                    "%s and what else is made here: not written (%s); --output says where else.",
                    path, error.strerror,
                )  # fmt: skip
            self.lost.append(name)
