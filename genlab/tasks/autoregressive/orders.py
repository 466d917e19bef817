"""Orders of pixels without new masks: a symmetry of the square, then raster order.

A symmetry g only moves the pixels of an image, so `p(g.x)` under a network of pixels is a
likelihood of x, by another order. A network that is told g, as it is told a class, learns all its
orders at once. Their mixture, of equal weights, is a likelihood again:

    log p(x) = logmeanexp_g log p(g.x given g)

Models of different orders have such a mixture too, see `mixing`; its weights need not be equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from genlab import noise
from genlab.errors import UserError, hint

Array = TypeVar("Array", jax.Array, np.ndarray)


@dataclass(frozen=True)
class Symmetry:
    """A symmetry of the square: perhaps a transposition, then perhaps flips.

    transposed: rows become columns.
    upside_down: the last row comes first.
    mirrored: the last column comes first.
    """

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def apply(self, x: Array) -> Array:
        """[B,H,W,C] -> [B,H,W,C], or [B,W,H,C] if transposed."""
        return self._flipped(x.swapaxes(1, 2) if self.transposed else x)

    def undo(self, x: Array) -> Array:
        """The x whose `apply` is this."""
        x = self._flipped(x)
        return x.swapaxes(1, 2) if self.transposed else x

    def _flipped(self, x: Array) -> Array:
        x = x[:, ::-1] if self.upside_down else x
        return x[:, :, ::-1] if self.mirrored else x


IDENTITY = Symmetry()
SYMMETRIES = {
    "identity": IDENTITY,
    "flip_horizontal": Symmetry(mirrored=True),
    "flip_vertical": Symmetry(upside_down=True),
    "rotate180": Symmetry(upside_down=True, mirrored=True),
    "transpose": Symmetry(transposed=True),
    "rotate90": Symmetry(transposed=True, upside_down=True),  # counter-clockwise
    "rotate270": Symmetry(transposed=True, mirrored=True),
    "antitranspose": Symmetry(transposed=True, upside_down=True, mirrored=True),
}
NAMES = tuple(SYMMETRIES)


@dataclass(frozen=True)
class Orders:
    """The orders of a model. If there are several, the network is told which it is.

    names: of SYMMETRIES.
    counts: how much each counts in the mixture; () counts all the same.
    """

    names: tuple[str, ...] = ("identity",)
    counts: tuple[float, ...] = ()

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raises UserError for orders that images of that (H, W, C) cannot have."""
        if not self.names or len(set(self.names)) < len(self.names):
            raise UserError(f"autoregressive.orders={self.names}: take one or more, each once.")
        turned = [name for name in self.names if SYMMETRIES[name].transposed]
        if turned and shape[0] != shape[1]:
            raise UserError(
                f"autoregressive.orders: {turned[0]} turns images of {shape[0]}x{shape[1]} into"
                f" {shape[1]}x{shape[0]}; take identity, flips or rotate180, or square images."
            )

    @property
    def several(self) -> bool:
        """Whether the network is told an order."""
        return len(self.names) > 1

    @property
    def weights(self) -> jax.Array:
        """f32[orders], of the mixture; their sum is 1."""
        counts = jnp.array(self.counts or (1.0,) * len(self.names))
        return counts / counts.sum()

    @property
    def usual(self) -> str:
        """The order of completions and pictures: the identity, if it is one of them."""
        return "identity" if "identity" in self.names else self.names[0]

    @property
    def symmetry(self) -> Symmetry:
        """Of the usual order."""
        return SYMMETRIES[self.usual]

    def place(self, name: str | None) -> int:
        """The number of an order, by default of the usual one. Raises UserError for no such."""
        name = name or self.usual
        if name not in self.names:
            raise UserError(f"order: this model has no order {name!r}.{hint(name, self.names)}")
        return self.names.index(name)

    def for_rows(self, key: jax.Array, size: int) -> jax.Array:
        """i32[size]: an order for each example of a batch, by its row's own key."""
        if not self.several:
            return jnp.zeros(size, jnp.int32)
        return jnp.floor(noise.uniform(key, (size,)) * len(self.names)).astype(jnp.int32)

    def for_samples(self, keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """i32[B]: an order for each image of that (H, W, C), by its own key[B].

        The noise of value t comes from the key folded with t; this is the next number after them.
        """
        if not self.several:
            return jnp.zeros(keys.shape[0], jnp.int32)

        def draw(key: jax.Array) -> jax.Array:
            own = jax.random.fold_in(key, math.prod(shape))
            return jax.random.categorical(own, jnp.log(self.weights))

        return jax.vmap(draw)(keys)

    def apply(self, x: jax.Array, chosen: jax.Array) -> jax.Array:
        """[B,H,W,C], i32[B] numbers of orders -> [B,H,W,C] as the network sees them."""
        return _select([SYMMETRIES[name].apply(x) for name in self.names], chosen)

    def undo(self, x: jax.Array, chosen: jax.Array) -> jax.Array:
        """The images whose `apply` is x."""
        return _select([SYMMETRIES[name].undo(x) for name in self.names], chosen)

    def vector(self, chosen: jax.Array) -> jax.Array | None:
        """i32[B] -> f32[B,orders], what the network is told; None of a single order."""
        return jax.nn.one_hot(chosen, len(self.names)) if self.several else None

    def mixture(self, each: list[dict[str, jax.Array]]) -> dict[str, jax.Array]:
        """Metrics f32[B] by each order -> those of the mixture, and each order's as nll_<order>."""
        if not self.several:
            return each[0]
        found, weights = {}, self.weights[:, None]
        for name in each[0]:
            values = jnp.stack([metrics[name] for metrics in each])  # f32[orders,B]
            if name == "nll":
                found[name] = -jax.nn.logsumexp(-values, axis=0, b=weights)
            else:
                found[name] = (weights * values).sum(0)
            found |= {f"{name}_{order}": x for order, x in zip(self.names, values, strict=True)}
        return found


RASTER = Orders()


def _select(each: list[jax.Array], chosen: jax.Array) -> jax.Array:
    """Arrays [B,...] and i32[B] -> [B,...]: example i of the array that it chose."""
    if len(each) == 1:
        return each[0]
    return jnp.stack(each)[chosen, jnp.arange(chosen.shape[0])]
