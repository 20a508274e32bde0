"""Compressed archives and layers, written decompressed to a temporary file without a name.

gzip as OCI and Docker have it, and zstd (RFC 8878) where the package zstandard is installed.
"""

import gzip
import importlib
import io
import tempfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from probe.image.archives.limits import Budget
from probe.image.archives.spans import CHUNK
from probe.image.archives.spans import Span
from probe.image.archives.spans import SpanFile
from probe.image.view import ViewError

_Read = Callable[[int], bytes]
# The largest window, in bytes, that zstd itself takes without being told to.
_ZSTD_WINDOW = 2**27


def _gzip(file: io.BufferedReader) -> _Read:
    return gzip.GzipFile(fileobj=file, mode="rb").read


def _zstd(file: io.BufferedReader) -> _Read:
    try:
        module: Any = importlib.import_module("zstandard")
    except ImportError:
        raise ViewError(
            "compressed with zstd, which needs the Python package zstandard (pip install"
            " zstandard); or decompress it first (skopeo copy --dest-decompress)"
        ) from None
    decompressor = module.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    # Layers of podman's zstd:chunked are many frames; the CFFI reader ends behind one otherwise.
    reader = decompressor.stream_reader(file, read_across_frames=True)

    def read(size: int) -> bytes:
        try:
            data: bytes = reader.read(size)
        except module.ZstdError as error:
            raise zlib.error(str(error)) from error
        return data

    return read


def _refused(name: str) -> Callable[[io.BufferedReader], _Read]:
    def refuse(_: io.BufferedReader) -> _Read:
        raise ViewError(f"compressed with {name}, which images are not: decompress it first")

    return refuse


# By the bytes that they begin with.
_COMPRESSIONS: dict[bytes, Callable[[io.BufferedReader], _Read]] = {
    b"\x1f\x8b": _gzip,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"BZh": _refused("bzip2"),
    b"\xfd7zXZ\0": _refused("xz"),
}


def _compression(span: Span) -> Callable[[io.BufferedReader], _Read] | None:
    head = span.read(0, 8)
    return next((value for magic, value in _COMPRESSIONS.items() if head.startswith(magic)), None)


def is_compressed(head: bytes) -> bool:
    """Whether the first bytes are those of a compression that is known, if only by its name."""
    return head.startswith(tuple(_COMPRESSIONS))


def spool(source: _Read, budget: Budget, resources: ExitStack) -> Span:
    """Write what *source* gives to a temporary file."""
    file = resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by resources
    size = 0
    while data := source(CHUNK):
        budget.write(len(data))
        file.write(data)
        size += len(data)
    file.flush()
    return Span(file.fileno(), 0, size)


def plain(span: Span, budget: Budget, resources: ExitStack) -> Span:
    """Return the span itself, or what it holds compressed."""
    compression = _compression(span)
    if compression is None:
        return span
    raw: Any = SpanFile(span)
    with io.BufferedReader(raw, CHUNK) as file:
        try:
            return spool(compression(file), budget, resources)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ViewError(f"compressed data is damaged or truncated: {error}") from error
