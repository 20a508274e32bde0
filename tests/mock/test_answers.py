"""The admin port's answers to what was not recorded: the rules of Go's net/http, and of gin."""

import json
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from probe.mock import model as models
from probe.mock.answers import BUFFERED
from probe.mock.answers import PLAIN_TO_TLS
from probe.mock.answers import Admin
from probe.mock.answers import Reply
from probe.mock.answers import admin
from probe.mock.answers import answer
from probe.mock.answers import format_date
from probe.mock.answers import format_duration
from probe.mock.gohttp import HEAD_LIMIT
from probe.mock.model import Settings
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item

NOW = 1_795_489_665.25
SYNC = admin(models.settled(Settings("sync"), NOW), NOW)
PROXY = admin(models.settled(Settings("proxy"), NOW), NOW)
GUARDED = replace(SYNC, username="user", password="pass word")
RIGHT = "Authorization: Basic dXNlcjpwYXNzIHdvcmQ="
PATH = "/health/application"

OK = "HTTP/1.1 200 OK"
BAD = "HTTP/1.1 400 Bad Request"
NOT_FOUND = "HTTP/1.1 404 Not Found"
NO_HOST = f"{BAD}: missing required Host header"
BAD_HOST = f"{BAD}: malformed Host header"
BAD_NAME = f"{BAD}: invalid header name"
UNAUTHORIZED = "HTTP/1.1 401 Unauthorized"
MOVED = "HTTP/1.1 301 Moved Permanently"
VERSION = "HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version"
ENCODING = "HTTP/1.1 501 Not Implemented"
LARGE = "HTTP/1.1 431 Request Header Fields Too Large"
EXPECTATION = "HTTP/1.1 417 Expectation Failed"


def ask(data: bytes, state: Admin = SYNC) -> Reply | None:
    return answer(data, state, now=NOW, shuffle=lambda items: items.reverse())


def told(data: bytes, state: Admin = SYNC) -> Reply:
    reply = ask(data, state)
    assert reply
    return reply


def request(
    target: str = PATH, *headers: str, method: str = "GET", version: str = "HTTP/1.1"
) -> bytes:
    lines = [f"{method} {target} {version}", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def line_of(reply: Reply) -> str:
    return reply.payload.partition(b"\r\n")[0].decode()


def headers_of(reply: Reply) -> dict[str, str]:
    head = reply.payload.partition(b"\r\n\r\n")[0].decode("latin-1")
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])


def body_of(reply: Reply) -> bytes:
    return reply.payload.partition(b"\r\n\r\n")[2]


# Request line and headers: what is asked, the status line, whether the connection ends.

LINES = [
    (b"GET /health/application HTTP/1.1\r\nHost:\r\n\r\n", OK, False),
    (b"GET /health/application HTTP/1.1\nHost: x\n\n", OK, False),
    (b"GET /health/application HTTP/1.9\r\nHost: x\r\n\r\n", OK, False),
    (b"GET /health/application HTTP/1.2\r\n\r\n", NO_HOST, True),
    (b"GET /health/application HTTP/2.0\r\nHost: x\r\n\r\n", VERSION, True),
    (b"GET /health/application HTTP/0.9\r\nHost: x\r\n\r\n", VERSION, True),
    (b"GET /health/application HTTP/1.10\r\n", BAD, True),
    (b"GET /health/application http/1.1\r\n", BAD, True),
    (b"GET /health/application HTTP/1.1 \r\n", BAD, True),
    (b"GET  /health/application HTTP/1.1\r\n", BAD, True),
    (b" GET /health/application HTTP/1.1\r\n", BAD, True),
    (b"GET /health/application\r\n", BAD, True),
    (b"G(T /health/application HTTP/1.1\r\n", BAD, True),
    (b"\r\nGET /health/application HTTP/1.1\r\n", BAD, True),
    (b"\n", BAD, True),
    (b"hello\r\n", BAD, True),
    (b"GET health/application HTTP/1.1\r\n", BAD, True),
    (b"GET /health/%zz HTTP/1.1\r\n", BAD, True),
    (b"GET /health/\x01 HTTP/1.1\r\n", BAD, True),
    (b"GET :3010/ HTTP/1.1\r\n", BAD, True),
    (b"GET http://[::1/health HTTP/1.1\r\n", BAD, True),
    (b"GET http://h:port/health HTTP/1.1\r\n", BAD, True),
    (b"GET http://h<>/health HTTP/1.1\r\n", BAD, True),
    (b"GET http://[::1]:3010/health/application HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", True),
    (b"GET http:/health/application HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", True),
    (b"GET mailto:x HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found", True),
    (b"CONNECT x:1 HTTP/1.1\r\n\r\n", NOT_FOUND, False),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", OK, False),
    (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", NOT_FOUND, False),
    (b"PRI * HTTP/2.0\r\nHost: x\r\n\r\n", NOT_FOUND, False),
    (b"PRI /x HTTP/2.0\r\nHost: x\r\n\r\n", VERSION, True),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD_HOST, True),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD_HOST, True),
    (b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", BAD_HOST, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\n Host: x\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n", BAD_NAME, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX : z\r\n\r\n", BAD_NAME, True),
    (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", NO_HOST, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\n: z\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX(: z\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: \xff\r\n\r\n", NOT_FOUND, False),
    (b"GET /health/application HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", OK, False),
    (b"GET /health/application HTTP/1.1\r\nhOST: x\r\n\r\n", OK, False),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", BAD, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", ENCODING, True),
    (b"GET / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.0 404 Not Found", True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", EXPECTATION, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n", NOT_FOUND, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\n\r\n", NOT_FOUND, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n", NOT_FOUND, False),
    (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "HTTP/1.0 404 Not Found", False),
    (b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * HEAD_LIMIT, LARGE, True),
]


@pytest.mark.parametrize(("data", "line", "close"), LINES, ids=lambda value: str(value)[:60])
def test_request(data: bytes, line: str, close: bool) -> None:  # noqa: FBT001
    reply = told(data)
    assert (line_of(reply), reply.close) == (line, close)


INCOMPLETE = [
    b"",
    b"GET /health/application HTTP/1.1",
    b"GET /health/application HTTP/1.1\r\n",
    b"GET /health/application HTTP/1.1\r\nHost: x\r\n",
    b"GET /health/application HTTP/1.0\r\n\r",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
]


@pytest.mark.parametrize("data", INCOMPLETE, ids=repr)
def test_waits_for_more(data: bytes) -> None:
    assert ask(data) is None


@pytest.mark.parametrize(
    ("headers", "body", "close"),
    [
        ("Content-Length: 2", b"ab", False),
        ("Content-Length: 2\r\nContent-Length: 2", b"ab", False),
        ("Transfer-Encoding: chunked", b"2;x=y\r\nab\r\n0\r\n\r\n", False),
        ("Transfer-Encoding: chunked", b"0\r\nX: y\r\n\r\n", False),
        ("Transfer-Encoding: chunked", b"x\r\n", True),
        ("Transfer-Encoding: chunked", b"2\r\nabc\r\n", True),
        ("Transfer-Encoding: chunked", b"0\r\nno colon\r\n", True),
        ("Transfer-Encoding: chunked", b"f" * 5000, True),
        ("Transfer-Encoding: chunked", b"fffffff\r\n", True),
        ("Content-Length: 262144", b"", True),
        ("Content-Length: 2\r\nExpect: 100-continue", b"", True),
        ("Content-Length: 2\r\nConnection: close", b"", True),
    ],
)
def test_body(headers: str, body: bytes, close: bool) -> None:  # noqa: FBT001
    """A body that nobody reads is read before the answer, up to a limit, or the connection ends."""
    data = request("/x", headers, method="POST") + body
    reply = told(data + (b"" if close else b"GET"))
    assert line_of(reply) == NOT_FOUND
    assert (reply.close, reply.consumed) == (close, len(data))
    assert headers_of(reply).get("Connection") == ("close" if close else None)


ROUTES = [
    ("/health/application?", OK),
    ("/health%2fapplication", OK),
    ("/%68ealth/application", OK),
    ("/health/application#x", NOT_FOUND),
    ("/health/application/x", NOT_FOUND),
    ("/health/application//", NOT_FOUND),
    ("/health/../health/application", NOT_FOUND),
    ("//health/application", NOT_FOUND),
    ("/health/", NOT_FOUND),
    ("/info", NOT_FOUND),
    ("/info/", NOT_FOUND),
    ("/info/ping", OK),
    ("/info/version", OK),
    ("/info/uptime", OK),
    ("/info/config", OK),
    ("/info/Ping", NOT_FOUND),
    ("/info/ping/", MOVED),
    ("/admin", NOT_FOUND),
    ("/admin/dashboard", OK),
    ("/admin/dashboard/", MOVED),
    ("/admin/dashboard/stats", OK),
    ("/admin/dashboard/segmentKeys/s", OK),
    ("/admin/dashboard/segmentKeys/", NOT_FOUND),
    ("/admin/observability", OK),
    ("/admin/snapshot", NOT_FOUND),
    ("/shutdown", NOT_FOUND),
    ("/shutdown/stop", NOT_FOUND),
    ("/shutdown/stop/", NOT_FOUND),
    ("/shutdown/stop//", MOVED),
    ("/shutdown/stop/a/b", NOT_FOUND),
    ("/shutdown/stop/nope", BAD),
    ("/shutdown/stop/nope/", MOVED),
    ("/favicon.ico", NOT_FOUND),
]


@pytest.mark.parametrize(("target", "line"), ROUTES)
def test_route(target: str, line: str) -> None:
    reply = told(request(target))
    assert line_of(reply) == line
    assert not reply.close


def test_the_proxy_has_a_snapshot() -> None:
    reply = told(request("/admin/snapshot"), PROXY)
    assert list(headers_of(reply)) == [
        "Content-Disposition", "Content-Length", "Content-Type", "Date",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"])
def test_other_methods_are_not_found(method: str) -> None:
    reply = told(request(method=method))
    assert line_of(reply) == NOT_FOUND
    assert headers_of(reply)["Content-Length"] == "18"
    assert body_of(reply) == (b"" if method == "HEAD" else b"404 page not found")


@pytest.mark.parametrize(
    ("headers", "target", "location", "body"),
    [
        ([], "/health/application/", PATH, PATH),
        ([], "/health/application/?a=1&b", f"{PATH}?a=1&b", f"{PATH}?a=1&amp;b"),
        ([], "/health/application/?", f"{PATH}?", f"{PATH}?"),
        ([], "HTTP://h:1/health/application/?x", f"http://h:1{PATH}?x", f"http://h:1{PATH}?x"),
        ([], "/shutdown/stop/%20%C3%A9/", "/shutdown/stop/%20%C3%A9", "/shutdown/stop/%20%C3%A9"),
        (["X-Forwarded-Prefix: /a/../b//c"], "/info/ping/", "/b/c/info/ping", "/b/c/info/ping"),
        (["X-Forwarded-Prefix: ."], "/info/ping/", "/info/ping", "/info/ping"),
    ],
)
def test_redirect(headers: list[str], target: str, location: str, body: str) -> None:
    reply = told(request(target, *headers))
    assert list(headers_of(reply)) == ["Content-Type", "Location", "Date", "Content-Length"]
    assert headers_of(reply)["Location"] == location
    assert body_of(reply) == f'<a href="{body}">Moved Permanently</a>.\n\n'.encode()


@pytest.mark.parametrize(
    ("target", "headers", "line"),
    [
        (PATH, [], OK),
        ("/health/dependencies", ["Authorization: Basic x"], OK),
        ("/info/ping", [], UNAUTHORIZED),
        ("/info/ping", [RIGHT], OK),
        ("/info/ping", [RIGHT + "=="], UNAUTHORIZED),
        ("/info/ping", [RIGHT.replace("Basic", "basic")], UNAUTHORIZED),
        ("/admin/dashboard", [], UNAUTHORIZED),
        ("/shutdown/stop/graceful", [], UNAUTHORIZED),
        ("/nope", [], NOT_FOUND),
        ("/info/ping/", [], MOVED),
    ],
)
def test_basic_auth(target: str, headers: list[str], line: str) -> None:
    reply = told(request(target, *headers), GUARDED)
    assert line_of(reply) == line
    assert reply.action is None


@pytest.mark.parametrize("half", [{"username": "u"}, {"password": "p"}])
def test_half_a_credential_guards_nothing(half: dict[str, str]) -> None:
    state = replace(SYNC, username=half.get("username", ""), password=half.get("password", ""))
    assert line_of(told(request("/info/ping"), state)) == OK


@pytest.mark.parametrize(
    ("word", "body", "action"),
    [
        ("graceful", b"Signal has been sent: ", "stop"),
        ("force", b"Signal has been sent: force", "stop"),
        ("Force", b"Invalid sign type: ", None),
    ],
)
def test_shutdown(word: str, body: bytes, action: str | None) -> None:
    reply = told(request(f"/shutdown/stop/{word}"))
    assert (body_of(reply), reply.action) == (body, action)


@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("/info/version", {"version": "5.12.4"}),
        ("/info/uptime", {"uptime": "1m23s"}),
    ],
)
def test_info(target: str, document: dict[str, str]) -> None:
    assert json.loads(body_of(told(request(target)))) == document


@pytest.mark.parametrize("state", [SYNC, PROXY], ids=["sync", "proxy"])
def test_config(state: Admin) -> None:
    """By default it tells the defaults; whoever gives one has that told."""
    _, _, rest = told(request("/info/config", version="HTTP/1.0"), state).payload.partition(
        b"\r\n\r\n"
    )
    assert json.loads(rest)["config"]["admin"]["port"] == 3010


def test_config_given() -> None:
    body = body_of(told(request("/info/config"), replace(SYNC, config={"apikey": "<&>"})))
    assert body == b'{"config":{"apikey":"\\u003c\\u0026\\u003e"}}'


def test_items_are_shuffled_and_storage_is_last() -> None:
    def names(state: Admin) -> list[str]:
        return [item["name"] for item in json.loads(body_of(told(request(), state)))["items"]]

    assert names(SYNC) == ["Segments", "Splits", "Storage"]
    assert names(PROXY) == ["LargeSegments", "Segments", "Splits"]


def test_no_items() -> None:
    health = replace(SYNC.health, items=())
    assert b'"items":[]' in told(request(), replace(SYNC, health=health)).payload


def test_unhealthy() -> None:
    state = admin(models.unhealthy(Settings("sync"), NOW), NOW)
    reply = told(request(), state)
    assert line_of(reply) == "HTTP/1.1 500 Internal Server Error"
    assert body_of(reply).startswith(b'{"healthy":false,"healthySince":null,"items":[{')


def sized(size: int) -> Admin:
    """Return a state whose body on dependencies has so many bytes."""
    row = Dependency("x" * (size - 80), healthy=True)
    dependencies = DependenciesHealth("healthy", (row,))
    return replace(SYNC, dependencies=dependencies)


@pytest.mark.parametrize(
    ("over", "version", "headers", "close"),
    [
        (0, "HTTP/1.1", ["Content-Length"], False),
        (1, "HTTP/1.1", ["Transfer-Encoding"], False),
        (0, "HTTP/1.0", ["Content-Length", "Connection"], False),
        (1, "HTTP/1.0", [], True),
    ],
)
def test_length_or_chunks(
    over: int,
    version: str,
    headers: list[str],
    close: bool,  # noqa: FBT001
) -> None:
    """Go buffers 2048 bytes to know the length."""
    asked = request("/health/dependencies", "Connection: keep-alive", version=version)
    size = len(body_of(told(asked, sized(100))))
    reply = told(asked, sized(100 + BUFFERED + over - size))
    assert [name for name in headers_of(reply) if name not in {"Content-Type", "Date"}] == headers
    assert reply.close == close
    chunk = b"%x\r\n" % (BUFFERED + 1)
    assert body_of(reply).startswith(chunk) == (headers == ["Transfer-Encoding"])


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"GET /", PLAIN_TO_TLS),
        (b"HEAD x", PLAIN_TO_TLS),
        (b"POST x", PLAIN_TO_TLS),
        (b"OPTIONS", PLAIN_TO_TLS),
        (b"DELETE /", b""),
        (b"GET *", b""),
        (b"hello", b""),
    ],
)
def test_plain_on_a_tls_port(data: bytes, payload: bytes) -> None:
    assert ask(data, replace(SYNC, tls=True)) == Reply(payload, len(data), close=True)


def test_a_tls_port_reads_five_bytes() -> None:
    assert ask(b"GET ", replace(SYNC, tls=True)) is None


def test_server_options() -> None:
    reply = told(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    assert list(headers_of(reply)) == ["Content-Length", "Date"]


def test_expectation_failed() -> None:
    reply = told(request("/", "Expect: x", version="HTTP/1.0"))
    assert headers_of(reply) == {
        "Connection": "close",
        "Date": "Tue, 24 Nov 2026 03:07:45 GMT",
        "Content-Length": "0",
    }


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.5, "1s"), (59.4, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (90061, "25h1m1s")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown


def test_date() -> None:
    assert format_date(NOW) == "Tue, 24 Nov 2026 03:07:45 GMT"
    assert format_date(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"


# Whole, in pieces, in a row.

PIECES = [data for data, *_ in LINES if len(data) < 1000] + [
    request(),
    request("/health/dependencies", version="HTTP/1.0"),
    request("/x", "Content-Length: 3", method="POST") + b"abc",
    request("/x", "Transfer-Encoding: chunked", method="POST") + b"1\r\na\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", PIECES, ids=lambda data: str(data)[:60])
def test_byte_by_byte(data: bytes) -> None:
    """Nothing is said at a prefix but what is said in the end."""
    whole = ask(data)
    for end in range(len(data) + 1):
        if reply := ask(data[:end]):
            assert whole
            assert reply.payload == whole.payload
            assert reply.close == whole.close
            return
    assert whole is None


def test_pipelined() -> None:
    data = request() + request("/health/dependencies") + request("/x", "Connection: close")
    lines = []
    while data:
        reply = told(data)
        lines.append((line_of(reply), reply.close))
        data = data[reply.consumed :]
    assert lines == [(OK, False), (OK, False), (NOT_FOUND, True)]


ODD = st.sampled_from(
    [b"GET", b" ", b"/", b"/health/application", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b":",
     b"Host: x", b"%", b"%2f", b"?", b"http://", b"[", b"Content-Length: 3", b"\t", b"Expect: ",
     b"Transfer-Encoding: chunked", b"100-continue", b"Connection: keep-alive", b"0", b"PRI",
     b"X-Forwarded-Prefix: ../..", b"*", b"/shutdown/stop/", b"\xc3\xa9", b"\x00"]
)  # fmt: skip
BYTES = st.binary(max_size=60) | st.lists(ODD | st.binary(max_size=3), max_size=25).map(b"".join)


@given(data=BYTES, state=st.sampled_from([SYNC, PROXY, GUARDED, replace(SYNC, tls=True)]))
@example(data=b"GET /\xff/ HTTP/1.0\r\n\r\n", state=SYNC)
@example(data=b"GET /shutdown/stop/\xff/ HTTP/1.0\r\n\r\n", state=SYNC)
@example(data=b"GET http://\xff/info/ping/ HTTP/1.0\r\n\r\n", state=SYNC)
@example(data=b"GET /info/ping/?\xff HTTP/1.0\r\n\r\n", state=SYNC)
@example(data=b"GET / HTTP/1.0\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", state=SYNC)
def test_any_bytes(data: bytes, state: Admin) -> None:
    """Never an exception; never more consumed than there was; pieces say what the whole says."""
    ask_this = partial(ask, state=state)
    whole = ask_this(data)
    if whole:
        assert 0 < whole.consumed <= len(data)
        assert whole.payload.startswith(b"HTTP/1.") or state.tls
    first = next((reply for end in range(len(data)) if (reply := ask_this(data[:end]))), whole)
    assert (first and (first.payload, first.close)) == (whole and (whole.payload, whole.close))


def test_items_stay_as_they_are() -> None:
    """The state is not touched by the shuffling."""
    before = SYNC.health.items
    told(request())
    assert SYNC.health.items == before
    assert isinstance(before[0], Item)
