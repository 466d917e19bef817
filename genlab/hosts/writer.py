"""The one writer of a workdir, for several processes of one run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from etils import epath

from genlab.hosts import watchdog
from genlab.workdir import lock


@contextlib.contextmanager
def held_by_first(workdir: epath.Path, name: str = lock.NAME) -> Iterator[None]:
    """Process 0 holds the lock of the workdir, or all are refused; see `workdir.lock.held`."""
    with contextlib.ExitStack() as stack:
        watchdog.on_first(lambda: stack.enter_context(lock.held(workdir, name)))
        yield
