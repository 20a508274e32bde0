"""Small servers on loopback ports of their own choosing, each a context manager."""

import contextlib
import errno
import itertools
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

LOOPBACK = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def free_port() -> int:
    """Return a port that was free a moment ago, for programs that must be told one."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return port_of(probe)


def bound(port: int = 0) -> socket.socket:
    """Return a socket that holds its port: until it listens, connecting to it is refused."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, port))
    return holder


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while not request.endswith(b"\r\n\r\n") and (chunk := connection.recv(4096)):
        request += chunk
    return request


@dataclass
class Server:
    """A listener whose connections are each given to *serve* in a thread of its own."""

    serve: Callable[[socket.socket], None]
    listener: socket.socket = field(default_factory=bound)
    connections: list[socket.socket] = field(default_factory=list)
    accepted: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return port_of(self.listener)

    def start(self) -> None:
        self.listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        # shutdown wakes the thread in accept; close alone does not
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                self.accepted.set()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.serve(connection)


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[Server]:
    server = Server(serve)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Read each request whole and give it *answer*."""

    def serve(connection: socket.socket) -> None:
        with connection:
            read_request(connection)
            connection.sendall(answer)

    with serving(serve) as server:
        yield server.port


@contextlib.contextmanager
def mute() -> Iterator[Server]:
    """Accept, and never say anything."""
    with serving(lambda _: None) as server:
        yield server


@contextlib.contextmanager
def dripping(answer: bytes, pause: float = 0.1) -> Iterator[int]:
    """Give one byte of *answer* each *pause* seconds, and hold the connection after that."""

    def serve(connection: socket.socket) -> None:
        for byte in answer:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    with serving(serve) as server:
        yield server.port


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    with bound() as holder:
        yield port_of(holder)


@contextlib.contextmanager
def full_queue() -> Iterator[int]:
    """Never accept, and have the accept queue full: what connects gets no answer at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(bound())
        listener.listen(0)
        for _ in itertools.count():
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect((LOOPBACK, port_of(listener)))
            except TimeoutError:
                break
        yield port_of(listener)


@dataclass(frozen=True, slots=True)
class Ports:
    """One server of each kind."""

    healthy: int
    broken: int
    refusing: int
    mute: int
    full: int


# What a probe finds at each.
REASONS = [
    ("healthy", "200"),
    ("broken", "status 500"),
    ("refusing", "refused"),
    ("mute", "timeout"),
    ("full", "timeout"),
]


@contextlib.contextmanager
def one_of_each() -> Iterator[Ports]:
    with contextlib.ExitStack() as stack:
        yield Ports(
            healthy=stack.enter_context(answering(OK)),
            broken=stack.enter_context(answering(BROKEN)),
            refusing=stack.enter_context(refusing()),
            mute=stack.enter_context(mute()).port,
            full=stack.enter_context(full_queue()),
        )


class Switchable:
    """A server on one port whose answer can be changed; with None nothing listens there."""

    def __init__(self) -> None:
        self._socket = bound()
        self.port = port_of(self._socket)
        self._server: Server | None = None

    def switch(self, answer: bytes | None) -> None:
        self.close()

        def serve(connection: socket.socket) -> None:
            with connection:
                read_request(connection)
                connection.sendall(answer or b"")

        self._socket = _bound_again(self.port)
        if answer is not None:
            self._server = Server(serve, self._socket)
            self._server.start()

    def close(self) -> None:
        if self._server is None:
            self._socket.close()
        else:
            self._server.stop()
            self._server = None


def _bound_again(port: int) -> socket.socket:
    deadline = time.monotonic() + 5
    while True:
        try:
            return bound(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
