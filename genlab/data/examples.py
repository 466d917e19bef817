"""What a source of images offers: named splits of examples, in any order."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from genlab.errors import UserError

TOGETHER = 256  # so many places are asked for at once
Found = TypeVar("Found")
Label = int | np.ndarray  # a class, -1 for none; or bool[K], attributes
Example = tuple[np.ndarray, Label]  # u8[h,w,c] with c 1 or 3, label


class Unreadable(UserError):
    """An example that cannot be read: damaged, deleted, or of a form that has no right reading.

    name: which, as a person would look for it.
    """

    def __init__(self, name: str, reason: str):
        super().__init__(
            f"{name}: cannot be read ({reason}); mend or remove it, or set data.on_broken=skip."
        )
        self.name, self.reason = name, reason


def readable(read: Callable[..., Found], *args: Any) -> Found | None:
    """What it reads, None where that is unreadable."""
    try:
        return read(*args)
    except Unreadable:
        return None


class Examples(abc.ABC):
    """One split of a source, in an order that every machine agrees on.

    files: whether each example is a file of its own, slow to open and perhaps broken.
    """

    files: bool = False

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def read(self, place: int) -> Example:
        """The example at a place. Raises Unreadable."""

    def read_many(self, places: Sequence[int]) -> Iterator[Example | None]:
        """The examples at those places, None for one that cannot be read: `read` says why.

        One after another, since images may be large before they are fitted.
        """
        return (readable(self.read, place) for place in places)

    @abc.abstractmethod
    def name(self, place: int) -> str:
        """What a message calls the example."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """What tells these contents from others, for JSON; not where they lie."""

    def hashes(self) -> np.ndarray | None:
        """u64[N], one for each example, that depends on its name within the set alone; or None."""
        return None


@dataclass(frozen=True)
class Source:
    """Named splits.

    classes: their names, in the order of their labels; () where examples have none.
    attributes: names of what bool[K] labels say, () where labels are classes.
    validation: the split that stands for validation where none is named, "" for none.
    """

    splits: Mapping[str, Examples]
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    validation: str = ""
