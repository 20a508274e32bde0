"""Fields of JSON documents, each of the type that it must have."""

import json
from typing import Any

from probe.image.view import ViewError


def load(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ViewError(f"{what} is not JSON") from error


def typed(document: Any, what: str, key: str, kind: type | tuple[type, ...]) -> Any:
    """Return a field of a JSON object; None where it is absent or null."""
    if not isinstance(document, dict):
        raise ViewError(f"{what} is not a JSON object")
    value = document.get(key)
    right = isinstance(value, kind) and not isinstance(value, bool)
    if value is not None and not right:
        raise ViewError(f"{what}: {key} has the wrong type")
    return value


def string(document: Any, what: str, key: str) -> str:
    return typed(document, what, key, str) or ""


def strings(document: Any, what: str, key: str, kind: type | tuple[type, ...] = list) -> list[str]:
    value = typed(document, what, key, kind) or []
    if isinstance(value, str):
        # Engines take a command that is one string as a list of one.
        return [value]
    if not all(isinstance(item, str) for item in value):
        raise ViewError(f"{what}: {key} has the wrong type")
    return list(value)


def objects(document: Any, what: str, key: str) -> list[dict[str, Any]]:
    value = typed(document, what, key, list) or []
    if not all(isinstance(item, dict) for item in value):
        raise ViewError(f"{what}: {key} has the wrong type")
    return list(value)


def labels(document: Any, what: str, key: str) -> dict[str, str]:
    value: dict[str, Any] = typed(document, what, key, dict) or {}
    if not all(isinstance(item, str) for item in value.values()):
        raise ViewError(f"{what}: {key} has the wrong type")
    return value
