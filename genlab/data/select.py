"""Which examples a split in TFDS syntax names, and which are held out of it for validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from genlab.data.examples import Examples, Source
from genlab.data.orders import order
from genlab.errors import UserError

HELD_OUT = 10  # a set without a validation split lends one example in ten of its training split


def select(source: Source, text: str, key: str) -> np.ndarray:
    """i64[N,2], (split of the source, place in it) of the examples that `train[:90%]` names.

    Only the splits that the text names are listed. Raises UserError by the key.
    """
    import tensorflow_datasets as tfds

    try:
        slices = tfds.core.ReadInstruction.from_spec(text).to_absolute(_Infos(source.splits))
    except (ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"data.{key}={text!r}: {reason}.") from None
    names, found = list(source.splits), []
    for part in slices:
        places = np.arange(len(source.splits[part.splitname]))[part.from_ : part.to]
        found.append(np.stack([np.full_like(places, names.index(part.splitname)), places], -1))
    rows = np.concatenate(found or [np.zeros((0, 2), np.int64)]).astype(np.int64)
    if not len(rows):
        raise UserError(f"data.{key}={text!r} selects no image.")
    return rows


class _Infos(Mapping[str, Any]):
    """What TFDS has to know of each split; a split that is not asked for is not counted."""

    def __init__(self, splits: Mapping[str, Examples]):
        self.splits = splits

    def __getitem__(self, name: str) -> Any:
        import tensorflow_datasets as tfds

        count = len(self.splits[name])
        return tfds.core.SplitInfo(name=name, shard_lengths=[count], num_bytes=0)

    def __contains__(self, name: object) -> bool:
        return name in self.splits

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)


def hold_out(source: Source, rows: np.ndarray, text: str) -> tuple[np.ndarray, np.ndarray]:
    """(training rows, validation rows), the same ones for every seed.

    Files are held out by a hash of their names, so that a new one moves no other; examples without
    names by position. Raises UserError for fewer than two examples.
    """
    if len(rows) < 2:
        raise UserError(
            f"data.train_split={text!r} selects one image, of which none can be held out for"
            " validation; add images, or name data.valid_split."
        )
    chance = _chances(source, rows)
    if chance is None:
        held_out = np.zeros(len(rows), bool)
        held_out[order(0, 0, len(rows))[: max(len(rows) // HELD_OUT, 1)]] = True
    else:
        held_out = chance < 1 / HELD_OUT
        held_out[np.argmin(chance)] = True  # of a few files perhaps none, of two perhaps both
        held_out[np.argmax(chance)] = False
    return rows[~held_out], rows[held_out]


def _chances(source: Source, rows: np.ndarray) -> np.ndarray | None:
    """f64[N] on [0,1) from the lower half of each name's hash; the order is that of the upper."""
    chance, parts = np.zeros(len(rows)), list(source.splits.values())
    for part in np.unique(rows[:, 0]):
        hashes = parts[part].hashes()
        if hashes is None:
            return None
        here = rows[:, 0] == part
        chance[here] = (hashes[rows[here, 1]] & np.uint64(2**32 - 1)) / 2**32
    return chance


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two selections share an example."""
    both = np.concatenate([np.unique(first, axis=0), np.unique(second, axis=0)])
    return len(np.unique(both, axis=0)) < len(both)
