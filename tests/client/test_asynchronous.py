"""The asyncio probe: the blocking one's verdicts, deadlines that hold, cancelling that closes."""

import asyncio
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from probe import Target
from probe import acheck
from tests.support import servers
from tests.support.probes import LATENESS
from tests.support.servers import REASONS
from tests.support.servers import Ports

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(("server", "reason"), REASONS)
async def test_verdict(ports: Ports, server: str, reason: str) -> None:
    verdict = await acheck(Target(port=getattr(ports, server), timeout=0.5))

    assert verdict.reason == reason
    assert verdict.seconds <= 0.5 + LATENESS


async def test_hundred_at_once(ports: Ports) -> None:
    """Mute servers cost their timeout once, not a hundred times."""
    began = time.monotonic()
    target = Target(port=ports.mute, timeout=1)
    verdicts = await asyncio.gather(*(acheck(target) for _ in range(100)))

    assert {verdict.reason for verdict in verdicts} == {"timeout"}
    assert time.monotonic() - began <= 1 + LATENESS


def flood(connection: socket.socket) -> None:
    """Send NULs in the reason phrase for as long as anybody takes them: they decide nothing."""
    servers.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 ")
    while True:
        connection.sendall(bytes(1 << 20))


async def test_flood_keeps_the_deadline() -> None:
    """Bytes that are always there starve neither the deadline nor the other tasks."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    with servers.serving(flood) as server:
        task = asyncio.create_task(other())
        verdict = await acheck(Target(port=server.port, timeout=0.5))
        task.cancel()

    assert verdict.reason == "timeout"
    assert verdict.seconds <= 0.5 + LATENESS
    assert turns > 5


async def cancelled(target: Target, after: float) -> None:
    """Start a check, and cancel it after so many seconds."""
    task = asyncio.create_task(acheck(target))
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancel_while_reading() -> None:
    """The peer sees the end of the connection at once."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        servers.read_request(connection)
        if connection.recv(1) == b"":
            ended.set()

    with servers.serving(serve) as server:
        await cancelled(Target(port=server.port, timeout=30), 0.2)
        assert await asyncio.to_thread(ended.wait, 5)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that the probe makes."""
    made: list[socket.socket] = []

    class Kept(socket.socket):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if self.family == socket.AF_INET:  # the loop has a pair of its own
                made.append(self)

    monkeypatch.setattr(socket, "socket", Kept)
    return made


async def test_cancel_while_connecting(ports: Ports, dialled: list[socket.socket]) -> None:
    await cancelled(Target(port=ports.full, timeout=30), 0.1)

    assert [connection.fileno() for connection in dialled] == [-1]


async def test_timeout_while_connecting(ports: Ports, dialled: list[socket.socket]) -> None:
    await acheck(Target(port=ports.full, timeout=0.1))

    assert [connection.fileno() for connection in dialled] == [-1]


async def test_cancel_while_looking_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that looks up finds nobody waiting, and says nothing."""
    released = threading.Event()
    left = threading.Event()

    def hang(*_arguments: Any, **_options: Any) -> list[Any]:
        released.wait(10)
        left.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    await cancelled(Target(host="hanging.example", timeout=30), 0.1)
    released.set()
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.to_thread(left.wait, 5), 5)

    assert left.is_set()
