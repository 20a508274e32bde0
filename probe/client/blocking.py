"""The reference probe, blocking: standard library only."""

import socket
import time
from collections.abc import Callable

from probe.client.failures import CheckFailedError
from probe.client.failures import connect_reason
from probe.client.failures import is_deadline
from probe.client.names import look_up_within
from probe.client.names import numeric
from probe.contract.exchange import Exchange
from probe.contract.exchange import PlainExchange
from probe.contract.target import Target
from probe.contract.verdict import Verdict

READ_SIZE = 4096

LONGEST = 86400.0
"""Seconds that one step may wait: the kernel counts milliseconds in 32 bits and would go round."""

Clock = Callable[[], float]
Observer = Callable[[str, object], None]
"""Told each phase when it is over: resolve, connect, send, receive; with what it gave."""


def ignore(_phase: str, _what: object) -> None:
    """Observe nothing."""


class Deadline:
    """One instant for everything: what is left of it is each step's own limit."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._end = clock() + seconds
        self._clock = clock

    def left(self) -> float:
        """Return the seconds left. Raises CheckFailedError when there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise CheckFailedError("timeout")
        return min(left, LONGEST)


def check(target: Target, *, observe: Observer = ignore, clock: Clock = time.monotonic) -> Verdict:
    """Check *target* once. A failure is a verdict, never an exception."""
    start = clock()
    deadline = Deadline(target.timeout, clock)
    try:
        exchange = make_exchange(target)
        with connect(target, deadline, observe) as connection:
            reason = converse(connection, exchange, deadline, observe)
    except CheckFailedError as failure:
        reason = failure.reason
    return Verdict(reason, clock() - start)


def make_exchange(target: Target, inner: Exchange | None = None) -> Exchange:
    """Return *inner*, by default what reads a status line, within TLS where *target* asks for it.

    Raises CheckFailedError.
    """
    inner = inner or PlainExchange(target)
    if target.tls is None:
        return inner
    from probe.client.tls import TLSExchange  # noqa: PLC0415 # ssl costs 10 ms to import

    return TLSExchange(target, inner)


def connect(target: Target, deadline: Deadline, observe: Observer = ignore) -> socket.socket:
    """Connect to the first of the host's addresses that takes us; the last one's error counts.

    Raises CheckFailedError.
    """
    try:
        addresses = numeric(target.host, target.port) or look_up_within(
            target.host, target.port, deadline.left()
        )
    except OSError as error:
        raise CheckFailedError(connect_reason(error)) from error
    observe("resolve", [address[0] for _, address in addresses])
    failure: OSError | None = None
    for family, address in addresses:
        try:
            connection = _dial(family, address, deadline.left())
        except OSError as error:
            failure = error
        else:
            observe("connect", address)
            return connection
    raise CheckFailedError(connect_reason(failure or socket.gaierror())) from failure


def _dial(family: int, address: object, seconds: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address)  # type: ignore[arg-type]
    except BaseException:
        connection.close()
        raise
    return connection


def converse(
    connection: socket.socket, exchange: Exchange, deadline: Deadline, observe: Observer = ignore
) -> str:
    """Drive *exchange* over *connection* until it has a reason. Raises CheckFailedError."""
    while exchange.reason is None:
        connection.settimeout(deadline.left())
        if data := exchange.outgoing():
            # A failed write is ignored: what the peer sent decides.
            try:  # noqa: SIM105 # contextlib costs 3 ms to import
                connection.sendall(data)
            except OSError:
                pass
            observe("send", data)
        try:
            data = connection.recv(READ_SIZE)
        except OSError as error:
            if is_deadline(error):
                raise CheckFailedError("timeout") from error
            data = b""
        observe("receive", data)
        if data:
            exchange.received(data)
        else:
            exchange.ended()
    return exchange.reason
