"""Readers under random input: `python tests/fuzz.py [subject] [count] [seed]`; not in the suite.

Each subject is a function of a random generator: it makes one input, reads it, and returns what
came of it. A traceback, more than one line, a wrong shape or dtype, or a hang are
faults, told with the seed that makes them again.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from genlab import config as configs
from genlab import parallel
from genlab import task as tasks
from genlab.capabilities import CAPABILITIES, Decodes
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.model import Model
from tests.fuzz_data import Random, in_one_line, read_arrays, read_folders, read_pixels

ROOT = Path(__file__).parents[1]
LIMIT = 60  # seconds of CPU for one input, compilation included
HANG = 900  # seconds by the clock, in which a process that waits for nothing is found
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
        return in_one_line(error, "refused")
    if not small or rng.random() > 0.05:
        return "passed"
    try:
        spec = Spec((8, 8, (1, 3)[rng.integers(2)]), tuple("0123456789"))
        tasks.abstract_state(tasks.load(config, spec), spec)
    except UserError as error:
        return in_one_line(error, "refused by the task")
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
        return in_one_line(error, "refused")
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
