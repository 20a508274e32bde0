"""Drives an exchange over sockets by callbacks: what `acheck` does, at a third of its price."""

import errno
import socket
from collections.abc import Callable
from collections.abc import Iterable
from functools import lru_cache

from probe.client.blocking import READ_SIZE
from probe.client.failures import connect_reason
from probe.client.names import Address
from probe.client.names import numeric
from probe.contract.exchange import Exchange
from probe.sidecar.polling.readiness import READABLE
from probe.sidecar.polling.readiness import WRITABLE
from probe.sidecar.polling.readiness import Readiness

NO_DESCRIPTORS = "descriptors"
"""Why a check could not be made at all: the process may open no more (no verdict on the target)."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC}
_UNDER_WAY = {0, errno.EINPROGRESS, errno.EINTR}
_PEER_LEFT = {errno.ECONNRESET, errno.EPIPE}
"""A connection came about and the peer ended it: what it sent before decides."""

numeric_once = lru_cache(4096)(numeric)


class Conversation:
    """One exchange with the first of the addresses that takes us; tells *done* its reason, once.

    *done* may be called before `begin` returns.
    """

    __slots__ = (
        "_addresses",
        "_connected",
        "_descriptor",
        "_done",
        "_exchange",
        "_failure",
        "_readiness",
        "_socket",
        "_unsent",
    )

    def __init__(
        self,
        exchange: Exchange,
        addresses: Iterable[Address],
        readiness: Readiness,
        done: Callable[[str], None],
    ) -> None:
        self._exchange = exchange
        self._addresses = iter(addresses)
        self._readiness = readiness
        self._done: Callable[[str], None] | None = done
        self._socket: socket.socket | None = None
        self._descriptor = -1
        self._connected = False
        self._failure = "unresolved"
        self._unsent = b""

    def begin(self) -> None:
        self._unsent = self._exchange.outgoing()
        self._dial()

    def end(self, reason: str) -> None:
        """Close, and tell *reason*, unless one was told before."""
        self.cancel()
        if (done := self._done) is not None:
            self._done = None
            done(reason)

    def cancel(self) -> None:
        """Close without telling anybody."""
        if self._socket is not None:
            self._readiness.forget(self._descriptor)
            self._socket.close()
            self._socket = None

    def _dial(self) -> None:
        for family, address in self._addresses:
            try:
                self._open(family)
                code = self._socket.connect_ex(address)  # type: ignore[union-attr] # just opened
            except OSError as error:
                code = error.errno or 0
            if code in _EXHAUSTED:
                self.end(NO_DESCRIPTORS)
                return
            if code in _UNDER_WAY:
                self._write()
                return
            self._give_up(code)
        self.end(self._failure)

    def _open(self, family: int) -> None:
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._descriptor = self._socket.fileno()

    def _give_up(self, code: int) -> None:
        self._failure = connect_reason(OSError(code, ""))
        self.cancel()

    def _write(self) -> None:
        """Send what there is. The first send also tells whether the connection came about.

        Loopback connects within connect(), so that this mostly succeeds at once.
        """
        assert self._socket is not None  # noqa: S101 # narrows
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            self._wait(WRITABLE, self._write)
            return
        except OSError as error:
            code = error.errno or 0
            if not self._connected and code not in _PEER_LEFT:
                self._give_up(code)
                self._dial()
                return
            # A failed write is ignored: what the peer sent decides.
            sent = len(self._unsent)
        self._connected = True
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._wait(WRITABLE, self._write)
        else:
            self._wait(READABLE, self._read)

    def _read(self) -> None:
        assert self._socket is not None  # noqa: S101 # narrows
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        exchange = self._exchange
        try:
            if data:
                exchange.received(data)
            else:
                exchange.ended()
        except Exception:  # noqa: BLE001 # whatever a peer's bytes do to us, the check ends
            self.end("internal")
            return
        if exchange.reason is not None:
            self.end(exchange.reason)
        elif outgoing := exchange.outgoing():
            self._unsent = outgoing
            self._write()

    def _wait(self, what: int, then: Callable[[], None]) -> None:
        try:
            self._readiness.wait(self._descriptor, what, then)
        except (OSError, ValueError):  # no room for another, or closed at the end of the run
            self.end(NO_DESCRIPTORS)
