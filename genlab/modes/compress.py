"""`--mode=compress` and `--mode=decompress`: images of a trained run's kind, losslessly."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from genlab.coding import codec, glz, others
from genlab.coding.rans import HEAD_BYTES
from genlab.errors import UserError
from genlab.likelihoods import choose
from genlab.model import Model, restore_for
from genlab.modes import exact_images as images
from genlab.workdir import paths


def compress(
    config: ConfigDict, workdir: str, source: str, output: str, verify: bool = True
) -> None:
    """Writes the images of a folder, an .npz or a split to a `.glz` file, and says how small it is
    beside the model's likelihood and beside other codecs."""
    _check(source, output, "compress")
    model = restore_for(config, workdir, "compress")
    given = images.read(source, model)
    labels = given.labels if model.task.condition else None
    began, path = time.monotonic(), paths.of(output)
    whole(path, codec.compress(model, given.images, labels, verify=verify, progress=True))
    seconds = time.monotonic() - began
    told = "decoded and compared" if verify else "not verified"
    print(report(model, given.images, labels, path.read_bytes()))
    print(f"{path}: written in {seconds:.1f} s, compilation included, {told}")


def decompress(config: ConfigDict, workdir: str, source: str, output: str) -> None:
    """Writes the images of a `.glz` file to an .npz or, as PNGs, to a folder."""
    _check(source, output, "decompress")
    images.check_output(output)
    model = restore_for(config, workdir, "decompress")
    try:
        data = paths.of(source).read_bytes()
    except OSError as error:
        raise UserError(f"--input={source}: {error.strerror or 'cannot be read'}.") from None
    began = time.monotonic()
    try:
        found = images.Images(*codec.decompress(model, data, progress=True))
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    seconds = time.monotonic() - began
    images.write(output, found, model)
    print(f"{output}: {len(found.images)} images in {seconds:.1f} s, compilation included")


def whole(path: epath.Path, pieces: Iterable[bytes]) -> None:
    """Writes a file under another name and renames it at the end, so that a kill leaves no half."""
    part = path.parent / f".{path.name}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def report(model: Model, given: np.ndarray, labels: np.ndarray | None, data: bytes) -> str:
    """The size of a `.glz` file of u8[N,H,W,C], beside the model's likelihood and other codecs."""
    if not len(given):
        return f"0 images: {len(data):,} bytes"
    header, streams = glz.unpack(data)
    shape, levels = tuple(given.shape[1:]), header.levels
    nats = -float(np.mean(model.log_prob(given, labels=labels), dtype=np.float64))
    ideal = nats / np.log(2) / 8 * len(given)  # bytes
    if header.labels == "stored":
        symbols, choices = codec.symbols(model.task.condition)
        ideal += len(given) * symbols * np.log2(choices) / 8
    message = sum(len(stream.data) - HEAD_BYTES for stream in streams)
    each = f"{choose.bits_per_dim(nats, shape):.4f}"
    kind = model.task.protocol.get("estimate", "exact")
    lines = [
        f"{len(given):,} images of {'x'.join(map(str, shape))}, {levels} levels",
        f"negative log-likelihood {nats:.3f} nats, {each} bits/dim ({kind})",
        f"the file is {100 * (len(data) / ideal - 1):+.2f} % beside it, without header, checksums"
        f" and heads {100 * (message / ideal - 1):+.2f} %"
        + (", labels included" if header.labels == "stored" else ""),
        "codec                bytes   bits/dim",
    ]
    sizes: dict[str, int | None] = {".glz": len(data), **others.sizes(given, levels)}
    for name, size in sizes.items():
        rate = f"{size:12,} {size * 8 / given.size:10.4f}" if size else "not installed".rjust(23)
        lines.append(f"{name:14}{rate}")
    return "\n".join(lines)


def _check(source: str, output: str, mode: str) -> None:
    for flag, value in (("input", source), ("output", output)):
        if not value:
            raise UserError(f"--mode={mode} needs --{flag}.")
