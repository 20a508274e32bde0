"""Where contents lie: stretches of open files, and files below an open directory."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from probe.image.view import ViewError

CHUNK = 2**20
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Should a FIFO or a terminal have come to the place of a file, opening it neither waits nor binds.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an open file."""

    fd: int
    start: int
    size: int

    def read(self, at: int, size: int) -> bytes:
        """Return up to *size* bytes; fewer only at the end."""
        return os.pread(self.fd, max(0, min(size, self.size - at)), self.start + at)

    def exactly(self, at: int, size: int) -> bytes:
        data = self.read(at, size)
        if len(data) < size:
            raise ViewError("the archive is truncated")
        return data

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self.size, CHUNK):
            yield self.exactly(at, min(CHUNK, self.size - at))

    def open(self) -> AbstractContextManager["Span"]:
        return nullcontext(self)


@dataclass(frozen=True, slots=True)
class Beneath:
    """A file below an open directory, by a path that runs through no link."""

    root: int
    path: str

    @contextmanager
    def open(self) -> Iterator[Span]:
        with _beneath(self.root, self.path, _FILE_FLAGS) as fd:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ViewError(f"{self.path}: not a file any more")
            yield Span(fd, 0, found.st_size)


class Content(Protocol):
    def open(self) -> AbstractContextManager[Span]: ...


class SpanFile(io.RawIOBase):
    """A span as a file, for the decompressors."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._span.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@contextmanager
def _beneath(root: int, path: str, flags: int) -> Iterator[int]:
    """Open *path* below *root* name by name, so that a link put there meanwhile is not followed."""
    current = os.dup(root)
    try:
        names = [name for name in path.split("/") if name]
        for place, name in enumerate(names, 1):
            how = flags if place == len(names) else DIRECTORY_FLAGS
            below = os.open(name, how, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
