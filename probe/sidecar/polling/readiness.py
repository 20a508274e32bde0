"""Which sockets are ready: one epoll for all checks, which the loop sees as one descriptor.

asyncio's add_reader and remove_reader cost two calls and two system calls for each socket. Here a
socket is registered once, and the kernel forgets it when it is closed.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT

_AT_ONCE = 64
"""Sockets served in one turn of the loop, so that many that are ready hold up nobody else."""


class Readiness:
    """Calls back when a socket is readable or writable. Belongs to the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._waiting: dict[int, tuple[int, Callable[[], None]]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    def wait(self, descriptor: int, what: int, then: Callable[[], None]) -> None:
        """Call *then* each time that *descriptor* is ready for *what*, until `forget`.

        Raises OSError where the kernel has no room for another.
        """
        waiting = self._waiting.get(descriptor)
        if waiting is None:
            self._epoll.register(descriptor, what)
        elif waiting[0] != what:
            self._epoll.modify(descriptor, what)
        self._waiting[descriptor] = what, then

    def forget(self, descriptor: int) -> None:
        """Expect no more of a descriptor that is about to be closed."""
        self._waiting.pop(descriptor, None)

    def close(self) -> None:
        if not self._epoll.closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _turn(self) -> None:
        for descriptor, _ in self._epoll.poll(0, _AT_ONCE):
            # An earlier one of this turn may have closed it; what comes too early finds nothing.
            if waiting := self._waiting.get(descriptor):
                waiting[1]()
