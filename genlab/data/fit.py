"""Pixels of any size made to fit one shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from genlab.errors import UserError


@dataclass(frozen=True)
class Fit:
    """The shape that is wanted.

    size: the side of a square, 0 for the native size.
    channels: 1 or 3, 0 for the native number.
    upscale: whether smaller images are enlarged or refused.
    """

    size: int
    channels: int
    upscale: bool

    def __call__(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """u8[h,w,c] -> u8[H,W,C]: colours converted, the centre square resized.

        Raises: UserError, which names the image, where it is too small.
        """
        pixels = converted(pixels, self.channels or pixels.shape[-1])
        height, width, _ = pixels.shape
        if not self.size or height == width == self.size:
            return pixels
        if min(height, width) < self.size and not self.upscale:
            raise UserError(
                f"{name} is {width} wide and {height} high, smaller than data.image_size="
                f"{self.size}; ask for less, or set data.upscale."
            )
        return _centre(pixels, self.size)


def converted(pixels: np.ndarray, channels: int) -> np.ndarray:
    """u8[h,w,c] with 1 (luma as Pillow computes it) or 3 channels."""
    if channels == pixels.shape[-1]:
        return pixels
    picture = _picture(pixels).convert("L" if channels == 1 else "RGB")
    return np.asarray(picture).reshape(*pixels.shape[:2], channels)


def _centre(pixels: np.ndarray, size: int) -> np.ndarray:
    height, width, channels = pixels.shape
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    box = (left, top, left + short, top + short)
    resized = _picture(pixels).resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized).reshape(size, size, channels)


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
