"""Where a process stands, readable by whoever tells of its end: the watchdog, the supervisor."""

from __future__ import annotations

import mmap
import struct

_FORM = struct.Struct("qq")
_SHARED = mmap.mmap(-1, _FORM.size)  # the supervisor and its child see the same
_GOING_ON = -1
_FORM.pack_into(_SHARED, 0, 0, _GOING_ON)


def write(step: int) -> None:
    """Notes the step."""
    _FORM.pack_into(_SHARED, 0, step, _GOING_ON)


def finish(code: int) -> None:
    """Notes that all work is done, and the exit code to come."""
    _FORM.pack_into(_SHARED, 0, step(), code)


def step() -> int:
    """The step that was noted last."""
    return int(_FORM.unpack_from(_SHARED)[0])


def code() -> int | None:
    """The exit code to come, if all work is done."""
    found = int(_FORM.unpack_from(_SHARED)[1])
    return None if found == _GOING_ON else found
