"""A view that can also list one folder: what files are copied from. Pure."""

from collections.abc import Iterator
from typing import Protocol

from probe.image.view import Entry
from probe.image.view import View
from probe.image.view import join


class Source(View, Protocol):
    """A view that can list one folder."""

    def below(self, path: str) -> Iterator[Entry]:
        """Return the entries below the folder at *path*, sorted by path, links not followed."""


class WholeView:
    """Any other view as a source: its entries are known already."""

    def __init__(self, view: View) -> None:
        self.config = view.config
        self.entries = view.entries
        self.lstat = view.lstat
        self.resolve = view.resolve
        self.read = view.read
        self.part = view.part

    def below(self, path: str) -> Iterator[Entry]:
        top = self.resolve(path)
        if top is None:
            return iter(())
        start = join(top.path, "")
        return (one for one in self.entries() if one.path.startswith(start) and one.path != start)
