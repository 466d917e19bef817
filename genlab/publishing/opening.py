"""The picture that opens the README: ten samples of each family, none chosen.

    python -m genlab.publishing.opening

Samples of the autoencoder are the first ten by key 0 of a trained model that comes with genlab. The
others are read back, pixel by pixel, from the figures that `experiments/families.py` and
`experiments/networks.py` made of their runs. A family that joins `genlab/zoo` is drawn anew: use
`drawn`.
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import genlab
from genlab.capabilities import Samples
from genlab.pictures.files import GAP

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
COUNT, SIDE = 10, 28  # samples of each family, and their size
FRAME = 64  # the grey between images of a grid
SCALE, SPACE, TITLE, MARGIN = 2, 4, 24, 16  # pixels of the picture
INK = "#1d2026"


def drawn(name: str) -> np.ndarray:
    """u8[10,28,28,1]: the first samples by key 0 of a model that comes with genlab."""
    model = genlab.pretrained(name)
    assert isinstance(model.task, Samples), name
    return np.asarray(model.sample(jax.random.key(0), COUNT))


def read_back(figure: str, row: int) -> np.ndarray:
    """u8[10,28,28,1]: the samples that a row of a figure shows."""
    pixels = np.asarray(Image.open(FIGURES / figure).convert("L"))
    top, bottom = _runs((pixels == FRAME).sum(1) > pixels.shape[1] // 20)[row]
    upright = (pixels[top:bottom] == FRAME).mean(0) > 0.5  # no letter of a title is that high
    columns = np.flatnonzero(upright)
    left, right = int(columns[0]), int(columns[-1]) + 1
    units = COUNT * (SIDE + GAP) + GAP  # pixels of the grid that the figure enlarged
    offsets = GAP + np.arange(SIDE) + 0.5
    ys = top + (bottom - top) * offsets / (SIDE + 2 * GAP)
    starts = np.arange(COUNT)[:, None] * (SIDE + GAP)
    xs = left + (right - left) * (starts + offsets) / units  # f[10,28]
    return pixels[ys.astype(int)[None, :, None], xs.astype(int)[:, None, :]][..., None]


def _runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """Where stretches of at least SIDE rows that hold the frame begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a > SIDE]


def picture(families: list[tuple[str, np.ndarray]]) -> Image.Image:
    """Two families in a row: a title, and their samples in a line."""
    cell = SIDE * SCALE + SPACE
    width, height = COUNT * cell + 2 * MARGIN, TITLE + cell + SPACE
    rows = -(-len(families) // 2)
    sheet = Image.new("RGB", (2 * width, rows * height + 2 * MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(_font(), 15)
    for place, (title, images) in enumerate(families):
        x, y = place % 2 * width + MARGIN, place // 2 * height + MARGIN
        pen.text((x, y), title, INK, font)
        for i, image in enumerate(images):
            large = Image.fromarray(image[..., 0]).resize((SIDE * SCALE,) * 2, Image.Resampling.BOX)
            sheet.paste(large, (x + i * cell, y + TITLE))
    return sheet


def _font() -> str:
    from matplotlib import font_manager

    return font_manager.findfont("DejaVu Sans")


def main() -> None:
    """Writes docs/figures/opening.png."""
    families = [
        ("Autoencoder, codes from a mixture", drawn("mnist_ae_dense")),
        ("VAE", read_back("families.png", 2)),
        ("GAN, dense", read_back("families.png", 0)),
        ("GAN, convolutional", read_back("families.png", 1)),
        ("PixelCNN, wide first mask", read_back("networks.png", 1)),
        ("Gated PixelCNN, wide first mask", read_back("networks.png", 3)),
        ("PixelRNN, Row LSTM", read_back("networks.png", 4)),
        ("PixelRNN, Diagonal BiLSTM", read_back("networks.png", 5)),
    ]
    picture(families).save(FIGURES / "opening.png", optimize=True)


if __name__ == "__main__":
    main()
