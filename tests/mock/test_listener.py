"""The listener on real sockets: one port through all its states, and clients that misbehave."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from probe.mock.faults import MODES
from probe.mock.server import CERTIFICATE
from probe.mock.server import Mock
from probe.mock.server import tls_context
from tests.support.probes import PROBES
from tests.support.probes import asking
from tests.support.probes import run

QUESTION = b"GET /health/application HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_QUESTION = b"GET /health/application HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock() as running:
        yield running


def connect(mock: Mock, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection((mock.host, mock.port), timeout)


def answers_until_end(client: socket.socket) -> bytes:
    data = b""
    while more := client.recv(65536):
        data += more
    return data


def one_answer(client: socket.socket) -> bytes:
    """Read a head and the body that it announces."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def line(mock: Mock, timeout: str = "5") -> str:
    return run(asking(PROBES["reference"], mock.port, "--timeout", timeout)).line


def test_one_port_through_all_its_states(mock: Mock) -> None:
    """Whatever came before, the mode that is set holds at once, on the same port."""
    port = mock.port
    for name in [
        "refuse",
        "healthy",
        "backlog",
        "healthy",
        "refuse",
        "backlog",
        "refuse",
        "garbage",
    ]:
        mock.set(name)
        assert line(mock, "1" if name == "backlog" else "5") == MODES[name].lines[0]
        assert mock.port == port


def test_the_port_is_kept_while_it_refuses(mock: Mock) -> None:
    mock.set("refuse")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((mock.host, mock.port))


def test_keep_alive_and_pipelining(mock: Mock) -> None:
    with connect(mock) as client:
        client.sendall(QUESTION)
        assert one_answer(client).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(QUESTION + LAST_QUESTION)
        assert answers_until_end(client).count(b"HTTP/1.1 200 OK\r\n") == 2
    assert [request.data for request in mock.requests] == [QUESTION, QUESTION, LAST_QUESTION]


def test_many_questions_at_once_delay_nobody(mock: Mock) -> None:
    with connect(mock) as client:
        client.settimeout(0.5)
        with suppress(TimeoutError):
            client.sendall(QUESTION * 20_000)
        assert line(mock) == "healthy: 200"


def test_a_large_question_is_kept_in_part(mock: Mock) -> None:
    with connect(mock) as client:
        client.sendall(QUESTION[:-2] + b"X: " + b"a" * (2 << 20) + b"\r\n\r\n")
        assert answers_until_end(client).startswith(b"HTTP/1.1 431 ")
    assert [len(request.data) for request in mock.requests] == [65536]


def test_a_question_byte_by_byte(mock: Mock) -> None:
    with connect(mock) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in LAST_QUESTION:
            client.sendall(bytes([byte]))
        assert answers_until_end(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_change_of_mode_ends_idle_connections(mock: Mock) -> None:
    with connect(mock) as client:
        client.sendall(QUESTION)
        one_answer(client)
        mock.set("unhealthy")
        assert client.recv(1) == b""


def test_requests_have_their_time(mock: Mock) -> None:
    before = time.time()
    line(mock)
    (request,) = mock.requests
    assert before <= request.at <= time.time()
    mock.forget()
    assert mock.requests == []


@pytest.mark.parametrize("name", ["healthy", "hang", "drip", "endless-header", "keep-alive"])
def test_clients_that_leave_do_no_harm(mock: Mock, name: str) -> None:
    mock.set(name)
    for _ in range(20):
        client = connect(mock)
        with suppress(OSError):
            client.sendall(LAST_QUESTION[:30] if name == "healthy" else LAST_QUESTION)
        client.close()
    mock.set("healthy")
    assert line(mock) == "healthy: 200"


def test_a_client_that_reads_nothing_delays_nobody(mock: Mock) -> None:
    mock.set("endless-line")
    with connect(mock) as client:
        client.sendall(LAST_QUESTION)
        time.sleep(0.2)
        mock.set("healthy")
        assert line(mock) == "healthy: 200"


def test_stop_leaves_nothing() -> None:
    before = threading.active_count()
    with Mock(mode="hang", control_port=0) as mock:
        client = connect(mock)
        client.sendall(QUESTION)
        assert threading.active_count() > before
    with client:
        assert client.recv(1) == b""
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        connect(mock)
    mock.stop()


def test_a_taken_port_is_told(mock: Mock) -> None:
    with pytest.raises(OSError, match="in use"):
        Mock(port=mock.port).start()


def test_ipv6() -> None:
    with Mock(host="::1") as mock:
        command = asking(PROBES["reference"], mock.port, "--host", "::1")
        assert run(command).line == "healthy: 200"
        mock.set("backlog")
        assert run([*command, "--timeout", "1"]).line == "unhealthy: timeout"


def test_flapping_goes_by_turns(mock: Mock) -> None:
    mock.set("flapping")
    assert [line(mock) for _ in range(4)] == list(MODES["flapping"].lines) * 2


def test_turns_begin_with_the_mode(mock: Mock) -> None:
    """What fills the queue for mode backlog takes nobody's turn."""
    for name in ["backlog", "flapping"]:
        mock.set(name)
    assert line(mock) == "healthy: 200"


def test_script(mock: Mock) -> None:
    mock.set("script", [["read_request"], ["send_hex", b"HTTP/1.0 204\n".hex()], ["close"]])
    assert line(mock) == "unhealthy: status 204"


@pytest.fixture
def tls_mock() -> Iterator[Mock]:
    with Mock(tls=tls_context()) as running:
        yield running


def encrypted(mock: Mock, name: str = "localhost") -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=CERTIFICATE)
    return context.wrap_socket(connect(mock), server_hostname=name)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_tls(tls_mock: Mock, name: str) -> None:
    with encrypted(tls_mock, name) as client:
        client.sendall(QUESTION)
        assert one_answer(client).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(LAST_QUESTION)
        assert answers_until_end(client).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("question", [QUESTION, b"GET /\r\n"], ids=["whole", "short"])
def test_a_plain_question_on_the_tls_port(tls_mock: Mock, question: bytes) -> None:
    with connect(tls_mock) as client:
        client.sendall(question)
        assert answers_until_end(client) == (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        )


@pytest.mark.parametrize("name", ["garbage", "reset-mid", "endless-header", "early-close"])
def test_faults_under_tls(tls_mock: Mock, name: str) -> None:
    tls_mock.set(name)
    command = asking(PROBES["reference"], tls_mock.port, "--tls", "--insecure")
    assert run(command).line == MODES[name].lines[0]


def test_half_a_handshake_and_none(tls_mock: Mock) -> None:
    for data in [b"", b"\x16", b"\x16\x03\x01\xff\xffgarbage"]:
        with connect(tls_mock) as client:
            client.sendall(data)
    with encrypted(tls_mock) as client:
        client.sendall(LAST_QUESTION)
        assert answers_until_end(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_plain_question_that_is_no_http(tls_mock: Mock) -> None:
    with connect(tls_mock) as client:
        client.sendall(b"PING\r\n")
        assert answers_until_end(client) == b""


def test_sticky_500_on_a_fast_clock() -> None:
    """Redis gone stops a sync loop; mended, the answer stays 500 as the real one's does."""
    with Mock(time_scale=600, redis="refused") as mock:
        assert mock.expected == "healthy: 200"
        _wait_for(mock, "unhealthy: status 500")
        assert line(mock) == "unhealthy: status 500"
        mock.conditions(redis="ok")
        time.sleep(0.5)
        assert line(mock) == "unhealthy: status 500"


def test_conditions_outlast_the_mode() -> None:
    with Mock(time_scale=600, redis="refused") as mock:
        mock.set("hang")
        mock.set("healthy")
        _wait_for(mock, "unhealthy: status 500")


def test_wrong_conditions_and_kinds(mock: Mock) -> None:
    with pytest.raises(ValueError, match="redis: 'down' is none of ok, refused, hang"):
        mock.conditions(redis="down")
    with pytest.raises(ValueError, match="backend: '200' is none of ok, 500, refused, hang"):
        Mock(backend="200")
    with pytest.raises(ValueError, match="kind: 'agent' is none of sync, proxy"):
        Mock(kind="agent")


def test_a_proxy_that_starts_has_its_port_closed() -> None:
    with Mock(kind="proxy", mode="starting") as mock:
        assert mock.expected.startswith("unhealthy: refused")
        assert line(mock) == mock.expected
        mock.set("healthy")
        assert line(mock) == "healthy: 200"


def test_a_graceful_stop_closes_the_port(mock: Mock) -> None:
    with connect(mock) as client:
        client.sendall(b"GET /shutdown/stop/graceful HTTP/1.0\r\n\r\n")
        assert answers_until_end(client).startswith(b"HTTP/1.0 200 OK\r\n")
    refused = MODES["refuse"].verdict
    _wait_for(mock, refused)
    assert line(mock) == refused
    mock.set("healthy")
    assert line(mock) == "healthy: 200"


def test_basic_auth_leaves_health_open() -> None:
    with Mock(username="admin", password="secret") as mock:
        assert line(mock) == "healthy: 200"
        with connect(mock) as client:
            client.sendall(b"GET /info/version HTTP/1.0\r\n\r\n")
            assert answers_until_end(client).startswith(b"HTTP/1.0 401 ")


def _wait_for(mock: Mock, expected: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while mock.expected != expected:
        assert time.monotonic() < deadline, mock.expected
        time.sleep(0.02)
