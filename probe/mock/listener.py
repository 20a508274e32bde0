"""The one port of the mock: open, closed or full as the mode wants it, on sockets of our own."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from probe.mock.connection import Connection
from probe.mock.connection import TLSConnection
from probe.mock.connection import peek
from probe.mock.connection import play
from probe.mock.faults import MODES
from probe.mock.faults import Mode
from probe.mock.faults import Port
from probe.mock.running import Running

BACKLOG = 512
KEPT_REQUESTS = 1000
KEPT_BYTES = 65536
_WATCHED_EACH = 0.05
_LINGER = 0.5
_FILLERS = 8
_FILLED_WITHIN = 0.1
_TLS_HANDSHAKE = b"\x16"


@dataclass(frozen=True, slots=True)
class Request:
    """What a connection asked: when (seconds since 1970), the bytes as they came, up to 64 KiB."""

    at: float
    data: bytes


class Listener:
    """Listens where it is told to, loopback by default; its mode can be changed at any time.

    A connection goes on to its end as it was accepted, playing steps or giving answers; those come
    from what holds when it asks. A change of mode closes the ones that are idle after an answer.
    """

    def __init__(  # noqa: PLR0913
        self,
        running: Running,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        kept: int = KEPT_REQUESTS,
        on_request: Callable[[Request], None] = lambda _: None,
    ) -> None:
        self.host = host
        self.port = port
        self.requests: deque[Request] = deque(maxlen=kept)
        self._running = running
        self._tls = tls
        self._on_request = on_request
        self._state = Port.CLOSED
        self._lock = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()
        self._fillers: list[socket.socket] = []
        self._holder: socket.socket | None = None
        self._listening: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def mode(self) -> Mode:
        return self._running.mode

    @property
    def expected(self) -> str:
        """The line that a probe of this port prints next; empty where only a script knows it."""
        if self._state is Port.CLOSED:
            return MODES["refuse"].verdict
        return self._running.expected

    async def start(self) -> None:
        """Take the port; an OSError says why that cannot be."""
        # Bound, never listening: the port stays ours while connecting to it is refused.
        self._holder = self._bound()
        self.port = self._holder.getsockname()[1]
        await self._follow()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        await _ended(self._watching)
        async with self._lock:
            self._cease()
            self._close()
        for task in list(self._connections):
            await _ended(task)
        if self._holder is not None:
            self._holder.close()

    async def set(self, mode: Mode) -> None:
        self._running.begin(mode)
        await self._follow()
        for task in list(self._idle):
            await _ended(task)

    async def change(self, **conditions: str | None) -> None:
        """Change what the synchronizer's backend and Redis do; None leaves it as it is."""
        self._running.change(**conditions)
        await self._follow()

    def _bound(self) -> socket.socket:
        family, kind, protocol, _, address = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        return sock

    async def _watch(self) -> None:
        """The model may open or close its port with time."""
        while True:
            await asyncio.sleep(_WATCHED_EACH)
            with contextlib.suppress(OSError):  # somebody took the port: perhaps not for long
                await self._follow()

    async def _follow(self) -> None:
        """Bring the port to the state that mode and model want."""
        async with self._lock:
            wanted = self._running.port
            if wanted is not self._state:
                await self._shift(wanted)
                self._state = wanted

    async def _shift(self, wanted: Port) -> None:
        self._cease()
        if wanted is Port.CLOSED or self._state is Port.FULL:  # in a full queue stand our fillers
            self._close()
        if wanted is Port.CLOSED:
            return
        if self._listening is None:
            self._listening = self._bound()
        if wanted is Port.FULL:
            await self._fill(self._listening)
            return
        self._listening.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)

    def _cease(self) -> None:
        """Accept nobody, which leaves the port as it is."""
        self._drop_fillers()
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)

    def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _drop_fillers(self) -> None:
        while self._fillers:
            self._fillers.pop().close()

    async def _fill(self, listening: socket.socket) -> None:
        """Connect to ourselves until connecting gets no answer: Linux then drops each SYN."""
        listening.listen(0)
        loop = asyncio.get_running_loop()
        for _ in range(_FILLERS):
            filler = socket.socket(listening.family)
            filler.settimeout(0)
            self._fillers.append(filler)
            try:
                async with asyncio.timeout(_FILLED_WITHIN):
                    await loop.sock_connect(filler, listening.getsockname())
            except TimeoutError:
                self._fillers.pop().close()
                return

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # no descriptor left: later, perhaps
            self._pause(listening)
            return
        task = asyncio.create_task(self._serve(sock, self.mode, self._running.turn()))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: sock.close())

    def _pause(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_WATCHED_EACH, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if self._listening is listening and self._state is Port.OPEN:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    async def _serve(self, sock: socket.socket, mode: Mode, turn: int) -> None:
        """Whatever the peer or the network does, it ends this connection and nothing else."""
        with contextlib.suppress(OSError):
            sock.settimeout(0)
            connection = await self._greeted(sock)
            if mode.presets:
                await self._answer(connection, turn)
            else:
                await play(mode.steps, connection, self._record)

    async def _greeted(self, sock: socket.socket) -> Connection:
        """On the TLS port the first byte tells a handshake from a question in plain text."""
        if self._tls is None or await peek(sock) != _TLS_HANDSHAKE:
            return Connection(sock)
        connection = TLSConnection(sock, self._tls)
        await connection.handshake()
        return connection

    async def _answer(self, connection: Connection, turn: int) -> None:
        plain_on_tls = self._tls is not None and not isinstance(connection, TLSConnection)
        data = more = await connection.receive()
        while more:
            while data and (reply := self._running.answer(data, turn, plain_on_tls=plain_on_tls)):
                self._record(data[: reply.consumed])
                data = data[reply.consumed :]
                await connection.send(reply.payload)
                if reply.close:
                    await _leave(connection)
                    return
                await asyncio.sleep(0)  # after many questions at once the others have their turn
            more = await self._more(connection, idle=not data)
            data += more

    async def _more(self, connection: Connection, *, idle: bool) -> bytes:
        task = asyncio.current_task()
        if task is None or not idle:
            return await connection.receive()
        self._idle.add(task)
        try:
            return await connection.receive()
        finally:
            self._idle.discard(task)

    def _record(self, data: bytes) -> None:
        request = Request(time.time(), data[:KEPT_BYTES])
        self.requests.append(request)
        self._on_request(request)


async def _leave(connection: Connection) -> None:
    """Close so that the peer surely reads what was sent: a close with bytes unread is a reset."""
    connection.half_close()
    await connection.drain(_LINGER)
    connection.close()


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancel the task and wait for its end, however it ends."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
