"""What training carries from step to step."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

Tree = Any  # a pytree of arrays


class State(struct.PyTreeNode):
    """Every field but the counters is a dict keyed by player.

    step: i32[], ticked by the trainer alone.
    attempt: i32[], which try at this run it is; part of every step's key.
    params: what is trained.
    opt: optimizer states.
    stats: other variables, such as moving averages and fitted densities.
    ema: averaged parameters of the players that keep them.
    """

    step: jax.Array
    attempt: jax.Array
    params: dict[str, Tree]
    opt: dict[str, Tree]
    stats: dict[str, Tree]
    ema: dict[str, Tree]

    @classmethod
    def create(
        cls,
        params: dict[str, Tree],
        optimizers: dict[str, optax.GradientTransformation],
        stats: dict[str, Tree] | None = None,
        averaged: tuple[str, ...] = (),
    ) -> State:
        """A state at step 0; `averaged` names the players that keep an EMA."""
        return cls(
            step=jnp.int32(0),
            attempt=jnp.int32(0),
            params=params,
            opt={player: tx.init(params[player]) for player, tx in optimizers.items()},
            stats=stats or {},
            ema={player: jax.tree.map(jnp.copy, params[player]) for player in averaged},
        )

    def with_weights(self, weights: str) -> State:
        """The state with averaged parameters where kept ("ema"), or as it is ("raw")."""
        return self.replace(params={**self.params, **self.ema}) if weights == "ema" else self

    def trained(self) -> dict[str, dict[str, Tree]]:
        """What a trained model is: without counters, optimizers and averages."""
        return {"params": self.params, "stats": self.stats}


def digest(state: Tree) -> str:
    """SHA-256 over the path, dtype, shape and bytes of every array of a host state."""
    sha = hashlib.sha256()
    for path, x in jax.tree_util.tree_leaves_with_path(state):
        x = np.asarray(x)
        sha.update(f"{jax.tree_util.keystr(path)} {x.dtype} {x.shape}\n".encode())
        sha.update(np.ascontiguousarray(x).tobytes())
    return sha.hexdigest()
