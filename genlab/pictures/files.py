"""Pictures as files: figures, and plain grids of images, written pixel by pixel."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from etils import epath
from PIL import Image

from genlab.workdir import paths

GAP = 2  # pixels between images of a grid
SMALL = 96  # images below this side are enlarged by a whole factor, so that pixels stay square


def grid(images: np.ndarray, columns: int = 0) -> np.ndarray:
    """u8[N,H,W,C] -> u8[h,w,3]: the images row by row, in as many columns as rows by default."""
    n, height, width, _ = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 64, np.uint8)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image  # grey broadcasts over RGB
    factor = max(1, SMALL // max(height, width))
    return sheet.repeat(factor, 0).repeat(factor, 1)


def save_grid(path: epath.Path, images: np.ndarray, columns: int = 0) -> np.ndarray:
    """Writes a grid as PNG and returns it."""
    sheet = grid(images, columns)
    with _written(path) as file:
        Image.fromarray(sheet).save(file, "PNG")
    return sheet


def save_animation(path: epath.Path, frames: Sequence[epath.Path]) -> None:
    """Writes PNG files of one size as a GIF that rests on the last."""
    images = [Image.open(io.BytesIO(frame.read_bytes())).convert("P") for frame in frames]
    times = [400] * (len(images) - 1) + [2500]  # milliseconds
    with _written(path) as file:
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0)


def save(path: epath.Path, picture: Any) -> np.ndarray:
    """Writes a picture as PNG and returns it, u8[h,w,3]."""
    figure = picture.draw()
    with _written(path) as file:
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.1)
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def rendered(picture: Any, dpi: int = 70) -> Image.Image:
    """A picture as an image, which a notebook shows; 70 dots an inch keep a notebook small."""
    file = io.BytesIO()
    picture.draw().savefig(file, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.1)
    return Image.open(file).convert("RGB")


def _written(path: epath.Path) -> IO[Any]:
    """The file, open for writing, in a folder that is made if need be."""
    paths.make_folder(path.parent)
    return path.open("wb")
