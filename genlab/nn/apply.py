"""Networks applied to inputs, with types. Flax's own `apply` returns a union of what it may be."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from genlab.state import Tree


def outputs_of(network: nn.Module, params: Tree, *inputs: Any, **options: Any) -> jax.Array:
    """What a network computes of its inputs.

    options: keywords of the network, and `method` or `rngs` of `nn.Module.apply`.
    """
    outputs: Any = network.apply({"params": params}, *inputs, **options)
    return outputs


def outputs_and_variables(
    network: nn.Module,
    params: Tree,
    collection: str,
    values: Tree,
    *inputs: Any,
    fixed: Tree | None = None,
    **options: Any,
) -> tuple[jax.Array, Tree]:
    """What a network computes of its inputs, and what this does to a collection of variables.

    collection: "batch_stats", "cache" or "cut".
    values: of its variables before; an empty dict where there are none yet.
    fixed: other collections, which do not change.
    options: see `outputs_of`.
    """
    variables = {"params": params} | (fixed or {}) | ({collection: values} if values else {})
    outputs, changed = network.apply(variables, *inputs, mutable=[collection], **options)
    return outputs, changed.get(collection, values)
