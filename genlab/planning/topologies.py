"""Chips that are not there: what JAX can compile for without them, and how data is described to it.

TPUs need `libtpu`, an H100 needs the CUDA plugin of jax; neither needs the chip.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from genlab.errors import UserError, hint
from genlab.noise import AXIS
from genlab.parallel import SHARED, SPLIT, Replicas
from genlab.state import Tree

TPUS = {"v2": 2, "v3": 2, "v4": 3, "v5e": 2, "v5p": 3, "v6e": 2, "tpu7x": 3}  # axes of a layout
GPUS = {"h100": Path(__file__).with_name("h100.txtpb")}  # XLA's description of the card
EXTRAS = {"tpu": "tpu", "cuda": "cuda13"}  # of JAX, by platform
EXAMPLES = "v5e:2x2, v5e:4x4, v6e:2x4, v5p:2x2x1, v4:2x2x1, v3:2x2, v2:2x2, tpu7x:2x2x1, h100:8"


@dataclass(frozen=True)
class Described(Replicas):
    """Replicas on devices that are not there: arrays are described, not placed."""

    @property
    def local(self) -> list[int]:
        """All of them, whichever host would drive them."""
        return list(range(self.count))

    def replicate(self, tree: Tree) -> Tree:
        """Arrays or their shapes -> the shape of the same value on every replica."""
        return self._described(tree, SHARED)

    def split(self, tree: Tree) -> Tree:
        """Arrays or their shapes [replicas,...] -> the shapes, one entry on each replica."""
        return self._described(tree, SPLIT)

    def _described(self, tree: Tree, spec: PartitionSpec) -> Tree:
        sharding = NamedSharding(self.mesh, spec)
        describe = jax.ShapeDtypeStruct
        return jax.tree.map(lambda x: describe(x.shape, x.dtype, sharding=sharding), tree)


def replicas(topology: str) -> Described:
    """A replica on each device of a topology. Raises UserError, see `devices`."""
    return Described("jit", Mesh(np.array(devices(topology)), (AXIS,)))


def devices(topology: str) -> list[Any]:
    """The devices of a topology such as "v5e:4x4" (a layout of chips) or "h100:8" (a count).

    Raises: UserError if there is no such topology, or what compiles for it is not installed.
    """
    chip, _, layout = topology.lower().partition(":")
    if chip not in TPUS and chip not in GPUS:
        near = hint(chip, (*TPUS, *GPUS))
        raise UserError(f"--topology={topology}: no such chip.{near} Known: {EXAMPLES}.")
    pattern = r"[1-9]\d*" if chip in GPUS else r"[1-9]\d*(x[1-9]\d*){1,2}"
    if not re.fullmatch(pattern, layout):
        kind = "a number of cards" if chip in GPUS else "a layout of chips"
        raise UserError(f"--topology={topology}: {layout!r} is not {kind}. Known: {EXAMPLES}.")
    return _gpus(chip, layout, topology) if chip in GPUS else _tpus(chip, layout, topology)


def _tpus(chip: str, layout: str, topology: str) -> list[Any]:
    _installed("libtpu", "tpu", "libtpu", topology)
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # no metadata server of a TPU VM to ask
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # compiling needs no device's lock
    layout += "x1" * (TPUS[chip] - 1 - layout.count("x"))
    return _from_jax(topology, f"{chip}:{layout}", "tpu")


def _gpus(chip: str, count: str, topology: str) -> list[Any]:
    _installed("jax_plugins.xla_cuda13", "cuda", "jax-cuda13-plugin", topology)
    options = {"target_config": GPUS[chip].read_text(), "topology": f"1x1x{count}"}
    return _from_jax(topology, chip, "cuda", **options)


def _from_jax(asked: str, name: str, platform: str, **options: Any) -> list[Any]:
    try:
        found = topologies.get_topology_desc(name, platform=platform, **options)
    except Exception as error:  # of many kinds, from plugins
        reason = str(error).splitlines()[0].rstrip(".")
        if "not implemented" in reason:  # JAX has left out a plugin that could not start
            reason = f"what compiles for {platform} is there in part only; {_install(platform)}"
        raise UserError(f"--topology={asked}: {reason}. Known: {EXAMPLES}.") from None
    return list(found.devices)


def _installed(module: str, platform: str, package: str, topology: str) -> None:
    """Raises UserError, with the command that installs the version that fits, if it is missing."""
    try:
        if util.find_spec(module):
            return
    except ModuleNotFoundError:  # of the package that the module is in
        pass
    raise UserError(
        f"--topology={topology}: {package} is not installed, which compiles for it;"
        f" {_install(platform)} (no such chip is needed)."
    )


def _install(platform: str) -> str:
    """The command that installs the version that fits."""
    return f'pip install "jax[{EXTRAS[platform]}]=={metadata.version("jax")}"'
