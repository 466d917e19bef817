"""What is told to a person in one line instead of a traceback."""

from __future__ import annotations

import difflib
import logging
import sys
from collections.abc import Iterable

log = logging.getLogger("genlab")  # not absl's, which Orbax fills
NAME = "launch.py: "  # begins the line that says why a process ends


def last_words(text: str) -> None:
    """Says why this process ends, from whatever thread: `sys.stderr` may be redirected meanwhile,
    as it is while a checkpoint is read."""
    print(f"{NAME}{text}", file=sys.__stderr__, flush=True)


class UserError(Exception):
    """Something the user can mend; the message is one line that says what to do."""

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        # A name or a value in it may hold line breaks.
        super().__init__(" ".join(part.strip() for part in str(message).splitlines()))


class RunStopped(UserError):
    """A run that could not go on, such as one whose loss is no longer finite."""

    exit_code = 1


class Held(UserError):
    """A workdir that another process writes to."""


class Preempted(UserError):
    """A run that a signal stopped and that has saved: not finished, to be tried again."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


def hint(word: str, choices: Iterable[str]) -> str:
    """' Did you mean X?' for the closest choice, else ' Known: ...'."""
    choices = sorted(choices)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(choices)}."
