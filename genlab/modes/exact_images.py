"""Images to be coded, read as they are and written as they were, without any conversion."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath
from PIL import Image, ImageOps

from genlab.coding.others import picture
from genlab.data import gate, splits
from genlab.errors import UserError
from genlab.model import Model
from genlab.workdir import configs, paths

MODES = {"1": 1, "L": 1, "RGB": 3}  # kinds of pictures whose bytes an image holds, and colours


@dataclass(frozen=True)
class Images:
    """What is coded.

    images: u8[N,H,W,C].
    labels: i32[N] of classes, bool[N,K] of attributes, or None where there are none.
    """

    images: np.ndarray
    labels: np.ndarray | None


def read(source: str, model: Model) -> Images:
    """The images of a folder (in classes or flat, in the order of their names), an .npz (arrays
    `images` and, if there, `labels`), or a split of the model's data, in TFDS syntax.

    Raises: UserError for what is none of these, or not of the model's shape.
    """
    path = paths.of(source)
    if path.is_dir():
        return _folder(path, model)
    if path.suffix == ".npz":
        return _npz(path, model)
    if path.exists() or "/" in source:
        raise UserError(f"--input={source}: neither a folder, an .npz nor a split.")
    return _split(source, model)


def _split(text: str, model: Model) -> Images:
    config = configs.copy(model.config).unlock()
    config.data.eval_split = text
    split = splits.load(config.data).test
    found = split.read(np.arange(len(split)))
    return Images(gate.images(found["image"], model.spec.shape), found["label"])


def _npz(path: epath.Path, model: Model) -> Images:
    try:
        arrays = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read as an .npz ({error}).") from None
    if "images" not in found:
        raise UserError(f"{path}: no array 'images' in it, but {', '.join(found) or 'nothing'}.")
    return Images(gate.images(found["images"], model.spec.shape), found.get("labels"))


def _folder(path: epath.Path, model: Model) -> Images:
    """Subfolders named as classes give labels."""
    known = set(Image.registered_extensions())
    classes = [p.name for p in sorted(path.iterdir()) if p.is_dir()]
    unknown = set(classes) - set(model.classes)
    if classes and model.task.condition and unknown:
        raise UserError(f"{path}: {sorted(unknown)[0]!r} is no class of this model.")
    folders = [(path / name, name) for name in classes] or [(path, "")]
    files = [
        (file, model.classes.index(name) if name in model.classes else -1)
        for folder, name in folders
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in known
    ]
    if not files:
        raise UserError(f"{path}: no image file in it.")
    images = np.stack([_file(file, tuple(model.spec.shape)) for file, _ in files])
    return Images(images, np.array([label for _, label in files], np.int32) if classes else None)


def _file(path: epath.Path, shape: tuple[int, ...]) -> np.ndarray:
    """u8[H,W,C], just as the file has it. Raises UserError if the model's images are otherwise."""
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as opened:
            frames = getattr(opened, "n_frames", 1)
            image = ImageOps.exif_transpose(opened)
            mode, pixels = image.mode, np.asarray(image.convert("L" if image.mode == "1" else None))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as an image ({error}).") from None
    found = (*pixels.shape[:2], MODES.get(mode, 0))
    if found != shape or frames > 1:
        raise UserError(
            f"{path}: {pixels.shape[0]}x{pixels.shape[1]}, mode {mode}, {frames} frame(s); this"
            f" model codes images of {'x'.join(map(str, shape))}, and nothing is converted."
        )
    return pixels.reshape(shape)


def check_output(output: str) -> None:
    """Raises UserError, before anything is computed, for a place that `write` would refuse."""
    path = paths.of(output)
    if path.suffix != ".npz" and path.exists():
        raise UserError(f"--output={output}: exists; name an .npz, or a folder that is not there.")


def write(output: str, found: Images, model: Model) -> None:
    """An .npz as `read` takes it, or a folder of PNGs, in classes if the labels are known; made
    under another name and renamed at the end."""
    path = paths.of(output)
    part = path.parent / f".{path.name}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        arrays: dict[str, Any] = {"images": found.images}
        if found.labels is not None and model.task.condition:
            arrays["labels"] = found.labels
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)
        part.write_bytes(packed.getvalue())
    else:
        if part.exists():
            part.rmtree()
        _write_pngs(part, found, model)
    part.replace(path)


def _write_pngs(folder: epath.Path, found: Images, model: Model) -> None:
    folder.mkdir(parents=True)
    labels = np.full(len(found.images), -1)
    if found.labels is not None and found.labels.ndim == 1:  # attributes are no folders
        labels = found.labels
    for number, (image, label) in enumerate(zip(found.images, labels, strict=True)):
        within = folder / model.classes[label] if label >= 0 else folder
        within.mkdir(exist_ok=True)
        packed = io.BytesIO()
        picture(image).save(packed, "PNG")
        (within / f"{number:06d}.png").write_bytes(packed.getvalue())
