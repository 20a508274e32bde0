"""The layer: one tar whose bytes follow from the items alone.

Sorted, parents first; owner 0:0 without names, one time for all; ustar headers, with an extended
one (POSIX pax) only where a name or a size needs it.
"""

import tarfile
from collections.abc import Iterable
from collections.abc import Iterator

from probe.image.builder.items import Item
from probe.image.view import Kind

_BLOCK = 512
_END = 2 * _BLOCK
_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
}


def header(item: Item, size: int, epoch: int) -> bytes:
    """Return an item's header, *size* in bytes, *epoch* its time in seconds since 1970."""
    info = tarfile.TarInfo(item.path[1:] + ("/" if item.kind is Kind.DIRECTORY else ""))
    info.size, info.mtime, info.mode = size, epoch, item.mode
    info.type, info.linkname = _TYPES[item.kind], item.target
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """Return what fills the last block of a member of *size* bytes."""
    return b"\0" * (-size % _BLOCK)


def end() -> bytes:
    return b"\0" * _END


def layer(items: Iterable[Item], epoch: int) -> Iterator[bytes]:
    """Yield the tar of sorted items in pieces."""
    for item in items:
        yield header(item, len(item.data), epoch)
        if item.data:
            yield item.data
            yield padding(len(item.data))
    yield end()
