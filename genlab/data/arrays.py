"""Arrays: `npz:<path>` of an .npz file, an .npy file, or a folder of them.

    image, label, classes                    one split, `train` (or the file's own name in a folder)
    train_image, train_label, test_image     splits by prefix, in one file
    <folder>/train.npz, test.npz             splits by file
    <folder>/train_image.npy, ...            the same without an archive

`images` and `labels` are read as well: `--mode=sample` writes `images`. `classes` names the labels.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from genlab.data.array_labels import labels_of
from genlab.data.examples import Example, Examples, Source, Unreadable
from genlab.data.folders import VALIDATION
from genlab.data.listing import natural
from genlab.data.npy import Member, members
from genlab.data.pixels import as_bytes, composed, shown
from genlab.errors import UserError

PLURAL = {"images": "image", "labels": "label"}
CHUNK = 1 << 24  # values looked at together


class Arrays(Examples):
    """Rows of an array of images, u8[h,w,c] each, and of labels.

    images: integers[N,h,w] or [N,h,w,c], as they lie on the disk.
    labels: i32[N], or bool[N,K], or None.
    """

    def __init__(
        self, image: Member, label: Member | None, labels: np.ndarray | None, background: int
    ):
        self.members = [image] if label is None else [image, label]
        self.labels, self.background = labels, background

    def __len__(self) -> int:
        return self.members[0].shape[0]

    @functools.cached_property
    def images(self) -> np.ndarray:
        """[N,h,w,c], opened when the first example is read. Raises UserError."""
        found = self.members[0].open()
        found = found[..., None] if found.ndim == 3 else found
        if _is_black(found):
            raise UserError(
                f"data.source: no value of {self.members[0]} is above 1; multiply bits by 255,"
                " images are integers from 0 to 255."
            )
        return found

    def read(self, place: int) -> Example:
        try:
            planes = as_bytes(np.asarray(self.images[place]))
        except ValueError as error:
            raise Unreadable(self.name(place), str(error)) from None
        if planes.shape[-1] in (2, 4):
            planes = composed(planes[..., :-1], planes[..., -1], self.background)
        if self.labels is None:
            return planes, -1
        label = self.labels[place]
        return planes, label if label.ndim else int(label)

    def name(self, place: int) -> str:
        return f"{self.members[0]} {place}"

    def identity(self) -> dict[str, Any]:
        digests = " ".join(member.digest for member in self.members)
        return {"count": len(self), "contents": digests}


def _is_black(images: np.ndarray) -> bool:
    """Whether no value at all is above 1; ends at the first that is."""
    step = max(CHUNK // max(int(np.prod(images.shape[1:])), 1), 1)
    return all(images[start : start + step].max() <= 1 for start in range(0, len(images), step))


def open_arrays(path: str, label: str, background: int) -> Source:
    """The splits of an archive, an array or a folder of them. Raises UserError."""
    root = os.fspath(epath.Path(path).expanduser())
    if "://" in root:
        raise UserError(f"data.source: npz:{root} is not on a disk; copy it to one.")
    if not path or not os.path.exists(root):
        raise UserError(f"data.source: no file or folder {shown(root)!r}.")
    key = label or "label"
    every = _parts(root, key)
    parts = {split: found for split, found in every.items() if "image" in found}
    if not parts:
        held = ", ".join(sorted({str(m) for found in every.values() for m in found.values()})[:6])
        raise UserError(
            f"data.source: {shown(root)!r} has no array 'image' or 'images', nor '<split>_image',"
            f" but {held or 'none that is known'}."
        )
    if label and not any(label in found for found in parts.values()):
        raise UserError(f"data.label: {shown(root)!r} has no array {label!r} beside its images.")
    for found in parts.values():
        _check_images(found["image"])
    labels = labels_of(parts, key, [p["classes"] for p in every.values() if "classes" in p])
    splits: dict[str, Examples] = {
        split: Arrays(found["image"], found.get(key), labels.values.get(split), background)
        for split, found in parts.items()
    }
    valid = next((name for name in VALIDATION if name in splits), "")
    return Source(splits, labels.classes, labels.attributes, valid)


def _parts(root: str, label: str) -> dict[str, dict[str, Member]]:
    """{split: {"image": member, the label's key: member, "classes": member}}."""
    if not os.path.isdir(root):
        return _by_prefix(members(root), "train", label)
    parts: dict[str, dict[str, Member]] = {}
    for file in sorted(os.listdir(root), key=natural):
        stem, suffix = os.path.splitext(file)
        if suffix.lower() not in (".npz", ".npy") or file.startswith("."):
            continue
        found = members(os.path.join(root, file))
        if suffix.lower() == ".npy" and _key(stem, label)[1]:
            found = {stem: found[""]}  # <split>_image.npy
        for split, members_of_split in _by_prefix(found, stem.casefold(), label).items():
            for key, member in members_of_split.items():
                _add(parts.setdefault(split, {}), key, member)
    return parts


def _by_prefix(found: Mapping[str, Member], split: str, label: str) -> dict[str, dict[str, Member]]:
    """Members by split and key; those without a prefix belong to `split`."""
    parts: dict[str, dict[str, Member]] = {}
    for name, member in found.items():
        prefix, key = _key(name or "image", label)
        if key:
            _add(parts.setdefault(prefix or split, {}), key, member)
    return parts


def _add(part: dict[str, Member], key: str, member: Member) -> None:
    """Raises UserError for a second array of one key, and for one that would be unpickled."""
    if member.dtype.hasobject:
        raise UserError(
            f"data.source: {member} holds Python objects, which are never unpickled; save it as"
            " numbers or as text."
        )
    if key in part:
        raise UserError(f"data.source: {member} and {part[key]} are both {key!r}; keep one.")
    part[key] = member


def _key(name: str, label: str) -> tuple[str, str]:
    """(split or "", "image", "classes" or the label's key; "" for others)."""
    for key in ("image", "images", label, "labels", "classes"):
        if name == key or name.endswith(f"_{key}"):
            if key == "labels" and label != "label":
                continue
            return name[: -len(key)].rstrip("_").casefold(), PLURAL.get(key, key)
    return "", ""


def _check_images(member: Member) -> None:
    """Integers [N,h,w] or [N,h,w,c]. Raises UserError, saying the shape and what to do."""
    shape, kind = member.shape, member.dtype.kind
    if kind not in "ui":
        remedy = {"f": "; multiply by 255 and round", "b": "; multiply by 255"}.get(kind, "")
        raise UserError(
            f"data.source: {member} holds {member.dtype}, not integers from 0 to 255{remedy}."
        )
    channels_last = len(shape) == 4 and shape[-1] in (1, 2, 3, 4)
    grey = len(shape) == 3 and shape[-1] > 4
    if not channels_last and not grey:
        raise UserError(
            f"data.source: {member} has shape {list(shape)}, not [images, height, width] or"
            f" [images, height, width, channels]{_remedy(shape)}."
        )


def _remedy(shape: tuple[int, ...]) -> str:
    if len(shape) == 4 and shape[1] in (1, 3, 4):
        return "; channels come last: transpose(0, 2, 3, 1)"
    if len(shape) == 3:
        return "; for one image write image[None], for narrow grey ones image[..., None]"
    return "; reshape its rows to images" if len(shape) == 2 else ""
