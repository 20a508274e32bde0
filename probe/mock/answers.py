"""What the admin port of split-sync and split-proxy 5.12.4 answers, byte for byte. Pure.

Routes are those of gin 1.10 as upstream's splitio/admin registers them; the framing is that of Go's
net/http (server.go, chunkWriter.writeHeader). Each rule was compared with recordings of the real
programs where there is one.
"""

import base64
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from typing import Any
from urllib.parse import quote

from probe.mock import model as models
from probe.mock.config import CONFIGS
from probe.mock.gohttp import MoreNeededError
from probe.mock.gohttp import RefusedError
from probe.mock.gohttp import Request
from probe.mock.gohttp import read_body
from probe.mock.gohttp import read_request
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Item
from probe.synchronizer.health import write_application
from probe.synchronizer.health import write_dependencies
from probe.synchronizer.health import write_json

VERSION = "5.12.4"
PLAIN_TO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
BUFFERED = 2048
"""A longer body gets no Content-Length (server.go, bufferBeforeChunkingSize)."""
_LOOKS_LIKE_HTTP = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO")
"""What a TLS port answers in plain (server.go, tlsRecordHeaderLooksLikeHTTP)."""
_TLS_RECORD_HEADER = 5

Shuffle = Callable[[list[Item]], None]


@dataclass(frozen=True, slots=True)
class Admin:
    """The state of the synchronizer, as its admin port shows it; `uptime` is in seconds.

    `tls` means that the port speaks TLS and that the bytes asked about came in plain. `config` is
    what /info/config tells, None the defaults.
    """

    health: ApplicationHealth
    dependencies: DependenciesHealth
    kind: str = "sync"
    username: str = ""
    password: str = ""
    version: str = VERSION
    uptime: float = 0.0
    tls: bool = False
    config: Mapping[str, Any] | None = None

    @property
    def authorization(self) -> str:
        """The one header that opens /admin, /info, /shutdown; "" leaves them open (upstream)."""
        if not self.username or not self.password:
            return ""
        both = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(both).decode()}"


def admin(
    model: models.Model, now: float, wall: models.Wall = models.unix, *, tls: bool = False
) -> Admin:
    """Return what the admin port of *model* shows at the time *now* of its clock."""
    return Admin(
        health=models.health(model, now, wall),
        dependencies=models.dependencies(model, now, wall),
        kind=model.kind,
        username=model.settings.username,
        password=model.settings.password,
        uptime=models.uptime(model, now),
        tls=tls,
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request: its bytes, how many of the question's it took, and what then.

    After `close` nothing more of the question counts. `action` "stop" asks to end the process.
    """

    payload: bytes
    consumed: int
    close: bool
    action: str | None = None


def answer(data: bytes, state: Admin, *, now: float, shuffle: Shuffle) -> Reply | None:
    """Answer the first request in *data*; None while it is not whole, as the real one waits on.

    *now* is UNIX time; *shuffle* brings a list into random order, like random.shuffle.
    """
    if state.tls:
        return _answer_in_plain(data)
    try:
        request = read_request(data)
        return _respond(request, data, _handle(request, state, shuffle), now)
    except MoreNeededError:
        return None
    except RefusedError as error:
        return Reply(error.payload, len(data), close=True)


def _answer_in_plain(data: bytes) -> Reply | None:
    """Five bytes are read; what does not look like HTTP gets no answer at all."""
    if len(data) < _TLS_RECORD_HEADER:
        return None
    payload = PLAIN_TO_TLS if data.startswith(_LOOKS_LIKE_HTTP) else b""
    return Reply(payload, len(data), close=True)


# Handlers.


@dataclass(frozen=True, slots=True)
class _Response:
    """What a handler said: headers as it set them, and a body whose type may be guessed."""

    status: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    guessed: str = ""
    action: str | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """What a handler gets: the state, the path's parameter, randomness."""

    state: Admin
    parameter: str
    shuffle: Shuffle


_OK = "200 OK"
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_NOT_FOUND = _Response("404 Not Found", b"404 page not found", {"Content-Type": "text/plain"})
_UNAUTHORIZED = _Response(
    "401 Unauthorized", headers={"Www-Authenticate": 'Basic realm="Authorization Required"'}
)
_EXPECTATION_FAILED = _Response("417 Expectation Failed", headers={"Connection": "close"})
_SERVER_OPTIONS = _Response(_OK, headers={"Content-Length": "0"})


def _application(question: _Question) -> _Response:
    health = question.state.health
    loops = [item for item in health.items if item.name != "Storage"]
    storage = [item for item in health.items if item.name == "Storage"]
    question.shuffle(loops)
    body = write_application(replace(health, items=(*loops, *storage)))
    return _Response(_OK if health.healthy else "500 Internal Server Error", body, _JSON)


def _dependencies(question: _Question) -> _Response:
    return _Response(_OK, write_dependencies(question.state.dependencies), _JSON)


def _json(document: Mapping[str, Any]) -> _Response:
    return _Response(_OK, write_json(dict(document)), _JSON)


def _uptime(question: _Question) -> _Response:
    return _json({"uptime": format_duration(question.state.uptime)})


def _version(question: _Question) -> _Response:
    return _json({"version": question.state.version})


def _ping(_question: _Question) -> _Response:
    return _Response(_OK, b"pong", _TEXT)


def _config(question: _Question) -> _Response:
    state = question.state
    return _json({"config": CONFIGS[state.kind] if state.config is None else state.config})


_STOPS = {"graceful": "", "force": "force"}


def _stop(question: _Question) -> _Response:
    """Upstream writes what it stops with only for `force`, and no word that it does not know."""
    if question.parameter not in _STOPS:
        return _Response("400 Bad Request", b"Invalid sign type: ", _TEXT)
    said = f"Signal has been sent: {_STOPS[question.parameter]}"
    return _Response(_OK, said.encode(), _TEXT, action="stop")


def _dashboard(question: _Question) -> _Response:
    """A stand-in, above the size from which an answer comes in chunks, like the real one."""
    title = f"Split {question.state.kind.capitalize()} {question.state.version}"
    body = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body></body></html>\n"
    return _Response(_OK, body.ljust(BUFFERED + 1).encode(), guessed="text/html; charset=utf-8")


def _stats(question: _Question) -> _Response:
    return _json({"uptime": int(question.state.uptime), "healthy": question.state.health.healthy})


def _segment_keys(_question: _Question) -> _Response:
    return _Response(_OK, b"[]", _JSON)


def _observability(_question: _Question) -> _Response:
    return _json({"activeSplits": [], "activeSegments": {}, "activeFlagSets": []})


def _snapshot(_question: _Question) -> _Response:
    """A stand-in without data; the real one takes its name from the time."""
    name = 'attachment; filename="split.proxy.0.snapshot"'
    headers = {"Content-Disposition": name, "Content-Length": "0"}
    return _Response(_OK, headers={**headers, "Content-Type": "application/octet-stream"})


@dataclass(frozen=True, slots=True)
class _Route:
    """A route for GET. One with `parameter` ends with it: a segment that is not empty."""

    path: str
    handler: Callable[[_Question], _Response]
    guarded: bool = True
    parameter: bool = False
    kinds: tuple[str, ...] = models.KINDS


_ROUTES = (
    _Route("/health/application", _application, guarded=False),
    _Route("/health/dependencies", _dependencies, guarded=False),
    _Route("/info/uptime", _uptime),
    _Route("/info/version", _version),
    _Route("/info/ping", _ping),
    _Route("/info/config", _config),
    _Route("/shutdown/stop/", _stop, parameter=True),
    _Route("/admin/dashboard", _dashboard),
    _Route("/admin/dashboard/stats", _stats),
    _Route("/admin/dashboard/segmentKeys/", _segment_keys, parameter=True),
    _Route("/admin/observability", _observability),
    _Route("/admin/snapshot", _snapshot, kinds=("proxy",)),
)


def _handle(request: Request, state: Admin, shuffle: Shuffle) -> _Response:
    """Choose and ask the handler; only GET has routes, and no other method is told so (gin)."""
    if request.first("Expect") and not request.expects_continue:
        return _EXPECTATION_FAILED
    if request.method == "OPTIONS" and request.uri == "*":
        return _SERVER_OPTIONS
    if request.method != "GET":
        return _NOT_FOUND
    path = request.target.path
    routes = [route for route in _ROUTES if state.kind in route.kinds]
    for route in routes:
        if _matches(route, path):
            return _ask(route, request, _Question(state, path[len(route.path) :], shuffle))
    if any(_misses_by_slash(route, path) for route in routes):
        return _redirect(request)
    return _NOT_FOUND


def _matches(route: _Route, path: str) -> bool:
    if not route.parameter:
        return path == route.path
    rest = path[len(route.path) :]
    return path.startswith(route.path) and rest != "" and "/" not in rest


def _misses_by_slash(route: _Route, path: str) -> bool:
    """Tell whether gin redirects (tree.go, tsr): even an empty parameter and a slash will do."""
    if not route.parameter:
        return path == f"{route.path}/"
    rest = path[len(route.path) :]
    return path.startswith(route.path) and rest.find("/") == len(rest) - 1 and rest != ""


def _ask(route: _Route, request: Request, question: _Question) -> _Response:
    """Guard the route where user and password are set (gin, BasicAuth: the header as a whole)."""
    wanted = question.state.authorization
    if route.guarded and wanted and request.first("Authorization") != wanted:
        return _UNAUTHORIZED
    return route.handler(question)


def _redirect(request: Request) -> _Response:
    """Point to the path without its slash (gin.go, redirectTrailingSlash; net/http, Redirect)."""
    path = _prefixed(request)[:-1]
    place = quote(path, safe="/$&+,:;=@-._~", encoding="latin-1")
    if not request.target.origin:
        place = _clean(place)
    place += request.target.query
    text = place.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace('"', "&#34;").replace("'", "&#39;")
    place = request.target.origin + place
    body = f'<a href="{request.target.origin}{text}">Moved Permanently</a>.\n\n'
    headers = {"Content-Type": "text/html; charset=utf-8", "Location": _ascii(place)}
    return _Response("301 Moved Permanently", body.encode("latin-1"), headers)


def _prefixed(request: Request) -> str:
    """Return the path as seen from before a reverse proxy, if that says so (gin.go)."""
    given = request.first("X-Forwarded-Prefix")
    path = request.target.path
    if not given or (prefix := _clean(given)) == ".":
        return path
    prefix = re.sub("/{2,}", "/", re.sub("[^a-zA-Z0-9/-]+", "", prefix))
    return f"{prefix}/{path}"


def _clean(path: str) -> str:
    """Do what Go's path.Clean does, but keep the slash at the end as http.Redirect does."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and (path.startswith("/") or (parts and parts[-1] != "..")):
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    joined = "/".join(parts)
    return f"/{joined}" if path.startswith("/") else joined or "."


def _ascii(text: str) -> str:
    """Escape what is not ASCII, as http.Redirect does for Location."""
    return "".join(c if c < "\x80" else f"%{ord(c):02x}" for c in text)


# Framing.


@dataclass(frozen=True, slots=True)
class _Framing:
    """How the response goes out: with or without length, kept open or closed."""

    length: bool
    close: bool
    connection: str


def _respond(request: Request, data: bytes, response: _Response, now: float) -> Reply:
    """Put the answer into bytes. Raises MoreNeededError while the request's body is not there."""
    framing = _framing(request, response)
    consumed = request.size
    if request.length and not framing.close:
        body = read_body(data[request.size :], request.length)
        if body is None:
            framing = replace(framing, close=True)
        else:
            consumed += body
    payload = _payload(request, response, _closing(framing, request, response), now)
    return Reply(payload, len(data) if framing.close else consumed, framing.close, response.action)


def _framing(request: Request, response: _Response) -> _Framing:
    is_head = request.method == "HEAD"
    given = "Content-Length" in response.headers
    length = given or (len(response.body) <= BUFFERED and not (is_head and not response.body))
    if request.keeps_alive and (is_head or length):
        connection, close = "keep-alive", False
    else:
        connection, close = "", not request.modern or request.closes
    if response.headers.get("Connection") == "close" or _leaves_body(request):
        close = True
    return _Framing(length, close, connection)


def _leaves_body(request: Request) -> bool:
    """Whether the body was never asked for: 100 Continue comes when a handler reads it."""
    return request.expects_continue and request.modern and request.length != 0


def _closing(framing: _Framing, request: Request, response: _Response) -> _Framing:
    """Say that the connection ends where that is not clear: HTTP/1.0 ends it anyway."""
    if not framing.close:
        return framing
    said = response.headers.get("Connection") == "close"
    return replace(framing, connection="close" if request.modern and not said else "")


def _payload(request: Request, response: _Response, framing: _Framing, now: float) -> bytes:
    has_body = request.method != "HEAD"
    chunked = has_body and request.modern and not framing.length
    headers = dict(sorted(response.headers.items()))
    headers["Date"] = format_date(now)
    if framing.length:
        headers.setdefault("Content-Length", str(len(response.body)))
    added = {
        "Content-Type": response.guessed if response.body else "",
        "Connection": framing.connection,
        "Transfer-Encoding": "chunked" if chunked else "",
    }
    headers |= {name: value for name, value in added.items() if value}
    lines = [f"HTTP/1.{int(request.modern)} {response.status}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    body = response.body if has_body else b""
    return head + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905 # to read


def format_date(now: float) -> str:
    """Write UNIX time as the Date header has it, whatever the locale."""
    moment = datetime.fromtimestamp(int(now), UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def format_duration(seconds: float) -> str:
    """Write whole seconds as Go's time.Duration does: 1h2m3s, 2m0s, 0s."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}h" if hours else ""
    shown += f"{minutes}m" if minutes or hours else ""
    return f"{shown}{rest}s"
