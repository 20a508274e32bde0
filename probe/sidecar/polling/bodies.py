"""Reads on behind the status line: the contract's verdict first, then the body.

Same connection, same deadline; size as `client.body` bounds it.
"""

import re
from collections.abc import Callable

from probe.client.body import SIZE_LIMIT
from probe.client.body import BodyExchange
from probe.client.body import parse_answer
from probe.client.failures import CheckFailedError
from probe.contract.exchange import PlainExchange
from probe.contract.target import Target

DEPENDENCIES_PATH = "/health/dependencies"

_HEAD = re.compile(rb"\n\r?\n")
"""Where a head ends; one that the end of the connection cuts short is no whole answer."""


class DeepExchange(BodyExchange):
    """Calls *decided* with the reason when a whole status line is there, and reads on."""

    def __init__(self, target: Target, decided: Callable[[str], None]) -> None:
        super().__init__(target)
        self._undecided: PlainExchange | None = PlainExchange(target)
        self._decided = decided

    def received(self, data: bytes) -> None:
        if self._undecided is not None:
            self._undecided.received(data)
            self._decide(self._undecided)
        if self._undecided is None and self.reason is None:
            super().received(data)
        elif len(self.data) <= SIZE_LIMIT:  # a flood before the line end ends at the deadline
            self.data += data

    def ended(self) -> None:
        if self._undecided is not None:
            self._undecided.ended()
            self._decide(self._undecided)
        if self.reason is None:
            super().ended()

    def body(self) -> bytes | None:
        """Return the body, or nothing where no whole answer came."""
        if self.reason != "whole" or not _HEAD.search(self.data):
            return None
        try:
            return parse_answer(self.data).body
        except CheckFailedError:
            return None

    def _decide(self, exchange: PlainExchange) -> None:
        if exchange.reason is None:
            return
        self._undecided = None
        if exchange.reason in {"malformed", "closed"}:  # no status line: nothing can follow
            self.reason = exchange.reason
        else:
            self._decided(exchange.reason)
