"""Pictures as bytes, for tests of their reader."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from genlab.data import pixels


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(data: bytes, background: int = 0) -> np.ndarray:
    found = pixels.read_bytes(data, "picture", background)
    assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[-1] in (1, 3)
    return found


def png(depth: int, colour: int, width: int, rows: list[bytes], *chunks: tuple[bytes, bytes]):
    """A PNG made by hand: depths and transparencies that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    image = zlib.compress(b"".join(b"\0" + row for row in rows))
    every = [(b"IHDR", header), *chunks, (b"IDAT", image), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in every)
