"""Pictures side by side: in a row stands what was drawn from the same random key."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etils import epath
from PIL import Image, UnidentifiedImageError

from genlab.pages.record import Record

LARGEST = 250_000  # bytes of a picture that is taken as it is; larger ones are made smaller
SIDE = 1400  # pixels of those
BUDGET = 20_000_000  # bytes of all pictures of a page
LEFT_OUT = ("loss",)  # the page has the curves themselves
FORMATS = ("PNG", "GIF", "JPEG", "WEBP")
SHEET = re.compile(r"step_(\d+)(?:_(.*))?")


@dataclass(frozen=True)
class Picture:
    """url: the picture itself, as a data URL; size: width and height in pixels."""

    run: int | None
    url: str
    size: tuple[int, int]
    kind: str
    alt: str
    step: int | None = None


@dataclass(frozen=True)
class Strip:
    """Pictures of one kind of several runs, drawn from the same random key; or all of one run.

    title: the kind, or the run.
    key: the randomness that they share, in words.
    """

    title: str
    key: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Gallery:
    """left_out: how many pictures the page has no room for, or cannot be read."""

    strips: list[Strip]
    left_out: int


def gallery(records: Sequence[Record]) -> Gallery:
    """The newest samples, then the figures, of all runs."""
    files: dict[tuple[str, str], list[tuple[int, epath.Path, int | None]]] = {}
    for part in (_samples, _figures):
        for number, record in enumerate(records):
            for title, key, path, step in part(record):
                files.setdefault((title, key), []).append((number, path, step))
    room, strips, left_out = BUDGET, [], 0
    for (title, key), members in files.items():
        taken = []
        for number, path, step in members:
            alt = f"{title} of {records[number].name}" + (f", step {step}" if step else "")
            picture = _picture(path, number, title, alt, step) if room > 0 else None
            left_out += picture is None
            taken += [picture] if picture else []
            room -= len(picture.url) if picture else 0
        strips += [Strip(title, key, taken)] if taken else []
    return Gallery(_arranged(strips, records), left_out)


def _arranged(strips: list[Strip], records: Sequence[Record]) -> list[Strip]:
    """What several runs have side by side; then for each run what it alone has."""
    alone: dict[int, list[Picture]] = {}
    for strip in strips:
        if len(strip.pictures) == 1 and strip.pictures[0].run is not None:
            alone.setdefault(strip.pictures[0].run, []).append(strip.pictures[0])
    shared = [strip for strip in strips if len(strip.pictures) > 1]
    return shared + [Strip(records[n].name, "", alone[n]) for n in sorted(alone)]


def of_folder(folder: epath.Path) -> list[Picture]:
    """The figures of a sweep, which stand beside its runs."""
    found = [
        _picture(path, None, _words(path.stem), f"{_words(path.stem)} of {folder.name}", None)
        for path in sorted((folder / "figures").glob("*.png"))
    ]
    return [picture for picture in found if picture]


def _samples(record: Record) -> Iterator[tuple[str, str, epath.Path, int | None]]:
    """The newest of each request: the sheet of training, and what `--mode=sample` drew."""
    newest: dict[str, tuple[int, epath.Path]] = {}
    for path in sorted((record.folder / "samples").glob("step_*.png")):
        if found := SHEET.fullmatch(path.stem):
            newest[found[2] or ""] = int(found[1]), path
    for asked, (step, path) in newest.items():
        if asked:
            yield "Samples", asked.replace("_", " "), path, step
        else:
            yield "Progress sheet", _seed(record), path, step


def _figures(record: Record) -> Iterator[tuple[str, str, epath.Path, int | None]]:
    for path in sorted((record.folder / "figures").glob("*.png")):
        if path.stem not in LEFT_OUT:
            yield _words(path.stem), _seed(record), path, None


def _seed(record: Record) -> str:
    return f"seed {record.config.get('seed', '?')}"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _picture(
    path: epath.Path, run: int | None, kind: str, alt: str, step: int | None
) -> Picture | None:
    """None for a file that is no picture."""
    try:
        data = path.read_bytes()
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError):
        return None
    if image.format not in FORMATS:
        return None
    size, form = image.size, str(image.format)
    if len(data) > LARGEST:
        data, form = _smaller(image), "WEBP"
    text = base64.b64encode(data).decode()
    return Picture(run, f"data:image/{form.lower()};base64,{text}", size, kind, alt, step)


def _smaller(image: Image.Image) -> bytes:
    shrunk = image.convert("RGB")
    shrunk.thumbnail((SIDE, SIDE))
    shrunk.save(out := io.BytesIO(), "WEBP", quality=85)
    return out.getvalue()
