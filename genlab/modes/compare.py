"""`--mode=compare`: two evaluated runs on the same images, pair by pair."""

from __future__ import annotations

import contextlib

from genlab.errors import UserError
from genlab.metrics import paired
from genlab.metrics.paired import Difference
from genlab.workdir.evaluations import FREE, Evaluated, last_of


def differences(first: Evaluated, second: Evaluated) -> dict[str, Difference]:
    """{metric: first minus second}, of the metrics that both have of each image.

    Raises: UserError if the images are not the same.
    """
    found = paired.differences(first.values, second.values)
    if found is None:
        raise UserError(
            f"{first.name} and {second.name} were evaluated on other images"
            f" ({_split(first)}; {_split(second)}); evaluate both on the same split."
        )
    return found


def against_the_first(runs: dict[str, str], metrics: list[str]) -> list[str]:
    """Lines for a table: each run of {name: workdir} that kept its values minus the first."""
    kept = {}
    for name, workdir in runs.items():
        with contextlib.suppress(UserError):  # of an older version, or a family without them
            kept[name] = last_of(workdir)
    told = []
    for name, found in list(kept.items())[1:]:
        first, base = next(iter(kept.items()))
        with contextlib.suppress(UserError):  # evaluated on other images
            each = differences(found, base)
            told += [f"- {name} minus {first}: {m} {each[m]}" for m in metrics if m in each]
    return told


def _split(found: Evaluated) -> str:
    protocol = found.line["protocol"]
    return f"{protocol['source']} {protocol['split']}, {protocol['images']} images"


def compare(workdir: str, against: str) -> None:
    """Prints the differences of two runs, and in what their protocols differ."""
    if not against:
        raise UserError("--mode=compare needs --against, another evaluated workdir.")
    first, second = last_of(workdir), last_of(against)
    found = differences(first, second)
    print(f"{workdir} (step {first.line['step']}) minus {against} (step {second.line['step']})")
    for name, each in found.items():
        print(f"{name} {each}")
    was, now = first.line["protocol"], second.line["protocol"]
    for key in sorted((was.keys() | now.keys()) - set(FREE)):
        if was.get(key) != now.get(key):
            print(f"Note: they differ in their {key}: {was.get(key)}; {now.get(key)}.")
