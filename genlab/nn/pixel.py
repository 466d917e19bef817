"""How networks of pixels are called, and what their layers share.

There are four ways, so that a sampler computes only what is new:

    network(x, context)                      the parameters of every pixel, f32[B,H,W,C,outputs]
    network(x, context, at=(i, None))        before row i: what all its pixels share, into the cache
    network(x, context, at=(i, j))           of that pixel, f32[B,1,1,C,outputs]
    network(x, context, at=(i, j, c))        of its colour c alone, f32[B,1,1,1,outputs]

All but the first read and write the `cache` collection. They are called in raster order, for a
pixel as a whole or colour by colour. x is the whole image, as far as it is known. `context` is
given to all pixels: f32[B,1,1,K] (a class), f32[B,H,W,K] (a map) or None. In a network called for
one colour, features are those of its group alone, see `group`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab.sections.fields import Count, Dtype, OddCount, Rate
from genlab.state import Tree

Place = tuple[Any, ...]  # (row, None), (row, column) or (row, column, colour); colour is an int
CONTEXT_NAME = "Told_0"  # of an `AddContext` in a layer: checkpoints know its kernel by this name


def group(size: int, colours: int, at: Place | None) -> slice:
    """Which of `size` features belong to the colour that `at` names; all if it names none.

    Feature f belongs to colour floor(colours * f / size).
    """
    if at is None or len(at) < 3:
        return slice(0, size)
    return slice(-(-at[2] * size // colours), -(-(at[2] + 1) * size // colours))


def of_colour(x: jax.Array, colours: int, at: Place | None, gates: int = 1) -> jax.Array:
    """[...,gates*F] -> [...,gates*f], the features of that group in each gate."""
    size = x.shape[-1] // gates
    x = x.reshape(*x.shape[:-1], gates, size)[..., group(size, colours, at)]
    return x.reshape(*x.shape[:-2], gates * x.shape[-1])


def cut(
    module: nn.Module, name: str, colours: int, at: Place | None, make: Callable[[int], jax.Array]
) -> jax.Array | None:
    """The weights of the colour that `at` names, of make(colour); None where it names none.

    A sampler that has run the network with `cut` mutable, and passes that collection on, has had
    them cut once, before its loops; else they are cut here and now, at every pixel.
    """
    if at is None and colours > 1 and module.is_mutable_collection("cut"):
        for colour in range(colours):
            module.variable("cut", f"{name}_{colour}", make, colour)
    if at is None or len(at) < 3:
        return None
    key = f"{name}_{at[2]}"
    return module.get_variable("cut", key) if module.has_variable("cut", key) else make(at[2])


def windows(x: jax.Array, kernel: int, taps: int, height: int, width: int) -> jax.Array:
    """What the first taps of a kernel, in raster order, see at each place.

    Padded f32[B,height+r,width+kernel-1,Cin] -> f32[B,height,width,taps*Cin].
    """
    shifts = [divmod(tap, kernel) for tap in range(taps)]
    return jnp.concatenate([x[:, i : i + height, j : j + width] for i, j in shifts], -1)


def cached(module: nn.Module, name: str) -> nn.Variable:
    """A variable of the cache. Raises ValueError where there is none: Flax would make a new one."""
    if not module.has_variable("cache", name):
        raise ValueError("no cache: start from stepping.Cached")
    return module.variable("cache", name, lambda: None)


def context_at(context: jax.Array | None, at: Place | None) -> jax.Array | None:
    """The part of a context for a pixel, f32[B,1,1,K], or for a row, f32[B,1,W,K]."""
    if context is None or at is None or context.shape[1:3] == (1, 1):
        return context
    row = jax.lax.dynamic_slice_in_dim(context, at[0], 1, 1)
    return row if at[1] is None else jax.lax.dynamic_slice_in_dim(row, at[1], 1, 2)


def forgetful(layer: nn.Module, *inputs: Any) -> Any:
    """What the layer computes of its inputs, in training; its inner values are not kept for the
    gradient but computed again."""
    arrays = tuple(x for x in inputs if isinstance(x, jax.Array))

    def call(layer: nn.Module, *arrays: jax.Array) -> Any:
        given = iter(arrays)
        mine = (next(given) if isinstance(x, jax.Array) else x for x in inputs)
        return layer(*mine, None, True)

    return nn.remat(call)(layer, *arrays)


class AddContext(nn.Module):
    """Adds a 1x1 convolution of the context, without a mask, to features.

    features: how many, of all colours and gates.
    """

    features: int
    colours: int = 1
    gates: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None,
        at: Place | None = None,
        part: slice = slice(None),
    ) -> jax.Array:
        """f32[B,H,W,F], those features that `part` names, and a context -> f32[B,H,W,F]."""
        if context is None:
            return x
        added = nn.Dense(self.features, use_bias=False, dtype=self.dtype)(context)
        return x + of_colour(added, self.colours, at, self.gates)[..., part]


class PixelSampler(Protocol):
    """What a network needs of a sampler (`autoregressive.sampling`) to say how it is sampled."""

    @property
    def params(self) -> Any:
        """The parameters of the network."""

    @property
    def context(self) -> Any:
        """The context of the images, see above; of a mixture perhaps one for each member."""

    def seen(self, values: jax.Array) -> jax.Array:
        """i32[B,H,W,C] levels -> f32[B,H,W,C] in [-1,1], as networks see them."""

    def of_part(self, name: str, context: Any) -> PixelSampler:
        """The sampler of the network in that field, with that context."""

    def draw(
        self, keys: jax.Array, given: jax.Array, known: jax.Array, places: jax.Array | None = None
    ) -> jax.Array:
        """i32[B,H,W,C] levels, those of `given` where known."""

    def pixels(
        self, keys: jax.Array, given: jax.Array, known: jax.Array, places: jax.Array
    ) -> jax.Array:
        """The same, all pixels in raster order."""


class PixelNetwork(nn.Module):
    """A network of pixels. The methods here are for one that models them in raster order.

    passes_of_a_cached_draw: passes over all pixels that a TPU is estimated to do while it draws
      images from a cache, value after value (mnist_pixelcnn, 64 images, v5e: 49.9 ms over 1.78).
    """

    passes_of_a_cached_draw: ClassVar[int] = 28

    def as_sampled(self, patches: bool) -> PixelNetwork:
        """The network as samplers run it: in float32, and with patches if asked for, because
        convolutions in loops are slow on CPU."""
        return self.clone(dtype="float32", patches=patches)

    def part(self, name: str, params: Tree) -> tuple[PixelNetwork, Tree]:
        """The network in that field, and its own of these parameters."""
        return getattr(self, name), params[name]

    def of_order(self, number: int, params: Tree) -> tuple[PixelNetwork, Tree]:
        """The network for images that are all told that order, and its own of these parameters."""
        return self, params

    def outer(self) -> tuple[str, ...]:
        """Paths of the parameters of the first layer and of the head: Muon's authors advise another
        optimizer for these."""
        raise NotImplementedError

    def order(self, places: np.ndarray) -> np.ndarray:
        """The numbers of all values [H,W,C] in the order in which the network models them."""
        return places.ravel()

    def draw(
        self,
        sampler: PixelSampler,
        keys: jax.Array,
        given: jax.Array,
        known: jax.Array,
        places: jax.Array,
    ) -> jax.Array:
        """i32[B,H,W,C] levels, drawn by a sampler of this network."""
        return sampler.pixels(keys, given, known, places)


class PixelFields(PixelNetwork):
    """The fields of the networks that model all pixels in raster order.

    outputs: parameters per colour of a pixel, given by the likelihood, not by the config.
    features: width.
    layers: how many, after the first convolution.
    first_kernel: side of the first convolution.
    head: maps in the head.
    dropout: in every layer.
    residual: whether a layer's output is added to its input.
    skip: whether a layer's output is added, by a 1x1, to what the head sees.
    colour_groups: whether a colour sees the earlier ones of its pixel.
    patches: compute convolutions as patches times a matrix, see `masked_conv.MaskedConv`.
    dtype: of the computation; parameters stay float32.
    remat: whether the gradient computes a layer's inner values again rather than keep them: slower,
      and less memory.
    """

    outputs: int
    features: Count = 32
    layers: Count = 7
    first_kernel: OddCount = 7
    head: Count = 32
    dropout: Rate = 0.0
    residual: bool = True
    skip: bool = False
    colour_groups: bool = True
    patches: bool = False
    dtype: Dtype = "float32"
    remat: bool = False
