"""What a TFDS feature says of an image: a class, or attributes that are there or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.data.examples import Label
from genlab.errors import UserError, hint


@dataclass(frozen=True)
class Labels:
    """read: of a record."""

    read: Callable[[dict[str, Any]], Label]
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


def labels_of(path: str, builder: Any, records: Callable[[], Iterable[Any]]) -> Labels:
    """The labels that `data.label` names: "" is `label` where the set has it, "a/b" is b within a.

    Class labels keep their numbers. Texts and integers are numbered in order over all splits, which
    are read for it. Booleans are the classes no and yes; several of them are attributes.

    Raises: UserError for a feature that is not there, or says neither.
    """
    import tensorflow_datasets as tfds

    features = builder.info.features
    if not path and "label" not in features:
        return Labels(lambda record: -1)
    path = path or "label"
    feature, keys = _feature(features, path, builder.name), path.split("/")

    def value(record: Any) -> Any:
        for key in keys:
            record = record[key]
        return record

    if isinstance(feature, tfds.features.ClassLabel):
        return Labels(lambda record: int(value(record)), tuple(feature.names or ()))
    if isinstance(feature, tfds.features.FeaturesDict) and all(map(_is_bool, feature.values())):
        names = tuple(sorted(feature))  # their order in the file is not fixed
        return Labels(lambda r: np.array([value(r)[n] for n in names], bool), attributes=names)
    if _is_bool(feature):
        return Labels(lambda record: int(value(record)), ("no", "yes"))
    if _is_bool(feature, 1) and feature.shape[0]:
        names = tuple(str(i) for i in range(feature.shape[0]))
        return Labels(lambda record: np.asarray(value(record), bool), attributes=names)
    if not isinstance(feature, tfds.features.Text) and not _is(feature, "ui"):
        what = " ".join(str(feature).split())
        raise UserError(
            f"data.label={path!r}: {what} of tfds:{builder.name} is neither a class, a text, an"
            " integer nor booleans."
        )
    found = sorted({_plain(value(record)) for record in records()})
    numbers = {item: number for number, item in enumerate(found)}
    classes = tuple(i.decode("utf-8", "replace") if isinstance(i, bytes) else str(i) for i in found)
    return Labels(lambda record: numbers[_plain(value(record))], classes)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bytes, str)) else int(value)


def _is(feature: Any, kinds: str, axes: int = 0) -> bool:
    """Whether a feature is an array of so many axes, of numbers of these kinds."""
    import tensorflow_datasets as tfds

    plain = isinstance(feature, tfds.features.Tensor)  # Scalar is one
    return plain and np.dtype(feature.np_dtype).kind in kinds and len(feature.shape) == axes


def _is_bool(feature: Any, axes: int = 0) -> bool:
    return _is(feature, "b", axes)


def _feature(features: Any, path: str, name: str) -> Any:
    """The feature at a path. Raises UserError."""
    import tensorflow_datasets as tfds

    for key in path.split("/"):
        inside = isinstance(features, tfds.features.FeaturesDict)
        if not inside or key not in features:
            known = list(features) if inside else []
            raise UserError(
                f"data.label: tfds:{name} has no feature {path!r}."
                f"{hint(key, [k for k in known if k != 'image'])}"
            )
        features = features[key]
    return features
