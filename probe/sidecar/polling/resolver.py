"""Names looked up in a few daemon threads of our own, one look-up in flight for each name.

A resolver that is dead holds a thread for as long as it pleases: it may hold up other names, but
never an address, nor the loop, nor the exit.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from probe.client.failures import CheckFailedError
from probe.client.names import Address
from probe.client.names import start_look_up

THREADS = 16

Found = list[Address] | OSError | CheckFailedError
Told = Callable[[Found], None]


class Resolver:
    """Belongs to the running loop. Nothing is remembered: each answer serves those who waited."""

    def __init__(self, threads: int = THREADS) -> None:
        self._loop = asyncio.get_running_loop()
        self._free = threads
        self._waiting: dict[str, list[Told]] = {}
        self._queue: deque[str] = deque()

    def ask(self, host: str, told: Told) -> None:
        """Call *told* in the loop with the addresses (their port is 0) or the error."""
        if host in self._waiting:
            self._waiting[host].append(told)
            return
        self._waiting[host] = [told]
        self._queue.append(host)
        self._start()

    def forget(self, host: str, told: Told) -> None:
        """Tell *told* nothing any more. A look-up that has begun goes on: nothing can end it."""
        with contextlib.suppress(KeyError, ValueError):
            self._waiting[host].remove(told)

    @property
    def waiting(self) -> int:
        """How many are still to be told."""
        return sum(map(len, self._waiting.values()))

    def _start(self) -> None:
        while self._free and self._queue:
            host = self._queue.popleft()
            if not self._waiting[host]:  # nobody waits for it any more
                del self._waiting[host]
                continue
            self._free -= 1
            try:
                start_look_up(host, 0, self._reporting(host))
            except CheckFailedError as failure:
                self._loop.call_soon(self._tell, host, failure)

    def _reporting(self, host: str) -> Told:
        def report(found: Found) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                self._loop.call_soon_threadsafe(self._tell, host, found)

        return report

    def _tell(self, host: str, found: Found) -> None:
        self._free += 1
        for told in self._waiting.pop(host):
            told(found)
        self._start()


def with_port(addresses: list[Address], port: int) -> list[Address]:
    """Return the addresses of a host with that port."""
    return [(family, (address[0], port, *address[2:])) for family, address in addresses]
