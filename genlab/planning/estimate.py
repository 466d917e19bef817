"""Compiles a planned program, and says what the compiler tells of it."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import Any

import jax

from genlab.planning.chips import Chip
from genlab.planning.cost import Cost, cost
from genlab.planning.flops import product_flops
from genlab.planning.programs import Planned

MS, MB = 1e3, 2**20
LARGEST = 5  # operations that are named


@dataclass(frozen=True)
class Estimate:
    """Of one program on one chip.

    peak_bytes: of memory; also where the program does not fit.
    compile_seconds: on this machine.
    flops, cost: of one call; no cost where the program does not fit.
    """

    program: Planned
    chip: Chip
    fits: bool
    peak_bytes: float
    compile_seconds: float
    flops: float
    cost: Cost | None

    @property
    def floors(self) -> dict[str, float]:
        """Seconds that a step takes at least, by what bounds it."""
        if self.cost is None:
            return {}
        peak = self.chip.peak(self.program.exact)
        steps = self.program.steps
        return {
            "products": self.flops / peak / steps,
            "hbm": self.cost.hbm_bytes / self.chip.bandwidth / steps,
        }

    @property
    def seconds(self) -> float | None:
        """Of a step, estimated; None where operations have no estimate."""
        if self.cost is None or not self.chip.clock or not self.cost.cycles:
            return None
        return self.cost.cycles / self.chip.clock / self.program.steps

    def told(self) -> dict[str, Any]:
        """The numbers by name, for a table and for JSON; what is estimated is called so."""
        peak = self.peak_bytes if math.isfinite(self.peak_bytes) else None  # which JSON has
        found: dict[str, Any] = {
            "fits": self.fits,
            "memory_mb": peak and peak / MB,
            "share_of_memory": peak and peak / self.chip.memory,
            "images_per_chip": self.program.images / self.program.steps / self.program.chips,
            "gflop": self.flops / self.program.steps / 1e9,
            "compile_s": self.compile_seconds,
        }
        if self.cost is None:
            return found
        steps = self.program.steps
        found |= {
            "hbm_mb": self.cost.hbm_bytes / steps / 1e6,
            "reduced_mb": self.cost.reduced_bytes / steps / 1e6,
            "collectives": self.cost.collectives / steps,
            "loop_steps": self.cost.loop_steps / steps,
            "passes_counted_once": self.cost.endless > 0,
        }
        found |= {f"floor_{name}_ms": floor * MS for name, floor in self.floors.items()}
        return found | self._times()

    def _times(self) -> dict[str, Any]:
        if self.seconds is None or self.cost is None:
            return {}
        images = self.program.images / self.program.steps
        flops = self.flops / self.program.steps
        largest = {label: share for label, share in self.cost.largest(LARGEST)}
        return {
            "estimated_ms": self.seconds * MS,
            "estimated_images_per_s": images / self.seconds,
            "estimated_share_of_peak": flops / self.seconds / self.chip.peak(self.program.exact),
            "estimated_largest": largest,
        }


def estimate(program: Planned, chip: Chip) -> Estimate:
    """Compiles the program. Not fitting is an answer, not an error."""
    traced = program.call.trace(*program.arguments)
    flops, began = product_flops(traced.jaxpr.jaxpr), time.perf_counter()
    try:
        compiled = traced.lower().compile()
    except jax.errors.JaxRuntimeError as error:
        needed = needs(str(error))
        if needed is None:
            raise
        took = time.perf_counter() - began
        return Estimate(program, chip, False, needed, took, flops, None)
    took = time.perf_counter() - began
    peak = float(compiled.memory_analysis().peak_memory_in_bytes)
    return Estimate(program, chip, peak <= chip.memory, peak, took, flops, cost(compiled.as_text()))


def needs(message: str) -> float | None:
    """The bytes that a program would need, from the compiler's refusal; None if it is about
    something else. "Used 212.21G of 15.75G hbm", "required (215.79G) exceeds": its G are 2**30."""
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    found = re.search(r"([\d.]+)([KMGT]?)\)? (?:of|exceeds)", message)
    if not found:
        return float("nan")
    return float(found.group(1)) * 1024.0 ** ("KMGT".find(found.group(2) or "_") + 1)
