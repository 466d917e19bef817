"""A plan as a table, one column for each config, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

WIDTH = 26
UNITS = {
    "fits": "fits in the memory of a chip",
    "memory_mb": "memory of a chip, MB",
    "share_of_memory": "  of what it has",
    "largest_batch": "largest batch that fits",
    "images_per_chip": "images of a step on a chip",
    "gflop": "GFLOP of products, a chip",
    "hbm_mb": "HBM traffic of a chip, MB",
    "reduced_mb": "reduced between chips, MB",
    "collectives": "  in so many collectives",
    "loop_steps": "passes through loops",
    "passes_counted_once": "a loop without end counts once",
    "floor_products_ms": "floor by products, ms",
    "floor_hbm_ms": "floor by HBM, ms",
    "estimated_ms": "estimated time, ms",
    "estimated_images_per_s": "estimated images/s, all chips",
    "estimated_share_of_peak": "estimated share of the peak",
    "compile_s": "compiled here in, s",
}


def table(plans: Sequence[dict[str, Any]]) -> str:
    """Of plans of one topology: {"config": str, "programs": {name: numbers}}."""
    lines = [_line("", [plan["config"] for plan in plans])]
    names = dict.fromkeys(name for plan in plans for name in plan["programs"])
    for name in names:
        lines += ["", name]
        columns = [plan["programs"].get(name, {}) for plan in plans]
        for key, title in UNITS.items():
            if any(key in column for column in columns):
                lines.append(_line(f"  {title}", [_spelled(c.get(key)) for c in columns]))
        for plan, column in zip(plans, columns, strict=True):
            lines += _largest(plan["config"] if len(plans) > 1 else "", column)
    return "\n".join(lines)


def _line(title: str, values: Sequence[str]) -> str:
    return f"{title:36}" + "".join(f" {value[-WIDTH:]:>{WIDTH}}" for value in values)


def _largest(config: str, column: dict[str, Any]) -> list[str]:
    found = column.get("estimated_largest")
    if not found:
        return []
    of = f", {config}" if config else ""
    lines = [f"  estimated most expensive operations{of}"]
    return lines + [f"    {share:5.1%}  {label}" for label, share in found.items()]


def _spelled(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 or not math.isfinite(value) else f"{value:,.4g}"
    return str(value)
