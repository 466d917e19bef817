"""What names a trained model: a workdir, a pretrained model, or a mixture of such.

runs/pixelcnn                       a workdir
pretrained:mnist_classifier         a model that comes with genlab, see `genlab/zoo`
mixture:runs/a,runs/b:500           several; a step, "best" or "latest" may follow each

`train.init_from` takes one of the first two, followed by a step in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from etils import epath

from genlab.errors import UserError, hint
from genlab.workdir import paths

Found = TypeVar("Found")
PRETRAINED, MIXTURE = "pretrained:", "mixture:"
ENTRIES = epath.Path(__file__).parents[1] / "zoo" / "models"


def is_pretrained(place: str) -> bool:
    """Whether it names a model that comes with genlab."""
    return place.startswith(PRETRAINED)


def is_mixture(place: str) -> bool:
    """Whether it names several models."""
    return place.startswith(MIXTURE)


def pretrained_names() -> list[str]:
    """Every model that comes with genlab."""
    return sorted(p.name for p in ENTRIES.iterdir()) if ENTRIES.exists() else []


def folder(place: str) -> epath.Path:
    """The folder with the config of a workdir or a pretrained model; of a mixture, of its first.

    Raises: UserError if there is no such pretrained model.
    """
    if is_mixture(place):
        return folder(members(place)[0][0])
    if not is_pretrained(place):
        return paths.of(place)
    name = place.removeprefix(PRETRAINED)
    if name not in pretrained_names():
        raise UserError(f"{place}: no such pretrained model.{hint(name, pretrained_names())}")
    return ENTRIES / name


def output(place: str) -> str:
    """The folder that modes write to, if they are not told another."""
    if is_pretrained(place):
        return f"runs/pretrained/{place.removeprefix(PRETRAINED)}"
    if is_mixture(place):
        names = [f"{paths.of(name).name}{step and '_'}{step}" for name, step in members(place)]
        return "runs/mixture/" + "+".join(names).replace(":", "_")
    return place


def members(place: str) -> list[tuple[str, str]]:
    """(place, step) of each model of a mixture; step is "" where none is given.

    A name may hold commas, as those of a sweep's runs do: it goes on until it names a model.
    Raises: UserError for what names none.
    """
    found, held = [], ""
    for piece in place.removeprefix(MIXTURE).split(","):
        held = f"{held},{piece}" if held else piece
        name, step = stepped(held)
        if is_pretrained(name) or (folder(name) / "config.json").exists():
            found.append((name, step))
            held = ""
    if held or not found:
        raise UserError(f"mixture: {held or 'nothing'!r} names no trained run, no pretrained:NAME.")
    return found


def stepped(text: str) -> tuple[str, str]:
    """(place, step) of "runs/b:500", "runs/b:best" or "pretrained:NAME"; "" is no step."""
    name, _, step = text.rpartition(":")
    if name and name != PRETRAINED[:-1] and (step.isdigit() or step in ("latest", "best")):
        return name, step
    return text, ""


def name(place: str) -> str:
    """What to call a model, wherever it lies."""
    named = is_pretrained(place) or is_mixture(place)
    return place if named else paths.absolute(paths.of(place)).name


def listed(text: str, find: Callable[[str], Found | None]) -> tuple[list[Found], str]:
    """What the names of a list with commas stand for, and what is left that stands for nothing.

    A name may hold commas, as those of a sweep's runs do: it goes on until it is found.
    """
    found: list[Found] = []
    held = ""
    for piece in text.split(",") if text else ():
        held = f"{held},{piece}" if held else piece
        if (one := find(held)) is not None:
            found.append(one)
            held = ""
    return found, held
