"""What other lossless codecs make of the same images, for comparison."""

from __future__ import annotations

import bz2
import importlib
import importlib.util
import io
import lzma
import math

import numpy as np
from PIL import Image


def sizes(images: np.ndarray, levels: int) -> dict[str, int | None]:
    """{codec: bytes} of u8[N,H,W,C]; None for one that is not installed.

    Of two levels, all but JPEG XL, which has no such kind, are given a bit for each value.
    """
    plain = np.packbits(images > 127).tobytes() if levels == 2 else images.tobytes()
    whole, bits = sheet(images), levels == 2
    return {
        "PNG, a sheet": len(_png(whole, bits)),
        "PNG, each": sum(len(_png(image, bits)) for image in images),
        "bz2": len(bz2.compress(plain, 9)),
        "xz": len(lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME)),
        "JPEG XL, sheet": _jpeg_xl(whole),
    }


def sheet(images: np.ndarray) -> np.ndarray:
    """u8[N,H,W,C] -> one picture u8[rows*H,columns*W,C], nearly square; blank where none is."""
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    blank = np.zeros((rows * columns - count, *images.shape[1:]), np.uint8)
    tiles = np.concatenate([images, blank]).reshape(rows, columns, height, width, channels)
    return tiles.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def picture(image: np.ndarray) -> Image.Image:
    """u8[H,W,C] as Pillow has it."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _png(image: np.ndarray, bits: bool) -> bytes:
    file, found = io.BytesIO(), picture(image)
    if bits and image.shape[-1] == 1:
        found = found.convert("1", dither=Image.Dither.NONE)
    found.save(file, "PNG", optimize=True)
    return file.getvalue()


def _jpeg_xl(image: np.ndarray) -> int | None:
    if importlib.util.find_spec("pillow_jxl") is None:
        return None
    importlib.import_module("pillow_jxl")  # adds the format to Pillow

    file = io.BytesIO()
    picture(image).save(file, "JXL", lossless=True, effort=9)
    return len(file.getvalue())
