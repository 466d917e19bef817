"""Measures speed as ratios within one run: to the matrix-product peak, and to a full pass."""

from __future__ import annotations

import functools
import json
import math
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import data, parallel
from genlab import task as tasks
from genlab.capabilities import Completes, Samples
from genlab.errors import log
from genlab.planning.chips import chip_of
from genlab.planning.cost import cost
from genlab.planning.flops import product_flops
from genlab.task import Task
from genlab.training.compiled import compile_steps, initial_state

REPEATS = 7
PATIENCE = 600  # the most seconds that the naive sampler may take


def seconds(run: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The median time of a call that is already compiled, in seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def matrix_peak(dtype: str) -> float:
    """FLOP/s of the best square matrix product on one device, in that dtype."""
    sizes = (1024, 2048, 4096) if jax.default_backend() == "cpu" else (4096, 8192, 16384)
    product = jax.jit(jnp.matmul)
    best = 0.0
    for n in sizes:
        matrix = jax.random.normal(jax.random.key(0), (n, n), dtype)
        jax.block_until_ready(product(matrix, matrix))
        # The best of many: other work on the machine only ever slows a product down.
        square = functools.partial(product, matrix, matrix)
        times = [seconds(square, 1) for _ in range(REPEATS)]
        best = max(best, 2 * n**3 / min(times))
    return best


def benchmark(config: ConfigDict, workdir: str) -> None:
    """Prints a table and one JSON line: training, a full pass, and each sampler."""
    replicas = parallel.replicas(config.parallel)
    sets = data.load(config.data)
    task = tasks.load(config, sets.spec)
    state = initial_state(task, sets, config.seed)
    dtype = config.model.get("dtype", "float32") if "model" in config else "float32"
    peak = matrix_peak(dtype)
    numbers: dict[str, Any] = {
        "device": jax.devices()[0].device_kind,
        "devices": replicas.count,
        "matrix_peak_gflops": peak / 1e9,
    }
    numbers |= _training(config, replicas, sets, task, state, peak)
    if isinstance(task, Samples):
        numbers |= _sampling(config, sets, task, state)
    stats = jax.local_devices()[0].memory_stats() or {}
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    numbers["peak_memory_mb"] = stats.get("peak_bytes_in_use", host) / 2**20
    for name, value in numbers.items():
        print(f"{name:32} {value:,.4g}" if isinstance(value, float) else f"{name:32} {value}")
    print(json.dumps(numbers))


def _training(
    config: ConfigDict,
    replicas: parallel.Replicas,
    sets: data.Data,
    task: Task,
    state: Any,
    peak: float,
) -> dict[str, float]:
    feed = data.feed(sets.train, replicas, config.data.resident_mb)
    call = compile_steps(task, replicas, feed, config)
    scan, size = config.train.steps_per_call, config.data.batch_size
    rows = data.training_rows(0, size, len(sets.train), 0, scan * (REPEATS + 1), scan)
    parts = list(feed.calls(rows))
    carry = replicas.replicate(state)
    given, began = (carry, feed.shared, parts[0]), time.perf_counter()
    compiled = call.lower(*given).compile()
    compile_seconds = time.perf_counter() - began
    whole = jax.make_jaxpr(call)(*given) if replicas.mode == "pmap" else call.trace(*given).jaxpr
    flops = product_flops(whole.jaxpr)
    times = []
    for part in parts:
        began = time.perf_counter()
        carry, metrics = compiled(carry, feed.shared, part)
        jax.block_until_ready(metrics)
        times.append(time.perf_counter() - began)
    took = statistics.median(times[1:])
    speed = flops / took
    return {
        "train_compile_s": compile_seconds,
        "train_step_ms": took / scan * 1e3,
        "train_images_per_s": size * scan / took,
        "train_gflops": speed / 1e9,
        "train_share_of_matrix_peak": speed / peak,
    } | _floors(compiled, flops, scan, took / scan)


def _floors(compiled: Any, flops: float, scan: int, took: float) -> dict[str, float]:
    """The floors of `--mode=plan` and how near the step comes, on chips whose peaks are known."""
    chip = chip_of(jax.devices()[0])
    if chip is None:
        return {}
    products = flops / scan / chip.products
    hbm = cost(compiled.as_text()).hbm_bytes / scan / chip.bandwidth
    return {
        "train_floor_products_ms": products * 1e3,
        "train_floor_hbm_ms": hbm * 1e3,
        "train_floor_over_step": max(products, hbm) / took,
    }


def _sampling(config: ConfigDict, sets: data.Data, task: Task, state: Any) -> dict[str, Any]:
    """The speed of each sampler, and where their images differ."""
    state = jax.tree.map(jnp.asarray, state)
    count = config.sample.batch_size
    batch = {
        "image": jnp.zeros((count, *sets.spec.shape), jnp.uint8),
        "label": task.condition.no_labels(count),
    }
    keys, labels = jax.random.split(jax.random.key(0), count), batch["label"]
    full_pass = _full_pass(task, state, batch)
    numbers: dict[str, Any] = {"sample_count": float(count), "full_pass_ms": full_pass * 1e3}
    drawn = {}
    for method in _methods(task, full_pass * math.prod(sets.spec.shape)):
        log.info("timing the %s sampler", method)
        drawn[method], took, compilation = _timed_sampler(task, state, keys, labels, method)
        numbers |= {
            f"{method}_compile_s": compilation,
            f"{method}_images_per_s": count / took,
            f"{method}_in_full_passes": took / full_pass,
        }
    return numbers | _differences(task, state, keys, labels, drawn, numbers)


def _full_pass(task: Task, state: Any, batch: dict[str, jax.Array]) -> float:
    """Seconds that an evaluation of a batch takes."""
    evaluate = functools.partial(
        parallel.on_one_device(task.evaluate), state, batch, jax.random.key(0)
    )
    jax.block_until_ready(evaluate())
    return seconds(evaluate)


def _methods(task: Task, naive: float) -> tuple[str, ...]:
    """The samplers to time; without the naive one where its seconds are too many."""
    methods = task.methods if isinstance(task, Completes) else ("auto",)
    if naive <= PATIENCE or "naive" not in methods:
        return methods
    log.info("the naive sampler is left out: about %.0f minutes", naive / 60)
    return tuple(method for method in methods if method != "naive")


def _timed_sampler(
    task: Task, state: Any, keys: jax.Array, labels: jax.Array, method: str
) -> tuple[np.ndarray, float, float]:
    """The images u8[B,H,W,C] of a sampler, the seconds they took, and those of its compilation."""
    assert isinstance(task, Samples)
    sample = functools.partial(task.sample, method=method)
    began = time.perf_counter()
    run = parallel.on_one_device(sample).lower(state, keys, labels).compile()
    compiled = time.perf_counter()
    images = np.asarray(run(state, keys, labels))
    took = time.perf_counter() - compiled
    if took < 20:  # a slower one is timed once
        took = seconds(functools.partial(run, state, keys, labels))
    return images, took, compiled - began


def _differences(
    task: Task,
    state: Any,
    keys: jax.Array,
    labels: jax.Array,
    drawn: dict[str, np.ndarray],
    numbers: dict[str, Any],
) -> dict[str, Any]:
    """How the other samplers compare with the first: in their images and in their time."""
    if not isinstance(task, Completes):
        return {}
    first, *others = drawn
    compared: dict[str, Any] = {}
    for method in others:
        differ, beyond = task.differences(state, keys, labels, drawn[first], drawn[method])
        compared[f"{method}_differing_images"] = differ
        compared[f"{method}_differing_beyond_rounding"] = beyond
        compared[f"{first}_over_{method}"] = (
            numbers[f"{first}_in_full_passes"] / numbers[f"{method}_in_full_passes"]
        )
    return compared
