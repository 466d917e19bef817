"""One function, compiled for every replica: a mesh with `shard_map`, or `pmap`.

Replica d of n holds rows d, d + n, d + 2n, ... of the global batch. Values are of three kinds:
`carry` and `shared` are the same on all replicas, `split` differs, and has two leading axes more
than a step sees: [replicas of this process, steps of this call, ...].
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from genlab.errors import UserError, hint
from genlab.noise import AXIS
from genlab.state import Tree

EXACT = "highest"  # precision of products: what is measured and drawn has no other
_portable: contextvars.ContextVar[bool] = contextvars.ContextVar("portable", default=False)
# What XLA hands to its YNNPACK on a CPU: by default also convolutions, which Eigen computes faster
# (a step of the convolutional VAE took 221 ms, then 146; of a PixelCNN 84, then 67).
_ON_CPU = {
    "xla_cpu_experimental_ynn_fusion_type": ",".join(
        f"LIBRARY_FUSION_TYPE_{kind}" for kind in ("DOT", "REDUCE", "INDIVIDUAL_DOT")
    )
}
_EACH = "each"  # the axis of devices that do not know of each other
SHARED, SPLIT = PartitionSpec(), PartitionSpec(AXIS)


def refuse_float64() -> None:
    """Raises UserError under JAX_ENABLE_X64: random draws, and so all numbers, would be others."""
    if jax.config.read("jax_enable_x64"):
        raise UserError(
            "JAX_ENABLE_X64: with it a model draws and rounds in another way than it was trained;"
            " unset it, or set it to 0."
        )


def keep_freed_memory() -> None:
    """Lets glibc keep what XLA frees after a call, for the next call; for programs, not libraries,
    and before they have begun a thread: of another arena glibc frees heaps whatever it is told.

    By default it hands large buffers back to the system, and a training step on CPU then spends
    nearly half its time in page faults (117 ms against 65 ms for a PixelCNN at batch 16).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library: nothing to set
    arena_max, mmap_max, trim_threshold, top_pad = -8, -4, -1, -2  # names of malloc.h
    mallopt(arena_max, 1)
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 2**28)


@dataclass(frozen=True)
class Replicas:
    """The devices of a run and the way to compile for them ("jit" or "pmap")."""

    mode: str
    mesh: Mesh

    @property
    def count(self) -> int:
        """Replicas over all processes."""
        return self.mesh.devices.size

    @property
    def local(self) -> list[int]:
        """Indices of the replicas that this process drives."""
        mine = jax.process_index()
        return [i for i, d in enumerate(self.mesh.devices.flat) if d.process_index == mine]

    def check(self, size: int) -> None:
        """Raises UserError for a batch size that the devices do not divide."""
        if size % self.count:
            raise UserError(
                f"data.batch_size={size} is not divisible by the {self.count} devices;"
                f" take {max(size // self.count, 1) * self.count}."
            )

    def rows(self, batches: np.ndarray) -> np.ndarray:
        """[steps,B] -> [local replicas,steps,B/n]: the rows that this process holds."""
        steps, size = batches.shape
        self.check(size)
        return batches.reshape(steps, -1, self.count).transpose(2, 0, 1)[self.local]

    def replicate(self, tree: Tree) -> Tree:
        """Host arrays -> the same value on every replica."""
        if self.mode == "pmap":
            mine = [self.mesh.devices.flat[i] for i in self.local]
            own = NamedSharding(Mesh(np.array(mine), (AXIS,)), SPLIT)
            return jax.tree.map(
                lambda x: jax.device_put(np.broadcast_to(x, (len(mine), *np.shape(x))), own), tree
            )
        put = jax.make_array_from_callback
        sharding = NamedSharding(self.mesh, SHARED)
        return jax.tree.map(
            lambda x: put(np.shape(x), sharding, lambda index: np.asarray(x)[index]), tree
        )

    def split(self, tree: Tree) -> Tree:
        """Host arrays [local replicas,...] -> one entry on each replica."""
        if self.mode == "pmap":
            return tree
        put = jax.make_array_from_process_local_data
        return jax.tree.map(lambda x: put(NamedSharding(self.mesh, SPLIT), np.asarray(x)), tree)

    def first(self, tree: Tree) -> Tree:
        """One replica's copy, on its device, of what is the same on all of them."""
        if self.mode == "pmap":
            return jax.tree.map(lambda x: x.addressable_data(0)[0], tree)
        return jax.tree.map(lambda x: x.addressable_data(0), tree)

    def compile(
        self, fn: Callable[[Tree, Tree, Tree], Any], precision: str = EXACT
    ) -> Callable[..., Any]:
        """fn(carry, shared, split) -> (carry, results), compiled; all results are shared.

        The carry's memory is reused: do not touch the one passed in afterwards.

        Args: precision: of matrix products, see `with_precision`.
        """
        fn = with_precision(fn, precision)

        def one(carry: Tree, shared: Tree, split: Tree) -> Any:
            return fn(carry, shared, jax.tree.map(lambda x: x[0], split))

        if self.mode == "pmap":
            return jax.pmap(fn, axis_name=AXIS, devices=self._pmap_devices(), donate_argnums=0)
        specs = (SHARED, SHARED, SPLIT)
        mapped = jax.shard_map(
            one, mesh=self.mesh, in_specs=specs, out_specs=SHARED, check_vma=False
        )
        options = compiler_options(self.mesh.devices.flat[0])
        return jax.jit(mapped, donate_argnums=0, compiler_options=options)

    def _pmap_devices(self) -> list[Any]:
        return list(self.mesh.devices.flat)


def compiler_options(device: Any) -> dict[str, str]:
    """For programs of that device; none where the installed XLA does not know them.

    `pmap` takes none.
    """
    on_cpu = device.platform == jax.default_backend() == "cpu"
    return _known_on_cpu() if on_cpu else {}


@functools.cache
def _known_on_cpu() -> dict[str, str]:
    try:
        jax.jit(lambda x: x + 1, compiler_options=_ON_CPU).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _ON_CPU


def replicas(mode: str = "jit", devices: list[Any] | None = None) -> Replicas:
    """All devices of the run (default), or those given. Raises UserError for an unknown mode."""
    if mode not in ("jit", "pmap"):
        raise UserError(f"config.parallel: no mode {mode!r}.{hint(mode, ('jit', 'pmap'))}")
    return Replicas(mode, Mesh(np.array(devices or jax.devices()), (AXIS,)))


@contextlib.contextmanager
def for_every_platform() -> Iterator[None]:
    """While traced within, `platform` says "cpu": what is chosen for a CPU runs everywhere."""
    before = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(before)


def platform() -> str:
    """Of the devices that the function being traced is compiled for; else of this process."""
    if _portable.get():
        return "cpu"
    device = jax.sharding.get_abstract_mesh().abstract_device
    return device.platform if device else jax.default_backend()


def with_precision(fn: Callable[..., Any], precision: str) -> Callable[..., Any]:
    """The function with matrix products of float32 of that precision.

    "default" is one bfloat16 product on a TPU and perhaps TF32 on a GPU, "high" three, "highest"
    is float32. On a CPU all are.
    """

    @functools.wraps(fn)
    def precise(*given: Any) -> Any:
        with jax.default_matmul_precision(precision):
            return fn(*given)

    return precise


def on_one_device(fn: Callable[..., Any], device: Any = None) -> jax.stages.Wrapped:
    """The function, compiled for one device with the `data` axis bound: for scripts, samplers.

    Its matrix products are of the highest precision.

    Args: device: the first local one by default.
    """
    fn = with_precision(fn, EXACT)
    device = device or jax.local_devices()[0]
    mesh = Mesh(np.array([device]), (AXIS,))
    mapped = jax.shard_map(fn, mesh=mesh, in_specs=SHARED, out_specs=SHARED, check_vma=False)
    return jax.jit(mapped, compiler_options=compiler_options(device))


def on_each_device(fn: Callable[..., Any], count: int) -> jax.stages.Wrapped:
    """(shared, split [count,...]) -> [count,...]: fn(shared, *one) on each of the first devices of
    this process, each with a `data` axis of its own, as on one device alone."""
    fn = with_precision(fn, EXACT)

    def one(shared: Tree, split: Tree) -> Tree:
        made = fn(shared, *jax.tree.map(lambda x: x[0], split))
        return jax.tree.map(lambda x: x[None], made)

    specs, out = (SHARED, PartitionSpec(_EACH)), PartitionSpec(_EACH)
    mesh = _first_devices(count)
    mapped = jax.shard_map(one, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)
    return jax.jit(mapped, compiler_options=compiler_options(jax.local_devices()[0]))


def on_first_devices(tree: Tree, count: int) -> Tree:
    """The arrays, on each of the devices of `on_each_device`."""
    return jax.device_put(tree, NamedSharding(_first_devices(count), SHARED))


def _first_devices(count: int) -> Mesh:
    return Mesh(np.array(jax.local_devices()[:count])[:, None], (_EACH, AXIS))
