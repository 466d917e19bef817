"""Training steps as values: one player's descent, and two ways to compose steps.

Everything here runs inside `parallel`, where the `data` axis is bound.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import optax

from genlab import noise
from genlab.errors import UserError
from genlab.noise import AXIS
from genlab.state import State, Tree

_micro_batches: contextvars.ContextVar[int] = contextvars.ContextVar("micro_batches", default=1)
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
        grads, (metrics, stats) = gradients(loss, old, state, batch, key)
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


@contextlib.contextmanager
def in_micro_batches(count: int) -> Iterator[None]:
    """While traced within, each update goes through its batch in so many parts."""
    before = _micro_batches.set(count)
    try:
        yield
    finally:
        _micro_batches.reset(before)


def gradients(
    loss: Loss, params: Tree, state: State, batch: Batch, key: jax.Array
) -> tuple[Tree, tuple[Metrics, Tree]]:
    """The gradient of a loss, its metrics and statistics: in micro-batches, means over them.

    A micro-batch draws the noise that its rows draw in the whole batch, so that means over examples
    are the same up to rounding. What a network takes from the batch it sees, as batch normalisation
    does, it takes from the micro-batch.
    """
    count, grad = _micro_batches.get(), jax.grad(loss, has_aux=True)
    if count == 1:
        return grad(params, state, batch, key)
    size = len(batch["image"])
    if size % count:
        raise UserError(
            f"train.accumulate={count} does not divide the {size} images of an update on a device;"
            " take a number that does, or another data.batch_size."
        )
    parts = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), batch)

    def micro(number: jax.Array) -> tuple[Tree, tuple[Metrics, Tree]]:
        with noise.part_of_batch(number):
            return grad(params, state, jax.tree.map(lambda x: x[number], parts), key)

    def add(sums: Tree, number: jax.Array) -> tuple[Tree, None]:
        return jax.tree.map(jnp.add, sums, micro(number)), None

    shapes = jax.eval_shape(micro, jnp.int32(0))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    sums, _ = jax.lax.scan(add, zeros, jnp.arange(count))
    return jax.tree.map(lambda x: x / count, sums)


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
