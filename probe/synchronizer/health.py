"""The health bodies of split-sync and split-proxy 5.12, read and written as Go's JSON has them.

Times are whole nanoseconds since 1970: a datetime would lose the last three digits. In Go's source
the bodies are structs (`HealthDto`, `ItemDto`), whose tags give the order and what may be left out.
"""

import json
import re
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from typing import Any

SECOND = 1_000_000_000
MICROSECOND = 1000
STATUSES = ("healthy", "degraded", "down")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
# encoding/json escapes these unless told otherwise, so that JSON can stand in HTML.
_ESCAPED = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


class BodyError(ValueError):
    """A body that is not the synchronizer's; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One sync loop, or the storage; `last_hit` is the start of its last attempt."""

    name: str
    healthy: bool
    last_hit: int | None = None
    error_count: int = 0


@dataclass(frozen=True, slots=True)
class ApplicationHealth:
    """What /health/application says; `healthy_since` is None when it is unhealthy."""

    healthy: bool
    healthy_since: int | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One of the services that the synchronizer talks to, as last looked at."""

    service: str
    healthy: bool
    message: str = ""
    healthy_since: int | None = None
    last_hit: int | None = None


@dataclass(frozen=True, slots=True)
class DependenciesHealth:
    """What /health/dependencies says; the status is healthy, degraded or down."""

    service_status: str
    dependencies: tuple[Dependency, ...]


def format_time(nanoseconds: int) -> str:
    """Write a time as Go's RFC3339Nano in UTC, without the fraction's trailing zeros."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    moment = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{moment.isoformat()}{digits}Z"


def parse_time(text: str) -> int:
    """Read a time of RFC3339Nano to the nanosecond. Raises BodyError."""
    found = _RFC3339.fullmatch(text)
    if not found:
        raise BodyError(f"{_shown(text)} is not a time")
    moment, fraction, sign, hours, minutes = found.groups()
    try:
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        whole = (datetime.fromisoformat(moment).replace(tzinfo=zone) - _EPOCH) // timedelta(
            seconds=1
        )
    except (ValueError, OverflowError) as error:
        raise BodyError(f"{_shown(text)} is not a time") from error
    return whole * SECOND + int((fraction or "").ljust(9, "0"))


def parse_application(body: bytes) -> ApplicationHealth:
    """Read the body of /health/application. Raises BodyError."""
    document = _Object(_decode(body), "body")
    return ApplicationHealth(
        healthy=document.flag("healthy"),
        healthy_since=document.time("healthySince"),
        items=tuple(map(_item, document.rows("items"))),
    )


def parse_dependencies(body: bytes) -> DependenciesHealth:
    """Read the body of /health/dependencies. Raises BodyError."""
    document = _Object(_decode(body), "body")
    status = document.text("serviceStatus")
    if status not in STATUSES:
        raise BodyError(f"serviceStatus: {_shown(status)} is none of {', '.join(STATUSES)}")
    return DependenciesHealth(status, tuple(map(_dependency, document.rows("dependencies"))))


def write_application(health: ApplicationHealth) -> bytes:
    """Write what /health/application says: `healthySince` stands even when it is null."""
    return _encode(
        {
            "healthy": health.healthy,
            "healthySince": _time(health.healthy_since),
            "items": [_filled(_item_fields(item)) for item in health.items],
        }
    )


def write_dependencies(health: DependenciesHealth) -> bytes:
    """Write what /health/dependencies says: what is empty is left out."""
    rows = [_filled(_dependency_fields(row)) for row in health.dependencies]
    return _encode({"serviceStatus": health.service_status, "dependencies": rows})


def write_json(document: dict[str, Any]) -> bytes:
    """Write a document as Go's encoding/json does: compact, and safe within HTML."""
    return _encode(document)


class _Object:
    """A JSON object whose members must be of the type that is asked for."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise BodyError(f"{path}: {_shown(value)} is not an object")
        self._value, self._path = value, path

    def _get(self, name: str, kind: type, words: str, default: object = None) -> Any:
        value = self._value.get(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BodyError(f"{self._at(name)}: {_shown(value)} is not {words}")
        return value

    def _at(self, name: str) -> str:
        return name if self._path == "body" else f"{self._path}.{name}"

    def flag(self, name: str) -> bool:
        return bool(self._get(name, bool, "true or false"))

    def text(self, name: str, default: str | None = None) -> str:
        return str(self._get(name, str, "a text", default))

    def whole(self, name: str) -> int:
        return int(self._get(name, int, "a whole number", 0))

    def time(self, name: str) -> int | None:
        if self._value.get(name) is None:
            return None
        try:
            return parse_time(self.text(name))
        except BodyError as error:
            raise BodyError(f"{self._at(name)}: {error}") from error

    def rows(self, name: str) -> Iterator["_Object"]:
        for index, value in enumerate(self._get(name, list, "a list")):
            yield _Object(value, f"{self._at(name)}[{index}]")


def _item(row: _Object) -> Item:
    return Item(row.text("name"), row.flag("healthy"), row.time("lastHit"), row.whole("errorCount"))


def _dependency(row: _Object) -> Dependency:
    return Dependency(
        service=row.text("service"),
        healthy=row.flag("healthy"),
        message=row.text("message", ""),
        healthy_since=row.time("healthySince"),
        last_hit=row.time("lastHit"),
    )


def _item_fields(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "healthy": item.healthy,
        "lastHit": _time(item.last_hit),
        "errorCount": item.error_count or None,
    }


def _dependency_fields(row: Dependency) -> dict[str, Any]:
    return {
        "service": row.service,
        "healthy": row.healthy,
        "message": row.message or None,
        "healthySince": _time(row.healthy_since),
        "lastHit": _time(row.last_hit),
    }


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has Go's `omitempty` and is empty."""
    return {name: value for name, value in fields.items() if value is not None}


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else format_time(nanoseconds)


def _decode(body: bytes) -> Any:
    read: Callable[[str], Any] = json.loads
    try:
        return read(body.decode())
    except UnicodeDecodeError as error:
        raise BodyError(f"body: byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise BodyError("body: nested too deep") from error
    except ValueError as error:
        raise BodyError(f"body: not JSON: {error}") from error


def _encode(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED).encode("utf-8", "replace")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004 # enough to know it by
