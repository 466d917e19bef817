"""A folder of images: `<path>/<class>/*`, or `<path>/<split>/<class>/*`, or either without classes.

Files are listed when a split is asked for, and opened when an example is. A split's order is that
of a hash of each file's name within the set: the same on every machine, a fair sample of all
classes from its first example on, and a new file moves no other.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from etils import epath

from genlab.data.examples import Example, Examples, Source
from genlab.data.listing import (
    Passed,
    entries,
    holds_image,
    images_below,
    join,
    natural,
)
from genlab.data.pixels import read_file, shown
from genlab.errors import UserError, log

VALIDATION = ("validation", "valid", "val")
SPLITS = {"train", "training", "test", "testing", "dev", "eval", *VALIDATION}


class Folder(Examples):
    """The images of one split.

    root: the set.
    below: the folder of the split within it, "" for the set itself.
    classes: the class folders; () for a flat split.
    """

    files = True

    def __init__(self, root: str, below: str, classes: tuple[str, ...], background: int):
        self.root, self.below, self.classes, self.background = root, below, classes, background

    def __len__(self) -> int:
        return len(self._listed[0])

    def read(self, place: int) -> Example:
        return read_file(self.path(place), self.background), int(self._listed[1][place])

    def path(self, place: int) -> str:
        """Where the file of an example lies."""
        return join(self.root, self._listed[0][place])

    def name(self, place: int) -> str:
        return shown(self.path(place))

    def hashes(self) -> np.ndarray:
        return self._listed[2]

    def identity(self) -> dict[str, Any]:
        return {"count": len(self)}

    @functools.cached_property
    def _listed(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names within the set, labels i32[N] and hashes u64[N], in the order of the hashes."""
        folder, passed = join(self.root, self.below), Passed()
        inside = list(entries(folder, passed))
        present = {name for name, is_folder in inside if is_folder}
        loose = [name for name, is_folder in inside if not is_folder]
        if loose:
            _refuse_beside(folder, loose, present)
        names = [join(self.below, name) for name in sorted(loose)]
        labels = [-1] * len(loose)
        for label, name in enumerate(self.classes):
            if name in present:  # a split may lack a class that another has
                found = sorted(images_below(join(folder, name), passed))
                names += [join(self.below, name, file) for file in found]
                labels += [label] * len(found)
        if str(passed):
            log.info("%s: %s", shown(folder), passed)
        hashes = np.array([name_hash(name) for name in names], np.uint64)
        order = np.argsort(hashes, kind="stable")
        return [names[i] for i in order], np.array(labels, np.int32)[order], hashes[order]


def name_hash(name: str) -> int:
    """64 bits of a name, alike for both ways in which systems spell accented letters."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    spelled = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(spelled, digest_size=8).digest(), "big")


def open_folder(path: str, background: int) -> Source:
    """The splits of a folder; looks at folders, and lists files where there are no folders.

    Raises: UserError where images would be left out or a layout can be read in two ways.
    """
    root = str(epath.Path(path).expanduser())
    if not path or not _is_folder(root):
        raise UserError(f"data.source: no folder {shown(root)!r}.")
    found = list(entries(root))
    loose = [name for name, is_folder in found if not is_folder]
    folders = sorted((name for name, is_folder in found if is_folder), key=natural)
    folders = [name for name in folders if holds_image(join(root, name))]
    if not loose and not folders:
        raise UserError(f"data.source: no image in {shown(root)!r} or its subfolders.")
    if loose:
        _refuse_beside(root, loose, folders)
    if _are_splits(folders):
        return _of_splits(root, folders, background)
    _refuse_splits_below(root, folders)
    return Source({"train": Folder(root, "", tuple(folders), background)}, tuple(folders))


def _is_folder(root: str) -> bool:
    try:
        return epath.Path(root).is_dir()
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"data.source: {shown(root)!r} cannot be read ({reason}).") from None


def _are_splits(folders: list[str]) -> bool:
    """Whether folders are splits: one is `train`, or all have names of splits."""
    names = {name.casefold() for name in folders}
    return "train" in names or (bool(names) and names <= SPLITS)


def _of_splits(root: str, folders: list[str], background: int) -> Source:
    names = [name.casefold() for name in folders]
    twice = [name for name in folders if names.count(name.casefold()) > 1]
    if twice:
        raise UserError(f"data.source: {shown(root)!r} has {_named(twice)}; keep one of them.")
    classes = {name: _class_folders(join(root, name)) for name in folders}
    flat = [name for name in folders if not classes[name]]
    if flat and len(flat) < len(folders):
        for name in flat:
            inside = list(entries(join(root, name)))
            loose = [file for file, is_folder in inside if not is_folder]
            _refuse_beside(join(root, name), loose, {n for n, is_folder in inside if is_folder})
        others = [name for name in folders if classes[name]]
        raise UserError(
            f"data.source: in {shown(root)!r}, {_named(flat)} has no class folders, but"
            f" {_named(others)} has; give all of them classes, or none."
        )
    every = tuple(sorted(set().union(*classes.values()), key=natural))
    splits: dict[str, Examples] = {
        name.casefold(): Folder(root, name, every, background) for name in folders
    }
    valid = next((name for name in VALIDATION if name in splits), "")
    return Source(splits, every, validation=valid)


def _class_folders(folder: str) -> set[str]:
    """The folders with images, none where images lie in the folder itself."""
    found = set()
    for name, is_folder in entries(folder):
        if not is_folder:
            return set()
        if holds_image(join(folder, name)):
            found.add(name)
    return found


def _refuse_splits_below(root: str, folders: list[str]) -> None:
    """A set that lies one folder deeper would be read as one class."""
    for name in folders:
        below = [n for n, is_folder in entries(join(root, name)) if is_folder]
        if "train" in {n.casefold() for n in below}:
            raise UserError(
                f"data.source: {shown(join(root, name))!r} holds splits; name it instead of"
                f" {shown(root)!r}."
            )


def _refuse_beside(folder: str, loose: list[str], folders: Iterable[str]) -> None:
    """Raises UserError where images lie beside folders with images: some would be left out."""
    beside = [name for name in sorted(folders, key=natural) if holds_image(join(folder, name))]
    if beside:
        some, s = _named(sorted(loose, key=natural)), "s" * (len(loose) > 1)
        raise UserError(
            f"data.source: in {shown(folder)!r}, {len(loose)} image{s} ({some}) lie beside folders"
            f" of images ({_named(beside)}); move them into a folder, or away."
        )


def _named(names: list[str]) -> str:
    return ", ".join(shown(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
