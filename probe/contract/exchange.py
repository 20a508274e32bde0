"""One exchange as a machine without I/O: bytes to send, bytes received, at last the reason."""

from probe.contract.statusline import MalformedError
from probe.contract.statusline import StatusLine
from probe.contract.target import Target


class Exchange:
    """What a client drives: send what `outgoing` gives, tell what came, until `reason` is there."""

    reason: str | None = None

    def outgoing(self) -> bytes:
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def ended(self) -> None:
        raise NotImplementedError


class PlainExchange(Exchange):
    """Plain HTTP: the request once, then the status line and nothing after it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._outgoing = target.request
        self._status_line = StatusLine()

    def outgoing(self) -> bytes:
        data, self._outgoing = self._outgoing, b""
        return data

    def received(self, data: bytes) -> None:
        try:
            code = self._status_line.feed(data)
        except MalformedError:
            self.reason = "malformed"
            return
        if code is not None:
            self.reason = f"{code}" if self._target.accepts(code) else f"status {code}"

    def ended(self) -> None:
        self.reason = "closed"
