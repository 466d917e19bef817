"""What a chip can do at most: its memory, and the peaks that floors are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jax.experimental.pallas import tpu as pallas

# Of a TPU device as JAX names it: generation, cores in a device, clock in Hz (JAX has none).
TPUS = {
    "TPU v2": ("v2", 1, 0.70e9),
    "TPU v3": ("v3", 1, 0.94e9),
    "TPU v4": ("v4", 1, 1.05e9),
    "TPU v5 lite": ("v5e", 1, 1.50e9),
    "TPU v5": ("v5p", 2, 1.75e9),
    "TPU v6 lite": ("v6e", 1, 1.75e9),
    "TPU7x": ("7x", 1, 2.20e9),
}
PASSES = 6  # bfloat16 products that one of float32 at the highest precision is made of, on a TPU


@dataclass(frozen=True)
class Chip:
    """One device as JAX counts them: a chip, but a core (half a chip) of v2, v3, v4 and 7x.

    kind: as JAX names it.
    memory: bytes of HBM.
    bandwidth: bytes per second of HBM.
    products: FLOP/s of bfloat16 matrix products.
    exact: FLOP/s of float32 matrix products at the highest precision.
    clock: Hz; 0 where operations have no estimate.
    """

    kind: str
    memory: float
    bandwidth: float
    products: float
    exact: float
    clock: float = 0.0

    def peak(self, exact: bool) -> float:
        """FLOP/s that products can reach."""
        return self.exact if exact else self.products


# The maker's figures for the SXM card, without sparsity.
GPUS = {"H100": Chip("NVIDIA H100", 80 * 1024**3, 3.35e12, 989e12, 67e12)}


def chip_of(device: Any) -> Chip | None:
    """What is known of a device's chip; None if nothing is."""
    kind = device.device_kind
    if kind in TPUS:
        generation, cores, clock = TPUS[kind]
        info = pallas.get_tpu_info_for_chip(pallas.ChipVersion(generation), cores)
        products = float(cores * info.bf16_ops_per_second)
        return Chip(
            kind,
            float(cores * info.hbm_capacity_bytes),
            float(cores * info.mem_bw_bytes_per_second),
            products,
            products / PASSES,
            clock,
        )
    return next((chip for name, chip in GPUS.items() if name in kind), None)
