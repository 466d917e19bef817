"""Arrays of .npy and .npz files: mapped from the disk where the format allows, never unpickled."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from genlab.errors import UserError

LOCAL_HEADER = 30  # bytes of a zip member's own header, before its name
DIGESTED = (
    1 << 28
)  # bytes of a .npy file that its digest covers, evenly spread; all of smaller ones
CGROUP = "/sys/fs/cgroup"
CONTAINER = (  # (limit, use) of both versions
    (f"{CGROUP}/memory.max", f"{CGROUP}/memory.current"),
    (f"{CGROUP}/memory/memory.limit_in_bytes", f"{CGROUP}/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Member:
    """An array in a file.

    path: the file.
    name: within an .npz, "" for a .npy file.
    offset: where its bytes begin, -1 where they are compressed.
    digest: of its bytes, as cheap as the format makes it.
    """

    path: str
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    offset: int
    digest: str

    def __str__(self) -> str:
        return f"{self.path}[{self.name}]" if self.name else self.path

    @property
    def count(self) -> int:
        """The length of its first axis."""
        return self.shape[0] if self.shape else 0

    @property
    def nbytes(self) -> int:
        """What it takes unpacked."""
        return math.prod(self.shape) * self.dtype.itemsize

    def open(self) -> np.ndarray:
        """Its values: a map of the disk, or unpacked. Raises UserError."""
        if 0 in self.shape:
            raise UserError(f"data.source: {self} is empty, of shape {self.shape}.")
        if self.offset >= 0:
            place: dict[str, Any] = {"offset": self.offset, "order": "F" if self.fortran else "C"}
            return np.memmap(self.path, self.dtype, "r", shape=self.shape, **place)
        free = memory_left()
        if self.nbytes > free:
            raise UserError(
                f"data.source: {self} unpacks to {self.nbytes / 2**30:.1f} GiB, of memory"
                f" {free / 2**30:.1f} GiB are left; save it with np.savez, which is read from disk."
            )
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                return archive[self.name]
        except MemoryError:
            raise UserError(f"data.source: {self} does not fit into memory.") from None
        except Exception as error:  # a damaged archive
            raise damaged(self.path, error) from None


def members(path: str) -> dict[str, Member]:
    """The arrays of an .npz by name, or the one of an .npy as "". Raises UserError."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
                return {i.filename[:-4]: _of_archive(path, archive, i) for i in infos}
        return {"": _of_file(path)}
    except UserError:
        raise
    except Exception as error:  # what a damaged file makes the readers raise
        raise damaged(path, error) from None


def damaged(path: str, error: Exception) -> UserError:
    """The line for a file that is no array or archive."""
    reason = (
        getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    )
    return UserError(f"data.source: {path} cannot be read as .npy or .npz ({reason}).")


def memory_left() -> int:
    """Bytes of memory that can still be taken, as the system and a container's limit say."""
    left = _available()
    for limit, used in CONTAINER:
        try:
            with open(limit) as most, open(used) as taken:
                left = min(left, int(most.read()) - int(taken.read()))
        except (OSError, ValueError):  # no container, or no limit
            continue
    return left


def _available() -> int:
    """As Linux estimates it; elsewhere all that is built in."""
    try:
        with open("/proc/meminfo") as lines:
            found = dict(line.split(":") for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"{what}: version {version[0]}.{version[1]} of the format")
    shape, fortran, dtype = read[version](file)
    return shape, fortran, dtype


def _of_file(path: str) -> Member:
    with open(path, "rb") as file:
        shape, fortran, dtype = _header(file, path)
        offset, size = file.tell(), os.path.getsize(path)
        found = Member(path, "", dtype, shape, fortran, offset, "")
        if size - offset != found.nbytes and not dtype.hasobject:
            raise ValueError(f"{size - offset} bytes instead of {found.nbytes}")
        step, checksum = max(-(-size // DIGESTED), 1) << 20, zlib.crc32(str(size).encode())
        for start in range(0, size, step):
            file.seek(start)
            checksum = zlib.crc32(file.read(1 << 20), checksum)
    return Member(path, "", dtype, shape, fortran, offset, f"{size}-{checksum:08x}")


def _of_archive(path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = info.filename[:-4]
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file, f"{path}[{name}]")
        begins = file.tell()
    found = Member(path, name, dtype, shape, fortran, -1, f"{info.file_size}-{info.CRC:08x}")
    if dtype.hasobject:
        return found
    if info.file_size - begins != found.nbytes:
        raise ValueError(f"{name} has {info.file_size - begins} bytes instead of {found.nbytes}")
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        return found
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        local = file.read(LOCAL_HEADER)
        name_length, extra_length = struct.unpack("<HH", local[26:30])
    offset = info.header_offset + LOCAL_HEADER + name_length + extra_length + begins
    if offset + found.nbytes > os.path.getsize(path):
        raise ValueError(f"{name} is cut short")
    return Member(path, name, dtype, shape, fortran, offset, found.digest)
