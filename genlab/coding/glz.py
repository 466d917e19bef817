"""The `.glz` file: a header that says what can read it, and streams, each with its checksums.

    4 bytes    MAGIC
    1 byte     version of the format
    u16, u32   length and CRC-32 of the header
    ...        the header: JSON, deflated
    then, of each stream:
    u32, u32   length of the stream, and CRC-32 of its images
    u32        CRC-32 of all of the file before it but other streams, its place, and the stream
    ...        the stream

Integers are little-endian. Any change of a byte breaks a checksum; what a checksum of the stream
lets through, that of the images stops.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from genlab.errors import UserError

MAGIC = b"\x93GLZ"
VERSION = 2
HEAD = struct.Struct("<BHI")
STREAM = struct.Struct("<III")
MOST = 2**16  # bytes of a header once inflated
MOST_LANES = 2**14


@dataclass(frozen=True)
class Header:
    """What a decoder must know, and be.

    model: SHA-256 of the parameters used, the config of the network and its likelihood.
    step, weights: of the checkpoint, for whoever looks for it.
    versions: of the packages that decide numerics.
    platform: what the programs were compiled for.
    lanes, chunk: images a program computes at once, and images of a stream.
    shape: (H, W, C) of an image.
    count: images.
    levels: of a value.
    labels: "none", "stored" in the streams, or "given" to the decoder.
    pixels: SHA-256 of all images.
    """

    model: str
    step: int
    weights: str
    versions: dict[str, str]
    platform: str
    lanes: int
    chunk: int
    shape: tuple[int, int, int]
    count: int
    levels: int
    labels: str
    pixels: str

    @property
    def counts(self) -> list[int]:
        """How many images each stream holds."""
        return [min(self.chunk, self.count - i) for i in range(0, self.count, self.chunk)]


@dataclass(frozen=True)
class Stream:
    """Images coded as one message.

    pixels: CRC-32 of their bytes.
    """

    data: bytes
    pixels: int


def pack(header: Header, streams: Iterable[Stream]) -> Iterator[bytes]:
    """The pieces of a file, one after the other."""
    text = json.dumps(asdict(header), separators=(",", ":"), sort_keys=True).encode()
    body = zlib.compress(text, 9)
    head = MAGIC + HEAD.pack(VERSION, len(body), zlib.crc32(body)) + body
    yield head
    for place, stream in enumerate(streams):
        crc = _checksum(head, place, stream)
        yield STREAM.pack(len(stream.data), stream.pixels, crc) + stream.data


def _checksum(head: bytes, place: int, stream: Stream) -> int:
    before = head + struct.pack("<III", place, len(stream.data), stream.pixels)
    return zlib.crc32(stream.data, zlib.crc32(before))


def unpack(data: bytes) -> tuple[Header, list[Stream]]:
    """The header and streams of a whole file. Raises UserError for what is no whole file."""
    if data[: len(MAGIC)] != MAGIC:
        raise UserError("this is no .glz file: compress writes them.")
    header, head = _header(data)
    if header.count > header.chunk * len(data):  # before anything is made of that size
        raise damaged("its header")
    streams, start = [], len(head)
    for place in range(len(header.counts)):
        if len(data) < start + STREAM.size:
            raise damaged(f"it ends before stream {place + 1} of {len(header.counts)}")
        length, pixels, crc = STREAM.unpack_from(data, start)
        start += STREAM.size
        stream = Stream(data[start : start + length], pixels)
        if len(stream.data) < length or _checksum(head, place, stream) != crc:
            raise damaged(f"stream {place + 1} of {len(header.counts)}")
        streams.append(stream)
        start += length
    if start != len(data):
        raise damaged(f"{len(data) - start} bytes after its end")
    return header, streams


def _header(data: bytes) -> tuple[Header, bytes]:
    """The header, and the bytes up to its end."""
    start = len(MAGIC) + HEAD.size
    if len(data) < start:
        raise damaged("its header")
    version, length, crc = HEAD.unpack_from(data, len(MAGIC))
    if version != VERSION:
        raise UserError(
            f"a .glz file of format {version}; this genlab reads format {VERSION}: take the"
            " version that wrote it."
        )
    body = data[start : start + length]
    if len(body) < length or zlib.crc32(body) != crc:
        raise damaged("its header")
    try:
        return _read(json.loads(zlib.decompressobj().decompress(body, MOST))), data[
            : start + length
        ]
    except (ValueError, TypeError, KeyError, zlib.error):
        raise damaged("its header") from None


def _read(found: dict[str, Any]) -> Header:
    header = Header(**found | {"shape": tuple(found["shape"])})
    numbers = (*header.shape, header.lanes, header.chunk, header.count + 1, header.levels)
    if not all(isinstance(n, int) and n > 0 for n in numbers) or header.lanes > MOST_LANES:
        raise ValueError
    return header


def damaged(what: str) -> UserError:
    """What is said of a file that is not as it was written."""
    return UserError(f"this .glz file is damaged ({what}); take another copy of it.")
