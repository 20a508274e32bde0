"""The status line, read as it comes.

    status-line = HTTP-version SP status-code SP [ reason-phrase ]        (RFC 9112, section 4)

Taken: version 1.0 or 1.1, a code of three digits, the space after it missing where there is no
reason phrase, a bare LF as line end (RFC 9112, section 2.2). Nothing behind the line end is read.
"""

import re

HEAD = 13
"""Bytes that decide the form: `HTTP/1.1 200` and the byte after it. Fewer decide nothing."""

REASON_LIMIT = 512
"""A reason phrase this long, NULs not counted, without a line end is no status line."""

_HEAD = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r\n]")


class MalformedError(ValueError):
    """The bytes are no status line, whatever may follow."""


class StatusLine:
    """Takes bytes as they come and answers the code, None for "more", or MalformedError."""

    def __init__(self) -> None:
        self._head = b""
        self._length = 0

    def feed(self, data: bytes) -> int | None:
        wanted = HEAD - len(self._head)
        if wanted > 0:
            self._head += data[:wanted]
            data = data[wanted:]
            if b"\0" in self._head:
                raise MalformedError("a NUL in the first 13 bytes")
            if len(self._head) < HEAD:
                return None
        found = _HEAD.fullmatch(self._head)
        if found is None:
            raise MalformedError(f"not HTTP/1.0 or HTTP/1.1: {self._head!r}")
        return int(found[1]) if self._ended(data) else None

    def _ended(self, data: bytes) -> bool:
        match self._head[-1:]:
            case b"\n":
                return True
            case b"\r":
                if data and data[:1] != b"\n":
                    raise MalformedError("CR without LF after the code")
                return bool(data)
            case _:
                return self._reason_ended(data)

    def _reason_ended(self, data: bytes) -> bool:
        reason, line_end, _ = data.partition(b"\n")
        self._length += len(reason) - reason.count(0)
        if self._length >= REASON_LIMIT:
            raise MalformedError(f"no line end within {REASON_LIMIT} bytes of the code")
        return bool(line_end)
