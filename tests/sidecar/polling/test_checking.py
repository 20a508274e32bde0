"""One check by callbacks: the contract's verdicts beyond its table, look-ups, bodies, limits."""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from probe import Target
from probe import acheck
from probe.client.failures import CheckFailedError
from probe.contract.target import TLS
from probe.mock.server import Mock
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.polling import resolver
from probe.sidecar.polling.bodies import DEPENDENCIES_PATH
from probe.sidecar.polling.checking import Checker
from probe.sidecar.polling.checking import Finding
from tests.support import servers
from tests.support.probes import LATENESS
from tests.support.servers import REASONS
from tests.support.servers import Ports

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def checker() -> AsyncIterator[Checker]:
    made = Checker()
    yield made
    made.close()


def target_at(port: int = 3010, timeout: float = 0.5, **more: Any) -> TargetSettings:
    return TargetSettings("one", Target(port=port, timeout=timeout, **more))


@pytest.mark.parametrize(("server", "reason"), REASONS)
async def test_verdict(checker: Checker, ports: Ports, server: str, reason: str) -> None:
    finding = await checker.check(target_at(getattr(ports, server)))

    assert finding.reason == reason
    assert finding.seconds <= 0.5 + LATENESS
    assert finding.skipped is None


async def test_hundred_at_once(checker: Checker, ports: Ports) -> None:
    """Mute servers cost their timeout once, not a hundred times, and leave nothing open."""
    began = time.monotonic()
    findings = await asyncio.gather(
        *(checker.check(target_at(ports.mute, timeout=1)) for _ in range(100))
    )

    assert {finding.reason for finding in findings} == {"timeout"}
    assert time.monotonic() - began <= 1 + LATENESS


def flood(connection: socket.socket) -> None:
    """Send NULs in the reason phrase for as long as anybody takes them: they decide nothing."""
    servers.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 ")
    while True:
        connection.sendall(bytes(1 << 20))


@pytest.mark.parametrize("read_body", [False, True], ids=["status", "bodies"])
async def test_flood_starves_nobody(checker: Checker, ports: Ports, read_body: bool) -> None:  # noqa: FBT001
    """Bytes that are always there hold up neither the deadline nor other checks."""
    with servers.serving(flood) as server:
        flooded = replace(target_at(server.port), read_body=read_body)
        flooding = asyncio.create_task(checker.check(flooded))
        others = [await checker.check(target_at(ports.healthy, timeout=5)) for _ in range(10)]
        finding = await flooding

    assert {other.reason for other in others} == {"200"}
    assert finding.reason == "timeout"
    assert finding.seconds <= 0.5 + LATENESS


async def test_cancel_closes(checker: Checker) -> None:
    """The peer sees the end of the connection at once."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        servers.read_request(connection)
        if connection.recv(1) == b"":
            ended.set()

    with servers.serving(serve) as server:
        task = asyncio.create_task(checker.check(target_at(server.port, timeout=30)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 5)


async def test_addresses_in_order(
    checker: Checker, monkeypatch: pytest.MonkeyPatch, ports: Ports
) -> None:
    """A name's addresses are tried in order; the last one's error counts."""
    addresses = [("127.0.0.1", ports.refusing), ("127.0.0.1", ports.healthy)]

    def found(host: str, port: int) -> list[Any]:  # noqa: ARG001
        return [(socket.AF_INET, address) for address in addresses]

    monkeypatch.setattr("probe.client.names.look_up", found)
    monkeypatch.setattr("probe.sidecar.polling.checking.with_port", lambda given, _port: given)
    settings = target_at(host="some.example", timeout=5)

    assert (await checker.check(settings)).reason == "200"
    addresses.pop()
    assert (await checker.check(settings)).reason == "refused"
    addresses.clear()
    assert (await checker.check(settings)).reason == "unresolved"
    assert (await acheck(settings.target)).reason == "unresolved"


async def test_names(checker: Checker, ports: Ports) -> None:
    found = await checker.check(target_at(ports.healthy, host="localhost", timeout=5))
    assert found.reason == "200"
    missing = await checker.check(target_at(host="no.such.host.invalid", timeout=20))
    assert missing.reason == "unresolved"


@pytest.fixture
def dead_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A resolver that never answers; gives the names that it was asked."""
    released = threading.Event()
    asked: list[str] = []

    def hang(host: bytes, *_arguments: Any, **_options: Any) -> list[Any]:
        asked.append(host.decode())
        released.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield asked
    released.set()


async def test_dead_dns(checker: Checker, ports: Ports, dead_dns: list[str]) -> None:
    """Names wait, up to their deadline, in few threads and once each; addresses do not."""
    names = [f"name{number}.example" for number in range(50)] * 3
    named = [asyncio.create_task(checker.check(target_at(host=name, timeout=1))) for name in names]
    await asyncio.sleep(0)
    began = time.monotonic()
    findings = [await checker.check(target_at(ports.healthy, timeout=5)) for _ in range(20)]

    assert {finding.reason for finding in findings} == {"200"}
    assert time.monotonic() - began < 0.5
    assert {finding.reason for finding in await asyncio.gather(*named)} == {"timeout"}
    assert len(dead_dns) == len(set(dead_dns)) == resolver.THREADS


async def test_dead_dns_gathers_nothing(checker: Checker, dead_dns: list[str]) -> None:
    """Checks whose deadline has passed leave nothing behind, however long the resolver hangs."""
    for _ in range(3):
        settings = [target_at(host=f"name{number}.example", timeout=0.05) for number in range(40)]
        await asyncio.gather(*map(checker.check, settings))

    assert len(dead_dns) == resolver.THREADS
    assert checker.resolver.waiting == 0


async def test_no_thread(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be had the check ends, and the next one tries again."""

    def refuse(*_arguments: Any) -> None:
        raise CheckFailedError("internal")

    with monkeypatch.context() as patched:
        patched.setattr(resolver, "start_look_up", refuse)
        assert (await checker.check(target_at(host="a.example"))).reason == "internal"
    found = await checker.check(target_at(host="no.such.host.invalid", timeout=20))
    assert found.reason == "unresolved"


async def test_no_descriptors(checker: Checker, ports: Ports) -> None:
    """That we may open no more says nothing of the target: there is no verdict."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno() + 1, hard))
        try:
            finding = await checker.check(target_at(ports.healthy))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert finding.skipped == "descriptors"
    assert (await checker.check(target_at(ports.healthy))).reason == "200"


async def test_after_close(checker: Checker, ports: Ports) -> None:
    """A look-up that answers after the end of the run finds no epoll, and harms nobody."""
    checker.close()

    assert (await checker.check(target_at(ports.healthy))).skipped == "descriptors"


async def test_bad_ca(checker: Checker) -> None:
    finding = await checker.check(target_at(tls=TLS(ca="/nonexistent")))

    assert finding.reason == "tls"


async def deep(checker: Checker, mock: Mock, **more: Any) -> Finding:
    settings = TargetSettings("one", Target(port=mock.port, timeout=5), kind="sync", **more)
    return await checker.check(replace(settings, read_body=True))


async def test_bodies(checker: Checker) -> None:
    """A sound synchronizer's bodies say so, item by item."""
    with Mock(mode="healthy") as mock:
        finding = await deep(checker, mock)

    assert finding.reason == "200"
    assert finding.health is not None
    assert finding.health.reasons == ()
    assert [item.name for item in finding.health.items] == ["Segments", "Splits", "Storage"]
    assert len(finding.health.dependencies) == 5


@pytest.mark.parametrize(
    ("mode", "more", "reasons"),
    [
        ("starting", {}, ("never-synced",)),
        ("healthy", {"max_age": 0.000001}, ("stale",)),
    ],
)
async def test_degraded(
    checker: Checker, mode: str, more: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    """Behind a 200 the bodies tell what is wrong."""
    with Mock(mode=mode) as mock:
        finding = await deep(checker, mock, **more)

    assert finding.reason == "200"
    assert finding.health is not None
    assert finding.health.reasons == reasons


async def test_unhealthy_with_body(checker: Checker) -> None:
    """A 500 is read as well: its items tell which loop stopped."""
    with Mock(mode="unhealthy") as mock:
        finding = await deep(checker, mock)

    assert finding.reason == "status 500"
    assert finding.health is not None
    assert "sticky-500" in finding.health.reasons


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "reason", "reasons"),
    [
        pytest.param(HEAD + b"{", "200", ("unread",), id="cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", "200", ("other-service",), id="other"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (2 << 20), "200", ("unread",), id="vast"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "malformed", None, id="no HTTP"),
        pytest.param(b"", "closed", None, id="nothing"),
        pytest.param(b"HTTP/1.1 20", "closed", None, id="half a status line"),
    ],
)
async def test_bodies_of_others(
    checker: Checker, answer: bytes, reason: str, reasons: tuple[str, ...] | None
) -> None:
    """The verdict is the status line's, whatever comes of the body."""
    settings = target_at(timeout=5)
    with servers.answering(answer) as port:
        target = Target(port=port, timeout=5)
        finding = await checker.check(replace(settings, target=target, kind="sync", read_body=True))
        assert finding.reason == (await acheck(target)).reason == reason

    assert (finding.health and finding.health.reasons) == reasons


async def test_body_that_hangs(checker: Checker) -> None:
    """The status line was there in time: that verdict stands, and the body is unread."""

    def serve(connection: socket.socket) -> None:
        servers.read_request(connection)
        connection.sendall(HEAD)
        connection.recv(1)

    with servers.serving(serve) as server:
        settings = replace(target_at(server.port), kind="sync", read_body=True)
        finding = await checker.check(settings)

    assert (finding.reason, finding.health and finding.health.reasons) == ("200", ("unread",))
    assert finding.seconds < 0.4


async def test_dependencies_that_hang(checker: Checker) -> None:
    """What the first body said stands, when the second does not come."""

    def serve(connection: socket.socket) -> None:
        request = servers.read_request(connection)
        if DEPENDENCIES_PATH.encode() in request:
            connection.recv(1)
        body = b'{"healthy":true,"healthySince":null,"items":[{"name":"Splits","healthy":true}]}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with servers.serving(serve) as server:
        settings = replace(target_at(server.port), kind="sync", read_body=True)
        finding = await checker.check(settings)

    assert finding.reason == "200"
    assert finding.health is not None
    assert finding.health.reasons == ("never-synced", "unread")
