"""What the bodies say beyond the status code: items, dependencies, and why a target is degraded.

Pure: *now* is UNIX time in nanoseconds.
"""

from collections.abc import Iterator

from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.store import DependencyHealth
from probe.sidecar.store import Health
from probe.sidecar.store import ItemHealth
from probe.synchronizer.health import SECOND
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import BodyError
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Item
from probe.synchronizer.health import parse_application
from probe.synchronizer.health import parse_dependencies
from probe.synchronizer.meaning import DEFAULT_STALE_AFTER
from probe.synchronizer.meaning import NOT_CRITICAL
from probe.synchronizer.meaning import STALE_AFTER

UNREAD = "unread"
"""A body did not come whole, within the deadline and the size."""
OTHER = "other-service"
"""A body is not the synchronizer's."""

REASONS = ("sticky-500", "storage", "never-synced", "stale", "dependencies-down", UNREAD, OTHER)
"""All that can stand in `Health.reasons`, worst first; the texts are in `meaning.NOTES`."""


def read_application(body: bytes | None) -> ApplicationHealth | str:
    """Return what /health/application says, or why that is not known."""
    if body is None:
        return UNREAD
    try:
        return parse_application(body)
    except BodyError:
        return OTHER


def read_dependencies(body: bytes | None) -> DependenciesHealth | str:
    if body is None:
        return UNREAD
    try:
        return parse_dependencies(body)
    except BodyError:
        return OTHER


def judge(
    settings: TargetSettings,
    application: ApplicationHealth | str,
    dependencies: DependenciesHealth | str | None,
    now: int,
) -> Health:
    """Say what the bodies mean. None for dependencies that were not asked for.

    A generic target need not be a synchronizer: there, another body is no fault.
    """
    items = _items(settings, application, now)
    services = _services(dependencies)
    found = {
        *_of_items(items),
        *(["dependencies-down"] if any(not service.healthy for service in services) else []),
        *(code for code in (application, dependencies) if isinstance(code, str)),
    }
    if settings.kind == "generic":
        found.discard(OTHER)
    return Health(items, services, tuple(code for code in REASONS if code in found))


def _items(
    settings: TargetSettings, application: ApplicationHealth | str, now: int
) -> tuple[ItemHealth, ...]:
    if isinstance(application, str):
        return ()
    # Their order is random for each request.
    items = sorted(application.items, key=lambda item: item.name)
    return tuple(_item(settings, item, now) for item in items)


def _item(settings: TargetSettings, item: Item, now: int) -> ItemHealth:
    if item.last_hit is None:
        return ItemHealth(item.name, item.healthy, errors=item.error_count)
    age = (now - item.last_hit) / SECOND
    limit = settings.max_age or STALE_AFTER.get(item.name, DEFAULT_STALE_AFTER)
    return ItemHealth(
        item.name, item.healthy, item.last_hit / SECOND, age, age > limit, item.error_count
    )


def _services(dependencies: DependenciesHealth | str | None) -> tuple[DependencyHealth, ...]:
    if not isinstance(dependencies, DependenciesHealth):
        return ()
    return tuple(
        DependencyHealth(row.service, row.healthy, row.message) for row in dependencies.dependencies
    )


def _of_items(items: tuple[ItemHealth, ...]) -> Iterator[str]:
    for item in items:
        if not item.healthy:
            yield "storage" if item.name in NOT_CRITICAL else "sticky-500"
        elif item.last_hit is None:
            yield "never-synced"
        elif item.stale:
            yield "stale"
