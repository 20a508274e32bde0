"""One accepted connection, plain or TLS over a socket of our own, and the steps played on it."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import TypeVar

from probe.mock.faults import Step

CHUNK = 65536
HANG_AFTER_END = 60.0
"""Seconds for which a hanging connection is held after its peer has said its last."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_T = TypeVar("_T")


class Connection:
    """Bytes in and out; what goes wrong is an OSError, in TLS too."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def receive(self) -> bytes:
        """Return some bytes; none at the end of the stream."""
        return await self._loop.sock_recv(self._sock, CHUNK)

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def drain(self, seconds: float) -> None:
        """Read and forget what comes until the end of the stream, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended()

    async def ended(self) -> None:
        while await self._loop.sock_recv(self._sock, CHUNK):
            pass

    def half_close(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._sock.close()

    def close(self) -> None:
        self._sock.close()


class TLSConnection(Connection):
    """The same under TLS, whose bytes pass through memory on their way to the socket."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        await self._finish(self._tls.do_handshake)

    async def receive(self) -> bytes:
        try:
            return await self._finish(lambda: self._tls.read(CHUNK))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def send(self, data: bytes) -> None:
        await self._finish(lambda: self._tls.write(data))

    def half_close(self) -> None:
        self._say_goodbye()
        super().half_close()

    def close(self) -> None:
        self._say_goodbye()
        super().close()

    def _say_goodbye(self) -> None:
        """Send close_notify if that is possible at once."""
        with contextlib.suppress(OSError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self._sock.send(self._outgoing.read())

    async def _finish(self, operation: Callable[[], _T]) -> _T:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                await self._flush()  # the alert that says why
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        await super().send(self._outgoing.read())

    async def _fill(self) -> None:
        if data := await super().receive():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


async def peek(sock: socket.socket) -> bytes:
    """Wait for the first byte and leave it where it is; b"" when there will be none."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)
    return sock.recv(1, socket.MSG_PEEK)


async def play(
    steps: Iterable[Step],
    connection: Connection,
    record: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Do what the steps say, and close; every request that they read is given to *record*."""
    for step in steps:
        if step.verb == "read_request":
            record(await read_request(connection))
        elif step.verb == "rst":
            return connection.reset()
        elif step.verb == "close":
            break
        else:
            await _PLAYED[step.verb](connection, step)
    return connection.close()


async def read_request(connection: Connection) -> bytes:
    """Read up to the end of a head, the end of the stream, or more than a head should be."""
    data = b""
    while len(data) < CHUNK and not _HEAD_END.search(data):
        if not (more := await connection.receive()):
            break
        data += more
    return data


def pieces(step: Step) -> Iterator[bytes]:
    """Yield what send_repeat sends, without ever having it whole."""
    if not step.data:
        return
    fit = max(1, CHUNK // len(step.data))
    blocks, rest = divmod(step.count, fit)
    block = step.data * fit
    for _ in range(blocks):
        yield block
    yield step.data * rest


async def _send(connection: Connection, step: Step) -> None:
    await connection.send(step.data)


async def _send_repeat(connection: Connection, step: Step) -> None:
    for piece in pieces(step):
        await connection.send(piece)
        await asyncio.sleep(0)  # a peer that reads as fast as we write leaves the others their turn


async def _drip(connection: Connection, step: Step) -> None:
    for _ in range(step.count if step.data else 0):
        for byte in step.data:
            await connection.send(bytes([byte]))
            await asyncio.sleep(step.milliseconds / 1000)


async def _sleep(_connection: Connection, step: Step) -> None:
    await asyncio.sleep(step.milliseconds / 1000)


async def _shut_down(connection: Connection, _step: Step) -> None:
    connection.half_close()


async def _hang(connection: Connection, _step: Step) -> None:
    """Say nothing more. A peer that has only half closed still finds us hanging."""
    await connection.ended()
    await asyncio.sleep(HANG_AFTER_END)


_PLAYED: dict[str, Callable[[Connection, Step], Awaitable[None]]] = {
    "send_hex": _send,
    "send_repeat": _send_repeat,
    "drip": _drip,
    "sleep_ms": _sleep,
    "shutdown_wr": _shut_down,
    "hang": _hang,
}
