"""Pictures: grids of images, rows with titles, and loss curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GAP = 2  # pixels between images of a grid
SMALL = 96  # images below this side are enlarged by a whole factor, so that pixels stay square


def grid(images: np.ndarray, columns: int = 0) -> np.ndarray:
    """u8[N,H,W,C] -> u8[h,w,3], row by row, as square as can be."""
    n, height, width, _ = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 64, np.uint8)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image  # grey broadcasts over RGB
    factor = max(1, SMALL // max(height, width))
    return sheet.repeat(factor, 0).repeat(factor, 1)


def save_grid(path: Path, images: np.ndarray, columns: int = 0) -> np.ndarray:
    """Writes a grid as PNG and returns it."""
    sheet = grid(images, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
    return sheet


def _canvas(width: float, height: float, rows: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # no pyplot: no global state, no display

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    return figure, figure.subplots(rows, 1, squeeze=False)[:, 0]


def save_rows(path: Path, rows: list[tuple[str, np.ndarray]], note: str = "") -> None:
    """Rows of u8[N,H,W,C], each with its title at the left, and a note below."""
    n = rows[0][1].shape[0]
    figure, axes = _canvas(1.6 + 0.75 * n, 0.85 * len(rows) + (0.4 if note else 0.1), len(rows))
    for ax, (title, images) in zip(axes, rows, strict=True):
        ax.imshow(grid(images, columns=n), interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    if note:
        figure.supxlabel(note, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def save_curves(path: Path, lines: list[dict[str, Any]], metric: str, label: str) -> bool:
    """One metric against the step, a curve for each split; False if no line has it."""
    splits = sorted({line["split"] for line in lines if metric in line})
    if not splits:
        return False
    figure, (ax,) = _canvas(6, 4)
    spread = []
    for split in splits:
        points = [(r["step"], r[metric]) for r in lines if r["split"] == split and metric in r]
        steps, values = zip(*points, strict=True)
        spread += values[len(values) // 10 :]  # the first steps would flatten the rest
        ax.plot(steps, values, "-" if split == "train" else "o-", ms=3, lw=1.2, label=split)
    low, high = min(spread), max(spread)
    margin = 0.05 * (high - low) or 1.0
    ax.set_ylim(low - margin, high + margin)
    ax.set_xlabel("step")
    ax.set_ylabel(label)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True
