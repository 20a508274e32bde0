"""The files of an archive or a layout by path, compared with the digests they should have."""

import hashlib
import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from probe.image.archives.compression import plain
from probe.image.archives.documents import load
from probe.image.archives.documents import string
from probe.image.archives.documents import typed
from probe.image.archives.limits import Budget
from probe.image.archives.spans import Content
from probe.image.archives.spans import Span
from probe.image.view import Tree
from probe.image.view import ViewError
from probe.image.view import locate


class Store:
    """The files of an archive or a layout, itself read as a tree: its links stay inside too."""

    def __init__(self, tree: Tree[Content], budget: Budget, resources: ExitStack) -> None:
        self.budget = budget
        self._tree = tree
        self._resources = resources
        # A layer may stand in an image many times: it is opened, hashed and unpacked once.
        self._opened: dict[str, Span] = {}
        self._digests: dict[Span, str] = {}
        self._unpacked: dict[Span, Span] = {}

    def has(self, path: str) -> bool:
        return locate(self._tree.entries, path, follow=True) is not None

    def span(self, path: str) -> Span:
        entry = locate(self._tree.entries, path, follow=True)
        content = self._tree.contents.get(entry.path) if entry is not None else None
        if entry is None or content is None:
            raise ViewError(f"the archive has no file {path}")
        if entry.path not in self._opened:
            self._opened[entry.path] = self._resources.enter_context(content.open())
        return self._opened[entry.path]

    def metadata(self, path: str) -> bytes:
        span = self.span(path)
        if span.size > self.budget.limits.metadata:
            raise ViewError(f"{path} has more than {self.budget.limits.metadata} bytes")
        return span.exactly(0, span.size)

    def json(self, path: str) -> Any:
        return load(self.metadata(path), path)

    def blob(self, descriptor: Mapping[str, Any]) -> tuple[str, Span]:
        """Return a blob's path and itself, its size and digest compared with the descriptor's."""
        digest = string(descriptor, "a descriptor", "digest")
        found = re.fullmatch(r"sha256:([0-9a-f]{64})", digest)
        if found is None:
            raise ViewError(f"a descriptor's digest is no sha256: {digest[:80]!r}")
        path = f"blobs/sha256/{found[1]}"
        span = self.span(path)
        size = typed(descriptor, "a descriptor", "size", int)
        if size is not None and size != span.size:
            raise ViewError(f"{path} has {span.size} bytes, its descriptor says {size}")
        self.verify(span, digest, path)
        return path, span

    def blob_json(self, descriptor: Mapping[str, Any]) -> Any:
        # Sized first: what is too large is not hashed, nor read.
        path, _ = self.blob(descriptor)
        return self.json(path)

    def unpacked(self, span: Span) -> Span:
        """Return a layer decompressed."""
        if span not in self._unpacked:
            self._unpacked[span] = plain(span, self.budget, self._resources)
        return self._unpacked[span]

    def verify(self, span: Span, digest: str, what: str) -> None:
        if span not in self._digests:
            self._digests[span] = _digest(span)
        if self._digests[span] != digest:
            raise ViewError(f"{what} does not have the digest {digest}: damaged or exchanged")


def _digest(span: Span) -> str:
    hasher = hashlib.sha256()
    for chunk in span.chunks():
        hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"
