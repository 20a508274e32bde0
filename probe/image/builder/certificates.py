"""The bundle of certificate authorities: where Go, OpenSSL and curl look on Debian.

update-ca-certificates(8) makes it of the package's certificates, less those that
/etc/ca-certificates.conf deselects with a `!`, and of the administrator's own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from probe.image.source import Source
from probe.image.view import Kind
from probe.image.view import ViewError

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_SHARED = "/usr/share/ca-certificates"
_LOCAL = "/usr/local/share/ca-certificates"
_CONFIGURATION = "/etc/ca-certificates.conf"
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----"
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Certificates one after the other, and what the user should know of them."""

    data: bytes
    notes: tuple[str, ...] = ()


def find_bundle(root: Source) -> Bundle | None:
    """Return the root's bundle, or one made of its certificates; None where it has none."""
    shared = [_certificates(root.read(path)) for path in _files(root, _SHARED)]
    known = {one for group in shared for one in group}
    entry = root.resolve(BUNDLE)
    if entry is not None and entry.kind is Kind.FILE:
        data = root.read(BUNDLE)
        return Bundle(data, tuple(_notes(data, known))) if _certificates(data) else None
    deselected = _deselected(root)
    chosen = [root.read(p) for p in _files(root, _SHARED) if p not in deselected]
    chosen += [root.read(path) for path in _files(root, _LOCAL)]
    data = b"".join(text.rstrip() + b"\n" for text in chosen if _certificates(text))
    note = f"{BUNDLE}: not in the root: made of the certificates in {_SHARED}"
    return Bundle(data, (note,)) if data else None


def with_authorities(bundle: Bundle | None, added: bytes) -> Bundle | None:
    """Return the bundle with more certificates behind its own."""
    if not added:
        return bundle
    head = bundle or Bundle(b"")
    return Bundle(b"".join((head.data, *_lines_ended(head.data), added)), head.notes)


def _lines_ended(data: bytes) -> list[bytes]:
    return [] if not data or data.endswith(b"\n") else [b"\n"]


def _notes(data: bytes, known: set[bytes]) -> Iterator[str]:
    foreign = [one for one in _certificates(data) if one not in known]
    if known and foreign:
        yield (
            f"{BUNDLE}: certificates of the root's own, not of the package ca-certificates: "
            f"{len(foreign)}"
        )


def _certificates(data: bytes) -> list[bytes]:
    """Return the certificates in a text, white space left out: bundles are wrapped anew."""
    return [b"".join(one.split()) for one in _CERTIFICATE.findall(data)]


def _files(root: Source, folder: str) -> list[str]:
    return [
        entry.path
        for entry in root.below(folder)
        if entry.path.endswith(".crt") and entry.kind is Kind.FILE
    ]


def _deselected(root: Source) -> set[str]:
    try:
        lines = root.read(_CONFIGURATION).decode("utf-8", "surrogateescape").splitlines()
    except ViewError:
        return set()
    return {f"{_SHARED}/{line[1:].strip()}" for line in lines if line.startswith("!")}
