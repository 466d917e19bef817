"""Several networks as one: the mean of their probabilities at each pixel.

Its outputs are log probabilities of the levels. As each conditional is normalised, so is the
whole, and every sampler draws from it as from one network. At each pixel the members that
explained a value best do not count for more afterwards, as they do where whole images are mixed.

Members may model the pixels by different orders (`autoregressive.orders`). The mean for an image is
that of the members that know the order of which the context tells; a member of n orders counts for
each as 1/n.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab.likelihoods.contract import PixelPredictor
from genlab.likelihoods.levels import from_centred
from genlab.nn.multiscale import MultiScale, draw_by_scale
from genlab.nn.pixel import PixelFields, PixelNetwork, PixelSampler, Place, cached
from genlab.state import Tree


class Told(NamedTuple):
    """What a mixture is told.

    members: the context of each.
    counts: f32[members,B], how much each counts for an image; None counts all the same.
    """

    members: tuple[Any, ...]
    counts: jax.Array | None = None


Context = jax.Array | None | Told


class Mixture(PixelNetwork):
    """Networks of pixels, each with its own parameters.

    members: the networks.
    predictors: what the outputs of each mean.
    levels: of a value.
    orders: of each member, by their numbers among all; () where there is one, which is not told.
    all_orders: how many there are; the last features of the context tell which.
    """

    members: tuple[nn.Module, ...]
    predictors: tuple[PixelPredictor, ...]
    levels: int
    orders: tuple[tuple[int, ...], ...] = ()
    all_orders: int = 0

    # A colour's probabilities depend on the earlier colours of its pixel, so that samplers come
    # colour by colour.
    colour_groups: ClassVar[bool] = True

    @property
    def outputs(self) -> int:
        """Of each colour: log probabilities of the levels."""
        return self.levels

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: Context = None,
        at: Place | None = None,
        train: bool = False,
    ) -> jax.Array | None:
        """See `masked.MaskedNetwork`; f32[B,H,W,C,levels], normalised log probabilities."""
        told = self._told(context)
        each = [self._outputs(i, x, told.members[i], at, train) for i in range(len(self.members))]
        if at is not None and at[1] is None:
            return None
        values = from_centred(x, self.levels)  # i32[B,H,W,C]
        colours = list(range(x.shape[-1]))
        if at is not None:
            values = values[:, at[0], at[1]][:, None, None]
            colours = colours if len(at) == 2 else [at[2]]
        log_probs = [
            [jax.nn.log_softmax(predictor.conditional(outputs, values, c)) for c in colours]
            for predictor, outputs in zip(self.predictors, each, strict=True)
        ]
        stacked = jnp.stack([jnp.stack(of_member, -2) for of_member in log_probs])
        if told.counts is None:
            return jax.nn.logsumexp(stacked, axis=0) - math.log(len(each))
        counts = told.counts[..., None, None, None, None]
        return jax.nn.logsumexp(stacked, axis=0, b=counts) - jnp.log(counts.sum(0))

    def _outputs(self, i: int, x: jax.Array, told: Any, at: Place | None, train: bool) -> Any:
        """Outputs of member i for all colours, as far as these are known."""
        member, (batch, _, _, colours) = self.members[i], x.shape
        shape = (batch, 1, 1, colours, self.predictors[i].outputs)
        if at is None:
            if self.is_mutable_collection("cache"):
                self.variable("cache", f"outputs_{i}", jnp.zeros, shape)
            return member(x, told, train=train)
        if len(at) < 3:
            return member(x, told, at)
        before = cached(self, f"outputs_{i}")
        if member.colour_groups:
            new = member(x, told, at)  # f32[B,1,1,1,outputs]
            before.value = before.value.at[:, :, :, at[2]].set(new[:, :, :, 0])
        elif at[2] == 0:
            before.value = member(x, told, at[:2])
        return before.value

    def as_sampled(self, patches: bool) -> PixelNetwork:
        """See `PixelNetwork`."""
        return self.clone(members=tuple(m.as_sampled(patches) for m in self.members))

    def outer(self) -> tuple[str, ...]:
        """See `PixelNetwork`."""
        each = enumerate(self.members)
        return tuple(f"members_{i}/{path}" for i, net in each for path in net.outer())

    def order(self, places: np.ndarray) -> np.ndarray:
        """See `PixelNetwork`: that of every member."""
        return self.members[0].order(places)

    def draw(
        self,
        sampler: PixelSampler,
        keys: jax.Array,
        given: jax.Array,
        known: jax.Array,
        places: jax.Array,
    ) -> jax.Array:
        """See `PixelNetwork`; multi-scale members are mixed at each scale."""
        if isinstance(self.members[0], MultiScale):
            return draw_by_scale(self, sampler, keys, given, known, places)
        return sampler.pixels(keys, given, known, places)

    def part(self, name: str, params: Tree) -> tuple[PixelNetwork, Tree]:
        """See `PixelNetwork`: the mixture of that part of each member."""
        names = [f"members_{i}" for i in range(len(self.members))]
        parts = [m.part(name, params[key]) for m, key in zip(self.members, names, strict=True)]
        network = self.clone(members=tuple(network for network, _ in parts))
        return network, dict(zip(names, (own for _, own in parts), strict=True))

    def of_order(self, number: int, params: Tree) -> tuple[PixelNetwork, Tree]:
        """See `PixelNetwork`: the mixture of the members that know it."""
        if not self.orders:
            return self, params
        kept = [i for i, numbers in enumerate(self.orders) if number in numbers]
        network = self.clone(
            members=tuple(self.members[i] for i in kept),
            predictors=tuple(self.predictors[i] for i in kept),
            orders=tuple(self.orders[i] for i in kept),
        )
        return network, {f"members_{new}": params[f"members_{i}"] for new, i in enumerate(kept)}

    @property
    def factor(self) -> int:
        """See `MultiScale`."""
        return self.members[0].factor

    def reduced(self, x: jax.Array) -> jax.Array:
        """See `MultiScale`."""
        return self.members[0].reduced(x)

    def reduced_context(self, context: Context) -> Told:
        """See `MultiScale`."""
        told = self._told(context)
        each = zip(self.members, told.members, strict=True)
        return told._replace(members=tuple(m.reduced_context(own) for m, own in each))

    def large_context(self, small: jax.Array, context: Context, shape: tuple[int, ...]) -> Told:
        """See `MultiScale`."""
        told = self._told(context)
        each = zip(self.members, told.members, strict=True)
        return told._replace(members=tuple(m.large_context(small, own, shape) for m, own in each))

    def _told(self, context: Context) -> Told:
        """A context, split into those of the members: the labels, and each member's own orders."""
        if isinstance(context, Told):
            return context
        if not self.orders:
            return Told((context,) * len(self.members))
        assert context is not None
        labels, order = jnp.split(context, [context.shape[-1] - self.all_orders], -1)
        known = [order[..., np.array(numbers)] for numbers in self.orders]
        each = [labels if len(n) == 1 else jnp.concatenate([labels, own], -1)
                for n, own in zip(self.orders, known, strict=True)]  # fmt: skip
        counts = jnp.stack([own[:, 0, 0].mean(-1) for own in known])  # of several orders in part
        return Told(tuple(own if own.shape[-1] else None for own in each), counts)


Stepped = PixelFields | Mixture  # networks that are computed pixel by pixel
