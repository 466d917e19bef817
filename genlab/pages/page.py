"""Renders a report: one HTML file with everything in it, which asks nothing of a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from etils import epath
from markupsafe import Markup

from genlab.pages import curves, events, folders, pictures, settings, tables
from genlab.pages.pictures import Picture
from genlab.pages.record import Record, read
from genlab.pages.standing import spoken, standing
from genlab.version import __version__
from genlab.workdir import runs

COLOURS = 10  # that the page has for runs
STYLES = ("uplot/uPlot.min.css", "static/page.css", "static/parts.css")
LICENCES = ("uplot/LICENSE",)  # goes where its code goes
SCRIPTS = ("uplot/uPlot.iife.min.js", "static/page.js", "static/sort.js", "static/curves.js")


@dataclass(frozen=True)
class Sweep:
    """A folder of several runs that holds a table or figures of its own."""

    name: str
    pictures: list[Picture]


def render(found: Sequence[epath.Path]) -> str:
    """The page of these runs. Raises UserError for a config that cannot be read."""
    names = folders.names(list(found))
    records = [read(name, folder) for name, folder in zip(names, found, strict=True)]
    return _template().render(_content(records))


def _content(records: list[Record]) -> dict[str, Any]:
    measured = tables.tables(records)
    return {
        "title": _title(records),
        "records": records,
        "standings": [standing(record) for record in records],
        "tables": measured,
        "evaluated": {row.run for table in measured if not table.during for row in table.rows},
        "warned": tables.warned(measured),
        "curves": curves.curves(records),
        "sweeps": _sweeps(records),
        "gallery": pictures.gallery(records),
        "settings": settings.differences(records),
        "events": [event for record in records for event in events.events(record)],
        "commands": [c for record in records if (c := events.commands(record))],
        "made": runs.now(),
        "version": __version__,
        "style": _joined(STYLES),
        "licence": _joined(LICENCES),
        "script": _joined(SCRIPTS),
    }


def _title(records: list[Record]) -> str:
    if len(records) == 1:
        return records[0].name
    parents = list(dict.fromkeys(record.folder.parent.name for record in records))
    return parents[0] if len(parents) == 1 and parents[0] else f"{len(records)} runs"


def _sweeps(records: list[Record]) -> list[Sweep]:
    parents = {str(record.folder.parent): record.folder.parent for record in records}
    shown = [Sweep(folder.name, pictures.of_folder(folder)) for folder in parents.values()]
    return [sweep for sweep in shown if sweep.pictures]


def _joined(names: Sequence[str]) -> Markup:
    """Files of this room, to stand in a page as they are."""
    room = resources.files(__package__)
    return Markup("\n".join((room / name).read_text("utf-8") for name in names))


def breakable(name: str) -> Markup:
    """A name that may be broken after a comma or a slash."""
    return Markup("").join(
        Markup("{}<wbr>").format(part) for part in re.findall(r"[^,/]*[,/]|[^,/]+", name)
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genlab.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "spoken": spoken,
        "number": lambda x: f"{x:.5g}",
        "half": lambda x: f"{x:.2g}",
        "breakable": breakable,
        "colour": lambda run: run % COLOURS,
    }
    return environment.get_template("page.html.jinja")
