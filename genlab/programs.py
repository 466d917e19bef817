"""A task's methods as programs, over any number of rows, on all devices of this process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from genlab import parallel
from genlab.state import State
from genlab.task import Task

# How many devices -> (state, what each device is given [devices,...]) -> [devices,size,...].
Programs = Callable[[int], Callable[[State, Any], jax.Array]]
Given = Callable[[int, list[np.ndarray]], Any]


@functools.lru_cache(maxsize=32)
def function(
    task: Task, capability: str, method: str | None, options: tuple[tuple[str, Any], ...]
) -> Callable[..., jax.Array]:
    """A method of the task, the same object for the same arguments: programs are kept by it.

    Of one that draws, `method` is set and a temperature comes last.
    """
    call = functools.partial(getattr(task, capability), **dict(options))
    if method is None:
        return call

    def with_method(state: State, keys: jax.Array, *rest: jax.Array) -> jax.Array:
        *arrays, temperature = rest
        return call(state, keys, *arrays, method=method, temperature=temperature)

    return with_method


@functools.lru_cache(maxsize=32)
def program(fn: Callable[..., jax.Array], devices: int) -> Callable[[State, Any], jax.Array]:
    """fn(state, *given), compiled for so many devices, each of which goes through a chunk."""
    if devices > 1:
        return parallel.on_each_device(fn, devices)
    run = parallel.on_one_device(fn)
    return lambda state, given: run(state, *jax.tree.map(lambda x: x[0], given))[None]


def in_chunks(
    fn: Callable[..., jax.Array],
    state: State,
    given: Given,
    arrays: tuple[np.ndarray, ...],
    size: int,
    progress: bool = False,
) -> np.ndarray:
    """[N,...]: what a function fn(state, *given) makes of arrays [N,...], `size` rows at a time.

    The last chunk is padded: all counts use one shape, because another shape may round differently,
    and so draw another image. Each device goes through whole chunks, so that their number makes no
    difference either.

    Args: given: (first row, the arrays' rows) -> what the function is given beside the state.
    """
    count = len(arrays[0])
    if not count:  # the shape of what nothing gives
        rows = [np.zeros((size, *x.shape[1:]), x.dtype) for x in arrays]
        nothing = jax.eval_shape(parallel.on_one_device(fn), state, *given(0, rows))
        return np.zeros((0, *nothing.shape[1:]), nothing.dtype)
    starts = range(0, count, size)
    devices = min(len(starts), jax.local_device_count())
    run = program(fn, devices)
    state = parallel.on_first_devices(state, devices) if devices > 1 else state
    made: list[Any] = []
    groups = range(0, len(starts), devices)
    for first in tqdm(groups, unit="batch", disable=None if progress else True):
        group = [starts[min(first + d, len(starts) - 1)] for d in range(devices)]
        parts = [given(s, [_padded(x[s : s + size], size) for x in arrays]) for s in group]
        made.append(run(state, jax.tree.map(lambda *each: jnp.stack(each), *parts)))
        if len(made) > 1:  # while the devices go through this group, the last one comes home
            made[-2] = np.asarray(made[-2])
    images = np.concatenate([np.asarray(x) for x in made])  # [chunks,size,...]
    return images.reshape(-1, *images.shape[2:])[:count]


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    """[N,...] -> [size,...], the last one repeated."""
    return rows[np.minimum(np.arange(size), len(rows) - 1)]
