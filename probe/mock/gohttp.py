"""HTTP/1 requests as the server of Go's net/http reads them. Pure: bytes in, values out.

The rules are those of Go 1.26: net/http (server.go, request.go, transfer.go), net/textproto
(reader.go) and net/url (url.go). Texts are latin-1, so that every byte has its character.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

HEAD_LIMIT = (1 << 20) + 4096
"""Bytes of a head: DefaultMaxHeaderBytes and bufio's slop (server.go, initialReadLimitSize)."""
BODY_LIMIT = 256 << 10
"""Bytes of a body that the server reads and forgets (server.go, maxPostHandlerReadBytes)."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z ]+")
_BAD_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_PORT = re.compile(rb"(?::[0-9]*)?")
_BAD_IN_HOST = re.compile(rb"""[\x00-\x20"#%/<>?@\\^`{|}]""")
_BAD_IN_HOST_HEADER = re.compile(r"[^0-9A-Za-z!$%&()*+,\-.:;=\[\]'_~]")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)
_EDGES = " ,\t"


class RefusedError(Exception):
    """A request that the server answers itself, without a handler, and closes."""

    def __init__(self, status: str, text: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.text = text or status

    @property
    def payload(self) -> bytes:
        """The answer, which has neither Date nor length (server.go, errorHeaders)."""
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: text/plain; charset=utf-8"
        return f"{head}\r\nConnection: close\r\n\r\n{self.text}".encode("latin-1")


class MoreNeededError(Exception):
    """The request goes on after the bytes that are there."""


@dataclass(frozen=True, slots=True)
class Target:
    """What url.ParseRequestURI makes of the request line's middle; `path` is unescaped."""

    path: str
    query: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole head. `length` is that of the body, -1 when it comes in chunks."""

    method: str
    uri: str
    target: Target
    version: tuple[int, int]
    headers: Mapping[str, tuple[str, ...]]
    length: int
    size: int

    @property
    def modern(self) -> bool:
        """HTTP/1.1 or above."""
        return self.version >= (1, 1)

    @property
    def prefaces_http2(self) -> bool:
        """Whether these are the first bytes of HTTP/2 (request.go, isH2Upgrade)."""
        return self.has_preface_line and not self.headers

    @property
    def has_preface_line(self) -> bool:
        return (self.method, self.uri, self.version) == ("PRI", "*", (2, 0))

    def first(self, name: str) -> str:
        return self.headers.get(name, ("",))[0]

    @property
    def keeps_alive(self) -> bool:
        """Whether HTTP/1.0 asks for more than one answer (request.go, wantsHttp10KeepAlive)."""
        return self.version == (1, 0) and has_token(self.first("Connection"), "keep-alive")

    @property
    def closes(self) -> bool:
        """Whether the client wants one answer alone (transfer.go, shouldClose)."""
        values = self.headers.get("Connection", ())
        tokens = {token.strip(" \t").lower() for value in values for token in value.split(",")}
        if self.prefaces_http2 or "close" in tokens or has_token(self.first("Connection"), "close"):
            return True
        return self.version == (1, 0) and "keep-alive" not in tokens

    @property
    def expects_continue(self) -> bool:
        return has_token(self.first("Expect"), "100-continue")


BAD_REQUEST = "400 Bad Request"
_TOO_LARGE = "431 Request Header Fields Too Large"


def bad(reason: str = "") -> RefusedError:
    return RefusedError(f"{BAD_REQUEST}: {reason}" if reason else BAD_REQUEST)


def has_token(value: str, token: str) -> bool:
    """Look for a token between commas and blanks, in any case (header.go, hasToken)."""
    edges = re.escape(_EDGES)
    pattern = f"(?:^|[{edges}]){re.escape(token)}(?:$|[{edges}])"
    return re.search(pattern, value, re.IGNORECASE | re.ASCII) is not None


def read_request(data: bytes) -> Request:
    """Read the head of the request that *data* begins with.

    Raises MoreNeededError, and RefusedError as soon as the server would see the fault: it does not
    wait for the end of the head.
    """
    reader = _Reader(data)
    try:
        request = _read_head(reader)
    except MoreNeededError:
        if len(data) >= HEAD_LIMIT:
            raise RefusedError(_TOO_LARGE) from None
        raise
    _check(request)
    return request


class _Reader:
    """Lines out of bytes (net/textproto)."""

    def __init__(self, data: bytes) -> None:
        self._data = data[:HEAD_LIMIT]
        self.at = 0

    def line(self) -> bytes:
        """Return up to LF, without it and one CR before it."""
        end = self._data.find(b"\n", self.at)
        if end < 0:
            raise MoreNeededError
        line, self.at = self._data[self.at : end], end + 1
        return line.removesuffix(b"\r")

    def blank_ahead(self) -> bool:
        """Whether the next line goes on with this one, or is indented."""
        if self.at >= len(self._data):
            raise MoreNeededError
        return self._data[self.at] in b" \t"

    def continued_line(self) -> bytes:
        """Return a header with its folded lines (readContinuedLineSlice)."""
        line = self.line()
        if line and b":" not in line:
            raise bad()
        parts = [line.strip(b" \t")]
        while line and self.blank_ahead():
            parts.append(self.line().strip(b" \t"))
        return b" ".join(parts)


def _read_head(reader: _Reader) -> Request:
    method, uri, target, version = _request_line(reader.line())
    headers = _headers(reader)
    if len(headers.get("Host", ())) > 1:
        raise bad()
    return Request(
        method=method,
        uri=uri,
        target=target,
        version=version,
        headers={name: tuple(values) for name, values in headers.items() if name not in _FRAMING},
        length=_length(headers, version),
        size=reader.at,
    )


_FRAMING = {"Transfer-Encoding", "Content-Length"}


def _request_line(line: bytes) -> tuple[str, str, Target, tuple[int, int]]:
    """Take the first line to pieces (request.go, readRequest)."""
    method, _, rest = line.partition(b" ")
    uri, _, protocol = rest.partition(b" ")
    version = _VERSION.fullmatch(protocol)
    if not _TOKEN.fullmatch(method) or not version:
        raise bad()
    if method == b"CONNECT" and not uri.startswith(b"/"):
        target = Target(_target(b"http://" + uri).path)
    else:
        target = _target(uri)
    return (
        method.decode("latin-1"),
        uri.decode("latin-1"),
        target,
        (int(version[1]), int(version[2])),
    )


def _target(raw: bytes) -> Target:
    """Read a request's target (url.go, parse with viaRequest)."""
    if not raw or _CONTROL.search(raw) or raw.startswith(b":"):
        raise bad()
    if raw == b"*":
        return Target("*")
    scheme = _SCHEME.match(raw)
    rest, mark, query = raw[scheme.end() if scheme else 0 :].partition(b"?")
    if not rest.startswith(b"/"):
        if scheme:  # opaque: there is no path
            return Target("")
        raise bad()
    origin = b""
    if scheme and rest.startswith(b"//"):
        authority, slash, path = rest[2:].partition(b"/")
        _check_authority(authority)
        origin, rest = scheme[0].lower() + b"//" + authority, slash + path
    elif scheme:
        origin = scheme[0].lower()
    return Target(_unescape(rest), (mark + query).decode("latin-1"), origin.decode("latin-1"))


def _check_authority(authority: bytes) -> None:
    """Refuse hosts that are none (url.go, parseHost)."""
    host = authority.rpartition(b"@")[2]
    if host.startswith(b"["):
        inside, closing, port = host[1:].partition(b"]")
        if not closing:
            raise bad()
    else:
        inside, colon, digits = host.rpartition(b":")
        inside, port = (inside, colon + digits) if colon else (host, b"")
    if _BAD_IN_HOST.search(inside) or not _PORT.fullmatch(port):
        raise bad()


def _unescape(path: bytes) -> str:
    if _BAD_ESCAPE.search(path):
        raise bad()
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), path).decode("latin-1")


def _headers(reader: _Reader) -> dict[str, list[str]]:
    """Read header lines up to the empty one (textproto, ReadMIMEHeader)."""
    if reader.blank_ahead():
        reader.line()
        raise bad()
    headers: dict[str, list[str]] = {}
    while line := reader.continued_line():
        name, _, value = line.partition(b":")
        if not _NAME.fullmatch(name) or _BAD_IN_VALUE.search(value):
            raise bad()
        headers.setdefault(_canonical(name), []).append(value.lstrip(b" \t").decode("latin-1"))
    return headers


def _canonical(name: bytes) -> str:
    """Write a header's name as Go does; one with a blank in it stays as it is."""
    text = name.decode("latin-1")
    return text if " " in text else "-".join(part.capitalize() for part in text.split("-"))


def _length(headers: Mapping[str, list[str]], version: tuple[int, int]) -> int:
    """Return the body's length, -1 for chunks (transfer.go, readTransfer)."""
    encodings = headers.get("Transfer-Encoding", []) if version >= (1, 1) else []
    if encodings and [encoding.lower() for encoding in encodings] != ["chunked"]:
        raise RefusedError("501 Not Implemented", "Unsupported transfer encoding")
    lengths = {value.strip(" \t") for value in headers.get("Content-Length", [])}
    if len(lengths) > 1 or not all(map(_is_length, lengths)):
        raise bad()
    if encodings:
        return -1
    return int(lengths.pop()) if lengths else 0


def _is_length(text: str) -> bool:
    """Whether strconv.ParseUint takes it with 63 bits."""
    digits = re.fullmatch("[0-9]{1,400}", text)
    return bool(digits) and int(text) < 1 << 63


def _check(request: Request) -> None:
    """Refuse what parses and yet is not served (server.go, conn.readRequest)."""
    if request.version[0] != 1 and not request.has_preface_line:
        raise RefusedError("505 HTTP Version Not Supported: unsupported protocol version")
    hosts = request.headers.get("Host", ())
    needs_host = request.modern and not request.prefaces_http2 and request.method != "CONNECT"
    if needs_host and not hosts:
        raise bad("missing required Host header")
    if hosts and _BAD_IN_HOST_HEADER.search(hosts[0]):
        raise bad("malformed Host header")
    if any(" " in name for name in request.headers):
        raise bad("invalid header name")


def read_body(data: bytes, length: int) -> int | None:
    """Return how many bytes of *data* are the body; None when it is too long or not in order.

    Raises MoreNeededError. A body that the handler has not read is read before the answer is sent
    (server.go, chunkWriter.writeHeader).
    """
    if length < 0:
        return _read_chunks(data)
    if length >= BODY_LIMIT:
        return None
    if len(data) < length:
        raise MoreNeededError
    return length


def _read_chunks(data: bytes) -> int | None:
    at = total = 0
    while True:
        size, at = _chunk_size(data, at)
        if size is None or (total := total + size) > BODY_LIMIT:
            return None
        if size == 0:
            return _read_trailer(data, at)
        if len(data) < at + size + 2:
            raise MoreNeededError
        if data[at + size : at + size + 2] != b"\r\n":
            return None
        at += size + 2


def _chunk_size(data: bytes, at: int) -> tuple[int | None, int]:
    end = data.find(b"\n", at)
    if end < 0:
        if len(data) - at > 4096:  # noqa: PLR2004 # internal/chunked.go, maxLineLength
            return None, at
        raise MoreNeededError
    found = _CHUNK_SIZE.fullmatch(data[at:end].removesuffix(b"\r"))
    return (int(found[1], 16) if found else None), end + 1


def _read_trailer(data: bytes, at: int) -> int | None:
    """Find the empty line that ends the chunks, after the trailer if there is one."""
    while True:
        end = data.find(b"\n", at)
        if end < 0:
            raise MoreNeededError
        line, at = data[at:end].removesuffix(b"\r"), end + 1
        if not line:
            return at
        if b":" not in line:
            return None
