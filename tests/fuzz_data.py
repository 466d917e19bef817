"""Random input for the readers of data; `fuzz.py` runs them."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from genlab import config as configs
from genlab import data
from genlab.data import pixels
from genlab.data.examples import Unreadable
from genlab.data.fingerprint import difference, fingerprint
from genlab.errors import UserError

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16", "LAB", "HSV")
Random = np.random.Generator


def in_one_line(error: UserError, outcome: str) -> str:
    """The outcome, of an error that takes one line."""
    assert "\n" not in str(error), f"more than one line: {error!r}"
    return outcome


def _picture(rng: Random) -> Image.Image:
    height, width = (int(n) for n in rng.integers(1, 20, 2))
    image = Image.fromarray(rng.integers(0, 256, (height, width, 4), np.uint8), "RGBA")
    try:
        return image.convert(MODES[rng.integers(len(MODES))])
    except (ValueError, OSError):
        return image.convert("L")


def _encoded(rng: Random) -> bytes:
    """A picture in a format that Pillow writes and holds its mode, often with options."""
    kinds = [kind for kind in pixels.picture_formats() if kind in Image.SAVE]
    options: dict[str, object] = {}
    if rng.random() < 0.5:
        exif = Image.Exif()
        exif[0x0112] = int(rng.integers(0, 12))
        options["exif"] = exif.tobytes() if rng.random() < 0.7 else rng.bytes(40)
    if rng.random() < 0.3:
        options["transparency"] = int(rng.integers(0, 256))
    for _ in range(20):
        file = io.BytesIO()
        try:
            _picture(rng).save(file, kinds[rng.integers(len(kinds))], **options)
            return file.getvalue()
        except Exception:  # a format that does not hold this mode or size
            options = {}
    return b""


def _damaged(encoded: bytes, rng: Random) -> bytes:
    """Whole, cut, flipped, padded or mixed up."""
    what, cut = rng.integers(6), int(rng.integers(len(encoded) + 1))
    if what == 0:
        return encoded
    if what == 1:
        return encoded[:cut]
    if what == 2:
        return encoded[:cut] + rng.bytes(int(rng.integers(60)))
    if what == 3:
        return encoded + rng.bytes(int(rng.integers(60)))
    found = bytearray(encoded)
    for _ in range(1 if what == 4 else 12):
        if found:
            found[rng.integers(min(len(found), 200 if rng.random() < 0.5 else len(found)))] ^= int(
                rng.integers(1, 256)
            )
    return bytes(found)


def read_pixels(rng: Random) -> str:
    """An image file of any format, whole or damaged."""
    encoded = _damaged(_encoded(rng), rng)
    try:
        found = pixels.read_bytes(encoded, "fuzz", int(rng.integers(256)))
    except Unreadable as error:
        return in_one_line(error, "refused")
    assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[-1] in (1, 3), found.shape
    assert found.size > 0
    return f"read as {'grey' if found.shape[-1] == 1 else 'colours'}"


NAMES = ("train", "Test", "val", "cat", "dog", "10", "2", ".git", "__MACOSX", "ü b", "a\nb", "")
SUFFIXES = (".png", ".JPG", ".txt", "", ".pdf", ".gif", ".webp", "._x.png", ".npz")


def _tree(root: Path, rng: Random, depth: int = 0) -> None:
    folders = (0.0, 1.0, 0.5)[rng.choice(3, p=(0.45, 0.45, 0.1))]
    for _ in range(int(rng.integers(1, 5))):
        name = NAMES[rng.integers(len(NAMES))] or "x"
        if depth < 3 and rng.random() < folders and not (root / name).is_file():
            (root / name).mkdir(exist_ok=True)
            _tree(root / name, rng, depth + 1)
            continue
        path = root / f"{rng.integers(30)}{SUFFIXES[rng.integers(len(SUFFIXES))]}"
        if path.exists() or path.is_symlink():
            continue
        kind = rng.integers(40)
        if kind == 0:
            path.symlink_to(root if rng.random() < 0.5 else root / "nowhere")
        elif kind == 1:
            os.mkfifo(path)
        else:
            encoded = _encoded(rng)
            path.write_bytes(_damaged(encoded, rng) if kind < 5 else encoded)


def read_folders(rng: Random) -> str:
    """A random tree of folders, files, links and pipes, read by a random section."""
    section = configs.base().data
    section.update(
        on_broken=("stop", "skip")[rng.integers(2)],
        image_size=int(rng.integers(0, 3)) * 4,
        channels=int(rng.integers(0, 2)) * 3,
        upscale=bool(rng.integers(2)),
        background=int(rng.integers(256)),
        eval_split=("train", "test", "train[90%:]", "train[:2]")[rng.integers(4)],
    )
    with tempfile.TemporaryDirectory() as root:
        _tree(Path(root), rng)
        section.source = f"folder:{root}"
        return _whole(section)


def _whole(section) -> str:
    """Reads every split of a section to its end."""
    try:
        sets = data.load(section)
        for split in (sets.test, sets.train, sets.valid):
            found = split.read(np.arange(len(split)))
            assert found["image"].dtype == np.uint8 and found["image"].shape[1:] == split.spec.shape
            assert found["label"].dtype in (np.int32, bool)
            assert found["label"].dtype == bool or found["label"].max() < max(
                len(split.spec.classes), 1
            )
        assert difference(fingerprint(sets), fingerprint(data.load(section))) is None
    except UserError as error:
        return in_one_line(error, "refused")
    return "read"


DTYPES = (*["u1"] * 30, "i8", "u2", ">i4", "f4", "?", "U3", "S2", "c8", "O")
KEYS = ("image", "images", "train_image", "test_image", "label", "train_label", "x")


def _array(rng: Random, axes: int) -> np.ndarray:
    shape = [int(n) for n in rng.integers(0 if rng.random() < 0.1 else 1, 9, axes)]
    if axes == 4:
        shape[-1] = int(rng.integers(1, 5))
    if axes == 1:
        return rng.integers(0, 4, 8 if rng.random() < 0.8 else 7).astype(DTYPES[rng.integers(38)])
    if axes in (3, 4) and rng.random() < 0.8:
        shape[0] = 8
    high = (2, 256, 300)[rng.choice(3, p=(0.1, 0.8, 0.1))]
    return rng.integers(0, high, shape).astype(DTYPES[rng.integers(len(DTYPES))])


def read_arrays(rng: Random) -> str:
    """A random .npz or .npy file, whole or damaged."""
    section = configs.base().data
    section.update(eval_split="train", label=("", "", "", "x", "image")[rng.integers(5)])
    with tempfile.TemporaryDirectory() as root:
        file = io.BytesIO()
        if rng.random() < 0.4:
            np.save(file, _array(rng, int(rng.integers(0, 6))), allow_pickle=True)
        else:
            keys = rng.choice(KEYS, int(rng.integers(1, 5)), replace=False)
            save = (np.savez, np.savez_compressed)[rng.integers(2)]
            axes = {key: int(rng.integers(3, 5)) if "image" in key else 1 for key in keys}
            save(file, **{key: _array(rng, axes[key]) for key in keys})
        whole = rng.random() < 0.5
        path = Path(root) / ("a.npz", "a.npy")[rng.integers(2)]
        path.write_bytes(file.getvalue() if whole else _damaged(file.getvalue(), rng))
        section.source = f"npz:{path}"
        return _whole(section)
