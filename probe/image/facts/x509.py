"""What a certificate says of itself, as far as an audit asks: whose it is and how long it holds.

A reader of our own, because the standard library has none that reads without OpenSSL's context and
cryptography is no dependency of ours. It goes straight to the three fields, never down into what
it does not know, so that its work is bounded by the certificate's length:
RFC 5280, 4.1 (certificates), X.690 (DER), RFC 7468 (the PEM texts).
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"

_INTEGER, _OID, _UTC_TIME, _GENERALIZED_TIME = 0x02, 0x06, 0x17, 0x18
_SEQUENCE, _SET, _VERSION = 0x30, 0x31, 0xA0
_ENCODINGS = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
"""The string types a name may have (RFC 5280, 4.1.2.4) and IA5String, which old ones do have."""

_COMMON_NAME = bytes((0x55, 0x04, 0x03))
_ORGANISATION = bytes((0x55, 0x04, 0x0A))
_ORGANISATIONAL_UNIT = bytes((0x55, 0x04, 0x0B))
_NAMED_BY = (_COMMON_NAME, _ORGANISATIONAL_UNIT, _ORGANISATION)
"""What a certificate is called by, the best first: some old roots have no common name."""

_LONG, _MAX_LENGTH_BYTES = 0x80, 4
_HIGH_TAG = 0x1F
_MAX_PARTS = 256
"""Parts of one name; ten are many."""
_CENTURY_TURN = 50
_SHORT_TIME = re.compile(rb"(\d\d)" * 6 + b"Z")
_FULL_TIME = re.compile(rb"(\d{4})" + rb"(\d\d)" * 5 + b"Z")


class X509Error(ValueError):
    """Not a certificate, or a damaged one; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """`subject` is its common name, else its unit or organisation, else empty; times are UTC."""

    subject: str
    not_before: datetime
    not_after: datetime

    def holds(self, now: datetime) -> bool:
        return self.not_before <= now <= self.not_after


def read_pem(data: bytes) -> Iterator[Certificate | X509Error]:
    """Return each CERTIFICATE block of a bundle, or what is wrong with it.

    Text around the blocks is nobody's concern, and other blocks (TRUSTED CERTIFICATE, keys) are
    passed over, as Go's AppendCertsFromPEM does.
    """
    for piece in data.split(_BEGIN)[1:]:
        try:
            yield read_certificate(_decoded(piece))
        except X509Error as error:
            yield error


def read_certificate(der: bytes) -> Certificate:
    """Return the facts of one certificate.

    Raises:
        X509Error: the bytes are no certificate.
    """
    whole = _Reader(der, 0, len(der)).inside(_SEQUENCE)
    body = whole.inside(_SEQUENCE)
    if body.tag == _VERSION:
        body.skip(_VERSION)
    body.skip(_INTEGER)
    body.skip(_SEQUENCE)
    body.skip(_SEQUENCE)
    validity = body.inside(_SEQUENCE)
    not_before, not_after = validity.time(), validity.time()
    return Certificate(_called(body.inside(_SEQUENCE)), not_before, not_after)


def _decoded(piece: bytes) -> bytes:
    body, end, _ = piece.partition(_END)
    if not end:
        raise X509Error("a certificate that does not end")
    try:
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error as error:
        raise X509Error("a certificate that is no base64") from error


class _Reader:
    """Values one after the other between two places of *data*."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    @property
    def tag(self) -> int | None:
        """What comes next; None at the end."""
        return self._data[self._at] if self._at < self._end else None

    def skip(self, tag: int) -> None:
        self._take(tag)

    def value(self, tag: int) -> bytes:
        start, stop = self._take(tag)
        return self._data[start:stop]

    def inside(self, tag: int) -> "_Reader":
        return _Reader(self._data, *self._take(tag))

    def time(self) -> datetime:
        tag = self.tag
        if tag not in {_UTC_TIME, _GENERALIZED_TIME}:
            raise X509Error("a date that is neither UTCTime nor GeneralizedTime")
        return _time(self.value(tag), full=tag == _GENERALIZED_TIME)

    def _take(self, tag: int) -> tuple[int, int]:
        if self.tag is None:
            raise X509Error("it ends too early")
        if self.tag != tag or tag & _HIGH_TAG == _HIGH_TAG:
            raise X509Error(f"tag {self.tag:#04x} stands where {tag:#04x} should")
        start, length = self._length(self._at + 1)
        if length > self._end - start:
            raise X509Error("a length that leads beyond the end")
        self._at = start + length
        return start, self._at

    def _length(self, at: int) -> tuple[int, int]:
        first = self._data[at : at + 1]
        if not first:
            raise X509Error("it ends too early")
        if first[0] < _LONG:
            return at + 1, first[0]
        count = first[0] - _LONG
        digits = self._data[at + 1 : at + 1 + count]
        if not 0 < count <= _MAX_LENGTH_BYTES or len(digits) < count:
            raise X509Error("a length that is no length")
        return at + 1 + count, int.from_bytes(digits, "big")


def _time(value: bytes, *, full: bool) -> datetime:
    """Read a date as RFC 5280, 4.1.2.5, has it: in UTC, with seconds, 50 to 99 being 19xx."""
    found = (_FULL_TIME if full else _SHORT_TIME).fullmatch(value)
    if found is None:
        raise X509Error(f"the date {value[:20]!r} is none")
    year, month, day, hour, minute, second = (int(digits) for digits in found.groups())
    if not full:
        year += 2000 if year < _CENTURY_TURN else 1900
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise X509Error(f"the date {value!r} is none") from error


def _called(name: _Reader) -> str:
    """Return the best of the names that a subject holds."""
    found: dict[bytes, str] = {}
    for _ in range(_MAX_PARTS):
        if name.tag is None:
            break
        pair = name.inside(_SET).inside(_SEQUENCE)
        kind = pair.value(_OID)
        if kind in _NAMED_BY and (encoding := _ENCODINGS.get(pair.tag or 0)):
            found[kind] = pair.value(pair.tag or 0).decode(encoding, "replace")
    return next((found[kind] for kind in _NAMED_BY if kind in found), "")
