"""What was found of sets of images: numbers with intervals, one table, pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genlab.judging.copies import COPIES, SPACES, Copies, Pool
from genlab.judging.scores import METRICS
from genlab.metrics import paired
from genlab.pictures import figures

REAL, FLOOR, CEILING = "real", "floor", "ceiling"  # names that stand for no set
ENDS = {FLOOR: "training images", CEILING: "uniform noise"}
SHOWN = 10  # images in a row
TITLES, WIDTH = 22, 16  # characters of the first column, and of the others
COLUMNS = 6  # in one block of the table


@dataclass(frozen=True)
class Judged:
    """One set.

    numbers: those of METRICS.
    errors: {metric: standard error}, of those that have one.
    images: u8[N,H,W,C].
    copies: of training images, if these are known.
    """

    numbers: dict[str, float]
    errors: dict[str, float]
    images: np.ndarray
    copies: Copies | None = None

    def value(self, name: str) -> str:
        """ "20.1 ± 0.35", the latter half of its 95 % interval; "" for what it lacks."""
        found = self.numbers if self.copies is None else self.numbers | self.copies.numbers
        if name not in found:
            return ""
        half = paired.half_width(self.errors[name], 1 << 30) if name in self.errors else None
        text = f"{found[name]:.4g}"
        return text if half is None else f"{text} ± {half:.2g}"


@dataclass(frozen=True)
class Judgement:
    """Sets of images beside real ones; printed, a table.

    sets: the sets, by name.
    ends: the floor (of training images, if these are known) and the ceiling (of noise).
    shares: {name: f64[K]}, the share of images in each class, of the real ones too.
    classes: names of the classes.
    protocol: what the numbers were measured on.
    remarks: what a reader must know.
    pool: the training images.
    """

    sets: dict[str, Judged]
    ends: dict[str, Judged]
    shares: dict[str, np.ndarray]
    classes: tuple[str, ...]
    protocol: dict[str, Any]
    remarks: list[str]
    pool: Pool | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return "\n".join([self.table(), *(f"Note: {remark}" for remark in self.remarks)])

    __repr__ = __str__

    def numbers(self, name: str) -> dict[str, float]:
        """All numbers of a set, with `_floor` and `_ceiling` beside each."""
        of_set = self.sets[name]
        found = dict(of_set.numbers)
        for end, judged in self.ends.items():
            found |= {f"{key}_{end}": value for key, value in judged.numbers.items()}
        return found | (of_set.copies.numbers if of_set.copies else {})

    def line(self, name: str) -> dict[str, Any]:
        """The line of a set, for a file of JSON lines."""
        errors = self.sets[name].errors
        line = {"samples": name, **self.numbers(name), "protocol": self.protocol}
        line |= {"standard_error": errors} if errors else {}
        return line | ({"remarks": self.remarks} if self.remarks else {})

    def table(self) -> str:
        """Numbers with half of their 95 % intervals, a column for each set, for a terminal."""
        taken = self.protocol
        against = taken.get("split", "real images")
        title = f"Against {against}, {taken['features']} features, {taken['images']:,} of each"
        lines = ["", title]
        names = list(self.sets)
        step = COLUMNS - len(self.ends)
        for start in range(0, len(names), step):
            some = {name: self.sets[name] for name in names[start : start + step]}
            lines += _block(some | self.ends, self.pool is not None)
        ends = "; ".join(f"{name}: {ENDS[name]}" for name in self.ends)
        intervals = (
            "± half of the 95 % interval; " if any(x.errors for x in self.sets.values()) else ""
        )
        stamp = ", ".join(f"{key} {value}" for key, value in taken.items())
        lines += textwrap.wrap(f"({intervals}{ends}; {stamp})", 100, break_on_hyphens=False)
        return "\n".join(line.rstrip() for line in lines)

    def pictures(self) -> dict[str, figures.Picture]:
        """The classes of all sets and, of each set, images above their nearest training images."""
        names = {REAL: "real images"} | {name: name for name in self.sets}
        taken = self.protocol
        note = f"As {taken['features']} sees {taken['images']:,} of each."
        shares = {title: self.shares[name] for name, title in names.items()}
        found: dict[str, figures.Picture] = {"labels": figures.Shares(shares, self.classes, note)}
        if self.pool is not None:
            for name, judged in self.sets.items():
                key = "neighbours" if len(self.sets) == 1 else f"neighbours_{name}"
                found[key] = _neighbours(name, judged, self.pool)
        return found


def _block(columns: Mapping[str, Judged], copies: bool) -> Iterator[str]:
    """The rows of the table for some sets."""
    heads = [name if len(name) < WIDTH else f"{name[: WIDTH - 2]}…" for name in columns]
    yield ""
    yield f"{'':{TITLES}}" + "".join(f"{head:>{WIDTH}}" for head in heads)
    yield from _rows(METRICS, columns)
    for space, where in SPACES.items() if copies else ():
        yield f"Copies of training images, in {where}"
        yield from _rows({f"{key}{space}": row for key, row in COPIES.items()}, columns)


def _rows(rows: Mapping[str, tuple[str, str]], columns: Mapping[str, Judged]) -> Iterator[str]:
    for key, (title, unit) in rows.items():
        values = "".join(f" {judged.value(key):>{WIDTH - 1}}" for judged in columns.values())
        yield f"{title:{TITLES}}{values}  {unit}"


def _neighbours(name: str, judged: Judged, pool: Pool) -> figures.ImageRows:
    """The first images of a set, and those most like copies, above what is nearest to them."""
    assert judged.copies is not None
    rows: list[tuple[str, np.ndarray]] = []
    pixels, features = (judged.copies.found[space] for space in SPACES)
    shown = min(SHOWN, len(pixels.far))
    first = np.arange(shown)
    for title, chosen in (
        (name, first),
        ("most like\ncopies, pixels", np.argsort(pixels.ratio, kind="stable")[:shown]),
        ("most like\ncopies, features", np.argsort(features.ratio, kind="stable")[:shown]),
    ):
        rows.append((title, judged.images[chosen]))
        if "features" not in title:
            rows.append(("nearest in\npixels", pool.images(pixels.place[chosen])))
        if "pixels" not in title:
            rows.append(("nearest in\nfeatures", pool.images(features.place[chosen])))
    numbers = judged.copies.numbers
    note = (
        "Below each image, the nearest training image. Most like copies: nearest to one for their"
        " distance to held-out images.\nMedian distance in pixels"
        f" {numbers['nearest_training']:.2f}; of held-out images"
        f" {numbers['nearest_training_of_test']:.2f}."
    )
    return figures.ImageRows(rows, note)
