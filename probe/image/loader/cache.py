"""/etc/ld.so.cache: where glibc's loader finds a library by its name.

Format: glibc's sysdeps/generic/dl-cache.h. Entries of the legacy hwcaps (`tls/`, `haswell/`) are
left out: which of them is taken depends on the CPU.
"""

import struct
from dataclasses import dataclass

_OLD_CACHE = b"ld.so-1.7.0\0"
_NEW_CACHE = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = 48, 24
_OLD_HEADER, _OLD_ENTRY = 16, 12
_BIG_ENDIAN = 3
_HWCAP_EXTENSION = 1 << 62
_EXTENSION_MAGIC = 0xEAA42174
_HWCAPS_SECTION = 1

_MAX_STRING = 4096
_MAX_STRINGS = 16 * 2**20
"""Bytes of all strings: a thousand libraries take 80 KB, but entries may share their bytes."""

CACHE_FLAGS = {
    (3, 32): 0x0003,
    (21, 64): 0x0503,
    (22, 64): 0x0403,
    (62, 32): 0x0803,
    (62, 64): 0x0303,
    (183, 64): 0x0A03,
    (243, 64): 0x1003,
}
"""What a machine's loader asks of an entry, by `e_machine` and bits (glibc sysdeps dl-cache.h)."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One line of `ldconfig -p`; `hwcap` is the glibc-hwcaps name, None for any CPU."""

    flags: int
    path: str
    hwcap: str | None


class CacheError(ValueError):
    """The bytes are not a cache that this glibc reads."""


def read_cache(data: bytes) -> dict[str, tuple[CacheEntry, ...]]:
    """Read a cache of format glibc-ld.so.cache1.1, alone or behind the old one, by name.

    Raises CacheError.
    """
    data = _new_part(data)
    if len(data) < _HEADER or not data.startswith(_NEW_CACHE):
        raise CacheError("not of the format glibc-ld.so.cache1.1")
    return _Reader(data).entries()


def _new_part(data: bytes) -> bytes:
    """Cut off the old format: its header and entries, then the new one at a multiple of 8."""
    if not data.startswith(_OLD_CACHE) or len(data) < _OLD_HEADER:
        return data
    end = _OLD_HEADER + struct.unpack_from("<I", data, 12)[0] * _OLD_ENTRY
    return data[(end + 7) & ~7 :]


class _Reader:
    """A cache of the new format; `letters` is what its strings may still take, in bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = ">" if data[28] & 3 == _BIG_ENDIAN else "<"
        self.letters = _MAX_STRINGS

    def entries(self) -> dict[str, tuple[CacheEntry, ...]]:
        names = self.hwcap_names()
        found: dict[str, list[CacheEntry]] = {}
        for flags, key, value, _, hwcap in struct.iter_unpack(self.order + "iIIIQ", self.table()):
            if hwcap == 0 or hwcap & _HWCAP_EXTENSION:
                name = _numbered(names, hwcap & 0xFFFFFFFF) if hwcap else None
                entry = CacheEntry(flags, self.text(value), name)
                found.setdefault(self.text(key), []).append(entry)
        return {name: tuple(entries) for name, entries in found.items()}

    def table(self) -> bytes:
        count: int = struct.unpack_from(self.order + "I", self.data, 20)[0]
        table = self.data[_HEADER : _HEADER + count * _ENTRY]
        if len(table) < count * _ENTRY:
            raise CacheError(f"{count} entries do not fit")
        return table

    def text(self, start: int) -> str:
        end = self.data.find(b"\0", start, start + _MAX_STRING + 1)
        if end < 0:
            raise CacheError(f"no string at {start:#x}")
        self.letters -= end - start
        if self.letters < 0:
            raise CacheError(f"strings of more than {_MAX_STRINGS} bytes")
        return self.data[start:end].decode("utf-8", "surrogateescape")

    def hwcap_names(self) -> list[str]:
        """Give the names in the cache's extension, which newer entries refer to by number."""
        start: int = struct.unpack_from(self.order + "I", self.data, 32)[0]
        try:
            return self.extension(start) if start else []
        except struct.error:
            raise CacheError("the extension lies beyond the end of the file") from None

    def extension(self, start: int) -> list[str]:
        magic, count = struct.unpack_from(self.order + "II", self.data, start)
        if magic != _EXTENSION_MAGIC or count > len(self.data):
            raise CacheError("unknown extension")
        for number in range(count):
            place = start + 8 + 16 * number
            tag, _, at, size = struct.unpack_from(self.order + "IIII", self.data, place)
            if tag == _HWCAPS_SECTION:
                form = f"{self.order}{min(size, len(self.data)) // 4}I"
                return [self.text(offset) for offset in struct.unpack_from(form, self.data, at)]
        return []


def _numbered(names: list[str], number: int) -> str:
    if number >= len(names):
        raise CacheError(f"no hwcap of number {number}")
    return names[number]
