"""TFDS image sets, read by random access and without TensorFlow once they are prepared."""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from genlab.data.examples import TOGETHER, Example, Examples, Source, Unreadable, readable
from genlab.data.fit import converted
from genlab.data.pixels import from_array, read_bytes
from genlab.data.tfds_labels import Labels, labels_of
from genlab.errors import UserError, log

BINARY = {"binarized_mnist"}  # sets that are known to hold zeros and ones, declared as bytes


@dataclass(frozen=True)
class _Records:
    """The records of a split of a set, by random access; those that are damaged are named."""

    builder: Any
    split: str
    decoders: dict[str, Any] | None

    @functools.cached_property
    def opened(self) -> Any:
        """When the first record is read."""
        return self.builder.as_data_source(split=self.split, decoders=self.decoders)

    def __len__(self) -> int:
        return int(self.builder.info.splits[self.split].num_examples)

    def name(self, place: int) -> str:
        return f"tfds:{self.builder.name}, {self.split} record {place}"

    def one(self, place: int) -> Any:
        """The record at a place. Raises Unreadable."""
        try:
            return self.opened[int(place)]
        except Exception as error:  # what a damaged shard makes its readers raise
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise Unreadable(self.name(place), first) from None

    def many(self, places: Sequence[int]) -> list[Any]:
        """Those at the places, None for a damaged one; at a seventh of the cost of one by one."""
        try:
            return self.opened.__getitems__([int(place) for place in places])
        except Exception:  # one of them is damaged
            return [readable(self.one, place) for place in places]

    def every(self) -> Iterator[tuple[int, Any]]:
        """(place, record) of all that can be read."""
        for start in range(0, len(self), TOGETHER):
            places = range(start, min(start + TOGETHER, len(self)))
            for place, record in zip(places, self.many(places), strict=True):
                if record is not None:
                    yield place, record


@dataclass(frozen=True)
class _Set:
    """What the splits of a set share.

    image: its feature.
    """

    builder: Any
    image: Any
    background: int

    @functools.cached_property
    def encoded(self) -> bool:
        """Whether records hold files, which our own reader opens; float images are bit patterns."""
        import tensorflow_datasets as tfds

        return (
            isinstance(self.image, tfds.features.Image)
            and np.dtype(self.image.np_dtype) != np.float32
        )

    def records(self, split: str) -> _Records:
        import tensorflow_datasets as tfds

        decoders = {"image": tfds.decode.SkipDecoding()} if self.encoded else None
        return _Records(self.builder, split, decoders)

    def pixels(self, value: Any, name: str) -> np.ndarray:
        """What a record holds as `image` -> u8[h,w,c]. Raises Unreadable."""
        if self.encoded:
            found = read_bytes(value, name, self.background)
            declared = self.image.shape[-1]
            return converted(found, declared) if declared in (1, 3) else found
        try:
            return from_array(np.asarray(value), self.background)
        except ValueError as error:
            raise Unreadable(name, str(error)) from None

    @functools.cached_property
    def scale(self) -> int:
        """255 for a set that holds nothing but zeros and ones as bytes, else 1.

        Declared features cannot tell such a set; all its values can. The first value above 1 ends
        the search, which nearly always is in the first image.
        """
        if np.dtype(self.image.np_dtype).kind not in "ui":
            return 1
        if self.builder.name in BINARY:
            return 255
        for split in self.builder.info.splits:
            records = self.records(split)
            for place, record in records.every():
                pixels = readable(self.pixels, record["image"], records.name(place))
                if pixels is not None and pixels.max() > 1:
                    return 1
        return 255


class _Split(Examples):
    """One split of a set."""

    def __init__(self, owner: _Set, split: str, labels: Labels):
        self.owner, self.records, self.labels = owner, owner.records(split), labels

    def __len__(self) -> int:
        return len(self.records)

    def read(self, place: int) -> Example:
        return self._example(self.records.one(place), place)

    def read_many(self, places: Sequence[int]) -> Iterator[Example | None]:
        for record, place in zip(self.records.many(places), places, strict=True):
            yield None if record is None else readable(self._example, record, place)

    def _example(self, record: Any, place: int) -> Example:
        pixels = self.owner.pixels(record["image"], self.name(place))
        return pixels * np.uint8(self.owner.scale), self.labels.read(record)

    def name(self, place: int) -> str:
        return self.records.name(place)

    def identity(self) -> dict[str, Any]:
        info = self.owner.builder.info
        return {
            "count": len(self),
            "contents": f"{info.full_name} {info.splits[self.records.split].num_bytes}",
        }


def open_tfds(name: str, config: ConfigDict) -> Source:
    """The splits of a set, prepared first where it is not. Raises UserError."""
    builder = _prepared(name, config)
    features = builder.info.features
    if "image" not in features:
        known = ", ".join(sorted(features))
        raise UserError(f"data.source: tfds:{name} has no feature 'image', but {known}.")
    image = features["image"]
    if len(image.shape or ()) != 3 or isinstance(image.shape, dict):
        raise UserError(
            f"data.source: 'image' of tfds:{name} is {type(image).__name__}, not an image."
        )
    owner = _Set(builder, image, config.background)
    every = [split for split in builder.info.splits if builder.info.splits[split].num_examples]
    labels = labels_of(
        config.label,
        builder,
        lambda: (record for split in every for _, record in owner.records(split).every()),
    )
    valid = "validation" if "validation" in every else ""
    splits: dict[str, Examples] = {split: _Split(owner, split, labels) for split in every}
    return Source(splits, labels.classes, labels.attributes, valid)


def _prepared(name: str, config: ConfigDict) -> Any:
    import tensorflow_datasets as tfds

    data_dir = config.data_dir or os.environ.get("TFDS_DATA_DIR") or None
    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError:
        raise UserError(f"data.source: TFDS has no set {name!r}.") from None
    except (ValueError, AssertionError, TypeError, AttributeError) as error:  # "mnist:9.9.9", "a b"
        first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(f"data.source: TFDS cannot open {name!r}: {first}.") from None
    if not builder.is_prepared():
        _download(builder, config)
    try:
        builder.as_data_source(split=next(iter(builder.info.splits)))
    except NotImplementedError:
        raise UserError(
            f"{builder.data_path} is not array_record, which random access needs: remove it,"
            " or name another data.data_dir, and let genlab prepare it again."
        ) from None
    return builder


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
