"""What stands in the layer: files, links and directories, and where each came from."""

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from probe.image.builder.errors import BuildError
from probe.image.view import Kind
from probe.image.view import parent_of

EXECUTABLE = 0o755
PLAIN = 0o644


class Origin(StrEnum):
    """Who gave a file; also what the SBOM calls it."""

    ROOT = "root"
    APPLICATION = "application"
    PROBE = "probe"
    """Ours: the scripts, and what is written for this image."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the layer; all belong to root.

    `path` is absolute and runs through no link; `mode` has permission bits, and the sticky bit of
    /tmp. `package` is the Debian package that a file of the root belongs to, "" where none.
    """

    path: str
    kind: Kind
    mode: int
    origin: Origin
    data: bytes = b""
    target: str = ""
    package: str = ""


def file(path: str, data: bytes, mode: int = PLAIN, origin: Origin = Origin.PROBE) -> Item:
    return Item(path, Kind.FILE, mode, origin, data)


def link(path: str, target: str, origin: Origin = Origin.PROBE) -> Item:
    return Item(path, Kind.SYMLINK, 0o777, origin, target=target)


def folder(path: str, mode: int = EXECUTABLE, origin: Origin = Origin.PROBE) -> Item:
    return Item(path, Kind.DIRECTORY, mode, origin)


def with_parents(items: Iterable[Item]) -> list[Item]:
    """Return the items sorted, parents first, with the directories that they stand in.

    Raises:
        BuildError: something is to stand in what is no directory.
    """
    found = {item.path: item for item in items}
    for path in list(found):
        for above in _above(path):
            if found.setdefault(above, folder(above)).kind is not Kind.DIRECTORY:
                raise BuildError(f"{path}: cannot stand in {above}, which is no directory")
    # A path sorts behind each of its parents by its names, not by its text: "a-b" < "a/b".
    return [found[path] for path in sorted(found, key=lambda path: path.split("/"))]


def _above(path: str) -> Iterator[str]:
    while (path := parent_of(path)) != "/":
        yield path
