"""All that goes into the image: of the program, of the root, and what is written for it."""

import stat
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from probe.image.archives import open_image
from probe.image.archives.root_view import RootView
from probe.image.builder.dpkg import Package
from probe.image.builder.errors import BuildError
from probe.image.builder.items import EXECUTABLE
from probe.image.builder.items import PLAIN
from probe.image.builder.items import Item
from probe.image.builder.items import Origin
from probe.image.builder.items import file
from probe.image.builder.items import with_parents
from probe.image.builder.packages import attribute
from probe.image.builder.recipe import SCRIPTS
from probe.image.builder.recipe import Recipe
from probe.image.builder.recipe import written
from probe.image.builder.select import OS_RELEASE
from probe.image.builder.select import Binary
from probe.image.builder.select import Brought
from probe.image.builder.select import read_binary
from probe.image.builder.select import select
from probe.image.facts.x509 import X509Error
from probe.image.facts.x509 import read_pem
from probe.image.loader.files import MAX_FILE
from probe.image.source import Source
from probe.image.source import WholeView
from probe.scripts import script_text

_LISTED = ("/etc/ld.so.conf.d",)
"""What the search for libraries lists."""
_REPLACEABLE = {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"}
"""Of our files those that a root may know better."""


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the layer holds, sorted, and what comes with it."""

    items: tuple[Item, ...]
    program: str
    architecture: str
    packages: tuple[Package, ...]
    notes: tuple[str, ...]

    @property
    def os_release(self) -> str:
        """The text of os-release; the file that /etc/os-release leads to."""
        ends = OS_RELEASE.rpartition("/")[2]
        found = (one.data for one in self.items if one.path.endswith(f"/{ends}") and one.data)
        return next(found, b"").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where all comes from: the program, a file of this machine, and the root.

    `includes` are paths in the root; `files` are files of this machine with their paths in the
    image; `authorities` files of certificates (PEM).
    """

    program: str
    root: str = "/"
    includes: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    authorities: tuple[str, ...] = ()


def gather(recipe: Recipe, sources: Sources, progress: Callable[[str], None]) -> Contents:
    """Gather all that an image is made of.

    Raises:
        BuildError: they do not make an image.
        ViewError: the root cannot be read.
    """
    binary = _read(sources.program)
    brought = _bring(sources)
    with _opened(sources.root, binary.architecture) as root:
        progress("looking for what the program needs")
        chosen = select(root, binary, recipe, sources.includes, brought)
        progress("comparing files with their packages")
        found = attribute(root, chosen.items, chosen.borrowed, binary.architecture)
    taken = {item.path: item for item in found.items}
    scripts = {name: script_text(name) for name in SCRIPTS}
    for item in written(recipe, scripts):
        if item.path in taken and item.path not in _REPLACEABLE:
            raise BuildError(f"--include: {item.path} is one of the image's own files")
        taken.setdefault(item.path, item)
    return Contents(
        tuple(with_parents(taken.values())),
        chosen.program,
        binary.architecture,
        found.packages,
        (*chosen.notes, *found.notes),
    )


def _read(where: str) -> Binary:
    path = Path(where)
    if not path.is_file():
        raise BuildError(f"{where}: no such file" if not path.exists() else f"{where}: no file")
    if path.stat().st_size > MAX_FILE:
        raise BuildError(f"{where}: more than {MAX_FILE} bytes")
    return read_binary(where, path.read_bytes())


def _bring(sources: Sources) -> Brought:
    """Read what comes from this machine. Raises BuildError, OSError."""
    files = []
    for where, path in sources.files:
        source = Path(where)
        if not source.is_file():
            raise BuildError(f"--add {where}: no such file")
        mode = EXECUTABLE if source.stat().st_mode & stat.S_IXUSR else PLAIN
        files.append(file(path, source.read_bytes(), mode, Origin.APPLICATION))
    return Brought(tuple(files), b"".join(map(_authorities, sources.authorities)))


def _authorities(where: str) -> bytes:
    path = Path(where)
    if not path.is_file():
        raise BuildError(f"--ca {where}: no such file")
    data = path.read_bytes()
    found = list(read_pem(data))
    if not found or any(isinstance(one, X509Error) for one in found):
        raise BuildError(f"--ca {where}: not a certificate in PEM")
    return data.rstrip() + b"\n"


@contextmanager
def _opened(where: str, architecture: str) -> Iterator[Source]:
    """Open a root: a directory as it is, an archive or a layout as an image."""
    path = Path(where)
    if path.is_dir() and not (path / "oci-layout").exists():
        with RootView(where, _LISTED) as root:
            yield root
        return
    with open_image(where, architecture=architecture) as image:
        yield WholeView(image)
