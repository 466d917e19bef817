"""Images to a `.glz` file and back, by a trained model.

The decoder needs the same model, versions and platform: it computes the encoder's probabilities
again, to the last bit.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from genlab.coding import frequencies, glz
from genlab.coding.contract import Compresses, ImageCoder
from genlab.coding.glz import Header, Stream
from genlab.coding.rans import Emptied, Stack
from genlab.condition import Condition
from genlab.data import gate
from genlab.errors import UserError
from genlab.likelihoods.levels import dequantise, quantise
from genlab.state import digest
from genlab.version import __version__

if TYPE_CHECKING:
    from genlab.model import Model

PACKAGES = ("jax", "jaxlib", "flax")  # besides genlab: what compiles the programs


def compress(
    model: Model,
    images: Any,
    labels: Any = None,
    store_labels: bool = True,
    verify: bool = True,
    lanes: int = 0,
    progress: bool = False,
) -> Iterator[bytes]:
    """The pieces of a `.glz` file of u8[N,H,W,C], as they come.

    Args:
      labels: i32[N], needed by a class-conditional model.
      store_labels: whether they go into the file, or are given to the decoder again.
      verify: whether each stream is decoded and compared.
      lanes: images computed at once; 0 chooses them.

    Raises: UserError for images that are none of the model's, or bytes that its levels have not.
    """
    images = gate.images(images, model.spec.shape)
    labels = gate.labels(labels, len(images), model.task.condition)
    coder = _coder(model, len(images), gate.count(lanes, "lanes", 0))
    _check_levels(images, coder.levels)
    header = Header(
        **identity(model),
        lanes=coder.lanes,
        chunk=coder.chunk,
        shape=model.spec.shape,
        count=len(images),
        levels=coder.levels,
        labels=("stored" if store_labels else "given") if model.task.condition else "none",
        pixels=_sha256(images),
    )
    return glz.pack(header, _streams(header, coder, model, images, labels, verify, progress))


def _streams(
    header: Header,
    coder: ImageCoder,
    model: Model,
    images: np.ndarray,
    labels: np.ndarray,
    verify: bool,
    progress: bool,
) -> Iterator[Stream]:
    starts = range(0, header.count, header.chunk)
    for start in tqdm(starts, unit="stream", disable=None if progress else True):
        some = slice(start, start + header.chunk)
        stack = Stack(coder.lends)
        coder.push(stack, images[some], labels[some])
        if header.labels == "stored":
            push_labels(stack, labels[some], model.task.condition)
        stream = Stream(stack.to_bytes(), zlib.crc32(images[some].tobytes()))
        if verify:
            decode(header, coder, model, stream, labels[some])
        yield stream


def decompress(
    model: Model, data: bytes, labels: Any = None, progress: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The images u8[N,H,W,C] and labels i32[N] (-1 for none) of a `.glz` file.

    Args: labels: i32[N], where they were given to the encoder and not stored.

    Raises: UserError for a damaged file, or one of another model, version or platform.
    """
    header, streams = glz.unpack(bytes(data))
    _check_identity(header, model)
    labels = _given_labels(header, model, labels)
    coder = _coder(model, header.count, header.lanes)
    if (coder.levels, coder.chunk) != (header.levels, header.chunk):
        raise glz.damaged("its header")
    images = np.zeros((header.count, *header.shape), np.uint8)
    watched = tqdm(streams, unit="stream", disable=None if progress else True)
    for place, stream in enumerate(watched):
        some = slice(place * header.chunk, place * header.chunk + header.counts[place])
        images[some], labels[some] = decode(header, coder, model, stream, labels[some])
    if _sha256(images) != header.pixels:
        raise glz.damaged("the checksum of its images")
    return images, labels


def decode(
    header: Header, coder: ImageCoder, model: Model, stream: Stream, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a stream. Raises UserError if they are not those that went in."""
    try:
        stack = Stack.from_bytes(stream.data, coder.lends)
        if header.labels == "stored":
            labels = pop_labels(stack, len(labels), model.task.condition)
        images = coder.pop(stack, labels)
        same = stack.is_done() and zlib.crc32(images.tobytes()) == stream.pixels
    except Emptied:
        same = False
    if not same:
        raise UserError(
            "a stream is whole, but this process computes other probabilities than the one that"
            " wrote it (other processors, threads or XLA_FLAGS); decode where it was written."
        )
    return images, labels


def symbols(condition: Condition) -> tuple[int, int]:
    """How many symbols the labels of an image are, and how many choices each has: all alike."""
    return (condition.size, 2) if condition.attributes else (1, condition.size)


def push_labels(stack: Stack, labels: np.ndarray, condition: Condition) -> None:
    """Pushes i32[N] of classes, or bool[N,K] of attributes."""
    flat = labels.ravel().astype(np.int64)
    table = frequencies.uniform(len(flat), symbols(condition)[1])
    stack.push(*frequencies.intervals(table, flat), frequencies.BITS)


def pop_labels(stack: Stack, count: int, condition: Condition) -> np.ndarray:
    """Pops the labels of that many images."""
    each, choices = symbols(condition)
    flat = stack.pop(frequencies.uniform(count * each, choices), frequencies.BITS)
    if condition.attributes:
        return flat.astype(bool).reshape(count, each)
    return flat.astype(np.int32)


def identity(model: Model) -> dict[str, Any]:
    """The fields of a header that a decoder must share."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "model": model_digest(model),
        "step": model.step,
        "weights": model.weights,
        "versions": {"genlab": __version__} | found,
        "platform": _platform(),
    }


def model_digest(model: Model) -> str:
    """SHA-256 of all that makes a model's probabilities: parameters, network, likelihood."""
    config = model.config.to_dict()
    names = ("task", "model", "likelihood", config["task"])
    said = {name: config.get(name) for name in names}
    said |= {"shape": list(model.spec.shape), "condition": asdict(model.task.condition)}
    params = digest(jax.device_get(model.state.params))
    return hashlib.sha256((json.dumps(said, sort_keys=True) + params).encode()).hexdigest()


def _platform() -> str:
    device = jax.local_devices()[0]
    kind = platform.machine() if device.platform == "cpu" else device.device_kind
    return f"{device.platform} {kind}"


def _check_identity(header: Header, model: Model) -> None:
    """Raises UserError, naming both sides, for a file that another process must decode."""
    here = identity(model)
    if header.model != here["model"]:
        raise UserError(
            f"this .glz file was written by another model (step {header.step}, {header.weights}"
            f" weights, digest {header.model[:12]}); this one is step {model.step},"
            f" {model.weights} weights, digest {here['model'][:12]}."
        )
    for name in sorted(header.versions.keys() | here["versions"].keys()):
        there, own = header.versions.get(name, "none"), here["versions"].get(name, "none")
        if there != own:
            raise UserError(
                f"this .glz file was written with {name} {there}, here is {name} {own}: another"
                " version rounds another way; install that one to decode."
            )
    if header.platform != here["platform"]:
        raise UserError(
            f"this .glz file was written on {header.platform}, this is {here['platform']}: another"
            " platform rounds another way; decode it there."
        )


def _given_labels(header: Header, model: Model, labels: Any) -> np.ndarray:
    if header.labels == "given":
        if labels is None:
            raise UserError("this .glz file holds no labels: give those it was written with.")
        return gate.labels(labels, header.count, model.task.condition).copy()
    if model.task.condition:
        return np.array(model.task.condition.no_labels(header.count))
    return np.full(header.count, -1, np.int32)


def _check_levels(images: np.ndarray, levels: int) -> None:
    """Raises UserError for bytes that the levels of the model cannot say."""
    every = jnp.arange(256)
    said = np.asarray(dequantise(quantise(every, levels), levels))
    found = np.unique(images)
    lost = found[said[found] != found]
    if len(lost):
        known = np.unique(said)
        names = ", ".join(map(str, known)) if len(known) < 9 else f"{len(known)} of them"
        raise UserError(
            f"images: byte {lost[0]} is none of the {levels} levels of this model ({names}), so"
            " coding would lose it; take a model of 256 levels, or images of those levels."
        )


def _coder(model: Model, count: int, lanes: int) -> ImageCoder:
    model.function("coder")  # says which families compress
    assert isinstance(model.task, Compresses)
    return model.task.coder(model.state, count, lanes)


def _sha256(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()
