"""Where a run stands, readable by whoever tells of its end: the watchdog, the supervisor."""

from __future__ import annotations

import mmap
import struct

FORM = struct.Struct("qq?")
_SHARED = mmap.mmap(-1, FORM.size)  # the supervisor and its child see the same


def write(step: int, saved: int | None, done: bool = False) -> None:
    """Notes the step, the step of the last checkpoint, and whether all work is done."""
    FORM.pack_into(_SHARED, 0, step, -1 if saved is None else saved, done)


def done() -> bool:
    """Whether all work was done."""
    return bool(FORM.unpack_from(_SHARED)[2])


def finish() -> None:
    """Notes that all work is done."""
    step, saved, _ = FORM.unpack_from(_SHARED)
    FORM.pack_into(_SHARED, 0, step, saved, True)


def told() -> str:
    """Where the run stood, in words."""
    step, saved, _ = FORM.unpack_from(_SHARED)
    kept = f"the last checkpoint is step {saved}" if saved > 0 else "no checkpoint was saved yet"
    return f"at step {step}; {kept}"
