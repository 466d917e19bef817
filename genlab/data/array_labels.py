"""Labels that lie in arrays: numbers or texts of classes, or booleans of attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genlab.data.listing import natural
from genlab.data.npy import Member
from genlab.errors import UserError

Parts = Mapping[str, Mapping[str, Member]]  # {split: {"image" or "label" or "classes": member}}
MANY = 2**20  # classes: more are no classes


@dataclass(frozen=True)
class Labels:
    """Of all splits.

    values: {split: i32[N], or bool[N,K]}; splits without labels are not in it.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


def labels_of(parts: Parts, key: str, names: Sequence[Member]) -> Labels:
    """The labels under a key, alike in all splits, called as `names` says, if it says anything.

    Raises: UserError for labels that are not one for an image, or of no kind that is known.
    """
    members = {split: found[key] for split, found in parts.items() if key in found}
    if not members:
        return Labels()
    values = {split: np.asarray(member.open()) for split, member in members.items()}
    for split, member in members.items():
        images = parts[split]["image"].shape[0]
        if values[split].ndim == 0 or len(values[split]) != images:
            raise UserError(f"data.source: {member} has {member.count} labels for {images} images.")
    kinds = {_kind(values[split], members[split]) for split in members}
    where = " and ".join(map(str, members.values()))
    if len(kinds) > 1:
        raise UserError(f"data.source: {where} are labels of several kinds: {sorted(kinds)}.")
    given = _names(names)
    read = {"attributes": _attributes, "texts": _texts, "numbers": _numbers}[kinds.pop()]
    return read(values, given, where)


def _kind(values: np.ndarray, member: Member) -> str:
    kind, axes = values.dtype.kind, values.ndim
    if kind == "b" and axes == 2:
        return "attributes"
    if axes == 1 and kind in "US":
        return "texts"
    if axes == 1 and kind in "iub":
        return "numbers"
    raise UserError(
        f"data.source: {member} is {values.dtype}{list(values.shape)}; labels are one integer or"
        " text for an image, or booleans [images, attributes]."
    )


def _attributes(values: dict[str, np.ndarray], given: tuple[str, ...], where: str) -> Labels:
    widths = {found.shape[1] for found in values.values()}
    if len(widths | ({len(given)} if given else set())) > 1:
        raise UserError(f"data.source: {where} and their names differ in width.")
    return Labels(values, attributes=given or tuple(map(str, range(widths.pop()))))


def _texts(values: dict[str, np.ndarray], given: tuple[str, ...], where: str) -> Labels:
    found = {_text(value) for split in values.values() for value in np.unique(split)}
    classes = given or tuple(sorted(found, key=natural))
    unknown = sorted(found - set(classes))
    if unknown:
        raise UserError(f"data.source: label {unknown[0]!r} of {where} is not in 'classes'.")
    numbers = {name: number for number, name in enumerate(classes)}
    return Labels(
        {k: np.array([numbers[_text(v)] for v in x], np.int32) for k, x in values.items()}, classes
    )


def _numbers(values: dict[str, np.ndarray], given: tuple[str, ...], where: str) -> Labels:
    low = min(int(found.min()) for found in values.values())
    high = max(int(found.max()) for found in values.values())
    if low < -1 or high >= (len(given) or MANY):
        named = f", and {len(given)} are named" if given else ""
        raise UserError(
            f"data.source: labels of {where} reach from {low} to {high}; classes count from 0, -1"
            f" is none{named}."
        )
    classes = given or tuple(map(str, range(high + 1)))
    return Labels({k: x.astype(np.int32) for k, x in values.items()}, classes)


def _names(members: Sequence[Member]) -> tuple[str, ...]:
    """What the arrays `classes` say, each the same; () where there are none."""
    named = {tuple(map(_text, np.ravel(member.open()))) for member in members}
    if len(named) > 1:
        raise UserError(f"data.source: {' and '.join(map(str, members))} differ.")
    names = next(iter(named), ())
    if len(set(names)) < len(names):
        raise UserError(f"data.source: {members[0]} names a class twice.")
    return names


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
