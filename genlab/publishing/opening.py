"""The picture that opens the README: ten samples of each family, none chosen.

    python -m genlab.publishing.opening

The first ten by key 0 of models that come with genlab.
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import genlab
from genlab.capabilities import Samples

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
COUNT, SIDE = 10, 28  # samples of each family, and their size
FAMILIES = {
    "Autoencoder, codes from a mixture": "mnist_ae_dense",
    "VAE": "binarized_mnist_vae",
    "GAN": "mnist_dcgan_resize",
    "PixelCNN": "binarized_mnist_pixelcnn",
    "Gated PixelCNN": "binarized_mnist_gated_pixelcnn",
    "Multi-scale, 7x7 first": "binarized_mnist_multiscale",
    "PixelRNN, Row LSTM": "binarized_mnist_row_lstm",
    "PixelRNN, Diagonal BiLSTM": "binarized_mnist_diagonal_bilstm_wide",
}
SCALE, SPACE, TITLE, MARGIN = 2, 4, 24, 16  # pixels of the picture
INK = "#1d2026"


def drawn(name: str) -> np.ndarray:
    """u8[10,28,28,1]: the first samples by key 0 of a model that comes with genlab."""
    model = genlab.pretrained(name)
    assert isinstance(model.task, Samples), name
    return np.asarray(model.sample(jax.random.key(0), COUNT))


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
    families = [(title, drawn(name)) for title, name in FAMILIES.items()]
    picture(families).save(FIGURES / "opening.png", optimize=True)


if __name__ == "__main__":
    main()
