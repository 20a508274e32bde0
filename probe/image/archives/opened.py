"""What every opened root has in common: look-ups among entries, contents from open files."""

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from probe.image.archives.spans import Content
from probe.image.archives.spans import Span
from probe.image.archives.spans import why
from probe.image.view import READ_LIMIT
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import ViewError
from probe.image.view import locate


class Opened:
    """Most of a View: what holds files open until it is closed. Its heirs list the entries."""

    def __init__(self, entries: Mapping[str, Entry], resources: ExitStack) -> None:
        self._entries = entries
        self._resources = resources

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()

    def lstat(self, path: str) -> Entry | None:
        return locate(self._entries, path, follow=False)

    def resolve(self, path: str) -> Entry | None:
        return locate(self._entries, path, follow=True)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        with self._open(path) as span:
            if span.size > limit:
                raise ViewError(f"{path}: more than {limit} bytes")
            return span.exactly(0, span.size)

    def part(self, path: str, start: int, size: int) -> bytes:
        with self._open(path) as span:
            return span.exactly(start, max(0, min(size, span.size - start)))

    def _content(self, path: str) -> Content | None:
        """Return where the contents of the file at *path* lie, which runs through no link."""
        raise NotImplementedError

    @contextmanager
    def _open(self, path: str) -> Iterator[Span]:
        entry = self.resolve(path)
        if entry is None or entry.kind is not Kind.FILE:
            raise ViewError(f"{path}: " + ("no such file" if entry is None else "not a file"))
        content = self._content(entry.path)
        if content is None:
            raise ViewError(f"{path}: its contents are not held in a way that can be read")
        try:
            with content.open() as span:
                yield span
        except OSError as error:
            raise ViewError(f"{path}: cannot be read: {why(error)}") from error
