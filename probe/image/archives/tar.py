"""The headers of a tar as members.

POSIX pax (ustar and extended headers:
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html), GNU's long names, binary
numbers and sparse files (https://www.gnu.org/software/tar/manual/html_node/Standard.html), and
what was written before POSIX.
"""

import re
import zlib
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import lru_cache

from probe.image.archives.limits import MAX_PAX
from probe.image.archives.limits import Budget
from probe.image.archives.spans import Content
from probe.image.archives.spans import Span
from probe.image.view import MAX_PATH
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import Member
from probe.image.view import ViewError

BLOCK = 512
_END = bytes(BLOCK)
_REGULAR = b"\x00" + b"07"
_HEADER_ONLY = b"123456"
_KINDS = {b"2": Kind.SYMLINK, b"5": Kind.DIRECTORY}
_DEVICES = b"34"
_IGNORED = b"V"
_RECORD = re.compile(rb"(\d{1,8}) ([^=\n]+)=")
_OCTAL = re.compile(rb"[0-7]*")
_HIGH = re.compile(rb"[\x80-\xff]")
_SPARSE_KEYS = frozenset({"GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.size"})
_KEYS = {
    key.encode(): key
    for key in ("path", "linkpath", "size", "uid", "gid", "GNU.sparse.name", *_SPARSE_KEYS)
}


@dataclass(slots=True)
class _Extended:
    """What extended headers have said of the next member."""

    shared: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def take(self) -> dict[str, str]:
        found = self.shared | self.own
        self.own = {}
        return found


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return _decode(data.partition(b"\0")[0])


# Modes, owners and sums are few, and each header has five numbers.
@lru_cache(maxsize=4096)
def _number(data: bytes) -> int:
    """Read an octal number, or GNU's binary one, which begins with a byte of 0x80."""
    if data[0] == 0x80:  # noqa: PLR2004 - the format's
        return int.from_bytes(data[1:], "big")
    digits = data.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise ViewError("not a tar, or a damaged one: a number in a header is none")
    return int(digits or b"0", 8)


def _check_sum(block: bytes) -> None:
    """Compare a header with its sum, its own eight bytes taken as spaces (POSIX pax)."""
    rest = block[:148] + block[156:]
    stated = _number(block[148:156]) - 8 * ord(" ")
    # The lower half of Adler-32 (RFC 1950) is the sum and one, modulo 65521: faster than sum() by
    # far, and headers are most of the work.
    if zlib.adler32(rest) & 0xFFFF == (stated + 1) % 65521:
        return
    # Old archives summed signed bytes.
    if stated != sum(rest) - 256 * len(_HIGH.findall(rest)):
        raise ViewError("not a tar, or a damaged one: a header's check sum is wrong")


def check_header(block: bytes) -> None:
    """Refuse what cannot be the first block of a tar. Raises ViewError."""
    if len(block) < BLOCK or block == _END:
        raise ViewError("not a tar, or an empty one")
    _check_sum(block)


def _pax(data: bytes) -> dict[str, str]:
    """Read extended header records, `LENGTH KEY=VALUE`, a line end behind each: those of use."""
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at)
        end = at + int(found[1]) if found else 0
        if found is None or end > len(data) or end <= found.end() or data[end - 1 : end] != b"\n":
            raise ViewError("not a tar, or a damaged one: an extended header is malformed")
        if (key := _KEYS.get(found[2])) is not None:
            records[key] = _decode(data[found.end() : end - 1])
        at = end
    return records


def _name(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        return f"{prefix}/{name}"
    return name


def members(span: Span, budget: Budget) -> Iterator[Member[Content]]:
    """Read the headers of a tar; contents stay where they are."""
    extended = _Extended()
    at = 0
    while at < span.size:
        block = span.exactly(at, BLOCK)
        if block == _END:
            return
        _check_sum(block)
        at += BLOCK
        flag = block[156:157]
        if flag in b"xgLK":
            size = _size(block, {})
            _extend(extended, flag, _meta(span, at, size))
            budget.extended(size)
        else:
            own = extended.take()
            size = 0 if flag in _HEADER_ONLY else _size(block, own)
            at += _sparse_maps(span, at, block)
            if size > span.size - at:
                raise ViewError("the archive is truncated")
            member = _member(block, own, Span(span.fd, span.start + at, size))
            budget.entry(len(member.entry.path) + len(member.entry.target or member.link or ""))
            if flag not in _IGNORED:
                yield member
        at += -(-size // BLOCK) * BLOCK


def _sparse_maps(span: Span, at: int, block: bytes) -> int:
    """Return how many bytes of further maps follow a header of GNU's old sparse files."""
    more, length = block[156:157] == b"S" and block[482] != 0, 0
    while more:
        more = span.exactly(at + length, BLOCK)[504] != 0
        length += BLOCK
    return length


def _meta(span: Span, at: int, size: int) -> bytes:
    if size > MAX_PAX:
        raise ViewError(f"an extended header has more than {MAX_PAX} bytes")
    return span.exactly(at, size)


def _extend(extended: _Extended, flag: bytes, data: bytes) -> None:
    if flag == b"g":
        extended.shared |= _pax(data)
        if sum(len(key) + len(value) for key, value in extended.shared.items()) > MAX_PAX:
            raise ViewError(f"global extended headers have more than {MAX_PAX} bytes")
    elif flag == b"x":
        extended.own |= _pax(data)
    else:
        extended.own["path" if flag == b"L" else "linkpath"] = _text(data)


def _pax_number(own: Mapping[str, str], key: str, otherwise: int) -> int:
    value = own.get(key, "")
    if not value:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,20}", value):
        raise ViewError(f"not a tar, or a damaged one: {key} in an extended header is no number")
    return int(value)


def _size(block: bytes, own: Mapping[str, str]) -> int:
    return _pax_number(own, "size", _number(block[124:136]))


def _member(block: bytes, own: Mapping[str, str], content: Span) -> Member[Content]:
    flag = block[156:157]
    path = own.get("GNU.sparse.name") or own.get("path") or _name(block)
    link = own.get("linkpath") or _text(block[157:257])
    if max(len(path), len(link)) > MAX_PATH:
        raise ViewError(f"a name in the image has more than {MAX_PATH} characters")
    kind = _kind(flag, path)
    entry = Entry(
        path=path,
        kind=kind,
        mode=_number(block[100:108]) & 0o7777,
        uid=_pax_number(own, "uid", _number(block[108:116])),
        gid=_pax_number(own, "gid", _number(block[116:124])),
        size=content.size if kind is Kind.FILE else 0,
        target=link if kind is Kind.SYMLINK else None,
        device=flag in _DEVICES,
    )
    if flag == b"1":
        return Member(entry, link=link)
    # A sparse file's holes are not in the archive: its bytes there are not the file's.
    sparse = flag == b"S" or not _SPARSE_KEYS.isdisjoint(own)
    return Member(entry, content if kind is Kind.FILE and not sparse else None)


def _kind(flag: bytes, path: str) -> Kind:
    if flag in _REGULAR:
        # Before POSIX a directory was a file whose name ends so.
        return Kind.DIRECTORY if path.endswith("/") else Kind.FILE
    return _KINDS.get(flag, Kind.FILE if flag in b"1S" else Kind.OTHER)
