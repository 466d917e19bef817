"""Tables of numbers: one for each protocol, since only equal protocols may be ranked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from genlab import task as tasks
from genlab.errors import UserError
from genlab.metrics import paired
from genlab.pages.record import Record
from genlab.workdir.evaluations import FREE, VALUES, Measured, last_of, measured

# Keys of a config that decide what the validation metrics of a run were measured on.
DECIDE = ("task", "data.", "likelihood.")
DECIDE_NOT = (
    *("data.data_dir", "data.download", "data.batch_size", "data.resident_mb", "data.changed"),
    *("data.eval_split", "data.on_broken"),
)
MEASURED, DURING = "measured", "validation, during training"
HELD_OUT = "validation, or held out of the training split"
CALLED = {"data.source": "source", "data.valid_split": "split"}  # as in protocols
BESIDE = ("_floor", "_ceiling")  # numbers that stand beside another


@dataclass(frozen=True)
class Cell:
    """A metric: half of its 95 % interval and its floor and ceiling, where they are known."""

    value: float
    half: float | None = None
    floor: float | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class Row:
    """What was measured of a run; free: what of its protocol is its own matter."""

    run: int
    step: int
    cells: dict[str, Cell]
    free: dict[str, str]
    values: str


@dataclass(frozen=True)
class Table:
    """Rows that may be compared.

    protocol: what all were measured on.
    odd: the keys of it that are otherwise in another table with one of its metrics.
    columns: metrics with their units, in the order of the first row; free: more of them.
    differences: in words, of rows against the first, image by image.
    """

    protocol: dict[str, str]
    rows: list[Row]
    columns: dict[str, str]
    free: list[str]
    remarks: list[str]
    differences: list[str]
    odd: frozenset[str] = frozenset()

    @property
    def during(self) -> bool:
        """Whether training measured it."""
        return self.protocol.get(MEASURED) == DURING

    @property
    def intervals(self) -> bool:
        """Whether any of its numbers has one."""
        return any(cell.half for row in self.rows for cell in row.cells.values())


def tables(records: Sequence[Record]) -> list[Table]:
    """One for each protocol: evaluations first, validation metrics of training last."""
    found: dict[str, list[tuple[int, Measured]]] = {}
    for part in (_evaluations, _validations):
        for number, record in enumerate(records):
            for each in part(record):
                found.setdefault(_key(each), []).append((number, each))
    made = [_table(records, members) for members in found.values()]
    return [
        dataclasses.replace(x, odd=frozenset().union(*(_differing(x, y) for y in made)))
        for x in made
    ]


def _differing(one: Table, other: Table) -> set[str]:
    """The keys of a protocol that keep the metrics of two tables from being ranked."""
    if one.during != other.during or not one.columns.keys() & other.columns.keys():
        return set()  # validation and evaluations stand apart on the page
    keys = one.protocol.keys() | other.protocol.keys()
    return {key for key in keys if one.protocol.get(key) != other.protocol.get(key)}


@dataclass(frozen=True)
class Warned:
    """Metrics that several tables have, and in what the protocols of these differ."""

    metrics: list[str]
    keys: list[str]


def warned(found: Sequence[Table]) -> Warned | None:
    """None where every metric is in one table alone."""
    names = [(name, table.during) for table in found for name in table.columns]
    several = dict.fromkeys(each[0] for each in names if names.count(each) > 1)
    keys = sorted({key for table in found for key in table.odd})
    return Warned(list(several), keys) if several else None


def _evaluations(record: Record) -> Iterator[Measured]:
    """The last evaluation under each protocol."""
    last: dict[str, Measured] = {}
    for line in record.evaluations:
        for each in measured(line):
            key = json.dumps(each.protocol, sort_keys=True)
            last.pop(key, None)
            last[key] = each
    yield from last.values()


def _validations(record: Record) -> Iterator[Measured]:
    """The last validation metrics of a training, with what its config says they are of."""
    lines = [x for x in record.metrics if x.get("split") == "valid"]
    if not lines:
        return
    names = [name for name in lines[-1] if name not in ("step", "epoch", "split")]
    numbers = {n: lines[-1][n] for n in names if isinstance(lines[-1][n], (int, float))}
    decided = {MEASURED: DURING} | _decided(record.config)
    decided["split"] = decided.get("split") or HELD_OUT
    yield Measured(lines[-1]["step"], decided, numbers, {})


def _decided(config: dict[str, Any]) -> dict[str, Any]:
    try:
        own = tasks.family(config.get("task", "")).adjustable
    except UserError:
        own = ()
    return {
        CALLED.get(key, key): value
        for key, value in config.items()
        if key.startswith(DECIDE + own) and not key.startswith(DECIDE_NOT)
    }


def _key(found: Measured) -> str:
    return json.dumps(_shared(found), sort_keys=True)


def _shared(found: Measured) -> dict[str, Any]:
    """The protocol without what two models may differ in."""
    return {key: _text(value) for key, value in found.protocol.items() if key not in FREE}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _table(records: Sequence[Record], members: list[tuple[int, Measured]]) -> Table:
    rows = [_row(number, each) for number, each in members]
    names = dict.fromkeys(name for row in rows for name in row.cells)
    units = {k: v for number, _ in members for k, v in records[number].units.items()}
    return Table(
        protocol=_shared(members[0][1]),
        rows=rows,
        columns={name: units.get(name, "") for name in names},
        free=list(dict.fromkeys(key for row in rows for key in row.free)),
        remarks=[f"{records[n].name}: {text}" for n, each in members for text in each.remarks],
        differences=_differences(records, rows, list(names)),
    )


def _row(number: int, each: Measured) -> Row:
    images = each.protocol.get("images", 0)
    cells = {
        name: Cell(
            value,
            paired.half_width(each.errors[name], images) if name in each.errors else None,
            *(each.numbers.get(name + end) for end in BESIDE),
        )
        for name, value in each.numbers.items()
        if not (name.endswith(BESIDE) and name.rpartition("_")[0] in each.numbers)
    }
    free = {key: _text(each.protocol[key]) for key in FREE if key in each.protocol}
    return Row(number, each.step, cells, free, each.values)


def _differences(records: Sequence[Record], rows: list[Row], names: list[str]) -> list[str]:
    """Of each row minus the first, where both kept the values of the same images."""
    kept = [(row, values) for row in rows if (values := _values(records[row.run], row))]
    told = []
    for row, values in kept[1:]:
        first, base = kept[0]
        found = paired.differences(values, base) or {}
        both = f"{records[row.run].name} minus {records[first.run].name}"
        told += [f"{both}: {name} {found[name]}" for name in names if name in found]
    return told


def _values(record: Record, row: Row) -> dict[str, Any] | None:
    """The values of each image, if they are still those of this evaluation."""
    try:
        found = last_of(str(record.folder), row.step)
    except (UserError, OSError, ValueError):
        return None
    return found.values if row.values and found.line.get(VALUES) == row.values else None
