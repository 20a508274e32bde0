"""The blocking reference probe: one deadline, phases told, errors named, nothing left open."""

import errno
import itertools
import socket
import time

import pytest

from probe import Target
from probe import check
from probe.client.blocking import Deadline
from probe.client.failures import CheckFailedError
from probe.client.failures import connect_reason
from probe.client.failures import is_deadline
from tests.support import servers
from tests.support.probes import LATENESS
from tests.support.servers import Ports


def test_healthy(ports: Ports) -> None:
    verdict = check(Target(port=ports.healthy))

    assert verdict.line == "healthy: 200"
    assert 0 < verdict.seconds < 3


@pytest.mark.parametrize("server", ["mute", "full"])
def test_timeout(ports: Ports, server: str) -> None:
    verdict = check(Target(port=getattr(ports, server), timeout=0.3))

    assert verdict.reason == "timeout"
    assert 0.3 <= verdict.seconds <= 0.3 + LATENESS


def test_wait_longer_than_the_kernel_counts() -> None:
    """A timeout whose milliseconds do not fit 32 bits (49.7 days and 0.7 s) is not a short one."""
    with servers.dripping(servers.OK, 0.06) as port:
        assert check(Target(port=port, timeout=4294968)).reason == "200"


def test_phases(ports: Ports) -> None:
    """An observer is told each phase once it is over, with what it gave."""
    seen: list[tuple[str, object]] = []
    target = Target(port=ports.healthy)
    check(target, observe=lambda phase, what: seen.append((phase, what)))

    assert seen[:3] == [
        ("resolve", ["127.0.0.1"]),
        ("connect", ("127.0.0.1", ports.healthy)),
        ("send", target.request),
    ]
    assert {phase for phase, _ in seen[3:]} == {"receive"}


def test_the_clock_is_an_argument(ports: Ports) -> None:
    """Whose clock says that the time is over before the first step asks nobody."""
    ticks = itertools.count(0, 100)

    assert check(Target(port=ports.healthy), clock=lambda: next(ticks)).reason == "timeout"


def test_deadline() -> None:
    now = [10.0]
    deadline = Deadline(2.0, lambda: now[0])
    assert deadline.left() == 2.0
    now[0] = 11.5
    assert deadline.left() == 0.5
    now[0] = 12.0
    with pytest.raises(CheckFailedError, match="timeout"):
        deadline.left()


REASONS = [
    (ConnectionRefusedError(errno.ECONNREFUSED, ""), "refused"),
    (OSError(errno.ENETUNREACH, ""), "unreachable"),
    (OSError(errno.EHOSTUNREACH, ""), "unreachable"),
    (OSError(errno.EADDRNOTAVAIL, ""), "connect"),
    (PermissionError(errno.EPERM, ""), "connect"),
    (ConnectionResetError(errno.ECONNRESET, ""), "connect"),
    (TimeoutError(errno.ETIMEDOUT, ""), "connect"),
    (TimeoutError("timed out"), "timeout"),
    (socket.gaierror(socket.EAI_NONAME, ""), "unresolved"),
    (OSError("no number"), "connect"),
]


@pytest.mark.parametrize(("error", "reason"), REASONS, ids=repr)
def test_connect_reason(error: OSError, reason: str) -> None:
    assert connect_reason(error) == reason


def test_our_deadline_is_not_the_kernels() -> None:
    """The kernel's ETIMEDOUT has the class of our own time-out."""
    assert is_deadline(TimeoutError("timed out"))
    assert not is_deadline(TimeoutError(errno.ETIMEDOUT, ""))


def test_a_failed_write_is_ignored() -> None:
    """What the peer sent before it went away decides."""

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.sendall(servers.BROKEN)
            connection.shutdown(socket.SHUT_RDWR)

    with servers.serving(serve) as server:

        def slow(phase: str, _what: object) -> None:
            if phase == "connect":
                time.sleep(0.05)

        assert check(Target(port=server.port), observe=slow).reason == "status 500"


def test_no_free_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that gives no socket is a verdict, never an exception."""

    def fail(*_arguments: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(socket, "socket", fail)

    assert check(Target()).reason == "connect"


def test_nothing_stays_open() -> None:
    """The connection is closed when the verdict is there, although the server holds it."""
    ended: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        servers.read_request(connection)
        connection.sendall(servers.OK)
        ended.append(connection.recv(1))

    with servers.serving(serve) as server:
        assert check(Target(port=server.port)).healthy
        deadline = time.monotonic() + 5
        while not ended and time.monotonic() < deadline:
            time.sleep(0.01)

    assert ended == [b""]
