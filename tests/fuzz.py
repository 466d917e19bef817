"""Readers under random input: `python tests/fuzz.py [subject] [count] [seed]`; not in the suite.

Each subject is a function of a random generator: it makes one input, reads it, and returns what
came of it. A traceback, more than one line, a wrong shape or dtype, or a hang are
faults, told with the seed that makes them again.
"""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# Set before jax is imported: what XLA would gain by optimising is less than it takes.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from genlab import config as configs
from genlab import data, parallel
from genlab import task as tasks
from genlab.capabilities import CAPABILITIES, Decodes
from genlab.condition import Spec
from genlab.data import pixels
from genlab.data.examples import Unreadable
from genlab.data.fingerprint import difference, fingerprint
from genlab.errors import UserError
from genlab.model import Model

ROOT = Path(__file__).parents[1]
LIMIT = 60  # seconds of CPU for one input, compilation included
HANG = 900  # seconds by the clock, in which a process that waits for nothing is found
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16", "LAB", "HSV")
Random = np.random.Generator


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
        return _line(error, "refused")
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
        return _line(error, "refused")
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


def _line(error: UserError, outcome: str) -> str:
    assert "\n" not in str(error), f"more than one line: {error!r}"
    return outcome


VALUES: tuple[Any, ...] = (
    *(-1, 0, 1, 2, 3, 7, 255, 257, 10**9, -(10**9), 10**30),
    *(-1.0, -0.0, 0.0, 0.5, 1.0, 1.5, 1e-30, 1e30, float("nan"), float("inf"), -float("inf")),
    *("", "auto", "x", "train[:10%]", "a\nb", "none", True, False, None, (), (1,), (0, -1), ("a",)),
    *((2, 2), [1, 2], {"name": "x"}, {}, b"x", (1.5, 2), (True,), ((1,), 2)),
)


@functools.lru_cache(maxsize=64)
def _config(file: str) -> ConfigDict:
    return configs.load(f"{file}:smoke")


def check_configs(rng: Random) -> str:
    """A whole config with a few fields set to values of all kinds; if it passes the check, and asks
    for nothing large, its task is made and its state described."""
    files = sorted(str(p) for p in (ROOT / "configs").glob("*_*.py") if p.stem[0] != "_")
    config = _config(files[rng.integers(len(files))]).copy_and_resolve_references().unlock()
    keys = sorted(configs.flat(config))
    small = True
    try:
        for _ in range(int(rng.integers(1, 4))):
            path, _, name = keys[rng.integers(len(keys))].rpartition(".")
            value = VALUES[rng.integers(len(VALUES))]
            section = configs.at(config, path)
            if name not in section:
                continue
            del section[name]
            section[name] = value
            small &= not (isinstance(value, (int, float)) and abs(value) > 300)
        configs.check_values(config)
    except UserError as error:
        return _line(error, "refused")
    if not small or rng.random() > 0.05:
        return "passed"
    try:
        spec = Spec((8, 8, (1, 3)[rng.integers(2)]), tuple("0123456789"))
        tasks.abstract_state(tasks.load(config, spec), spec)
    except UserError as error:
        return _line(error, "refused by the task")
    return "made"


FAMILIES = ("digits_pixelcnn", "mnist_vae_small", "mnist_dae_salt", "mnist_gan", "mnist_classifier")


@functools.lru_cache(maxsize=8)
def _model(name: str) -> Model:
    """An untrained model of 8x8 images."""
    config = _config(str(ROOT / "configs" / f"{name}.py")).copy_and_resolve_references().unlock()
    config.sample.batch_size = 4
    spec = Spec((8, 8, 1), tuple("0123456789"))
    task = tasks.load(config, spec)
    batch = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.zeros(1, np.int32)}
    state = parallel.on_one_device(task.init)(jax.random.key(0), batch)
    return Model(config, 0, "raw", task, spec, state, "")


def _thing(rng: Random, shape: tuple[int, ...]) -> Any:
    """An array, mostly of that shape, of any type; or no array at all."""
    if rng.random() < 0.1:
        return (None, "images", 3, [[1, 2], [3]], object(), [], {}, b"x", jax.random.key(0))[
            rng.integers(9)
        ]
    shape = tuple(n if rng.random() < 0.93 else int(rng.integers(0, 4)) for n in shape)
    if rng.random() < 0.1:
        shape = shape[1:] if rng.random() < 0.5 else (*shape, 1)
    kind = ("u1", "u1", "u1", "i1", "i4", "i8", "u8", "f4", "f8", "?", "f2", "c8", "S3")[
        rng.integers(13)
    ]
    array = rng.integers(-3 if rng.random() < 0.2 else 0, 256, shape).astype(kind)
    if kind[0] == "f" and array.size and rng.random() < 0.3:
        array.flat[0] = np.nan
    return array.tolist() if rng.random() < 0.1 else array


def call_models(rng: Random) -> str:
    """Any method of a model of any family, handed anything."""
    model = _model(FAMILIES[rng.integers(len(FAMILIES))])
    has = [name for name, kind in CAPABILITIES.items() if isinstance(model.task, kind)]
    names = sorted(CAPABILITIES if rng.random() < 0.1 else has)
    method = names[rng.integers(len(names))]
    count = int(rng.integers(0, 6))
    images, shape = _thing(rng, (count, 8, 8, 1)), (8, 8, 1)
    labels = None if rng.random() < 0.7 else _thing(rng, (count,))
    key = jax.random.key(1) if rng.random() < 0.9 else _thing(rng, (2,))
    warmth = (None, 1.0, 0.0, -1.0, 1e-50, float("nan"), "warm", 2)[rng.integers(8)]
    try:
        if method == "sample":
            number = (count, -1, 2.5, True, "3")[rng.integers(5)] if rng.random() < 0.3 else count
            found, count = model.sample(key, number, None, warmth, labels), number
        elif method == "complete":
            found = model.complete(key, images, _thing(rng, (count, 8, 8, 1)), None, warmth, labels)
        elif method == "decode":
            size = model.task.code_size() if isinstance(model.task, Decodes) else 2
            codes = _thing(rng, (count, size))
            found, images = model.decode(codes, labels), codes
        else:
            found, shape = model.apply(method, images, labels, key), ()
    except UserError as error:
        return _line(error, "refused")
    rows = count if method == "sample" else len(images)
    assert isinstance(found, np.ndarray) and len(found) == rows, (method, found.shape, rows)
    assert not shape or (found.shape[1:] == shape and found.dtype == np.uint8), found.shape
    return "answered"


SUBJECTS: dict[str, Callable[[Random], str]] = {
    "pixels": read_pixels,
    "folders": read_folders,
    "arrays": read_arrays,
    "configs": check_configs,
    "models": call_models,
}


def _too_long(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {LIMIT} s of CPU or {HANG} s")


def run(subject: str, count: int, first: int) -> int:
    """Tells the number of each outcome, and each fault; returns the number of faults."""
    outcomes: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(first, first + count):
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        signal.alarm(HANG)
        try:
            outcomes[SUBJECTS[subject](np.random.default_rng(seed))] += 1
        except Exception:  # that is what is looked for
            outcomes["FAULT"] += 1
            print(f"{subject}, seed {seed}:\n{traceback.format_exc(limit=-4)}", flush=True)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
    told = ", ".join(f"{name} {number}" for name, number in sorted(outcomes.items()))
    print(f"{subject}: {count} inputs in {time.monotonic() - began:.0f} s: {told}", flush=True)
    return outcomes["FAULT"]


def main(arguments: list[str]) -> None:
    """All subjects, or one."""
    chosen = [arguments[0]] if arguments and arguments[0] in SUBJECTS else list(SUBJECTS)
    numbers = [int(a) for a in arguments if a.isdigit()]
    count, first = (numbers + [1000, 0][len(numbers) :])[:2]
    warnings.simplefilter("ignore")
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _too_long)
    sys.exit(1 if sum(run(subject, count, first) for subject in chosen) else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
