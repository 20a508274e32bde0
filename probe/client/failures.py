"""Failures of the network as the contract's reasons."""

import errno
import socket

CONNECT_REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
}


class CheckFailedError(Exception):
    """A check ended before the peer decided it; the first argument is the reason."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


def is_deadline(error: OSError) -> bool:
    """Tell our own time-out from ETIMEDOUT, which Python gives the same class."""
    return isinstance(error, TimeoutError) and error.errno is None


def connect_reason(error: OSError) -> str:
    if is_deadline(error):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "unresolved"
    return CONNECT_REASONS.get(error.errno or 0, "connect")
