"""The bytes of the admin port's answers, as a pure function of the request's bytes and the state.

Go's net/http reads and frames (server.go, request.go, textproto/reader.go), gin routes; both are
followed where a health check, or a person with curl, can see it. Recorded answers are the test.
"""

import base64
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from urllib.parse import unquote_to_bytes

from probe.mock import model as models
from probe.mock.model import Model
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import write_application
from probe.synchronizer.health import write_dependencies

VERSION = "5.12.4"
PLAIN_TO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What a TLS port says to a plain question; to what does not look like HTTP it says nothing."""

HEADER_LIMIT = (1 << 20) + 4096  # server.go: DefaultMaxHeaderBytes plus slop
CHUNK_FROM = 2048  # server.go: bufferBeforeChunkingSize
BODY_LIMIT = 256 << 10  # server.go: maxPostHandlerReadBytes

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
STATUS = {
    200: "OK",
    301: "Moved Permanently",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    505: "HTTP Version Not Supported",
}

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_HOST = re.compile(rb"[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

Shuffle = Callable[[list[object]], None]


@dataclass(frozen=True, slots=True)
class Admin:
    """What the admin server answers from."""

    model: Model
    username: str = ""
    password: str = ""

    @property
    def guarded(self) -> bool:
        return bool(self.username and self.password)


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to send, how many of the request's were used, and what comes after.

    `action` is "stop" where the question was to end the process.
    """

    payload: bytes
    consumed: int
    close: bool
    action: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head; `minor` is the version's part after the dot."""

    method: str
    target: str
    minor: int
    fields: Mapping[str, list[str]]
    http2: bool = False

    @property
    def keeps(self) -> bool:
        """Whether the connection stays, by the client's wish (RFC 9112, 9.3)."""
        wishes = ",".join(self.fields.get("connection", [])).lower().split(",")
        tokens = {wish.strip() for wish in wishes}
        if self.http2 or "close" in tokens:
            return False
        return self.minor > 0 or "keep-alive" in tokens


@dataclass(frozen=True, slots=True)
class Content:
    """What a route gives: status, its own fields, body."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    action: str = ""


class RefusedError(Exception):
    """net/http refuses the request before any route sees it: status and text."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(f"{status} {STATUS[status]}" + (f": {text}" if text else ""))


def answer(data: bytes, admin: Admin, *, now: float, shuffle: Shuffle) -> Reply | None:
    """Answer the first request in *data*; None where more of it is needed.

    *now* is UNIX time in seconds; *shuffle* orders a list anew in place, as Go's maps do.
    """
    try:
        head, end = _split_head(data)
        request = _read_head(head) if head else None
        if request is None:
            return None
        end = _body_end(request, data, end)
    except RefusedError as refusal:
        return Reply(_refusal(str(refusal)), len(data), close=True)
    if end is None:
        return None
    content = _route(request, admin, now, shuffle)
    payload, keeps = _frame(request, content, now)
    return Reply(payload, end, close=not keeps, action=content.action)


def _refusal(text: str) -> bytes:
    return (
        f"HTTP/1.1 {text}\r\nContent-Type: {TEXT}\r\nConnection: close\r\n\r\n{text}"
    ).encode()


# --- reading, as net/http does


def _split_head(data: bytes) -> tuple[list[bytes], int]:
    """Return the head's lines and where it ends; no lines where it is not whole yet."""
    lines: list[bytes] = []
    at = 0
    while (line_end := data.find(b"\n", at)) >= 0:
        line = data[at:line_end].removesuffix(b"\r")
        at = line_end + 1
        if not line and lines:
            return lines, at
        lines.append(line)
        if len(lines) == 1:
            _read_request_line(line)
        if at > HEADER_LIMIT:
            break
    if len(data) > HEADER_LIMIT:
        raise RefusedError(431)
    return [], 0


def _read_request_line(line: bytes) -> tuple[str, str, int, bool]:
    method, space, rest = line.partition(b" ")
    target, second, version = rest.partition(b" ")
    found = _VERSION.fullmatch(version)
    if not (space and second and _TOKEN.fullmatch(method) and found):
        raise RefusedError(400)
    http2 = line == b"PRI * HTTP/2.0"
    text = target.decode("latin-1")
    if not http2 and method != b"CONNECT":
        _check_target(text)
    if not http2 and found[1] != b"1":
        raise RefusedError(505, "unsupported protocol version")
    return method.decode("ascii"), text, int(found[2]), http2


def _check_target(target: str) -> None:
    """Refuse what url.ParseRequestURI refuses."""
    path = _SCHEME.sub("", target).partition("?")[0]
    control = any(ord(c) < 0x20 or ord(c) == 0x7F for c in target)  # noqa: PLR2004
    if target != "*" and (not target.startswith("/") and not _SCHEME.match(target)):
        raise RefusedError(400)
    if control or _BAD_ESCAPE.search(path):
        raise RefusedError(400)


def _read_head(lines: list[bytes]) -> Request:
    method, target, minor, http2 = _read_request_line(lines[0])
    fields: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            raise RefusedError(400)
        fields.setdefault(name.decode().lower(), []).append(value.strip(b" \t").decode("latin-1"))
    request = Request(method, target, minor, fields, http2)
    _check_host(request)
    return request


def _check_host(request: Request) -> None:
    hosts = request.fields.get("host", [])
    if len(hosts) > 1:
        raise RefusedError(400, "too many Host headers")
    if request.minor >= 1 and not hosts and not request.http2 and request.method != "CONNECT":
        raise RefusedError(400, "missing required Host header")
    if hosts and not _HOST.fullmatch(hosts[0].encode("latin-1")):
        raise RefusedError(400, "malformed Host header")


def _body_end(request: Request, data: bytes, head_end: int) -> int | None:
    """Return where the request's body ends, None where it has not all come."""
    lengths = set(request.fields.get("content-length", []))
    if not lengths:
        return head_end
    if len(lengths) > 1 or not min(lengths).isascii() or not min(lengths).isdigit():
        raise RefusedError(400)
    length = min(int(min(lengths)[:12]), BODY_LIMIT)
    return head_end + length if len(data) >= head_end + length else None


# --- routing, as gin does


def _path(target: str) -> str:
    """Return the decoded path, which gin routes by."""
    path = _SCHEME.sub("", target).partition("?")[0]
    return unquote_to_bytes(path).decode("utf-8", "replace")


def _json(body: bytes, status: int = 200) -> Content:
    return Content(status, (("Content-Type", JSON),), body)


def _text(body: str, status: int = 200, action: str = "") -> Content:
    return Content(status, (("Content-Type", TEXT),), body.encode(), action)


def _application(admin: Admin, now: float, shuffle: Shuffle) -> Content:
    health = models.health(admin.model, now)
    # A Go map of counters comes in a random order; Storage is appended after it.
    counters: list[object] = [item for item in health.items if item.name != "Storage"]
    shuffle(counters)
    rest = [item for item in health.items if item.name == "Storage"]
    items = (*counters, *rest)
    body = write_application(ApplicationHealth(health.healthy, health.healthy_since, items))  # type: ignore[arg-type]
    return _json(body, 200 if health.healthy else 500)


def _uptime(admin: Admin, now: float) -> str:
    seconds = int(now - admin.model.started)
    hours, minutes = divmod(seconds // 60, 60)
    text = f"{hours}h" if hours else ""
    return text + (f"{minutes}m" if hours or minutes else "") + f"{seconds % 60}s"


Handler = Callable[[Admin, float, Shuffle], Content]
ROUTES: dict[str, Handler] = {
    "/health/application": _application,
    "/health/dependencies": lambda admin, now, _: _json(
        write_dependencies(models.dependencies(admin.model, now))
    ),
    "/info/version": lambda *_: _json(f'{{"version":"{VERSION}"}}'.encode()),
    "/info/ping": lambda *_: _text("pong"),
    "/info/uptime": lambda admin, now, _: _json(f'{{"uptime":"{_uptime(admin, now)}"}}'.encode()),
    "/info/config": lambda *_: _json(b'{"config":{}}'),
    "/admin/dashboard": lambda *_: Content(
        200, (("Content-Type", "text/html; charset=utf-8"),), b"<html></html>"
    ),
}
_STOPS = {
    "graceful": _text("Signal has been sent: ", action="stop"),
    "force": _text("Signal has been sent: force", action="stop"),
}
_STOP = "/shutdown/stop/"
_GUARDED = ("/info/", "/admin/", "/shutdown/")


def _handler(path: str) -> Handler | None:
    sign = path.removeprefix(_STOP)
    if path.startswith(_STOP) and sign and "/" not in sign:
        return lambda *_: _STOPS.get(sign, _text("Invalid sign type: ", 400))
    return ROUTES.get(path)


def _route(request: Request, admin: Admin, now: float, shuffle: Shuffle) -> Content:
    path = _path(request.target)
    if request.method == "OPTIONS" and request.target == "*":
        return Content(200, ())
    if request.method == "GET":
        if handler := _handler(path):
            guarded = admin.guarded and path.startswith(_GUARDED)
            return handler(admin, now, shuffle) if not guarded or _allowed(request, admin) else _401
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        if _handler(other):
            return _redirect(request.target, path, other)
    return Content(404, (("Content-Type", "text/plain"),), b"404 page not found")


_401 = Content(401, (("Www-Authenticate", 'Basic realm="Authorization Required"'),))


def _allowed(request: Request, admin: Admin) -> bool:
    secret = base64.b64encode(f"{admin.username}:{admin.password}".encode()).decode()
    return request.fields.get("authorization", [""])[0] == f"Basic {secret}"


def _redirect(target: str, path: str, other: str) -> Content:
    location = target.replace(path, other, 1)
    escaped = location.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace('"', "&#34;").replace("'", "&#39;")
    body = f'<a href="{escaped}">Moved Permanently</a>.\n\n'.encode()
    fields = (("Content-Type", "text/html; charset=utf-8"), ("Location", location))
    return Content(301, fields, body)


# --- framing, as net/http does: the handler's fields sorted, then its own in a fixed order


def _frame(request: Request, content: Content, now: float) -> tuple[bytes, bool]:
    """Return the answer's bytes and whether the connection stays."""
    old = request.minor == 0 and not request.http2
    sized = len(content.body) <= CHUNK_FROM
    keeps = request.keeps and (sized or not old)
    lines = [f"HTTP/1.{0 if old else 1} {content.status} {STATUS[content.status]}"]
    lines += [f"{name}: {value}" for name, value in sorted(content.fields)]
    date = datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    own = [f"Date: {date}"]
    if sized:
        own.append(f"Content-Length: {len(content.body)}")
    if old and keeps:
        own.append("Connection: keep-alive")
    elif not old and not keeps:
        own.append("Connection: close")
    if not sized and not old:
        own.append("Transfer-Encoding: chunked")
    head = "\r\n".join([*lines, *own, "", ""]).encode("latin-1")
    body = content.body if sized or old else _chunk(content.body)
    return head + (b"" if request.method == "HEAD" else body), keeps


def _chunk(body: bytes) -> bytes:
    """Frame as chunks: gin writes the whole body at once, which is one chunk."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
