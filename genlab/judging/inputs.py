"""The sets that `--mode=judge` is told: models, files, folders and splits, each read as it is.

runs/a, runs/a:500, pretrained:NAME      samples of a model, at a step
samples.npz, folder, folder:test[:900]   images, as `data.source=npz:` and `folder:` read them
train[:10000]                            a split of the classifier's data
"""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import data
from genlab.data import splits
from genlab.data.listing import holds_image
from genlab.data.sources import open_source
from genlab.data.split import Split
from genlab.errors import UserError
from genlab.judging.judgement import CEILING, FLOOR, REAL
from genlab.model import restore
from genlab.trained import Model
from genlab.workdir import configs, paths, places

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Given(ABC):
    """A set that was named; nothing is drawn or read but its first image."""

    text: str

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """(H, W, C) of its images."""

    @abstractmethod
    def most(self, wanted: int) -> int:
        """How many images it has, at most those wanted."""

    @abstractmethod
    def images(self, count: int, seed: int) -> np.ndarray:
        """u8[count,H,W,C]."""


@dataclass(frozen=True)
class Drawn(Given):
    """Samples of a model."""

    model: Model = field(repr=False)

    @property
    def shape(self) -> Shape:
        """See `Given`."""
        return tuple(self.model.task.shape)

    def most(self, wanted: int) -> int:
        """See `Given`."""
        return wanted

    def images(self, count: int, seed: int) -> np.ndarray:
        """See `Given`."""
        return self.model.sample(jax.random.key(seed), count, progress=True)


@dataclass(frozen=True)
class Read(Given):
    """Images of a split, all of one shape."""

    split: Split = field(repr=False)

    @property
    def shape(self) -> Shape:
        """See `Given`."""
        return tuple(self.split.spec.shape)

    def most(self, wanted: int) -> int:
        """See `Given`."""
        return min(wanted, len(self.split))

    def images(self, count: int, seed: int) -> np.ndarray:
        """See `Given`: a random choice, because sets may lie sorted by class."""
        rows = np.arange(count)
        if count < len(self.split):
            rows = data.order(seed, 0, len(self.split))[:count]
        return self.split.read(rows)["image"]


def named(text: str, config: ConfigDict) -> dict[str, Given]:
    """The sets of a list with commas, by the shortest names that tell them apart.

    Raises: UserError for what names nothing, and for what cannot be read.
    """
    found, held = places.listed(text, functools.partial(_given, config=config))
    if held or not found:
        known = ", ".join(open_source(config.data).splits)
        raise UserError(
            f"--samples={held or text}: neither a workdir, a folder, an .npz, pretrained:NAME nor"
            f" a split of {config.data.source} ({known})."
        )
    return dict(zip(_short([one.text for one in found]), found, strict=True))


def _given(text: str, config: ConfigDict) -> Given | None:
    """What a text names, or None."""
    if places.is_pretrained(text):
        return Drawn(text, _sampler(restore(text)))
    path, rest = _existing(text)
    own = re.split(r"\W", text)[0] in open_source(config.data).splits
    if path and own and "/" not in path and re.fullmatch(r"\w+", path):
        raise UserError(
            f"--samples={text}: {path} is a folder here, and a split of {config.data.source}; write"
            f" ./{text} for the folder, or {path}[0:] for the split."
        )
    if not path:
        return _read(text, config, text) if own else None
    if (paths.of(path) / "config.json").exists():
        return Drawn(text, _sampler(restore(path, rest or "latest")))
    alone = configs.copy(config).unlock()
    alone.data.update(source=f"{_kind(path)}:{path}", label="")
    alone.data.update(image_size=0, channels=0)  # as they are
    return _read(text, alone, rest)


def _kind(path: str) -> str:
    """Which reader of `genlab.data` a file or folder is for."""
    folder = paths.of(path)
    if not folder.is_dir():
        return "npz"
    arrays = any(p.suffix.lower() in (".npz", ".npy") for p in folder.iterdir())
    return "npz" if arrays and not holds_image(str(folder)) else "folder"


def _existing(text: str) -> tuple[str, str]:
    """(path, step or split after it) of a file or folder that is there, else ("", "")."""
    parts = text.split(":")
    for end in range(len(parts), 0, -1):
        path = ":".join(parts[:end])
        if path and paths.of(path).exists():
            return path, ":".join(parts[end:])
    return "", ""


def _sampler(model: Model) -> Model:
    model.function("sample", model.config.sample.method)  # says which families sample
    return model


def _read(text: str, config: ConfigDict, split: str) -> Read:
    """A split of a config's data; "" for all there is, if that is one split."""
    try:
        source = open_source(config.data)
        if not split and len(source.splits) > 1:
            raise UserError(f"it has {', '.join(source.splits)}; name one: {text}:<split>.")
        config = configs.copy(config).unlock()
        config.data.eval_split = split or next(iter(source.splits))
        found = splits.load(config.data).test
        _ = found.spec  # reads the first image
    except UserError as error:
        raise UserError(f"--samples={text}: {str(error).removeprefix('data.source: ')}") from None
    return Read(text, found)


def fitting(given: Mapping[str, Given], shape: Shape, features: str) -> None:
    """Raises UserError for a set whose images are not of the classifier's shape (H,W,C)."""
    spelled = lambda s: "x".join(map(str, s))  # noqa: E731
    for one in given.values():
        grey = isinstance(one, Read) and one.shape == (*shape[:2], 3) and shape[2] == 1
        if one.shape != tuple(shape) and not grey:
            raise UserError(
                f"--samples={one.text}: images of {spelled(one.shape)}, but {features} judges those"
                f" of {spelled(shape)}; nothing is resized here. Name another classifier by"
                " --features, or resize the images."
            )


def images(one: Given, count: int, seed: int, shape: Shape) -> np.ndarray:
    """u8[count,H,W,C] of a set that fits: grey images that are stored as colours become grey.

    Raises: UserError for colours where the classifier sees grey.
    """
    try:
        found = one.images(count, seed)
    except UserError as error:
        raise UserError(
            f"--samples={one.text}: {str(error).removeprefix('data.source: ')}"
        ) from None
    if found.shape[1:] == tuple(shape):
        return found
    if (found != found[..., :1]).any():
        raise UserError(
            f"--samples={one.text}: images in colour, but the classifier sees grey ones; convert"
            " them, or name another classifier by --features."
        )
    return found[..., :1]


def _short(texts: list[str]) -> list[str]:
    """The shortest ends of paths that differ, without suffix; of two alike, numbered."""
    bare = [re.sub(r"\.np[yz]\b|^pretrained:", "", text).rstrip("/") for text in texts]
    depth = max(text.count("/") for text in bare) + 1
    for parts in range(1, depth + 1):
        names = ["/".join(text.split("/")[-parts:]) for text in bare]
        if len(set(names)) == len(names):
            break
    free = [f"{name} ({i})" if names[:i].count(name) else name for i, name in enumerate(names)]
    return [f"{name} (set)" if name in (REAL, FLOOR, CEILING) else name for name in free]
