"""The one server that all contenders ask, in a process of its own."""

import contextlib
import multiprocessing
import os
import select
import socket
from collections.abc import Iterator

BODY = b'{"health":"ok"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)
)


@contextlib.contextmanager
def answering(cpu: int | None = None) -> Iterator[int]:
    """Answer every request with 200, on *cpu* alone if one is given. Yields the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=[listener, cpu], daemon=True
        )
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()
            process.join()


def _serve(listener: socket.socket, cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
            else:
                _answer(connections.pop(number))


def _answer(connection: socket.socket) -> None:
    """Answer what comes in one piece, as a loopback client's request does."""
    with connection, contextlib.suppress(OSError):
        if connection.recv(4096):
            connection.sendall(ANSWER)
