"""What bodies mean: never synced, stale, failing, dependencies down, not a synchronizer's."""

from dataclasses import replace

import pytest

from probe import Target
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.judgement import OTHER
from probe.sidecar.judgement import REASONS
from probe.sidecar.judgement import UNREAD
from probe.sidecar.judgement import judge
from probe.sidecar.judgement import read_application
from probe.sidecar.judgement import read_dependencies
from probe.synchronizer.health import SECOND
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item
from probe.synchronizer.health import write_application
from probe.synchronizer.health import write_dependencies

NOW = 1_800_000_000 * SECOND
SETTINGS = TargetSettings("one", Target(), kind="sync", read_body=True)


def item(name: str, age: float | None = 1, *, healthy: bool = True, errors: int = 0) -> Item:
    hit = None if age is None else NOW - int(age * SECOND)
    return Item(name, healthy, hit, errors)


def reasons(items: list[Item], settings: TargetSettings = SETTINGS) -> tuple[str, ...]:
    health = ApplicationHealth(all(row.healthy for row in items), NOW, tuple(items))
    return judge(settings, health, None, NOW).reasons


@pytest.mark.parametrize(
    ("items", "found"),
    [
        pytest.param([item("Splits"), item("Segments", 179)], (), id="sound"),
        pytest.param([item("Splits", 181)], ("stale",), id="stale"),
        pytest.param([item("LargeSegments", 700)], (), id="large segments take longer"),
        pytest.param([item("LargeSegments", 721)], ("stale",), id="and are stale too"),
        pytest.param([item("Splits", None)], ("never-synced",), id="never synced"),
        pytest.param([item("Splits", healthy=False)], ("sticky-500",), id="failing"),
        pytest.param([item("Storage", healthy=False, errors=5)], ("storage",), id="Redis down"),
        pytest.param([item("Splits", -3600)], (), id="a clock that is behind"),
        pytest.param(
            [item("Splits", 500), item("Segments", None), item("Storage", healthy=False)],
            ("storage", "never-synced", "stale"),
            id="all at once, worst first",
        ),
    ],
)
def test_items(items: list[Item], found: tuple[str, ...]) -> None:
    assert reasons(items) == found


def test_max_age() -> None:
    """A proxy that lost its threshold says 200 for an hour; the age of its data shows it."""
    strict = replace(SETTINGS, max_age=30)

    assert reasons([item("Splits", 31), item("LargeSegments", 29)], strict) == ("stale",)
    assert reasons([item("Splits", 3500)], replace(SETTINGS, max_age=4000)) == ()


def test_figures() -> None:
    """Items come in one order, whatever theirs, with times in seconds."""
    items = (item("Storage", errors=2), item("Segments", None), item("LargeSegments", 12.5))
    health = ApplicationHealth(healthy=True, healthy_since=NOW, items=items)
    rows = judge(SETTINGS, health, None, NOW).items

    assert [row.name for row in rows] == ["LargeSegments", "Segments", "Storage"]
    assert (rows[0].last_hit, rows[0].age) == (1_800_000_000 - 12.5, 12.5)
    assert (rows[1].last_hit, rows[1].age, rows[2].errors) == (None, None, 2)


def test_dependencies() -> None:
    """Down is degraded, though the status of that path is always 200; unseen says nothing."""
    sound = ApplicationHealth(healthy=True, healthy_since=NOW, items=())
    up = Dependency("https://a", healthy=True)
    down = Dependency("https://b", healthy=False, message="500")

    health = judge(SETTINGS, sound, DependenciesHealth("down", (up, down)), NOW)
    assert [(row.service, row.healthy, row.message) for row in health.dependencies] == [
        ("https://a", True, ""), ("https://b", False, "500"),
    ]  # fmt: skip
    assert (health.reasons, health.degraded) == (("dependencies-down",), True)
    assert not judge(SETTINGS, sound, DependenciesHealth("healthy", (up,)), NOW).degraded


@pytest.mark.parametrize(
    ("body", "sync", "generic"),
    [
        pytest.param(None, (UNREAD,), (UNREAD,), id="none came"),
        pytest.param(b"ok", (OTHER,), (), id="no JSON"),
        pytest.param(b"{}", (OTHER,), (), id="another document"),
        pytest.param(b"[" * 100_000, (OTHER,), (), id="nested"),
        pytest.param(b"\xff", (OTHER,), (), id="no UTF-8"),
    ],
)
def test_other_bodies(body: bytes | None, sync: tuple[str, ...], generic: tuple[str, ...]) -> None:
    """A generic target need not be a synchronizer; one that is said to be must."""
    read = read_application(body)

    assert judge(SETTINGS, read, None, NOW).reasons == sync
    assert judge(replace(SETTINGS, kind="generic"), read, None, NOW).reasons == generic


def test_round_trip() -> None:
    application = ApplicationHealth(healthy=True, healthy_since=NOW, items=(item("Splits"),))
    dependencies = DependenciesHealth("down", (Dependency("https://a", healthy=False),))

    assert read_application(write_application(application)) == application
    assert read_dependencies(write_dependencies(dependencies)) == dependencies
    assert read_dependencies(b"{}") == OTHER
    assert read_dependencies(None) == UNREAD


def test_closed_list() -> None:
    assert len(REASONS) == len(set(REASONS))
