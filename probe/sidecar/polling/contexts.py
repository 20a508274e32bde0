"""TLS contexts kept between checks: making one takes 30 ms, in which the loop stands still."""

import os
import ssl

from probe.client.tls import make_context
from probe.contract.target import TLS

Stamp = tuple[int, int, int] | None


class Contexts:
    """One context for all targets of the same settings, made anew when one of its files changed."""

    def __init__(self) -> None:
        self._kept: dict[TLS, tuple[tuple[Stamp, ...], ssl.SSLContext]] = {}

    def of(self, settings: TLS) -> ssl.SSLContext:
        """Return the context. Raises OSError or ssl.SSLError for files that cannot be used."""
        stamps = tuple(map(_stamp, _files(settings)))
        kept = self._kept.get(settings)
        if kept is not None and kept[0] == stamps:
            return kept[1]
        context = make_context(settings)
        self._kept[settings] = stamps, context
        return context


def _files(settings: TLS) -> tuple[str | None, ...]:
    authorities = settings.ca or ssl.get_default_verify_paths().cafile
    return authorities, settings.cert, settings.key


def _stamp(path: str | None) -> Stamp:
    if path is None:
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 # three of these for each check
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
