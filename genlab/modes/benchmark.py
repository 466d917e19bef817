"""Speed as ratios measured in one run: against the matrix-product peak, and against a full pass."""

from __future__ import annotations

import json
import math
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import data, parallel
from genlab import task as tasks
from genlab.errors import log
from genlab.task import Completes, Samples, Task
from genlab.training.compiled import compile_steps, initial_state

REPEATS = 7
PATIENCE = 600  # seconds that the naive sampler may take


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
        times = [seconds(lambda m=matrix: product(m, m), 1) for _ in range(REPEATS)]
        best = max(best, 2 * n**3 / min(times))
    return best


def product_flops(jaxpr: Any) -> float:
    """Floating-point operations of all matrix products and convolutions of a program, on one
    device. XLA's own count takes the body of a scan once, whatever its length."""
    total = 0.0
    for equation in jaxpr.eqns:
        kind, params = equation.primitive.name, equation.params
        shapes = [v.aval.shape for v in (*equation.invars, *equation.outvars)]
        if kind == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            inner = math.prod(shapes[0][d] for d in contracted)
            total += 2.0 * math.prod(shapes[-1]) * inner
        elif kind == "conv_general_dilated":
            numbers = params["dimension_numbers"]
            window = math.prod(shapes[1][d] for d in numbers.rhs_spec[1:])
            holes = math.prod(params["lhs_dilation"])
            total += 2.0 * math.prod(shapes[-1]) * window / holes
        inside = sum(product_flops(part) for part in _programs(params.values()))
        total += inside * (params["length"] if kind == "scan" else 1)
    return total


def _programs(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _programs(value)
        elif hasattr(value, "eqns"):
            yield value
        elif hasattr(value, "jaxpr") and hasattr(value.jaxpr, "eqns"):
            yield value.jaxpr


def benchmark(config: ConfigDict, workdir: str) -> None:
    """Prints a table and one JSON line: training, a full pass, and each sampler."""
    replicas = parallel.replicas(config.parallel)
    sets = data.load(config.data)
    task = tasks.load(config, sets.spec)
    state = initial_state(task, sets, config.seed)
    dtype = config.model.get("dtype", "float32") if "model" in config else "float32"
    peak = matrix_peak(dtype)
    found = {"device": jax.devices()[0].device_kind, "devices": replicas.count}
    found |= {"matrix_peak_gflops": peak / 1e9}
    found |= _training(config, replicas, sets, task, state, peak)
    if isinstance(task, Samples):
        found |= _sampling(config, sets, task, state)
    stats = jax.local_devices()[0].memory_stats() or {}
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found["peak_memory_mb"] = stats.get("peak_bytes_in_use", host) / 2**20
    for name, value in found.items():
        print(f"{name:32} {value:,.4g}" if isinstance(value, float) else f"{name:32} {value}")
    print(json.dumps(found))


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
    began = time.perf_counter()
    compiled = call.lower(carry, feed.shared, parts[0]).compile()
    compile_seconds = time.perf_counter() - began
    flops = product_flops(jax.make_jaxpr(call)(carry, feed.shared, parts[0]).jaxpr)
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
    }


def _sampling(config: ConfigDict, sets: data.Data, task: Task, state: Any) -> dict[str, Any]:
    count, key = config.sample.batch_size, jax.random.key(0)
    state = jax.tree.map(jnp.asarray, state)
    batch = {
        "image": jnp.zeros((count, *sets.spec.shape), jnp.uint8),
        "label": jnp.zeros(count, jnp.int32),
    }
    full = parallel.on_one_device(task.evaluate)
    jax.block_until_ready(full(state, batch, key))
    full_pass = seconds(lambda: full(state, batch, key))
    keys, drawn = jax.random.split(key, count), {}
    found = {"sample_count": float(count), "full_pass_ms": full_pass * 1e3}
    methods = task.methods if isinstance(task, Completes) else ("auto",)
    naive = full_pass * math.prod(sets.spec.shape)
    if naive > PATIENCE and "naive" in methods:
        log.info("the naive sampler is left out: about %.0f minutes", naive / 60)
        methods = methods[1:]
    for method in methods:
        log.info("timing the %s sampler", method)
        call = parallel.on_one_device(
            lambda s, k, m=method: task.sample(s, k, batch["label"], method=m)
        )
        began = time.perf_counter()
        run = call.lower(state, keys).compile()
        compiled = time.perf_counter()
        drawn[method] = np.asarray(run(state, keys))
        took = time.perf_counter() - compiled
        if took < 20:  # a slower one is timed once
            took = seconds(lambda r=run: r(state, keys))
        found |= {
            f"{method}_compile_s": compiled - began,
            f"{method}_images_per_s": count / took,
            f"{method}_in_full_passes": took / full_pass,
        }
    first = methods[0]
    for method in methods[1:]:
        pair = drawn[first], drawn[method]
        differ, beyond = task.differences(state, keys, batch["label"], *pair)
        found[f"{method}_differing_images"] = differ
        found[f"{method}_differing_beyond_rounding"] = beyond
        found[f"{first}_over_{method}"] = (
            found[f"{first}_in_full_passes"] / found[f"{method}_in_full_passes"]
        )
    return found
