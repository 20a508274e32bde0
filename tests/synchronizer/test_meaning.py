"""What `--explain` says of bodies: every trap that the status code hides."""

import pytest

from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item
from probe.synchronizer.meaning import PLAIN_TO_TLS
from probe.synchronizer.meaning import SECOND
from probe.synchronizer.meaning import age
from probe.synchronizer.meaning import explain_application
from probe.synchronizer.meaning import explain_dependencies
from probe.synchronizer.meaning import explain_reason

NOW = 1_800_000_000 * SECOND


def _ago(seconds: float) -> int:
    return NOW - int(seconds * SECOND)


FRESH = Item("Segments", healthy=True, last_hit=_ago(10))

APPLICATION = [
    pytest.param(True, [FRESH], ["attempts-only"], id="fresh"),
    pytest.param(
        True, [Item("Splits", healthy=True), FRESH], ["never-synced", "attempts-only"], id="never"
    ),
    pytest.param(
        True,
        [Item("Splits", healthy=True, last_hit=_ago(181))],
        ["stale", "attempts-only"],
        id="stale",
    ),
    pytest.param(
        True,
        [Item("LargeSegments", healthy=True, last_hit=_ago(700))],
        ["attempts-only"],
        id="large segments are synced every ten minutes",
    ),
    pytest.param(
        False, [Item("Splits", healthy=False, last_hit=_ago(900)), FRESH], ["sticky-500"], id="500"
    ),
    pytest.param(
        True,
        [FRESH, Item("Storage", healthy=False, last_hit=_ago(5), error_count=7)],
        ["storage", "attempts-only"],
        id="Redis",
    ),
]


@pytest.mark.parametrize(("healthy", "items", "codes"), APPLICATION)
def test_application(healthy: bool, items: list[Item], codes: list[str]) -> None:  # noqa: FBT001
    """Each state of the items has its note."""
    health = ApplicationHealth(healthy, _ago(1000), tuple(items))

    assert [note.code for note in explain_application(health, NOW)] == codes


DEPENDENCIES = [
    pytest.param([Dependency("a", healthy=True)], ["dependencies-unseen"], id="unseen"),
    pytest.param([Dependency("a", healthy=True, last_hit=NOW)], [], id="looked at"),
    pytest.param(
        [Dependency("a", healthy=False, message="500", last_hit=NOW)],
        ["dependencies-down"],
        id="down",
    ),
]


@pytest.mark.parametrize(("rows", "codes"), DEPENDENCIES)
def test_dependencies(rows: list[Dependency], codes: list[str]) -> None:
    """The HTTP status says nothing of them; the body does."""
    health = DependenciesHealth("healthy", tuple(rows))

    assert [note.code for note in explain_dependencies(health)] == codes


REASONS = [
    pytest.param("status", 400, PLAIN_TO_TLS + b"\n", ["tls-port"], id="TLS port"),
    pytest.param("status", 404, b"", ["not-found"], id="SDK port"),
    pytest.param("status", 301, b"", ["redirect"], id="trailing slash"),
    pytest.param("status", 503, b"", ["status"], id="another status"),
    pytest.param("refused", None, b"", ["refused"], id="refused"),
    pytest.param("timeout", None, b"", ["timeout"], id="timeout"),
    pytest.param("internal", None, b"", [], id="our own fault"),
]


@pytest.mark.parametrize(("word", "status", "body", "codes"), REASONS)
def test_reasons(word: str, status: int | None, body: bytes, codes: list[str]) -> None:
    """Where there is no body of the synchronizer's, the reason itself is explained."""
    assert [note.code for note in explain_reason(word, status, body)] == codes


def test_age() -> None:
    """Seconds since the last attempt began."""
    assert age(Item("Splits", healthy=True, last_hit=_ago(7)), NOW) == 7
    assert age(Item("Splits", healthy=True), NOW) is None
