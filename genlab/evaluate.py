"""Means over a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genlab import data
from genlab.condition import Spec
from genlab.noise import AXIS
from genlab.parallel import Replicas, on_one_device
from genlab.state import Tree
from genlab.task import Task, abstract_batch, abstract_state


def metric_names(task: Task, spec: Spec) -> set[str]:
    """The names of what an evaluation of the task measures, without computing it."""
    state, batch = abstract_state(task, spec), abstract_batch(spec)
    metrics = jax.eval_shape(on_one_device(task.evaluate), state, batch, jax.random.key(0))
    means = {name: np.ones(x.shape[1:]) for name, x in metrics.items()}
    return set(task.summarise(means))


def evaluator(
    task: Task, split: data.Split, replicas: Replicas, batch_size: int, resident_mb: int, seed: int
) -> Callable[[Tree], dict[str, float]]:
    """A function from a replicated state to {name: mean over the split, a number or a list}.

    Noise (dynamic binarisation, latents) is the same at every evaluation.
    """
    size = -(-min(batch_size, len(split)) // replicas.count) * replicas.count
    feed = data.feed(split, replicas, resident_mb)
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
        return number + 1, jax.lax.psum((sums, mask.sum()), AXIS)

    compiled = replicas.compile(call)

    def run(state: Tree) -> dict[str, float]:
        number, seen = replicas.replicate(np.int32(0)), []
        for part in feed.calls(data.evaluation_rows(size, len(split))):
            number, sums = compiled(number, (state, feed.shared), part)
            seen.append(replicas.first(sums))
        seen = jax.device_get(seen)
        count = sum(float(c) for _, c in seen)
        means = {n: sum(s[n].astype(np.float64) for s, _ in seen) / count for n in seen[0][0]}
        return {name: np.asarray(x).tolist() for name, x in task.summarise(means).items()}

    return run
