"""Records as the scheduler would have left them, for the tests of what reads them."""

from collections.abc import Iterable
from collections.abc import Mapping

from probe.contract.target import Target
from probe.contract.verdict import Verdict
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.states import Moment
from probe.sidecar.store import Check
from probe.sidecar.store import DependencyHealth
from probe.sidecar.store import Health
from probe.sidecar.store import ItemHealth
from probe.sidecar.store import Record

NOW = 1_800_000_000.0
"""UNIX time of the last check."""

HEALTH = Health(
    items=(
        ItemHealth("Splits", healthy=True, last_hit=NOW - 12.5, age=12.5),
        ItemHealth("Segments", healthy=True, stale=True),
        ItemHealth("Storage", healthy=False, last_hit=NOW - 4000, age=4000.0, errors=5),
    ),
    dependencies=(
        DependencyHealth("https://sdk.split.example/api/version", healthy=True),
        DependencyHealth(
            "https://events.split.example/api/version", healthy=False, message="no route"
        ),
    ),
    reasons=("never-synced", "dependencies-down"),
)


def check(
    reason: str = "200",
    seconds: float = 0.004,
    started: float = NOW,
    health: Health | None = None,
) -> Check:
    """Return what a check with that reason of the contract (`status 500`) leaves."""
    verdict = Verdict(reason, seconds)
    return Check(
        started, seconds, verdict.healthy, verdict.word, verdict.status, verdict.line, health=health
    )


def settings(
    name: str = "sync", labels: Mapping[str, str] | None = None, **more: object
) -> TargetSettings:
    return TargetSettings(name=name, target=Target(), labels=labels or {}, **more)  # type: ignore[arg-type]


def record(
    name: str = "sync",
    checks: Iterable[Check] = (),
    labels: Mapping[str, str] | None = None,
    **more: object,
) -> Record:
    """Return the record after *checks*, each ended as it began, on one clock for both times."""
    made = Record(settings(name, labels, **more))
    for one in checks:
        made.add(one, Moment(one.started, one.started))
    return made
