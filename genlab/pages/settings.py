"""In which settings runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genlab.pages.record import Record, shown

NONE = "—"  # of a setting that a run does not have
ELSEWHERE = ("data.data_dir",)  # where things lie on a machine says nothing of a run


@dataclass(frozen=True)
class Settings:
    """rows: (key, its value in each run); count: keys in all."""

    names: list[str]
    rows: list[tuple[str, list[str]]]
    count: int


def differences(records: Sequence[Record]) -> Settings:
    """The keys in which configs differ; of a single run all of its keys."""
    known = [record for record in records if record.config]
    keys = sorted({key for record in known for key in record.config} - set(ELSEWHERE))
    rows = [(key, [_value(record, key) for record in known]) for key in keys]
    chosen = [row for row in rows if len(known) == 1 or len(set(row[1])) > 1]
    return Settings([record.name for record in known], chosen, len(keys))


def _value(record: Record, key: str) -> str:
    return shown(record.config[key]) if key in record.config else NONE
