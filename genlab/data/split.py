"""A split of a run: examples in their canonical order, each fitted to one shape."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from genlab.condition import Spec
from genlab.data.classes import columns_by_name, numbers_by_name
from genlab.data.examples import TOGETHER, Example, Examples, Source, Unreadable
from genlab.data.fit import Fit
from genlab.errors import UserError, log

ATTEMPTS = 100  # so many broken examples in a row are no accident


@dataclass
class Broken:
    """Examples that could not be read in this process, by name; each is told once."""

    stop: bool
    reasons: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, error: Unreadable, of: int) -> None:
        """Raises the error, or notes it and says that another example stands in."""
        if self.stop:
            raise error
        with self.lock:
            if error.name not in self.reasons:
                self.reasons[error.name] = error.reason
                log.warning(
                    "%s: cannot be read (%s); the next of its split stands in its place"
                    " (%d of %d skipped so far).",
                    error.name, error.reason, len(self.reasons), of,
                )  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Examples in their canonical order.

    name: as written to metrics.
    source: what the examples come from.
    rows: i64[N,2], which split of the source, and which example of it.
    fit: the shape that is wanted.
    broken: what happens to an example that cannot be read.
    numbers: i32[classes], what labels become, or None.
    attributes: names of those that are taken of the source's, None for all.
    """

    name: str
    source: Source
    rows: np.ndarray = field(repr=False)
    fit: Fit
    broken: Broken
    classes: tuple[str, ...]
    numbers: np.ndarray | None = None
    attributes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Example:
        return self._read(int(row))[0]

    @property
    def files(self) -> bool:
        """Whether examples are files, opened one by one."""
        return any(self._parts[part].files for part in np.unique(self.rows[:, 0]))

    @functools.cached_property
    def _parts(self) -> list[Examples]:
        return list(self.source.splits.values())

    @functools.cached_property
    def spec(self) -> Spec:
        """The shape, of the config or of the first example that can be read, and the classes."""
        if self.fit.size and self.fit.channels:
            shape = (self.fit.size, self.fit.size, self.fit.channels)
        else:
            height, width, channels = self[0][0].shape
            shape = (height, width, channels)
        own = self.source.attributes
        return Spec(shape, self.classes, own if self.attributes is None else self.attributes)

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """{"image": u8[...,H,W,C], "label": i32[...] or bool[...,K]} for rows of any shape.

        Where an example cannot be read and `data.on_broken` is skip, the next of the split that can
        stands in its place: what is read depends on the files alone, not on what was read before.
        """
        return self.read_marked(rows)[0]

    def read_marked(self, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The same, and bool[...], False where another example stands in."""
        found = self._read_many(rows.ravel())
        for (image, _), row in found:
            self._check_shape(image.shape, row)
        images = np.stack([image for (image, _), _ in found])
        labels = np.array([label for (_, label), _ in found])
        labels = labels if labels.dtype == bool else labels.astype(np.int32)
        batch = {
            "image": images.reshape(*rows.shape, *images.shape[1:]),
            "label": labels.reshape(*rows.shape, *labels.shape[1:]),
        }
        own = np.array([place == row for (_, place), row in zip(found, rows.ravel(), strict=True)])
        return batch, own.reshape(rows.shape)

    def matched(self, classes: Sequence[str]) -> Split:
        """The split with the class numbers of a model, matched by name.

        Raises: UserError for classes that the model does not know.
        """
        if tuple(classes) == self.classes or not self.classes:
            return self
        numbers = numbers_by_name(self.classes, classes)
        return dataclasses.replace(self, numbers=numbers, classes=tuple(classes))

    def with_attributes(self, attributes: Sequence[str]) -> Split:
        """The split with the attributes of a model alone, in its order.

        Raises: UserError for attributes that the images have not.
        """
        columns_by_name(self.source.attributes, attributes)
        return dataclasses.replace(self, attributes=tuple(attributes))

    @functools.cached_property
    def _columns(self) -> np.ndarray | None:
        if self.attributes is None:
            return None
        return columns_by_name(self.source.attributes, self.attributes)

    def _read(self, row: int) -> tuple[Example, int]:
        """The example of a row, or of the next that can be read; and which row that is."""
        for place in range(row, row + min(len(self), ATTEMPTS)):
            here = place % len(self)
            part, inside = self._part(here)
            if self.broken.reasons and part.name(inside) in self.broken.reasons:
                continue
            try:
                return self._fitted(part.read(inside), part, inside), here
            except Unreadable as error:
                self.broken.note(error, len(self))
        part, inside = self._part(row)
        raise UserError(
            f"{self.name}: none of {min(len(self), ATTEMPTS)} examples in a row can be read, from"
            f" {part.name(inside)} on; mend data.source."
        )

    def _read_many(self, rows: np.ndarray) -> list[tuple[Example, int]]:
        """`_read` of each row, a few hundred at a time, those of one part together."""
        found: dict[int, tuple[Example, int]] = {}  # by the place in `rows`
        for start in range(0, len(rows), TOGETHER):
            numbers, places = self.rows[rows[start : start + TOGETHER]].T
            for number in np.unique(numbers):
                own = np.flatnonzero(numbers == number).tolist()
                part, inside = self._parts[number], places[own].tolist()
                for i, place, example in zip(own, inside, part.read_many(inside), strict=True):
                    row = int(rows[start + i])
                    done = (self._fitted(example, part, place), row) if example else self._read(row)
                    found[start + i] = done
        return [found[i] for i in range(len(rows))]

    def _fitted(self, example: Example, part: Examples, place: int) -> Example:
        pixels, label = example
        image = self.fit(pixels, part.name(place))
        if isinstance(label, np.ndarray):
            return image, label if self._columns is None else label[self._columns]
        return image, int(self.numbers[label]) if self.numbers is not None and label >= 0 else label

    def _check_shape(self, shape: tuple[int, ...], row: int) -> None:
        if shape != self.spec.shape:
            part, place = self._part(row)
            raise UserError(
                f"{part.name(place)} has shape {list(shape)}, not {list(self.spec.shape)} as the"
                " first of its split; set data.image_size and data.channels."
            )

    def _part(self, row: int) -> tuple[Examples, int]:
        part, place = self.rows[row]
        return self._parts[part], int(place)
