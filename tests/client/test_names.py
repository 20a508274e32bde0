"""Name look-up: addresses in the resolver's order, the last error counts, the deadline holds."""

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from probe import Target
from probe import Verdict
from probe import acheck
from probe import check
from probe.client.names import look_up_within
from probe.client.names import numeric
from tests.support.probes import LATENESS
from tests.support.servers import LOOPBACK
from tests.support.servers import Ports

Probe = Callable[[Target], Verdict]
PROBES: dict[str, Probe] = {
    "blocking": check,
    "asyncio": lambda target: asyncio.run(acheck(target)),
}
NAME = "service.example"


@pytest.fixture(params=PROBES)
def probe(request: pytest.FixtureRequest) -> Probe:
    return PROBES[request.param]


Resolve = Callable[[list[int]], None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Make every name mean these ports of loopback, in this order."""

    def make(ports: list[int]) -> None:
        rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: rows)

    return make


ORDERS = [
    (["healthy"], "200"),
    (["healthy", "broken"], "200"),
    (["broken", "healthy"], "status 500"),
    (["refusing", "healthy"], "200"),
    (["refusing", "refusing", "broken", "healthy"], "status 500"),
    (["mute", "healthy"], "timeout"),
    (["full", "healthy"], "timeout"),
    (["refusing"], "refused"),
    ([], "unresolved"),
]


@pytest.mark.parametrize(("order", "reason"), ORDERS, ids=str)
def test_order(probe: Probe, resolve: Resolve, ports: Ports, order: list[str], reason: str) -> None:
    """The first address that takes the connection is asked, and no other."""
    resolve([getattr(ports, name) for name in order])

    assert probe(Target(host=NAME, timeout=0.5)).reason == reason


def fail_as_told(_connection: socket.socket, address: Any) -> None:
    """Fail to connect with the port's number as error."""
    raise OSError(address[1], "as told")


async def afail_as_told(_loop: Any, connection: socket.socket, address: Any) -> None:
    fail_as_told(connection, address)


LAST_ERRORS = [
    (["ECONNREFUSED", "ENETUNREACH"], "unreachable"),
    (["ENETUNREACH", "ECONNREFUSED"], "refused"),
    (["ECONNREFUSED", "EADDRNOTAVAIL"], "connect"),
    (["EHOSTUNREACH", "ETIMEDOUT", "EHOSTUNREACH"], "unreachable"),
    (["ECONNREFUSED", "ETIMEDOUT"], "connect"),
]


@pytest.mark.parametrize(("errors", "reason"), LAST_ERRORS, ids=str)
def test_last_error_counts(
    probe: Probe,
    resolve: Resolve,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[str],
    reason: str,
) -> None:
    resolve([getattr(errno, name) for name in errors])
    monkeypatch.setattr(socket.socket, "connect", fail_as_told)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", afail_as_told)

    assert probe(Target(host=NAME, timeout=5)).reason == reason


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the resolver hang until the test is over."""
    released = threading.Event()

    def hang(*_arguments: Any, **_options: Any) -> list[Any]:
        released.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    released.set()


@pytest.mark.usefixtures("hanging")
def test_hanging_resolver(probe: Probe) -> None:
    """The deadline holds in the look-up too, and nothing waits for the resolver after it."""
    began = time.monotonic()
    verdict = probe(Target(host=NAME, timeout=0.3))

    assert verdict.reason == "timeout"
    assert 0.3 <= time.monotonic() - began <= 0.3 + LATENESS


@pytest.mark.usefixtures("hanging")
def test_a_number_is_not_looked_up(probe: Probe, ports: Ports) -> None:
    assert probe(Target(port=ports.healthy)).healthy


FAILURES = [
    (socket.gaierror(socket.EAI_NONAME, "no name"), "unresolved"),
    (socket.gaierror(socket.EAI_AGAIN, "try again"), "unresolved"),
]


@pytest.mark.parametrize(("error", "reason"), FAILURES, ids=repr)
def test_failing_resolver(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> list[Any]:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert probe(Target(host=NAME)).reason == reason


def test_no_thread_to_be_had(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free pid there is a verdict all the same."""

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)

    assert probe(Target(host=NAME)).reason == "internal"


def test_slow_resolver_uses_up_the_deadline(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, ports: Ports
) -> None:
    """What the look-up took is not there any more for the answer."""

    def slow(*_arguments: Any, **_options: Any) -> list[Any]:
        time.sleep(0.4)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, ports.mute))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = time.monotonic()

    assert probe(Target(host=NAME, timeout=0.6)).reason == "timeout"
    assert time.monotonic() - began <= 0.6 + LATENESS


# Names that IDNA refuses go to the resolver all the same.
@pytest.mark.parametrize("host", [".x", "a..b", "x" * 80, "-", "_", ":", "1:2"])
def test_odd_names(probe: Probe, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    asked: list[bytes] = []

    def refuse(name: bytes, *_arguments: Any, **_options: Any) -> list[Any]:
        asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "no name")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert probe(Target(host=host)).reason == "unresolved"
    assert asked == [host.encode()]


NUMERIC = [
    ("127.0.0.1", [(socket.AF_INET, ("127.0.0.1", 1))]),
    ("::1", [(socket.AF_INET6, ("::1", 1))]),
    ("::ffff:127.0.0.1", [(socket.AF_INET6, ("::ffff:127.0.0.1", 1))]),
    ("localhost", []),
    ("127.1", []),
    ("1.2.3.4.5", []),
]


@pytest.mark.parametrize(("host", "addresses"), NUMERIC)
def test_numeric(host: str, addresses: list[Any]) -> None:
    assert numeric(host, 1) == addresses


def test_localhost_is_looked_up() -> None:
    """The machine's own resolver, for once."""
    assert (socket.AF_INET, ("127.0.0.1", 1)) in look_up_within("localhost", 1, 5)
