"""What lies in a folder: images, subfolders, and what is passed over."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from etils import epath

from genlab.data.pixels import picture_suffixes
from genlab.errors import UserError

HIDDEN, FOREIGN = "hidden", "no images"


@dataclass
class Passed:
    """What was passed over, counted by kind, to be said in one line."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """ "12 files or folders passed over (10 .txt, 2 hidden)", or ""."""
        if not self.counts:
            return ""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common(5))
        more = ", ..." if len(self.counts) > 5 else ""
        return f"{sum(self.counts.values())} files or folders passed over ({kinds}{more})"


def natural(name: str) -> tuple[list[str | int], str]:
    """A sorting key by which `2` comes before `10`."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def entries(folder: str, passed: Passed | None = None) -> Iterator[tuple[str, bool]]:
    """(name, whether it is a folder) of the images and folders in a folder, as the system has them.

    Hidden and foreign ones are counted in `passed`. Links are followed. Raises UserError.
    """
    suffixes, counts = picture_suffixes(), (passed or Passed()).counts
    for name, is_folder, is_file in _all(folder):
        suffix = os.path.splitext(name)[1].lower()
        if name.startswith(".") or name == "__MACOSX":
            counts["hidden"] += 1
        elif is_folder or (is_file and suffix in suffixes):
            yield name, is_folder
        else:
            counts[(suffix if is_file else "special") or "without suffix"] += 1


def _all(folder: str) -> Iterator[tuple[str, bool, bool]]:
    """(name, whether a folder, whether a file) of everything in a folder."""
    try:
        if "://" in folder:
            _, folders, files = next(iter(epath.Path(folder).walk()), ("", [], []))
            yield from ((os.fspath(name), True, False) for name in folders)
            yield from ((os.fspath(name), False, True) for name in files)
            return
        with os.scandir(folder) as found:
            for entry in found:
                is_folder = entry.is_dir()
                yield entry.name, is_folder, not is_folder and _is_file(entry)
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"data.source: {folder!r} cannot be listed ({reason}).") from None


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Also a link to nothing: a broken file, not a foreign one. Pipes and devices are no files."""
    return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))


def join(*parts: str) -> str:
    """Folder and names as one path, of a disk or of a bucket."""
    return "/".join(part for part in parts if part)


def holds_image(folder: str) -> bool:
    """Whether an image lies in a folder or below; looks no further than the first."""
    return next(images_below(folder), None) is not None


def images_below(
    folder: str, passed: Passed | None = None, above: frozenset[str] = frozenset()
) -> Iterator[str]:
    """The images in a folder and below, by their names relative to it. Links in circles end."""
    here = folder if "://" in folder else os.path.realpath(folder)
    if here in above:
        return
    for name, is_folder in entries(folder, passed):
        if not is_folder:
            yield name
            continue
        for below in images_below(join(folder, name), passed, above | {here}):
            yield join(name, below)
