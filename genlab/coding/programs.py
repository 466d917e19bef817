"""Compiling what encoder and decoder share, so that two processes compile the same program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from genlab import parallel

# By default XLA picks algorithms for a GPU by the clock.
OPTIONS: dict[str, dict[str, Any]] = {
    "gpu": {"xla_gpu_autotune_level": 0, "xla_gpu_deterministic_ops": True}
}


def compiled(fn: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
    """fn, compiled for the default device, at the highest matmul precision."""

    def precise(*args: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return fn(*args)

    options = OPTIONS.get(parallel.platform())
    return jax.jit(precise, donate_argnums=donate, compiler_options=options)
