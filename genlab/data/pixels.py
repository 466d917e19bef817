"""The one reader of pixels: from an opened image file, a record or an array to u8[h,w,c].

c is 1 for whatever is stored as greys (with alpha and as a palette too), else 3. Deep samples give
their high byte. Transparent pixels are composed over `data.background`, a grey value. A form that
has no certain reading is refused.
"""

from __future__ import annotations

import functools
import io
import logging
import os
from collections.abc import Callable

import numpy as np
from etils import epath
from PIL import Image, ImageFile, UnidentifiedImageError

from genlab.data.examples import Unreadable

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # its reasons come in our own lines

# Pillow opens them, but they are drawings, films, measurements or containers, not pictures.
NO_PICTURES = {
    "BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MCIDAS", "MPEG", "WMF",
}  # fmt: skip
USUAL = ("PNG", "JPEG")  # before formats that Pillow can only tell by opening the file
ORIENTATION = 0x0112  # of EXIF
DEEP_GREY = ("PNG", "PPM", "JPEG2000")  # Pillow scales their mode I to 16 bits
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # of TIFF


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """The formats that are read, by Pillow's names; it tries them in this order."""
    Image.init()
    return (*USUAL, *sorted(set(Image.OPEN) - NO_PICTURES - set(USUAL)))


def picture_suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of files that are taken for images."""
    formats = {*picture_formats(), "MPO"}
    return frozenset(
        suffix for suffix, kind in Image.registered_extensions().items() if kind in formats
    )


def read_file(path: str, background: int) -> np.ndarray:
    """The pixels of an image file, u8[h,w,c]. Raises Unreadable."""
    return _read(epath.Path(path).read_bytes if "://" in path else path, shown(path), background)


def read_bytes(encoded: bytes, name: str, background: int) -> np.ndarray:
    """The pixels of an encoded image, u8[h,w,c]. Raises Unreadable, by that name."""
    return _read(lambda: encoded, name, background)


def _read(source: str | Callable[[], bytes], name: str, background: int) -> np.ndarray:
    try:
        file = io.BytesIO(source()) if callable(source) else source
        with Image.open(file, formats=picture_formats()) as image:
            return from_image(image, background)
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them raise
        raise Unreadable(name, _reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large to decode safely, over {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first = str(error).strip().splitlines()
    return first[0].rstrip(".") if first else type(error).__name__


def shown(path: str) -> str:
    """A path as it can be printed in one line, whatever bytes are in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def from_image(image: Image.Image, background: int = 0) -> np.ndarray:
    """The pixels of an opened image (its first frame), u8[h,w,c], turned as its EXIF data says.

    Raises: ValueError for a form without a certain reading; what Pillow raises for damaged files.
    """
    layout = _layout(image)
    image.load()
    colours, alpha = _planes(image, layout)
    return upright(composed(colours, alpha, background), _orientation(image))


def from_array(values: np.ndarray, background: int = 0) -> np.ndarray:
    """The pixels of an array, u8[h,w,c]; a last axis of 2 or 4 ends with alpha.

    Booleans are black and white; integers are bytes; floats are on [0,1].
    Raises: ValueError for other shapes, types or values.
    """
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[-1] not in (1, 2, 3, 4) or 0 in values.shape:
        raise ValueError(f"its shape is {values.shape}, not (height, width, channels)")
    kind = values.dtype.kind
    if kind not in "buif":
        raise ValueError(f"its values are {values.dtype}")
    read = {"b": _black_and_white, "u": as_bytes, "i": as_bytes, "f": from_floats}[kind]
    planes = read(values)
    if planes.shape[-1] in (2, 4):
        return composed(planes[..., :-1], planes[..., -1], background)
    return planes


def _black_and_white(values: np.ndarray) -> np.ndarray:
    return values * np.uint8(255)


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Integers 0..255 of any type -> u8. Raises ValueError for others."""
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() > 255):
        raise ValueError(f"its values reach from {values.min()} to {values.max()}, beyond 0..255")
    return values.astype(np.uint8)


def from_floats(values: np.ndarray) -> np.ndarray:
    """Floats on [0,1] -> u8, 1.0 becoming 255. Raises ValueError for others."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 1.0):  # NaN is neither
        raise ValueError(f"its floats reach from {low:g} to {high:g}, beyond [0,1]")
    return np.round(values.astype(np.float64) * 255).astype(np.uint8)


def composed(colours: np.ndarray, alpha: np.ndarray | None, background: int) -> np.ndarray:
    """u8[h,w,c] as seen through alpha u8[h,w] (255 is opaque) over a grey background."""
    if alpha is None:
        return colours
    cover = alpha[..., None].astype(np.uint32)
    return ((colours * cover + background * (255 - cover) + 127) // 255).astype(np.uint8)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels [h,w,c] as EXIF orientation 1..8 wants them seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _orientation(image: Image.Image) -> int:
    """Read after loading: Pillow turns TIFF files itself, and PNG may say it at the end."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged description does not damage the picture
        return 1
    return found if isinstance(found, int) else 1


def _layout(image: Image.Image) -> str:
    """How samples are stored ("LA;16B", "L;4"), which Pillow forgets once they are loaded."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    args = tiles[0][3] if tiles else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _planes(image: Image.Image, layout: str) -> tuple[np.ndarray, np.ndarray | None]:
    """(u8[h,w,1 or 3], its alpha u8[h,w] or None)."""
    mode, key = image.mode, image.info.get("transparency")
    if mode.startswith("I"):
        deep = _sixteen_bits(image)
        return (deep >> 8).astype(np.uint8), _opaque_but(deep, key)
    if mode == "F":
        return _float_image(image), None
    if mode in ("1", "L"):
        grey = np.asarray(image.convert("L"))[..., None]
        return grey, _opaque_but(grey, _byte_of(key, layout))
    if mode in ("LA", "La") or layout == "LA;16B":  # Pillow opens the latter as RGBA
        both = np.asarray(image.convert("LA") if mode == "La" else image)
        return both[..., :1], both[..., -1]
    if mode in ("P", "PA"):
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., : 1 if _palette_is_grey(image) else 3], rgba[..., 3]
    if mode in ("RGBA", "RGBa"):
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    rgb = np.asarray(image.convert("RGB"))
    if key is not None and "16" in layout:
        raise ValueError("its transparent colour has 16 bits, its pixels are read at 8")
    return rgb, _opaque_but(rgb, key if mode == "RGB" else None)


def _opaque_but(values: np.ndarray, key: int | tuple[int, ...] | None) -> np.ndarray | None:
    """Alpha of pixels of which one colour is transparent, as PNG and GIF can say."""
    if key is None or isinstance(key, bytes):
        return None
    return np.where((values == np.asarray(key)).all(-1), 0, 255).astype(np.uint8)


def _byte_of(key: int | None, layout: str) -> int | None:
    """A transparent grey of a PNG of 2 or 4 bits, whose samples Pillow stretches to a byte."""
    return key * {"L;2": 85, "L;4": 17}.get(layout, 1) if isinstance(key, int) else None


def _palette_is_grey(image: Image.Image) -> bool:
    """Whether all colours of the palette that can be seen are greys."""
    colours = np.array(image.getpalette("RGBA")).reshape(-1, 4)
    key = image.info.get("transparency")
    if isinstance(key, int):
        colours[key : key + 1, 3] = 0
    elif isinstance(key, bytes):
        given = np.frombuffer(key, np.uint8)[: len(colours)]
        colours[: len(given), 3] = given
    seen = colours[colours[:, 3] > 0]
    return bool((seen[:, :1] == seen[:, :3]).all())


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    """Grey samples of 16 bits, i64[h,w,1]. Raises ValueError where the depth is another."""
    values = np.asarray(image).astype(np.int64)[..., None]
    if image.format == "TIFF":
        bits, kind = _tag(image, BITS, 1), _tag(image, SAMPLE_FORMAT, 1)
        if bits not in (12, 16) or kind != 1:
            sign = "signed " if kind == 2 else ""
            raise ValueError(f"its greys are {sign}{bits}-bit integers, whose white is not known")
        values = values << (16 - bits)
        return 65535 - values if _tag(image, PHOTOMETRIC, 1) == 0 else values  # 0: white is zero
    if image.mode == "I" and image.format not in DEEP_GREY:
        raise ValueError("its greys are 32-bit integers, whose white is not known")
    return values


def _float_image(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)[..., None]
    if image.format == "TIFF" and _tag(image, PHOTOMETRIC, 1) == 0:
        values = 1.0 - values
    return from_floats(values)


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """The first value of a TIFF tag."""
    found = getattr(image, "tag_v2", {}).get(tag, default)
    return int(found[0] if isinstance(found, tuple) else found)
