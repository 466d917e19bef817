"""Means over a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genlab import data
from genlab.condition import Spec
from genlab.metrics.paired import IMAGE
from genlab.noise import AXIS
from genlab.parallel import Replicas, on_one_device
from genlab.state import Tree
from genlab.task import Task, abstract_batch, abstract_state, in_float32

PerImage = dict[str, Any]  # {metric: f32[N]}


def metric_names(task: Task, spec: Spec) -> set[str]:
    """The names of what an evaluation of the task measures, without computing it."""
    state, batch = abstract_state(task, spec), abstract_batch(spec)
    metrics = jax.eval_shape(on_one_device(task.evaluate), state, batch, jax.random.key(0))
    means = {name: np.ones(x.shape[1:]) for name, x in metrics.items()}
    return set(task.summarise(means))


def evaluator(
    task: Task, split: data.Split, replicas: Replicas, batch_size: int, resident_mb: int, seed: int
) -> Callable[[Tree], dict[str, Any]]:
    """A function from a replicated state to {name: mean over the split, a number or a list}.

    Noise (dynamic binarisation, latents) is the same at every evaluation.
    """
    passes = _passes(task, split, replicas, batch_size, resident_mb, seed, keep=False)
    return lambda state: _means(task, passes(state))


def evaluator_of_images(
    task: Task, split: data.Split, replicas: Replicas, batch_size: int, resident_mb: int, seed: int
) -> Callable[[Tree], tuple[dict[str, Any], PerImage]]:
    """The same, with the values of each image: (means, {name: f32[N]}); under IMAGE a u32[N] that
    tells images apart, so that two evaluations can be seen to be of the same images."""
    passes = _passes(task, split, replicas, batch_size, resident_mb, seed, keep=True)

    def run(state: Tree) -> tuple[dict[str, Any], PerImage]:
        seen = passes(state)
        names = seen[0].each
        rows = {n: np.concatenate([part.each[n] for part in seen])[: len(split)] for n in names}
        return _means(task, seen), rows

    return run


class Sums(NamedTuple):
    """Of one batch: sums of each metric, how many images, and the values of each image."""

    sums: dict[str, Any]
    count: Any
    each: PerImage


def _means(task: Task, seen: list[Sums]) -> dict[str, Any]:
    count = sum(float(part.count) for part in seen)
    means = {
        name: sum(part.sums[name].astype(np.float64) for part in seen) / count
        for name in seen[0].sums
    }
    return {name: np.asarray(x).tolist() for name, x in task.summarise(means).items()}


def _passes(
    task: Task,
    split: data.Split,
    replicas: Replicas,
    batch_size: int,
    resident_mb: int,
    seed: int,
    keep: bool,
) -> Callable[[Tree], list[Sums]]:
    """A function from a replicated state to what each batch of the split gives."""
    size = padded_size(batch_size, len(split), replicas.count)
    feed = data.feed(split, replicas, resident_mb)
    compiled = compile_evaluation(task, replicas, feed, seed, keep)

    def run(state: Tree) -> list[Sums]:
        number, seen = replicas.replicate(np.int32(0)), []
        for part in feed.calls(data.evaluation_rows(size, len(split))):
            number, sums = compiled(number, (state, feed.shared), part)
            seen.append(replicas.first(sums))
        return jax.device_get(seen)

    return run


def padded_size(batch_size: int, examples: int, replicas: int) -> int:
    """The images of a batch: no more than there are, a multiple of the replicas."""
    return -(-min(batch_size, examples) // replicas) * replicas


def compile_evaluation(
    task: Task, replicas: Replicas, feed: data.Feed, seed: int, keep: bool = False
) -> Callable[..., Any]:
    """(number of the batch, (state, shared), split) -> (number + 1, `Sums`).

    In float32 and at the highest precision of products, whatever the training's were.
    """
    task = in_float32(task)
    key = jax.random.fold_in(jax.random.key(seed), 2)

    def call(number: jax.Array, shared: Any, part: dict[str, jax.Array]) -> Any:
        state, images = shared
        part = jax.tree.map(lambda x: x[0], part)  # a call has one step
        batch = feed.fetch(images, part)
        metrics = task.evaluate(state, batch, jax.random.fold_in(key, number))
        mask = part["mask"]

        def masked_sum(x: jax.Array) -> jax.Array:  # [B,...] -> [...]
            real = (mask > 0).reshape(-1, *[1] * (x.ndim - 1))
            return jnp.where(real, x, 0.0).sum(0)  # not a product: a padded row may hold a NaN

        sums = {name: masked_sum(x) for name, x in metrics.items()}
        each = {}
        if keep:
            each = {name: _all_rows(x) for name, x in metrics.items() if x.ndim == 1}
            each[IMAGE] = _all_rows(_told_apart(batch["image"]))
        total, count = jax.lax.psum((sums, mask.sum()), AXIS)
        return number + 1, Sums(total, count, each)

    return replicas.compile(call)


def _all_rows(x: jax.Array) -> jax.Array:
    """[B/n] on each of n replicas -> [B] in the order of the global batch."""
    return jax.lax.all_gather(x, AXIS).swapaxes(0, 1).reshape(-1)


def _told_apart(images: jax.Array) -> jax.Array:
    """u8[B,H,W,C] -> u32[B], a sum of the bytes with odd weights, which wraps around."""
    flat = images.reshape(len(images), -1).astype(jnp.uint32) + 1
    weights = jnp.arange(flat.shape[1], dtype=jnp.uint32) * jnp.uint32(2654435761)
    return (flat * (weights | 1)).sum(1, dtype=jnp.uint32)
