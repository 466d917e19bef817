"""What a model promises the codec: to push images onto a stack and to pop them again."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from genlab.coding.rans import Stack
from genlab.state import State

CHUNK = 1024  # images of a stream, where a family does not say more


class ImageCoder(Protocol):
    """Codes the images of one model, `lanes` at a time.

    Both directions must run the same compiled programs on the same inputs, padding included: one
    unit in the last place between them, and what follows is noise.
    """

    @property
    def levels(self) -> int:
        """Levels of a value; bytes that are none of them cannot be coded."""

    @property
    def lanes(self) -> int:
        """Images that a program computes at once."""

    @property
    def chunk(self) -> int:
        """Images of a stream."""

    @property
    def lends(self) -> bool:
        """Whether coding begins by popping, see `rans.Stack`."""

    def push(self, stack: Stack, images: np.ndarray, labels: np.ndarray) -> None:
        """Pushes u8[N,H,W,C] with labels i32[N]; N is `chunk` or less."""

    def pop(self, stack: Stack, labels: np.ndarray) -> np.ndarray:
        """Pops u8[N,H,W,C], those of N labels."""


@runtime_checkable
class Compresses(Protocol):
    """Of a task: has a likelihood by which images can be coded."""

    def coder(self, state: State, count: int, lanes: int = 0) -> ImageCoder:
        """The coder of that many images; lanes: 0 chooses them. Raises UserError if the likelihood
        is none."""


def padded(rows: np.ndarray, lanes: int) -> np.ndarray:
    """[N,...] -> [lanes,...], zeros added."""
    beyond = np.zeros((lanes - len(rows), *rows.shape[1:]), rows.dtype)
    return np.concatenate([rows, beyond])


def fitting_lanes(count: int, bytes_per_lane: int, budget: int, most: int) -> int:
    """A power of two: enough for `count` images if `budget` bytes and `most` allow it."""
    lanes = 1
    while lanes < min(count, most) and 2 * lanes * bytes_per_lane <= budget:
        lanes *= 2
    return lanes
