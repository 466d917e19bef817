"""Matrix products of a program, counted before it is compiled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr


def product_flops(jaxpr: Jaxpr) -> float:
    """The floating-point operations of a program's matrix products and convolutions, on one
    device.

    XLA's own count takes the body of a scan once, whatever its length.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        kind, params = equation.primitive.name, equation.params
        operands: Any = (*equation.invars, *equation.outvars)
        shapes = [operand.aval.shape for operand in operands]
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


def _programs(values: Iterable[Any]) -> Iterator[Jaxpr]:
    """The programs within the parameters of an operation: bodies of scans, branches."""
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _programs(value)
        elif isinstance(value, Jaxpr):
            yield value
        elif isinstance(value, ClosedJaxpr):
            yield value.jaxpr
