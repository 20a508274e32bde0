"""Writing an image: layer, archive or folder, to a place that is prepared for it."""

import gzip
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from probe.image.builder.formats import Archive
from probe.image.builder.formats import Blob
from probe.image.builder.items import Item
from probe.image.builder.items import file
from probe.image.builder.layer import end
from probe.image.builder.layer import header
from probe.image.builder.layer import layer
from probe.image.builder.layer import padding
from probe.image.view import Kind

_LEVEL = 6
"""What gzip takes by itself; 9 needs twice the time for 0.3 % less."""
_CHUNK = 2**20


def write_layer(items: Iterable[Item], epoch: int, to: BinaryIO) -> Blob:
    """Write the plain layer and return its digest, the diff_id."""
    digest, size = hashlib.sha256(), 0
    for piece in layer(items, epoch):
        digest.update(piece)
        size += len(piece)
        to.write(piece)
    to.flush()
    return Blob(f"sha256:{digest.hexdigest()}", size)


def compress(plain: BinaryIO, to: BinaryIO) -> Blob:
    """Write what *plain* holds through gzip, without time or name."""
    plain.seek(0)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=to, mtime=0) as packed:
        shutil.copyfileobj(plain, packed, _CHUNK)
    to.seek(0)
    digest, size = hashlib.sha256(), 0
    while piece := to.read(_CHUNK):
        digest.update(piece)
        size += len(piece)
    return Blob(f"sha256:{digest.hexdigest()}", size, gzip=True)


def write_tar(archive: Archive, blob: BinaryIO, epoch: int, path: Path) -> None:
    """Write an archive's files into one tar, the layer first."""
    blob.seek(0, os.SEEK_END)
    size = blob.tell()
    with path.open("wb") as to:
        to.write(header(file(f"/{archive.layer}", b""), size, epoch))
        blob.seek(0)
        shutil.copyfileobj(blob, to, _CHUNK)
        to.write(padding(size))
        for name, document in sorted(archive.documents.items()):
            to.write(header(file(f"/{name}", b""), len(document), epoch))
            to.write(document + padding(len(document)))
        to.write(end())


def write_layout(archive: Archive, blob: BinaryIO, epoch: int, path: Path) -> None:
    """Write an archive's files into a folder."""
    blob.seek(0)
    for name in (archive.layer, *archive.documents):
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as to:
            if name == archive.layer:
                shutil.copyfileobj(blob, to, _CHUNK)
            else:
                to.write(archive.documents[name])
    for place in (path, *path.rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)
        os.utime(place, (epoch, epoch))


def write_folder(items: Sequence[Item], epoch: int, path: Path) -> None:
    """Write sorted items into a folder; all belong to who runs this."""
    for item in items:
        place = path / item.path[1:]
        if item.kind is Kind.DIRECTORY:
            place.mkdir()
        elif item.kind is Kind.SYMLINK:
            place.symlink_to(item.target)
        else:
            place.write_bytes(item.data)
    # Directories last, inner ones first: what comes into one sets its time anew.
    for item in reversed(items):
        place = path / item.path[1:]
        if item.kind is not Kind.SYMLINK:
            place.chmod(item.mode)
        os.utime(place, (epoch, epoch), follow_symlinks=False)
    os.utime(path, (epoch, epoch))


def spool(folder: Path) -> BinaryIO:
    """Return a file without a name on the file system of *folder*."""
    return tempfile.TemporaryFile(dir=folder)
