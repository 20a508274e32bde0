"""The bodies of /health/application and /health/dependencies, as split-sync and split-proxy 5.12.4
write them (Go's encoding/json: field order of the structs, `omitempty`, HTML characters escaped).

Times are UNIX times in nanoseconds: a float could not hold what RFC3339Nano shows.
"""

import json
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import Any

SECOND = 1_000_000_000

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


class BodyError(ValueError):
    """A body is not the synchronizer's: where, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Item:
    """One counter. `last_hit` is the START of the last attempt, None before the first."""

    name: str
    healthy: bool
    last_hit: int | None = None
    error_count: int = 0


@dataclass(frozen=True, slots=True)
class ApplicationHealth:
    healthy: bool
    healthy_since: int | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One service; without `last_hit` nobody has looked yet."""

    service: str
    healthy: bool
    message: str = ""
    healthy_since: int | None = None
    last_hit: int | None = None


@dataclass(frozen=True, slots=True)
class DependenciesHealth:
    service_status: str
    dependencies: tuple[Dependency, ...]


def format_time(nanoseconds: int) -> str:
    """Write RFC3339Nano in UTC: trailing zeros of the fraction are cut (Go's time.RFC3339Nano)."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"


def parse_time(text: str) -> int:
    """Read RFC3339Nano. Raises BodyError."""
    found = _TIME.fullmatch(text)
    try:
        moment = datetime.fromisoformat(f"{found[1]}{found[3]}") if found else None
        if found and moment:
            fraction = int((found[2] or "").ljust(9, "0"))
            return int(moment.timestamp()) * SECOND + fraction
    except (ValueError, OverflowError):
        pass
    raise BodyError(f"not a time: {text[:40]!r}")


def dump_application(health: ApplicationHealth) -> bytes:
    return _dump(
        {
            "healthy": health.healthy,
            "healthySince": None
            if health.healthy_since is None
            else format_time(health.healthy_since),
            "items": [
                _without_empty(
                    {"name": item.name, "healthy": item.healthy},
                    lastHit=_time_or_none(item.last_hit),
                    errorCount=item.error_count,
                )
                for item in health.items
            ],
        }
    )


def dump_dependencies(health: DependenciesHealth) -> bytes:
    return _dump(
        {
            "serviceStatus": health.service_status,
            "dependencies": [
                _without_empty(
                    {"service": row.service, "healthy": row.healthy},
                    message=row.message,
                    healthySince=_time_or_none(row.healthy_since),
                    lastHit=_time_or_none(row.last_hit),
                )
                for row in health.dependencies
            ],
        }
    )


def _time_or_none(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else format_time(nanoseconds)


def _without_empty(fields: dict[str, Any], **optional: object) -> dict[str, Any]:
    return fields | {name: value for name, value in optional.items() if value}


def _dump(document: object) -> bytes:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def parse_application(body: bytes) -> ApplicationHealth:
    """Read the body of /health/application. Raises BodyError."""
    document = _load(body)
    return ApplicationHealth(
        _field(document, "healthy", bool),
        _optional(document, "healthySince", parse_time),
        tuple(
            Item(
                _field(row, "name", str, place),
                _field(row, "healthy", bool, place),
                _optional(row, "lastHit", parse_time, place),
                _field(row, "errorCount", int, place) if "errorCount" in row else 0,
            )
            for place, row in _rows(document, "items")
        ),
    )


def parse_dependencies(body: bytes) -> DependenciesHealth:
    """Read the body of /health/dependencies. Raises BodyError."""
    document = _load(body)
    return DependenciesHealth(
        _field(document, "serviceStatus", str),
        tuple(
            Dependency(
                _field(row, "service", str, place),
                _field(row, "healthy", bool, place),
                _field(row, "message", str, place) if "message" in row else "",
                _optional(row, "healthySince", parse_time, place),
                _optional(row, "lastHit", parse_time, place),
            )
            for place, row in _rows(document, "dependencies")
        ),
    )


def _load(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BodyError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BodyError("not a JSON object")
    return document


def _rows(document: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    rows = _field(document, name, list)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise BodyError(f"{name}[{index}]: not an object")
    return [(f"{name}[{index}].", row) for index, row in enumerate(rows)]


def _field(row: Mapping[str, Any], name: str, kind: type, place: str = "") -> Any:
    value = row.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BodyError(f"{place}{name}: not of type {kind.__name__}")
    return value


def _optional(
    row: Mapping[str, Any], name: str, read: Callable[[str], int], place: str = ""
) -> int | None:
    return None if row.get(name) is None else read(_field(row, name, str, place))
