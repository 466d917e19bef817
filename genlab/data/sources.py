"""Where images come from: scikit-learn's digits, a TFDS set, a folder of images by class.

A source has named splits, each a random-access sequence of (u8[h,w,c], label), and class names.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image, UnidentifiedImageError

from genlab.errors import UserError, hint, log

Example = tuple[np.ndarray, int]  # u8[h,w,c], label (-1 for none)


@dataclass(frozen=True)
class Source:
    """splits: {name: sequence of examples}.  classes: names, in the order of their labels."""

    splits: dict[str, Sequence[Example]]
    classes: tuple[str, ...] = ()


def open_source(config: ConfigDict) -> Source:
    """The source that `data.source` names: `digits`, `tfds:<name>` or `folder:<path>`."""
    kind, _, what = config.source.partition(":")
    kinds = {"digits": _digits, "tfds": _tfds, "folder": _folder}
    if kind not in kinds or (kind == "digits") != (what == ""):
        raise UserError(
            f"data.source: {config.source!r} is none of 'digits', 'tfds:<name>', 'folder:<path>'."
        )
    return kinds[kind](what, config)


def _digits(_: str, config: ConfigDict) -> Source:
    """1,797 real 8x8 digits; the set has no split, so 1,437 train and 360 test in a fixed order."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]  # u8[1797,8,8,1]
    order = np.argsort(np.random.Philox(key=[0, 0]).random_raw(len(images)), kind="stable")
    examples = [(images[i], int(found.target[i])) for i in order]
    return Source({"train": examples[:1437], "test": examples[1437:]}, tuple("0123456789"))


@dataclass(frozen=True)
class _Records(Sequence):
    """A TFDS data source, read one record at a time without TensorFlow."""

    records: Any
    label: str | None
    numbers: dict[Any, int] | None  # text labels -> numbers
    scale: int  # 255 for a set of zeros and ones, else 1

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: int) -> Example:
        record = self.records[int(row)]
        label = record[self.label] if self.label else -1
        return record["image"] * np.uint8(self.scale), (
            self.numbers[label] if self.numbers else int(label)
        )


def _tfds(name: str, config: ConfigDict) -> Source:
    import tensorflow_datasets as tfds

    data_dir = config.data_dir or os.environ.get("TFDS_DATA_DIR") or None
    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError:
        raise UserError(f"data.source: TFDS has no set {name!r}.") from None
    if not builder.is_prepared():
        _download(builder, config)
    try:
        splits = {split: builder.as_data_source(split=split) for split in builder.info.splits}
    except NotImplementedError:
        raise UserError(
            f"{builder.data_path} is not array_record, which random access needs: remove it,"
            " or name another data.data_dir, and let genlab prepare it again."
        ) from None
    features = builder.info.features
    if "image" not in features:
        raise UserError(f"data.source: tfds:{name} has no feature 'image'.")
    label = "label" if "label" in features else None
    some = next(iter(splits.values()))
    brightest = max(some[i]["image"].max() for i in range(min(100, len(some))))
    scale = 255 if brightest == 1 else 1
    if label is None:
        return Source({k: _Records(v, None, None, scale) for k, v in splits.items()})
    if isinstance(features[label], tfds.features.ClassLabel):
        classes, index = tuple(features[label].names), None
    else:  # text: numbered in alphabetical order over all splits
        found = {record[label] for records in splits.values() for record in records}
        index = {text: i for i, text in enumerate(sorted(found))}
        classes = tuple(t.decode() if isinstance(t, bytes) else str(t) for t in index)
    return Source({k: _Records(v, label, index, scale) for k, v in splits.items()}, classes)


def _download(builder: Any, config: ConfigDict) -> None:
    """Lets TFDS download and prepare a set as array_record, after asking whether it can."""
    name, where = builder.name, builder.data_path
    remedy = "point data.data_dir or TFDS_DATA_DIR at a prepared copy"
    if not config.download:
        raise UserError(f"tfds:{name} is not prepared in {where}; {remedy}, or set data.download.")
    try:  # TFDS itself would retry for minutes
        urllib.request.urlopen("https://storage.googleapis.com", timeout=10)
    except urllib.error.HTTPError:
        pass  # an answer is an answer
    except OSError:
        raise UserError(
            f"tfds:{name} is not prepared in {where} and the network is away; {remedy},"
            " or run again when it is back."
        ) from None
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        raise UserError(
            f"downloading tfds:{name} needs TensorFlow: pip install tensorflow-cpu, or {remedy}."
        ) from None
    log.info("preparing tfds:%s in %s", name, where)
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # every set has failures of its own; TFDS keeps what it had
        first = str(error).strip().splitlines()[0]
        raise UserError(f"tfds:{name} could not be prepared ({first}); {remedy}.") from error


@dataclass(frozen=True)
class _Files(Sequence):
    """Image files, decoded when asked for."""

    files: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Example:
        path, label = self.files[row]
        with Image.open(path) as image:
            grey = image.mode in ("1", "L", "I", "I;16", "F")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
        return (pixels[..., None] if grey else pixels), label


def _folder(path: str, config: ConfigDict) -> Source:
    """`<path>/<class>/*`, or `<path>/<split>/<class>/*` when a folder `train` is there."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"data.source: no folder {str(root)!r}.")
    roots = {"train": root}
    if (root / "train").is_dir():
        roots = {p.name: p for p in sorted(root.iterdir()) if p.is_dir()}
    classes = sorted({p.name for r in roots.values() for p in r.iterdir() if p.is_dir()})
    readable = set(Image.registered_extensions())
    splits: dict[str, Sequence[Example]] = {}
    for split, folder in roots.items():
        files = [
            (str(file), label)
            for label, name in enumerate(classes)
            for file in sorted((folder / name).rglob("*"))
            if file.suffix.lower() in readable
        ]
        if not files and not classes:  # a flat folder has no labels
            found = sorted(p for p in folder.iterdir() if p.suffix.lower() in readable)
            files = [(str(file), -1) for file in found]
        if not files:
            raise UserError(f"data.source: no image in {str(folder)!r} or its class subfolders.")
        splits[split] = _Files(_decodable(files, config.on_broken))
    return Source(splits, tuple(classes))


def _decodable(files: list[tuple[str, int]], on_broken: str) -> tuple[tuple[str, int], ...]:
    """The files that decode; the others are named and counted, or stop the run."""
    if on_broken not in ("stop", "skip"):
        raise UserError(f"data.on_broken: {on_broken!r}?{hint(on_broken, ('stop', 'skip'))}")

    def decodes(file: tuple[str, int]) -> bool:
        try:
            _Files((file,))[0]
            return True
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
            return False

    with ThreadPoolExecutor() as pool:
        good = list(pool.map(decodes, files))
    broken = [path for (path, _), ok in zip(files, good, strict=True) if not ok]
    if broken:
        named = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        told = f"{len(broken)} of {len(files)} image files cannot be read: {named}"
        if on_broken == "stop" or len(broken) == len(files):
            raise UserError(f"{told}; mend or remove them, or set data.on_broken=skip.")
        log.warning("%s; skipped.", told)
    return tuple(file for file, ok in zip(files, good, strict=True) if ok)
