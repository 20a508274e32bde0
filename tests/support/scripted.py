"""A server that plays a script of the contract's table on each connection."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from tests.support.servers import read_request
from tests.support.servers import refusing
from tests.support.servers import serving

Step = Sequence[str | int]
"""A verb and its arguments, as the table has them: `["send_hex", "48"]`."""

CHUNK = 1 << 16


@dataclass
class Played:
    """Where a script is played, and the requests that it has read so far."""

    port: int
    requests: list[bytes] = field(default_factory=list)


def _send_repeat(connection: socket.socket, data: str, count: int) -> None:
    """Send *data* so many times, in large writes."""
    piece = bytes.fromhex(data)
    at_once = min(count, max(1, CHUNK // len(piece)))
    block = piece * at_once
    for _ in range(count // at_once):
        connection.sendall(block)
    connection.sendall(piece * (count % at_once))


def _reset(connection: socket.socket) -> None:
    """Close with a RST: what the peer has not acknowledged is forgotten."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# `hang` does nothing: the server holds every connection that its script has not closed.
VERBS: dict[str, Callable[..., object]] = {
    "send_hex": lambda connection, data: connection.sendall(bytes.fromhex(data)),
    "send_repeat": _send_repeat,
    "sleep_ms": lambda _connection, milliseconds: time.sleep(milliseconds / 1000),
    "shutdown_wr": lambda connection: connection.shutdown(socket.SHUT_WR),
    "close": lambda connection: connection.close(),
    "rst": _reset,
    "hang": lambda _connection: None,
}


def play(connection: socket.socket, steps: Sequence[Step], requests: list[bytes]) -> None:
    """Do *steps* on *connection*; each write is a segment of its own."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for verb, *arguments in steps:
        if verb == "read_request":
            requests.append(read_request(connection))
        else:
            VERBS[str(verb)](connection, *arguments)


@contextlib.contextmanager
def playing(steps: Sequence[Step], *, listen: bool = True) -> Iterator[Played]:
    """Play *steps* to everyone who connects; without *listen* nobody can."""
    if not listen:
        with refusing() as port:
            yield Played(port)
        return
    requests: list[bytes] = []
    with serving(lambda connection: play(connection, steps, requests)) as server:
        yield Played(server.port, requests)
