"""Bits-back coding by a VAE: an image costs its negative ELBO.

To push an image, a latent is popped from the stack as if it were the posterior's; then the image
given the latent is pushed, and the latent by the prior. The popped bits are not lost: who has
popped the latent and the image knows the posterior, and pushes the latent back.

The first image has nothing to pop from: the stack lends it the bits of its latents, for ever. A
batch pops the latents of all its images before it pushes anything, and a latent may be several
times the bits that an image leaves behind. So a batch is at most an eighth of the images before it.

Source: Townsend et al., "Practical lossless compression with latent variables using bits back
coding", arXiv 1901.04866.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from genlab.coding import frequencies, normal
from genlab.coding.contract import fitting_lanes, padded
from genlab.coding.programs import compiled
from genlab.coding.rans import Stack
from genlab.likelihoods.levels import dequantise
from genlab.state import Tree

if TYPE_CHECKING:
    from genlab.tasks.vae.task import Task

CHUNK = 2**14  # images of a stream: each stream borrows once
MEMORY = 2**26  # bytes of the probabilities of all lanes
MOST = 256  # lanes
SHARE = 8  # images before a batch for each one of it

# u8[B,H,W,C], i32[B] -> mean and deviation, f32[B,d] each
Posterior = Callable[[np.ndarray, np.ndarray], tuple[jax.Array, jax.Array]]
# f32[B,d], i32[B] -> f32[B,H,W,C,levels], probabilities
Pixels = Callable[[np.ndarray, np.ndarray], jax.Array]


def batches(count: int, lanes: int) -> list[slice]:
    """One image at a time at first, then more and more, up to `lanes`."""
    found, start = [], 0
    while start < count:
        size = min(max(start // SHARE, 1), lanes)
        found.append(slice(start, min(start + size, count)))
        start += size
    return found


@dataclass(frozen=True)
class BitsBackCoder:
    """See `genlab.coding.contract.ImageCoder`.

    posterior, pixels: compiled for `lanes` images.
    bytes_of: u8[levels], the byte of each level.
    """

    posterior: Posterior
    pixels: Pixels
    shape: tuple[int, int, int]
    codes: int
    bytes_of: np.ndarray
    lanes: int
    chunk: int = CHUNK
    lends: bool = True

    @property
    def levels(self) -> int:
        """See `ImageCoder`."""
        return len(self.bytes_of)

    def push(self, stack: Stack, images: np.ndarray, labels: np.ndarray) -> None:
        """See `ImageCoder`."""
        for some in batches(len(images), self.lanes):
            told = labels[some]
            latents = normal.pop(stack, *self._posterior(images[some], told))
            values = np.searchsorted(self.bytes_of, images[some].ravel())
            starts = self._pixels(latents, told)
            stack.push(*frequencies.intervals(starts, values), frequencies.BITS)
            stack.push(latents, np.ones_like(latents), normal.BUCKETS)

    def pop(self, stack: Stack, labels: np.ndarray) -> np.ndarray:
        """See `ImageCoder`."""
        found = np.zeros((len(labels), *self.shape), np.uint8)
        for some in batches(len(labels), self.lanes)[::-1]:
            told = labels[some]
            latents = self._by_prior(stack, len(told))
            values = stack.pop(self._pixels(latents, told), frequencies.BITS)
            found[some] = self.bytes_of[values].reshape(-1, *self.shape)
            posterior = self._posterior(found[some], told)
            stack.push(*normal.intervals(latents, *posterior), normal.BITS)
        return found

    def _by_prior(self, stack: Stack, count: int) -> np.ndarray:
        """The numbers of buckets i64[count*d], popped as equally likely."""
        found = []
        for _ in range(count * self.codes):
            found.append(stack.slot(normal.BUCKETS))
            stack.drop(found[-1], 1, normal.BUCKETS)
        return np.array(found, np.int64)

    def _posterior(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f32[N*d] each, mean and deviation."""
        found = self.posterior(padded(images, self.lanes), padded(labels, self.lanes))
        mean, deviation = (np.asarray(x)[: len(images)].ravel() for x in found)
        return mean, deviation

    def _pixels(self, latents: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """u32[N*H*W*C,levels+1], the starts of the levels of each value."""
        z = normal.centres()[latents].reshape(-1, self.codes)
        found = self.pixels(padded(z, self.lanes), padded(labels, self.lanes))
        probabilities = np.asarray(found)[: len(labels)]
        return frequencies.cumulative(probabilities.reshape(-1, self.levels))


@functools.lru_cache(maxsize=16)
def programs(task: Task) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The posterior and the pixels of a task, each of its parameters too."""
    return compiled(task.coded_posterior), compiled(task.coded_pixels)


def coder(task: Task, params: Tree, count: int, lanes: int = 0) -> BitsBackCoder:
    """The coder of that many images; lanes: 0 chooses them."""
    levels = task.likelihood.levels
    size = math.prod(task.shape) * levels * 4
    posterior, pixels = programs(task)
    return BitsBackCoder(
        posterior=functools.partial(posterior, params),
        pixels=functools.partial(pixels, params),
        shape=task.shape,
        codes=task.network.codes,
        bytes_of=np.asarray(dequantise(jnp.arange(levels), levels)),
        lanes=lanes or fitting_lanes(count, size, MEMORY, MOST),
    )
