"""Where the members of a zip archive lie, as torch writes it: stored, apart, and inside the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from engine.formats.errors import AdapterError

__all__ = ["Member", "read_members"]

MAX_MEMBERS = 20_100
MAX_DIRECTORY = 4 << 20
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


@dataclass(frozen=True)
class Member:
    """``size`` bytes from ``start`` on, counted from the beginning of the file."""

    start: int
    size: int


def read_members(file: BinaryIO, size: int) -> dict[str, Member]:
    """{name: member} of the archive in ``file``, which is ``size`` bytes long.

    AdapterError for one that is damaged, too long, compressed, encrypted, or has members that overlap, lie
    outside of it or have one name.
    """
    try:
        count, place, length = _directory(file, size)
        if count > MAX_MEMBERS or length > MAX_DIRECTORY or place + length > size:
            raise _damaged(f"a directory of {count:,} members and {length:,} bytes")
        file.seek(place)
        entries = _entries(file.read(length), count)
        members = {name: _member(file, size, offset, stored) for name, (offset, stored) in entries.items()}
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged(str(error)) from error
    end = 0
    for name, member in sorted(members.items(), key=lambda item: item[1].start):
        if member.start < end or member.start + member.size > size:
            raise _damaged(f"{name[:99]!r} overlaps another member or lies outside")
        end = member.start + member.size
    return members


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """(members, where their directory begins, its length)."""
    reach = min(size, 22 + 0xFFFF)
    file.seek(size - reach)
    tail = file.read(reach)
    found = tail.rfind(_END)
    if found < 0:
        raise _damaged("no directory")
    count, length, place = struct.unpack_from("<HII", tail, found + 10)
    if count == 0xFFFF or 0xFFFFFFFF in (length, place):
        locator = tail.rfind(_LOCATOR, 0, found)
        (at,) = struct.unpack_from("<Q", tail, locator + 8) if locator >= 0 else (size,)
        if at > size - 56:
            raise _damaged("no long directory")
        file.seek(at)
        record = file.read(56)
        if record[:4] != _END64:
            raise _damaged("no long directory")
        count, length, place = struct.unpack_from("<QQQ", record, 32)
    return count, place, length


def _entries(raw: bytes, count: int) -> dict[str, tuple[int, int]]:
    """{name: (where its local header begins, its size)}, all stored."""
    entries: dict[str, tuple[int, int]] = {}
    at = 0
    for _ in range(count):
        mark, flags, method, packed, size, n, extra, comment, offset = struct.unpack_from(
            "<4s4xHH8xIIHHH8xI", raw, at
        )
        name = raw[at + 46 : at + 46 + n].decode("utf-8")
        if mark != _CENTRAL or len(name.encode()) != n:
            raise _damaged("a broken directory")
        if method or flags & 1:
            raise AdapterError(
                f"Its archive keeps {name[:80]} compressed or encrypted, as no adapter's does.",
                "Ask its author for a safetensors file.",
                code="refused",
            )
        long = _long(raw[at + 46 + n : at + 46 + n + extra], (size, packed, offset))
        size, packed, offset = long
        if size != packed or name in entries:
            raise _damaged(f"{name[:99]!r} has two sizes or is there twice")
        entries[name] = (offset, size)
        at += 46 + n + extra + comment
    return entries


def _long(extra: bytes, values: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes and the offset, with those that need 64 bits taken from the extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{min(length, 24) // 8}Q", extra, at + 4))
            return tuple(next(wide, value) if value == 0xFFFFFFFF else value for value in values)
        at += 4 + length
    return values


def _member(file: BinaryIO, size: int, offset: int, stored: int) -> Member:
    if offset > size - 30:
        raise _damaged("a member outside of the file")
    file.seek(offset)
    mark, n, extra = struct.unpack("<4s22xHH", file.read(30))
    if mark != _LOCAL:
        raise _damaged("a member without its own header")
    return Member(offset + 30 + n + extra, stored)


def _damaged(why: str) -> AdapterError:
    return AdapterError("Its archive is damaged.", "Download it again.", why)
