"""Open an image wherever it lies."""

import os
import stat
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from probe.image.archives.compression import is_compressed
from probe.image.archives.compression import plain
from probe.image.archives.compression import spool
from probe.image.archives.layouts import Wanted
from probe.image.archives.layouts import docker_image
from probe.image.archives.layouts import oci_image
from probe.image.archives.limits import LIMITS
from probe.image.archives.limits import Budget
from probe.image.archives.limits import Limits
from probe.image.archives.opened import Opened
from probe.image.archives.root import Scan
from probe.image.archives.spans import CHUNK
from probe.image.archives.spans import Content
from probe.image.archives.spans import Span
from probe.image.archives.spans import why
from probe.image.archives.store import Store
from probe.image.archives.tar import BLOCK
from probe.image.archives.tar import check_header
from probe.image.archives.tar import members
from probe.image.view import Entry
from probe.image.view import Fault
from probe.image.view import ImageConfig
from probe.image.view import Tree
from probe.image.view import ViewError


class Image(Opened):
    """An opened image.

    `faults` are the entries that were passed over, with the reason.
    """

    def __init__(
        self,
        tree: Tree[Content],
        config: ImageConfig | None,
        resources: ExitStack,
    ) -> None:
        super().__init__(tree.entries, resources)
        self.config = config
        self.faults: tuple[Fault, ...] = tuple(tree.faults)
        self._contents = tree.contents

    @cached_property
    def _sorted(self) -> tuple[Entry, ...]:
        return tuple(self._entries[path] for path in sorted(self._entries))

    def entries(self) -> Iterable[Entry]:
        return self._sorted

    def _content(self, path: str) -> Content | None:
        return self._contents.get(path)


# uname -m to the architecture's name in images (Go's).
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "i386": "386",
    "i686": "386",
}


def this_architecture() -> str:
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def open_image(
    where: str,
    *,
    architecture: str | None = None,
    reference: str | None = None,
    stream: BinaryIO | None = None,
    limits: Limits = LIMITS,
) -> Image:
    """Open the image at *where*: a directory, a tar (with gzip or zstd too), or `-` for *stream*.

    A directory with `oci-layout` and `index.json` is an OCI layout, any other a root. Of several
    images the one for Linux and *architecture* (this machine's where None) is taken, or the one
    whose tag is *reference*. Close it, or use it in a `with`.

    Raises:
        ViewError: it is none of these, damaged, or larger than *limits*.
    """
    wanted = Wanted(architecture or this_architecture(), architecture is not None, reference)
    budget = Budget(limits)
    try:
        with ExitStack() as resources:
            source = _source(where, stream, budget, resources)
            tree, config = _load(source, wanted, budget, resources)
            return Image(tree, config, resources.pop_all())
    except OSError as error:
        raise ViewError(f"cannot read {where}: {why(error)}") from error
    except ViewError as error:
        raise ViewError(f"{where}: {error}") from error


def _tree(limits: Limits) -> Tree[Content]:
    return Tree(limits.entries, limits.steps, limits.names)


def _source(
    where: str, stream: BinaryIO | None, budget: Budget, resources: ExitStack
) -> Span | int:
    """Return the tar to read, or the descriptor of a directory."""
    if where == "-":
        if stream is None:
            raise ViewError("no stream to read from")
        return spool(_recognised(stream.read), budget, resources)
    if "\0" in where:
        raise ViewError("a NUL in the name")
    found = Path(where).stat()
    if stat.S_ISFIFO(found.st_mode):
        # `<(docker save IMAGE)` is one.
        with Path(where).open("rb") as pipe:
            return spool(_recognised(pipe.read), budget, resources)
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        raise ViewError("neither a directory nor a file")
    fd = os.open(where, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    resources.callback(os.close, fd)
    return fd if stat.S_ISDIR(found.st_mode) else Span(fd, 0, os.fstat(fd).st_size)


def _recognised(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Look at the first bytes before gigabytes of something else are written down."""
    head = read(CHUNK)
    if head and not is_compressed(head):
        check_header(head[:BLOCK])
    pending = [head]
    return lambda size: pending.pop() if pending else read(size)


def _load(
    source: Span | int, wanted: Wanted, budget: Budget, resources: ExitStack
) -> tuple[Tree[Content], ImageConfig | None]:
    tree = _tree(budget.limits)
    if isinstance(source, int):
        Scan(source, tree, budget).run()
    else:
        span = plain(source, budget, resources)
        if not span.size:
            raise ViewError("the archive is empty")
        tree.add_layer(members(span, budget), whiteouts=False)
    store = Store(tree, budget, resources)
    read = _reader(store, folder=isinstance(source, int))
    if read is None:
        if len(tree.entries) == 1:
            raise ViewError("there is no file in it")
        return tree, None
    config, layers = read(store, wanted)
    return _apply(layers, budget), config


_SYSTEM = ("bin", "etc", "lib", "usr")


def _reader(
    store: Store, *, folder: bool
) -> Callable[[Store, Wanted], tuple[ImageConfig, list[Span]]] | None:
    """Return what reads this archive; None for a plain root.

    Docker 25 and later save both formats in one tar; `docker load` reads manifest.json, and so do
    we. A root of a system may have a file of such a name.
    """
    if any(store.has(name) for name in _SYSTEM):
        return None
    if not folder and store.has("manifest.json"):
        return docker_image
    if store.has("index.json") and (store.has("oci-layout") or store.has("blobs")):
        return oci_image
    return None


def _apply(layers: list[Span], budget: Budget) -> Tree[Content]:
    tree = _tree(budget.limits)
    for number, layer in enumerate(layers, 1):
        try:
            tree.add_layer(members(layer, budget), whiteouts=True)
        except ViewError as error:
            raise ViewError(f"layer {number}: {error}") from error
    return tree
