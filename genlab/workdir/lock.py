"""One writer a workdir.

The lock is a file `lock` in the workdir that says who holds it; it is there as long as the holder
lives. Three things tell a living holder from a dead one:

- `flock`: the kernel frees it when the holder ends, however it ends, on one machine and on shared
  disks that carry locks;
- a heartbeat in the file, for shared disks that carry none and for object stores: a holder of
  another machine is dead when it has not moved for `STALE` seconds by the clock of the one who
  asks, so clocks need not agree;
- the process table, where the file names this very machine.

On an object store a lock that names a living holder is respected, a dead one removed, and ours
created with the condition that there is none (`ifGenerationMatch=0` on gs://), so that one of two
wins. Of two that remove a dead one at the same moment the loser finds another's name in the lock at
its next beat, and ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

from etils import epath

from genlab.errors import Held, UserError, last_words, log
from genlab.workdir import paths
from genlab.workdir.holder import Holder, read, this_process

NAME = "lock"
BEAT = 10.0  # seconds between two beats
STALE = 35.0  # seconds without a beat after which a holder elsewhere is dead
_HELD: list[Lock] = []  # by this process
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@contextlib.contextmanager
def held(workdir: epath.Path, name: str = NAME) -> Iterator[None]:
    """Makes this process the one writer of a workdir, which must be there.

    Raises: Held, a UserError, naming the holder, if there is one.
    """
    lock = _take(workdir / name, str(workdir), this_process())
    stop = threading.Event()
    beats = threading.Thread(target=_beat, args=(lock, stop, str(workdir)), daemon=True)
    beats.start()
    _HELD.append(lock)
    try:
        yield
    finally:
        stop.set()
        beats.join()
        _HELD.remove(lock)
        lock.free()


def free_all() -> None:
    """Lets others have what this process holds: it is about to end."""
    for lock in list(_HELD):
        lock.free()


def holder(workdir: epath.Path, name: str = NAME) -> Holder | None:
    """Who holds it, for those who only look: as far as its file and its last beat tell.

    A living holder may be taken for dead, by clocks that differ; who then writes is refused.
    """
    path = workdir / name
    try:
        found, age = read(path.read_text()), time.time() - path.stat().mtime
    except OSError:
        return None
    return None if found is None or found.died_here() or age > STALE else found


@contextlib.contextmanager
def briefly(path: epath.Path, patience: float = 60.0) -> Iterator[None]:
    """Waits for a lock beside a file and holds it for a moment."""
    until = time.monotonic() + patience
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(path.parent, f"{path.name}.{NAME}"))
                break
            except Held:
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)
        yield


class Lock(Protocol):
    """A lock that this process holds."""

    me: Holder

    def beat(self, me: Holder) -> None:
        """Writes a beat."""

    def read(self) -> Holder | None:
        """Who holds it now."""

    def free(self) -> None:
        """Lets others have it."""


def _take(path: epath.Path, workdir: str, me: Holder) -> Lock:
    if paths.is_local(path):
        return _File(path, workdir, me)
    try:
        return _Object(path, workdir, me)
    except UserError:
        raise
    except Exception as error:  # of the store's library: credentials, network, no such bucket
        reason = (str(error).strip().splitlines() or [""])[0][:160]
        raise UserError(f"{workdir}: cannot be written ({type(error).__name__}: {reason}).") from (
            error
        )


class _File:
    """A lock on a local or shared disk."""

    def __init__(self, path: epath.Path, workdir: str, me: Holder) -> None:
        self.path, self.me = path, me
        self._file = _locked(path, workdir)
        other = read(_content(self._file))
        if other and other.machine != me.machine:  # where `flock` may not reach
            try:
                _wait_for_silence(other, self.read, workdir)
            except UserError:
                os.close(self._file)
                raise
        self.beat(me)

    def beat(self, me: Holder) -> None:
        os.pwrite(self._file, me.text().encode(), 0)
        os.ftruncate(self._file, len(me.text().encode()))

    def read(self) -> Holder | None:
        return read(self.path.read_text())

    def free(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._file)


def _locked(path: epath.Path, workdir: str) -> int:
    """The lock's file, open and locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse(_named(file), workdir)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(file).st_ino:
                return file
        os.close(file)  # the holder before has just removed it


def _named(file: int) -> Holder | None:
    """Who a locked file names: it may take its holder a moment to write."""
    try:
        for _ in range(20):
            if holder := read(_content(file)):
                return holder
            time.sleep(0.05)
        return None
    finally:
        os.close(file)


def _content(file: int) -> str:
    return os.pread(file, 1 << 20, 0).decode(errors="replace")


class _Object:
    """A lock on an object store."""

    def __init__(self, path: epath.Path, workdir: str, me: Holder) -> None:
        self.path, self.me, self._store = path, me, paths.filesystem(path)
        if other := self.read():
            if not other.died_here():
                _wait_for_silence(other, self.read, workdir)
            if (now := self.read()) and now.token == other.token:
                path.unlink(missing_ok=True)
        try:
            self._create()
        except FileExistsError:
            _refuse(self.read(), workdir)
        now = self.read()  # a store that knows no conditions lets the last of two win
        if now and now.token != me.token:
            _refuse(now, workdir)

    def _create(self) -> None:
        self._store.pipe_file(os.fspath(self.path), self.me.text().encode(), mode="create")

    def beat(self, me: Holder) -> None:
        self.path.write_text(me.text())

    def read(self) -> Holder | None:
        try:
            return read(self.path.read_text())
        except FileNotFoundError:
            return None

    def free(self) -> None:
        with contextlib.suppress(Exception):  # the store may be gone; the lock is then stale
            self.path.unlink(missing_ok=True)


def _wait_for_silence(other: Holder, look: Any, workdir: str) -> None:
    """Returns when a holder elsewhere is found dead; raises as soon as it moves."""
    log.info("%s: held by %s; waiting up to %.0f s for a sign of life.", workdir, other, STALE)
    until = time.monotonic() + STALE
    while time.monotonic() < until:
        time.sleep(min(1.0, STALE / 10))
        now = look()
        if now is None:
            return
        if now != other:
            _refuse(now, workdir)


def _refuse(holder: Holder | None, workdir: str) -> NoReturn:
    raise Held(
        f"{workdir}: {holder or 'another process'} writes to it; wait for its end or stop it, or"
        " take another --workdir."
    )


def _beat(lock: Lock, stop: threading.Event, workdir: str) -> None:
    """Beats until told to stop; ends the process if another has taken the lock."""
    me = lock.me
    while not stop.wait(BEAT):
        me = me.next()
        try:
            now = lock.read()
            if now and now.token != me.token:
                last_words(f"{workdir}: taken over by {now}; stopped.")
                os._exit(1)
            lock.beat(me)
        except Exception as error:  # a disk or a store that does not answer may do so later
            log.debug("%s: no beat (%s)", workdir, error)
