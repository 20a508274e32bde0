"""The bytes of a file, whole or read as they are asked for.

Of a program only some pages matter here, and the largest have 250 MB: a thousand programs of one
machine and their libraries have 2.8 GB, whose reading alone takes 2.5 s, and 0.2 GB of that matter.
"""

from collections.abc import Callable
from typing import Protocol

_PAGE = 2**16
_MAX_PAGES = 64
"""Pages kept: a damaged file may lead to and fro through all of it."""


class Source(Protocol):
    """`size` is the file's, in bytes."""

    @property
    def size(self) -> int: ...

    def piece(self, start: int, size: int) -> bytes:
        """Return *size* bytes from *start* on, fewer at the end of the file."""


class Whole:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def piece(self, start: int, size: int) -> bytes:
        return self.data[start : start + size]


class Paged:
    """A file whose *part* (start, size) reads a piece; of which no page is read twice as a rule."""

    def __init__(self, size: int, part: Callable[[int, int], bytes]) -> None:
        self.size = size
        self._part = part
        self._pages: dict[int, bytes] = {}

    def piece(self, start: int, size: int) -> bytes:
        stop = min(start + size, self.size)
        first, last = start // _PAGE, (stop - 1) // _PAGE
        if first == last:
            offset = start - first * _PAGE
            return self._page(first)[offset : offset + stop - start]
        pages = b"".join(self._page(number) for number in range(first, last + 1))
        offset = start - first * _PAGE
        return pages[offset : offset + stop - start]

    def _page(self, number: int) -> bytes:
        if number not in self._pages:
            if len(self._pages) == _MAX_PAGES:
                self._pages.clear()
            start = number * _PAGE
            self._pages[number] = self._part(start, min(_PAGE, self.size - start))
        return self._pages[number]
