"""Training steps as values: one player's descent, and two ways to compose steps.

Everything here runs inside `parallel`, where the `data` axis is bound.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from genlab.noise import AXIS
from genlab.state import State, Tree

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Step = Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
# loss(params of the player, state, batch, key) -> (f32[], (metrics, the player's new stats))
Loss = Callable[[Tree, State, Batch, jax.Array], tuple[jax.Array, tuple[Metrics, Tree]]]


def descend(
    player: str, optimizer: optax.GradientTransformation, loss: Loss, ema: float = 0.0
) -> Step:
    """A step that moves one player down the gradient of its loss, and touches no other player.

    Gradients, metrics and statistics are averaged over the replicas. `ema` is the decay of the
    averaged parameters, 0 for none; early on it is at most (1 + step) / (10 + step), so that the
    initial weights are soon forgotten.
    """

    def step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        old = state.params[player]
        grads, (metrics, stats) = jax.grad(loss, has_aux=True)(old, state, batch, key)
        # With check_vma off each replica holds its own gradient: this mean is the only one.
        grads, metrics, stats = jax.lax.pmean((grads, metrics, stats), AXIS)
        updates, opt = optimizer.update(grads, state.opt[player], old)
        new = optax.apply_updates(old, updates)
        metrics = metrics | {
            f"{player}/grad_norm": optax.tree.norm(grads),
            f"{player}/param_norm": optax.tree.norm(new),
            f"{player}/update_norm": optax.tree.norm(updates),
        }
        averaged = state.ema
        if ema:
            decay = jnp.minimum(ema, (1.0 + state.step) / (10.0 + state.step))
            averaged = averaged | {
                player: optax.incremental_update(new, state.ema[player], 1.0 - decay)
            }
        return state.replace(
            params=state.params | {player: new},
            opt=state.opt | {player: opt},
            stats=state.stats | ({player: stats} if stats else {}),
            ema=averaged,
        ), metrics

    return step


def chain(*steps: Step) -> Step:
    """The steps one after another, each on the state its predecessor left, with its own key."""

    def step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        metrics: Metrics = {}
        for index, each in enumerate(steps):
            state, more = each(state, batch, jax.random.fold_in(key, index))
            metrics |= more
        return state, metrics

    return step


def repeat(k: int, step: Step) -> Step:
    """The step k times, each on its own k-th of the batch; metrics are means over the k.

    Unrolled, because XLA's CPU convolutions lose their fast path inside a loop.
    """

    def repeated(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        slices = jax.tree.map(lambda x: x.reshape(k, -1, *x.shape[1:]), batch)
        seen = []
        for index in range(k):
            part = jax.tree.map(lambda x, i=index: x[i], slices)
            state, metrics = step(state, part, jax.random.fold_in(key, index))
            seen.append(metrics)
        return state, jax.tree.map(lambda *values: sum(values) / k, *seen)

    return repeated
