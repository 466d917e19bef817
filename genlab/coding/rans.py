"""An entropy coder of integers: rANS with one head, a stack of symbols.

A symbol is an interval [start, start + width) of the 2**bits slots that all symbols share; pushing
it costs bits - log2(width) bits, up to rounding. What was pushed last is popped first. Popping from
a distribution that nothing was pushed by draws from it, which is what bits-back coding rests on.

One head for a whole stream: a head for each image would cost a quarter of what an image of
binarised MNIST takes, or more. A vector of 32 heads in numpy is as fast as Python's integers, which
take 0.2 us to push and 0.3 us to pop a value of two levels (0.8 us of 256): longer vectors would be
faster, but the networks take far longer than the coder. Nothing here but integers decides anything.

Source: Duda, "Asymmetric numeral systems", arXiv 1311.2540, section 2.3 (range variant).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

LOW = 1 << 32  # the head stays in [LOW, LOW**2) and hands out and takes in words of 32 bits
WORD = LOW - 1
MAX_BITS = 28  # of slots; the head then keeps 4 bits of precision where it is smallest
HEAD_BYTES = 8


class Emptied(Exception):
    """More was popped than had been pushed: the stack is not what an encoder has made."""


def reserve(count: int) -> list[int]:
    """The words that an empty stack can lend, from a fixed generator."""
    return (np.random.Philox(key=[0, 0]).random_raw(count) & WORD).tolist()


class Stack:
    """Symbols, the last one on top.

    lends: whether popping from an empty stack gives words of `reserve`, for bits-back coding, whose
      first image has nothing to pop from. They are no part of the message: the decoder, which pops
      all that the encoder pushed, is left with them.
    """

    def __init__(self, lends: bool = False) -> None:
        self.lends = lends
        self.words: list[int] = []
        self.lent = 0
        self.head = self._first_head()

    def _first_head(self) -> int:
        return LOW | reserve(1)[0] if self.lends else LOW

    @classmethod
    def from_bytes(cls, data: bytes, lends: bool = False) -> Stack:
        """The stack that `to_bytes` wrote. Raises Emptied for what it cannot have written."""
        stack = cls(lends)
        if len(data) < HEAD_BYTES or len(data) % 4:
            raise Emptied
        stack.head = int.from_bytes(data[:HEAD_BYTES], "little")
        stack.words = np.frombuffer(data[HEAD_BYTES:], "<u4").tolist()
        if stack.head < LOW:
            raise Emptied
        return stack

    def to_bytes(self) -> bytes:
        """The head, and the words below it."""
        return self.head.to_bytes(HEAD_BYTES, "little") + np.array(self.words, "<u4").tobytes()

    def is_done(self) -> bool:
        """Whether all that was pushed has been popped, as far as can be told."""
        left = reserve(len(self.words) + 1)[1:][::-1] if self.lends else []
        return self.head == self._first_head() and self.words == left

    def push(self, starts: np.ndarray, widths: np.ndarray, bits: int) -> None:
        """Pushes intervals [N], the first one last: so it is popped first."""
        head, words, shift = self.head, self.words, 64 - bits
        for start, width in zip(starts[::-1].tolist(), widths[::-1].tolist(), strict=True):
            if head >> shift >= width:
                words.append(head & WORD)
                head >>= 32
            whole, rest = divmod(head, width)
            head = (whole << bits) + rest + start
        self.head = head

    def pop(self, cumulative: np.ndarray, bits: int) -> np.ndarray:
        """Pops a symbol of each row of u32[N,K+1], the starts of its K intervals and 2**bits.

        Returns: i64[N].
        """
        starts = np.ascontiguousarray(cumulative).data.cast("B").cast("I")
        head, mask, size, found = self.head, (1 << bits) - 1, cumulative.shape[1], []
        for row in range(0, len(cumulative) * size, size):
            slot = head & mask
            place = bisect_right(starts, slot, row, row + size) - 1
            start = starts[place]
            head = (starts[place + 1] - start) * (head >> bits) + slot - start
            if head < LOW:
                head = head << 32 | self._word()
            found.append(place - row)
        self.head = head
        return np.array(found, np.int64)

    def slot(self, bits: int) -> int:
        """Where in the 2**bits slots the symbol on top lies."""
        return self.head & ((1 << bits) - 1)

    def drop(self, start: int, width: int, bits: int) -> None:
        """Pops the symbol on top, which has that interval."""
        self.head = width * (self.head >> bits) + self.slot(bits) - start
        if self.head < LOW:
            self.head = self.head << 32 | self._word()

    def _word(self) -> int:
        if self.words:
            return self.words.pop()
        if not self.lends:
            raise Emptied
        self.lent += 1
        return reserve(self.lent + 1)[-1]


def concatenated(parts: Iterable[np.ndarray]) -> np.ndarray:
    """i64[N] of parts of any integer type; of none, nothing."""
    return np.concatenate([np.zeros(0, np.int64), *parts])
