"""Reads a whole answer, for more than the status line: same deadline, bounded size."""

import http.client
import io
import re
from dataclasses import dataclass

from probe.client.blocking import Clock
from probe.client.blocking import Deadline
from probe.client.blocking import connect
from probe.client.blocking import converse
from probe.client.blocking import make_exchange
from probe.client.failures import CheckFailedError
from probe.contract.exchange import PlainExchange
from probe.contract.target import Target

SIZE_LIMIT = 1 << 20
"""Bytes of an answer that we are ready to keep; the synchronizer's are below 10 KB."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of a whole answer and its body, chunks put together."""

    status: int
    body: bytes


class BodyExchange(PlainExchange):
    """The request once, then all bytes up to the end of the answer or of the connection."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.data = b""

    def received(self, data: bytes) -> None:
        self.data += data
        head, blank, body = self.data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if len(self.data) > SIZE_LIMIT:
            self.reason = "malformed"
        elif blank and length and len(body) >= int(length[1]):
            self.reason = "whole"

    def ended(self) -> None:
        self.reason = "whole"


def read_answer(target: Target, clock: Clock) -> Answer:
    """Read status and body of *target*'s path. Raises CheckFailedError."""
    deadline = Deadline(target.timeout, clock)
    body = BodyExchange(target)
    exchange = make_exchange(target, body)
    with connect(target, deadline) as connection:
        reason = converse(connection, exchange, deadline)
    if reason != "whole":
        raise CheckFailedError(reason)
    return parse_answer(body.data)


class _Replay:
    """What HTTPResponse needs of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def parse_answer(data: bytes) -> Answer:
    """Take a whole answer apart. Raises CheckFailedError."""
    if not data:
        raise CheckFailedError("closed")
    response = http.client.HTTPResponse(_Replay(data), method="GET")  # type: ignore[arg-type]
    try:
        response.begin()
        return Answer(response.status, response.read())
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise CheckFailedError("malformed") from error
