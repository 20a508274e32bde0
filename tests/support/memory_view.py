"""A view of an image that is a dictionary: for tests of what reads views."""

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace

from probe.image.view import READ_LIMIT
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import Member
from probe.image.view import Tree
from probe.image.view import ViewError
from probe.image.view import locate


@dataclass(frozen=True)
class File:
    """A file with a mode or an owner of its own: `File(b"#!/bin/sh", 0o644)`."""

    data: bytes
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


def symlink(target: str) -> Entry:
    """Return what to put at the link's path."""
    return Entry("", Kind.SYMLINK, 0o777, 0, 0, 0, target)


def folder(mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry("", Kind.DIRECTORY, mode, uid, gid, 0)


def _member(path: str, value: bytes | File | Entry) -> Member[bytes]:
    if isinstance(value, Entry):
        return Member(replace(value, path=path))
    file = File(value) if isinstance(value, bytes) else value
    entry = Entry(path, Kind.FILE, file.mode, file.uid, file.gid, len(file.data))
    return Member(entry, file.data)


class MemoryView:
    """Files by absolute path; directories above them come by themselves.

    Bytes make a file of mode 0755; `File`, `symlink`, `folder` or an `Entry` (its path does not
    count) make the rest. `faults` are what could not be placed.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | File | Entry],
        config: ImageConfig | None = None,
    ) -> None:
        self.config = config
        self._tree: Tree[bytes] = Tree(max_entries=100_000, max_steps=10_000_000)
        members = [_member(path, value) for path, value in files.items()]
        self._tree.add_layer(members, whiteouts=False)
        self.faults = tuple(self._tree.faults)

    def entries(self) -> Iterable[Entry]:
        return [self._tree.entries[path] for path in sorted(self._tree.entries)]

    def lstat(self, path: str) -> Entry | None:
        return locate(self._tree.entries, path, follow=False)

    def resolve(self, path: str) -> Entry | None:
        return locate(self._tree.entries, path, follow=True)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        entry = self.resolve(path)
        if entry is None or entry.kind is not Kind.FILE:
            raise ViewError(f"{path}: not a file")
        data = self._tree.contents[entry.path]
        if len(data) > limit:
            raise ViewError(f"{path}: more than {limit} bytes")
        return data

    def part(self, path: str, start: int, size: int) -> bytes:
        return self.read(path)[start : start + size]
