"""The command that does one run of a sweep in a process of its own."""

from __future__ import annotations

import os
import sys

from genlab.sweeps.points import Run


def of(run: Run) -> list[str]:
    """The command of the process that asks, for one run alone."""
    program, *given = sys.argv
    only = [f"--config.sweep.only={run.name}", f"--config.sweep.until={run.steps}"]
    return [sys.executable, os.path.abspath(program), *_without(given, "launcher"), *only]


def _without(given: list[str], flag: str) -> list[str]:
    kept, skip = list[str](), False
    for arg in given:
        name, equals, _ = arg.partition("=")
        named = not skip and arg.startswith("-") and name.lstrip("-") == flag
        if not skip and not named:
            kept.append(arg)
        skip = named and not equals
    return kept
