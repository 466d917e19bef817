"""Where a process stands, readable by whoever tells of its end: the watchdog, the supervisor."""

from __future__ import annotations

import mmap
import struct

_SLOT = struct.Struct("q")
_STEP, _CODE, _SAVES, _SIGNAL = (_SLOT.size * i for i in range(4))
_GOING_ON = -1


def _blank() -> mmap.mmap:
    """Memory that processes forked from this one share with it."""
    board = mmap.mmap(-1, 4 * _SLOT.size)
    _SLOT.pack_into(board, _CODE, _GOING_ON)
    return board


_SHARED = _blank()  # the supervisor and its child see the same


def begin() -> None:
    """Takes a board of this process's own: it may be forked from one that has imported this."""
    global _SHARED
    _SHARED = _blank()


def write(step: int) -> None:
    """Notes the step."""
    _SLOT.pack_into(_SHARED, _STEP, step)


def finish(code: int) -> None:
    """Notes that all work is done, and the exit code to come."""
    _SLOT.pack_into(_SHARED, _CODE, code)


def note_saves(saves: bool) -> None:
    """Notes whether this process answers a signal by saving."""
    _SLOT.pack_into(_SHARED, _SAVES, saves)


def note_signal(number: int) -> None:
    """Notes the signal that the supervisor got, where it sends another."""
    _SLOT.pack_into(_SHARED, _SIGNAL, number)


def step() -> int:
    """The step that was noted last."""
    return _read(_STEP)


def code() -> int | None:
    """The exit code to come, if all work is done."""
    found = _read(_CODE)
    return None if found == _GOING_ON else found


def saves() -> bool:
    """See `note_saves`."""
    return bool(_read(_SAVES))


def signal() -> int:
    """See `note_signal`; 0 for none."""
    return _read(_SIGNAL)


def _read(slot: int) -> int:
    return int(_SLOT.unpack_from(_SHARED, slot)[0])
