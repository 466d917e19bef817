"""Keeps what XLA has compiled from run to run: for programs such as launch.py, not for libraries.

JAX (0.10) writes an entry of its cache in place. A process that reads it meanwhile, or after the
writer was killed, finds half a program and warns. Here an entry appears whole or not at all, so
that any number of processes may share a folder without locks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import time
import uuid
from pathlib import Path, PosixPath

import jax
from etils import epath

from genlab.errors import log

OFF = "off"
LIMIT = 2 * 2**30  # bytes; a config's programs take 1 to 20 MB
QUICK = "0.2"  # seconds: what compiles faster is not worth a file
_SCHEME = "genlab-programs://"
_PARTIAL = ".partial-"
_STALE = 3600.0  # seconds after which nobody is still writing a partial file


def start(choice: str = "") -> None:
    """Turns the cache on for this process, before anything is compiled.

    Args:
        choice: a folder, also gs://; "off"; or "" for JAX_COMPILATION_CACHE_DIR, else for
            genlab/xla in the user's cache folder.

    A folder of our choice, or of `choice`, is cut to 2 GiB, what was used last stays. One that
    JAX_COMPILATION_CACHE_DIR names may belong to other programs too, and is not.
    """
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    folder = choice or given or str(default_folder())
    if choice == OFF:
        jax.config.update("jax_enable_compilation_cache", False)
    elif "://" in folder:
        jax.config.update("jax_compilation_cache_dir", folder)  # object stores write whole objects
    else:
        _keep_in(Path(folder).expanduser().absolute(), bounded=choice != "" or not given)


def default_folder() -> Path:
    """genlab/xla in the user's cache folder, as the XDG specification or macOS names it."""
    cache = Path("~/Library/Caches" if platform.system() == "Darwin" else "~/.cache").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or cache) / "genlab" / "xla"


def _keep_in(folder: Path, bounded: bool) -> None:
    first, mine = not folder.exists(), folder / _processor()
    try:
        mine.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.info("compiled programs are not kept: %s: %s.", folder, error.strerror)
        return
    if first:
        log.info("compiled programs are kept in %s; --compilation_cache=off keeps none.", folder)
    if bounded:
        trim(folder, LIMIT)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", float(QUICK))
    jax.config.update("jax_compilation_cache_max_size", -1)  # its limit would need file locks
    jax.config.update("jax_compilation_cache_dir", f"{_SCHEME}{mine}")


def _processor() -> str:
    """Names what this machine's processor can do: machines of a cluster share home folders, and
    code for one may be illegal instructions on another."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = f"flags : {platform.processor()}"
    able = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    words = " ".join(sorted(able.group(1).split())) if able else ""
    return f"{platform.machine()}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def trim(folder: Path, limit: int) -> None:
    """Removes the entries whose last use is oldest until `limit` bytes are left, and what writers
    that were killed left behind. Other processes may do the same meanwhile."""
    entries = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # another process was faster
            found = path.stat()
            if path.name.startswith(_PARTIAL) and found.st_mtime < time.time() - _STALE:
                path.unlink()
            elif path.name.endswith("-cache"):
                entries.append((found.st_mtime, found.st_size, path))
    kept = 0
    for _, size, path in sorted(entries, reverse=True):
        kept += size
        if kept > limit:
            path.unlink(missing_ok=True)


class _Entry(PosixPath):
    """A path in a cache: written whole or not at all, and touched when it is read."""

    def read_bytes(self) -> bytes:
        with contextlib.suppress(OSError):  # of another user
            os.utime(self)
        return super().read_bytes()

    def write_bytes(self, data: bytes) -> int:  # type: ignore[override]
        partial = Path(self.parent, f"{_PARTIAL}{uuid.uuid4().hex}")
        try:
            partial.write_bytes(data)
            os.replace(partial, self)
        except OSError:  # a full disk: the run goes on without this entry
            partial.unlink(missing_ok=True)
        return len(data)


@epath.register_path_cls(_SCHEME)
class _Folder:
    """What JAX, which reads and writes through etils, gets for a path of our scheme."""

    def __new__(cls, path: str) -> _Entry:  # type: ignore[misc]
        return _Entry(path.removeprefix(_SCHEME))
