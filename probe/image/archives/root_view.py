"""A root directory read as it is asked for: for a whole system, of which few files are wanted.

`archives.open_image` lists everything first, which takes seconds and a lot of memory for `/`. Here
a name is looked at when a path runs through it; links are followed as in every view, inside the
root.
"""

import os
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager

from probe.image.archives.opened import Opened
from probe.image.archives.root import stat_entry
from probe.image.archives.spans import DIRECTORY_FLAGS
from probe.image.archives.spans import Beneath
from probe.image.archives.spans import Content
from probe.image.archives.spans import why
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError
from probe.image.view import join
from probe.image.view import parent_of

MAX_LISTED = 200_000
"""Names listed below one folder: /usr of a full desktop has about 400,000, no part of it half."""


class RootView(Opened):
    """The root at a directory, open until it is closed.

    `entries` gives what is below *listed* alone: what looks for files by pattern must name where.

    Raises:
        ViewError: the directory cannot be opened.
    """

    config: ImageConfig | None = None

    def __init__(self, where: str, listed: Sequence[str] = ()) -> None:
        self._listed = tuple(listed)
        resources = ExitStack()
        try:
            self._root = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ViewError(f"cannot read {where}: {why(error)}") from error
        resources.callback(os.close, self._root)
        super().__init__(_Lazy(self._root), resources)

    def entries(self) -> Iterable[Entry]:
        found = {entry.path: entry for path in self._listed for entry in self.below(path)}
        return [found[path] for path in sorted(found)]

    def below(self, path: str) -> Iterator[Entry]:
        """Return the entries below the folder at *path*, sorted by path, links not followed.

        Raises:
            ViewError: a folder cannot be listed, or there are more than `MAX_LISTED`.
        """
        top = self.resolve(path)
        pending = [top.path] if top is not None and top.kind is Kind.DIRECTORY else []
        found: dict[str, Entry] = {}
        while pending:
            for entry in self._children(pending.pop()):
                found[entry.path] = entry
                if entry.kind is Kind.DIRECTORY:
                    pending.append(entry.path)
            if len(found) > MAX_LISTED:
                raise ViewError(f"{path}: more than {MAX_LISTED} entries are below it")
        return iter([found[one] for one in sorted(found)])

    def _children(self, path: str) -> list[Entry]:
        try:
            with _folder(self._root, path) as fd:
                names = os.listdir(fd)  # noqa: PTH208 - of a descriptor
        except OSError as error:
            raise ViewError(f"{path}: cannot be listed: {why(error)}") from error
        # One that went away meanwhile is passed over.
        return [entry for name in names if (entry := self._entries.get(join(path, name)))]

    def _content(self, path: str) -> Content:
        return Beneath(self._root, path)


class _Lazy(Mapping[str, Entry]):
    """Entries by their paths, each looked at once; a path through a link is not looked up here."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._known: dict[str, Entry | None] = {}

    def __getitem__(self, path: str) -> Entry:
        if path not in self._known:
            self._known[path] = self._look(path)
        found = self._known[path]
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([path for path, entry in self._known.items() if entry is not None])

    def __len__(self) -> int:
        return sum(entry is not None for entry in self._known.values())

    def _look(self, path: str) -> Entry | None:
        if path == "/":
            return stat_entry("/", os.fstat(self._root), None)
        name = path.rpartition("/")[2]
        try:
            with _folder(self._root, parent_of(path)) as fd:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                entry = stat_entry(path, found, None)
                if entry.kind is not Kind.SYMLINK:
                    return entry
                return stat_entry(path, found, os.readlink(name, dir_fd=fd))
        except (OSError, ValueError):  # ValueError: a NUL in a name
            return None


@contextmanager
def _folder(root: int, path: str) -> Iterator[int]:
    """Open a directory below *root* name by name, so that no link put there is followed."""
    current = os.dup(root)
    try:
        for name in path.strip("/").split("/") if path != "/" else ():
            below = os.open(name, DIRECTORY_FLAGS, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)
