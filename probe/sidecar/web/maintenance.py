"""Until when a target is in maintenance: what a request says, as UNIX time. Pure."""

import re
from collections.abc import Mapping

from probe.sidecar.configuration.fields import seconds
from probe.synchronizer.health import SECOND
from probe.synchronizer.health import BodyError
from probe.synchronizer.health import parse_time

LONGEST = 7 * 86400.0
"""Seconds: maintenance always ends, and is not forgotten for longer than a week."""

_UNIX = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")


class MaintenanceError(ValueError):
    """A request that names no end, or none that can be."""


def read_until(given: Mapping[str, str], now: float) -> float:
    """Read `until` (RFC 3339, or UNIX seconds) or `duration`; *now* is UNIX time.

    Raises MaintenanceError.
    """
    if len(given) != 1 or not given.keys() <= _READERS.keys():
        raise MaintenanceError("maintenance: needs until=TIME or duration=30m, and nothing else")
    ((name, text),) = given.items()
    try:
        until = _READERS[name](text, now)
    except ValueError as error:
        raise MaintenanceError(f"{name}: {error}") from None
    if not now < until <= now + LONGEST:
        raise MaintenanceError(f"{name}: {text[:40]!r} does not end within the next 7 days")
    return until


def _until(text: str, _now: float) -> float:
    if _UNIX.fullmatch(text):
        return float(text)
    try:
        return parse_time(text) / SECOND
    except BodyError:
        raise ValueError(
            f"{text[:40]!r} is not a time, such as 2030-01-31T12:00:00Z or UNIX seconds"
        ) from None


def _duration(text: str, now: float) -> float:
    return now + seconds(text)


_READERS = {"until": _until, "duration": _duration}
