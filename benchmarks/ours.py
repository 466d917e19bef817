"""Our side: a training step as the loop compiles it, on all devices, on one batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import parallel
from genlab import task as tasks
from genlab.condition import Spec
from genlab.state import State

LOSSES = ("nll", "neg_elbo", "neg_iwae", "discriminator_loss", "generator_loss")


def parameters(config: ConfigDict, spec: Spec) -> int:
    """How many numbers all players train."""
    params = tasks.abstract_state(tasks.load(config, spec), spec).params
    return sum(math.prod(x.shape) for x in jax.tree.leaves(params))


def step(config: ConfigDict, spec: Spec, images: np.ndarray) -> Callable[[], Any]:
    """Trains one step at each call, and waits for it. The losses are all it gives back: XLA leaves
    out the norms that a training logs, which PyTorch's side does not compute either.

    Args: images: u8[B,H,W,C].
    """
    task, replicas = tasks.load(config, spec), parallel.replicas()
    batch = {"image": images, "label": np.zeros(len(images), np.int32)}

    def one(state: State, key: Any, batch: Any) -> tuple[State, Any]:
        state, metrics = task.step(state, batch, jax.random.fold_in(key, state.step))
        losses = {name: metrics[name] for name in LOSSES if name in metrics}
        return state.replace(step=state.step + 1), losses

    fresh = parallel.on_one_device(task.init)(jax.random.key(0), {"image": images[:1]})
    carry = replicas.replicate(jax.device_get(fresh))
    rows = replicas.rows(np.arange(len(images))[None])[:, 0]  # [replicas,B/n]
    split = replicas.split({name: x[rows] for name, x in batch.items()})
    call, key = replicas.compile(one, "default"), jax.random.key(1)

    def run() -> dict[str, Any]:
        nonlocal carry
        carry, losses = call(carry, key, split)
        return jax.block_until_ready(losses)

    return run
