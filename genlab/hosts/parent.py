"""A process that ends when the one that started it does, however that ended."""

from __future__ import annotations

import ctypes
import os
import signal

NAME = "GENLAB_PARENT"  # a variable with the id of a process, for whom it starts


def heed() -> None:
    """SIGTERM comes to this process when the parent that the environment names has ended."""
    parent = os.environ.pop(NAME, "")
    if not parent:
        return
    signal_at_its_end(signal.SIGTERM)
    if os.getppid() != int(parent):  # it has ended before
        signal.raise_signal(signal.SIGTERM)


def signal_at_its_end(number: int) -> None:
    """Asks the kernel for a signal when the parent ends; does nothing where that is not Linux."""
    pr_set_pdeathsig = 1
    try:
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)
    except (AttributeError, OSError):
        return
