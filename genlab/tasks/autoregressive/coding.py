"""Coding by an autoregressive model: value after value, for all lanes at once, through the cache.

The parallel pass would give an encoder all distributions at once, but not those that the decoder
gets one by one: they differ by up to 2e-6, and a decoder that sees one other integer decodes noise.
So both directions step through the same compiled programs, driven from the host, and tell them the
same values; only what becomes of a distribution differs: `Encoder` notes the interval of the true
value, `Decoder` pops a value.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np

from genlab.coding import frequencies
from genlab.coding.contract import CHUNK, fitting_lanes, padded
from genlab.coding.programs import compiled
from genlab.coding.rans import Stack, concatenated
from genlab.errors import UserError
from genlab.likelihoods.contract import PixelPredictor
from genlab.likelihoods.levels import centre, dequantise, quantise
from genlab.nn.pixel import PixelFields
from genlab.state import State, Tree
from genlab.tasks.autoregressive.orders import IDENTITY, Symmetry
from genlab.tasks.autoregressive.sampling import Sampler, numbered
from genlab.tasks.autoregressive.stepping import Cached

if TYPE_CHECKING:
    from genlab.tasks.autoregressive.task import Task

AHEAD = 4  # values that the encoder lets the device run ahead of the host
MEMORY = 2**30  # bytes of the caches of all lanes


class Exchange(Protocol):
    """What becomes of a value's distribution."""

    def __call__(self, probabilities: jax.Array, given: np.ndarray) -> np.ndarray:
        """f32[B,levels] and the true values i32[B], as far as known -> the values i32[B]."""


class Encoder:
    """Notes the intervals of the true values of `count` lanes, and pushes them at the end."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting: deque[tuple[jax.Array, np.ndarray]] = deque()
        self.noted: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, probabilities: jax.Array, given: np.ndarray) -> np.ndarray:
        """See `Exchange`."""
        self.waiting.append((probabilities, given))
        self._note(AHEAD)
        return given

    def push(self, stack: Stack) -> None:
        """Pushes all values, so that the first is popped first."""
        self._note(0)
        starts, widths = (concatenated(part) for part in zip(*self.noted, strict=True))
        stack.push(starts, widths, frequencies.BITS)

    def _note(self, ahead: int) -> None:
        while len(self.waiting) > ahead:
            probabilities, given = self.waiting.popleft()
            starts = frequencies.cumulative(np.asarray(probabilities)[: self.count])
            self.noted.append(frequencies.intervals(starts, given[: self.count]))


class Decoder:
    """Pops the values of `count` lanes; the other lanes are zeros, as the encoder's."""

    def __init__(self, stack: Stack, count: int) -> None:
        self.stack, self.count = stack, count

    def __call__(self, probabilities: jax.Array, given: np.ndarray) -> np.ndarray:
        """See `Exchange`."""
        starts = frequencies.cumulative(np.asarray(probabilities)[: self.count])
        found = self.stack.pop(starts, frequencies.BITS)
        return padded(found.astype(given.dtype), len(given))


@dataclass(frozen=True)
class Programs:
    """The compiled steps of one network. A place is i32[5]: row, column and colour of the last
    value, which each step takes in, and row and column of the next.

    start: (params, context) -> the carry.
    row: (carry, params, context, last, place) -> the carry, before the pixels of a row.
    value: of each colour, (carry, params, context, last, place) -> f32[B,levels], and the carry.
    """

    start: Callable[..., Tree]
    row: Callable[..., Tree]
    value: tuple[Callable[..., tuple[jax.Array, Tree]], ...]


@functools.lru_cache(maxsize=16)
def programs(network: PixelFields, predictor: PixelPredictor, shape: tuple[int, ...]) -> Programs:
    """The programs for images [B,H,W,C] of that shape."""

    def start(params: Tree, context: jax.Array | None) -> Tree:
        values = jnp.zeros(shape, jnp.int32)
        outputs = jnp.zeros((shape[0], shape[-1], predictor.outputs))
        return Cached(network, params, context, shape).start(), values, outputs

    def told(values: jax.Array, last: jax.Array, place: jax.Array) -> jax.Array:
        new = last[:, None, None, None]
        return jax.lax.dynamic_update_slice(values, new, (0, place[0], place[1], place[2]))

    def row(
        carry: Tree, params: Tree, context: jax.Array | None, last: jax.Array, place: jax.Array
    ) -> Tree:
        kept, values, outputs = carry
        values = told(values, last, place)
        stepper = Cached(network, params, context, shape)
        kept = stepper.row(kept, centre(values, predictor.levels), place[3])
        return kept, values, outputs

    def value(
        colour: int,
        carry: Tree,
        params: Tree,
        context: jax.Array | None,
        last: jax.Array,
        place: jax.Array,
    ) -> tuple[jax.Array, Tree]:
        kept, values, outputs = carry
        values = told(values, last, place)
        i, j = place[3], place[4]
        stepper = Cached(network, params, context, shape)
        x = centre(values, predictor.levels)
        outputs, kept = stepper.value(kept, x, outputs, i, j, colour)
        logits = predictor.conditional(outputs, values[:, i, j], colour)
        return jax.nn.softmax(logits), (kept, values, outputs)

    colours = [functools.partial(value, colour) for colour in range(shape[-1])]
    each = tuple(compiled(of_colour, donate=(0,)) for of_colour in colours)
    return Programs(compiled(start), compiled(row, donate=(0,)), each)


@dataclass(frozen=True)
class Driven(Sampler):
    """A sampler driven value by value from the host; keys are not used."""

    exchange: Exchange | None = None

    def pixels(
        self, keys: jax.Array, given: jax.Array, known: jax.Array, places: jax.Array
    ) -> jax.Array:
        """See `Sampler`. What is known is known of all images alike."""
        assert self.exchange is not None
        true, coded = np.asarray(given), ~np.asarray(known[0])
        values, told = np.zeros_like(true), (self.params, self.context)
        run = programs(cast(PixelFields, self.network), self.predictor, true.shape)
        carry = run.start(*told)
        last, place = true[:, 0, 0, 0] * 0, (0, 0, 0)
        for i, j, c in np.ndindex(*true.shape[1:]):
            at = np.array([*place, i, j], np.int32)
            if (j, c) == (0, 0):
                carry = run.row(carry, *told, last, at)
            probabilities, carry = run.value[c](carry, *told, last, at)
            last = true[:, i, j, c]
            if coded[i, j, c]:
                last = self.exchange(probabilities, last)
            values[:, i, j, c], place = last, (i, j, c)
        return jnp.asarray(values)


@dataclass(frozen=True)
class PixelCoder:
    """See `genlab.coding.contract.ImageCoder`.

    sampler: of i32[B] labels and an exchange.
    symmetry: of the order of pixels by which images are coded.
    """

    sampler: Callable[[np.ndarray, Exchange], Driven]
    shape: tuple[int, int, int]
    levels: int
    lanes: int
    chunk: int = CHUNK
    lends: bool = False
    symmetry: Symmetry = IDENTITY

    def push(self, stack: Stack, images: np.ndarray, labels: np.ndarray) -> None:
        """See `ImageCoder`."""
        seen = self.symmetry.apply(images)
        values = np.asarray(quantise(jnp.asarray(seen), self.levels))
        for start in range(0, len(values), self.lanes)[::-1]:
            some = slice(start, start + self.lanes)
            encoder = Encoder(len(values[some]))
            self._run(encoder, values[some], labels[some])
            encoder.push(stack)

    def pop(self, stack: Stack, labels: np.ndarray) -> np.ndarray:
        """See `ImageCoder`."""
        found = []
        for start in range(0, len(labels), self.lanes):
            told = labels[start : start + self.lanes]
            blank = np.zeros((len(told), *self.shape), np.int32)
            found.append(self._run(Decoder(stack, len(told)), blank, told))
        images = np.asarray(dequantise(jnp.asarray(np.concatenate(found)), self.levels))
        return self.symmetry.undo(images)

    def _run(self, exchange: Exchange, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Codes up to `lanes` images i32[N,H,W,C] of levels, which it returns."""
        count, values = len(values), padded(values, self.lanes)
        sampler = self.sampler(padded(labels, self.lanes), exchange)
        nothing, places = jnp.zeros(values.shape, bool), numbered(values.shape)
        return np.asarray(sampler.draw(jnp.zeros(0), jnp.asarray(values), nothing, places))[:count]


def fitting(sampler: Sampler, shape: tuple[int, int, int], count: int) -> int:
    """How many lanes to code `count` images in: many, so that host and device take turns less
    often, but their caches must fit. The sampler is one of a single image."""

    def kept(params: Tree) -> Tree:
        stepper = Cached(cast(PixelFields, sampler.network), params, sampler.context, (1, *shape))
        return stepper.start()  # of a multi-scale network, the caches of all its parts

    made = jax.tree.leaves(jax.eval_shape(kept, sampler.params))
    return fitting_lanes(count, sum(x.size * x.dtype.itemsize for x in made), MEMORY, CHUNK)


def coder(task: Task, state: State, count: int, lanes: int = 0) -> PixelCoder:
    """The coder of that many images; lanes: 0 chooses them. Raises UserError for a model that has
    no likelihood."""
    if task.predictor.estimate == "none":
        raise UserError("compress: a grey_value model has no likelihood; train another one.")

    def sampler(labels: np.ndarray, exchange: Exchange | None = None) -> Driven:
        return Driven(**vars(task.sampler(state, jnp.asarray(labels))), exchange=exchange)

    one = np.asarray(task.condition.no_labels(1))
    chosen = lanes or fitting(sampler(one), task.shape, count)
    levels, symmetry = task.predictor.levels, task.orders.symmetry
    return PixelCoder(sampler, task.shape, levels, chosen, symmetry=symmetry)
