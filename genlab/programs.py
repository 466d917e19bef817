"""A task's methods as programs for one device, over any number of rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from genlab import parallel
from genlab.state import State
from genlab.task import Task

Chunk = Callable[[int, list[np.ndarray]], jax.Array]  # first row, rows of each array -> results


def in_chunks(
    run: Chunk, arrays: tuple[np.ndarray, ...], size: int, progress: bool = False
) -> np.ndarray:
    """Runs a program on `size` rows of the arrays at a time, the last padded.

    One shape for any count: another shape may round another way, and so draw another image.
    """
    count = len(arrays[0])
    if not count:  # the shape of what nothing gives
        rows = [np.zeros((size, *x.shape[1:]), x.dtype) for x in arrays]
        nothing = jax.eval_shape(functools.partial(run, 0), rows)
        return np.zeros((0, *nothing.shape[1:]), nothing.dtype)
    results = []
    for start in tqdm(range(0, count, size), unit="batch", disable=None if progress else True):
        rows = [_pad(x[start : start + size], size) for x in arrays]
        results.append(np.asarray(run(start, rows)))
    return np.concatenate(results)[:count]


@functools.lru_cache(maxsize=32)
def compiled(
    task: Task, capability: str, method: str | None, options: tuple[tuple[str, Any], ...]
) -> Callable[..., Any]:
    """A method of the task; of one that draws, `method` is set and a temperature comes last."""
    call = functools.partial(getattr(task, capability), **dict(options))
    if method is None:
        return parallel.on_one_device(call)

    def with_method(state: State, keys: jax.Array, *rest: jax.Array) -> jax.Array:
        *arrays, temperature = rest
        return call(state, keys, *arrays, method=method, temperature=temperature)

    return parallel.on_one_device(with_method)


def _pad(rows: np.ndarray, size: int) -> np.ndarray:
    """[N,...] -> [size,...], the last one repeated."""
    return rows[np.minimum(np.arange(size), len(rows) - 1)]
