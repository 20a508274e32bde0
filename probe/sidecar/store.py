"""What the sidecar remembers of each target: its condition, last checks and counts.

No clock, no I/O.
The scheduler writes; metrics, pages and endpoints read. One thread owns all of it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from probe.contract.target import Target
from probe.sidecar.checks import Check
from probe.sidecar.checks import DependencyHealth
from probe.sidecar.checks import Health
from probe.sidecar.checks import History
from probe.sidecar.checks import ItemHealth
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.states import Condition
from probe.sidecar.states import Moment
from probe.sidecar.states import maintain
from probe.sidecar.states import step

__all__ = [
    "BUCKETS",
    "KEPT",
    "Check",
    "DependencyHealth",
    "Health",
    "History",
    "ItemHealth",
    "Record",
    "Store",
]

KEPT = 100
"""Checks of each target that are remembered, and as many failures beyond them."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the histogram; what is longer counts in one more, the last."""


@dataclass(slots=True)
class Record:
    """All that is known of one target.

    `history` is oldest first, without bodies; `failures` outlive it. `counts` is by verdict and
    reason, `skipped` by why a check was not made. `last_at` is the monotonic clock's at the last
    check's end.
    """

    settings: TargetSettings
    condition: Condition = field(default_factory=Condition)
    last: Check | None = None
    last_at: float | None = None
    history: History = field(default_factory=lambda: History(KEPT))
    failures: History = field(default_factory=lambda: History(KEPT))
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    seconds_sum: float = 0.0
    _buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    @property
    def buckets(self) -> tuple[int, ...]:
        """Checks in each bucket alone (not cumulative): one for each of BUCKETS, and the rest."""
        return tuple(self._buckets)

    @property
    def max_age(self) -> float:
        """Seconds after which the last check says nothing any more."""
        return 2 * self.settings.interval + self.settings.target.timeout

    def fresh(self, monotonic: float) -> bool:
        """Tell whether the last check is young enough; the argument is `time.monotonic()`'s.

        Not UNIX time: a clock that is set must make no target unready.
        """
        return self.last_at is not None and monotonic - self.last_at <= self.max_age

    def ready(self, monotonic: float) -> bool:
        return self.condition.ready and self.fresh(monotonic)

    def add(self, check: Check, moment: Moment) -> bool:
        """Remember a check that ended at *moment*; tell whether the state changed."""
        before = self.condition
        self.condition = step(before, check.outcome, self.settings.thresholds, moment)
        self.last, self.last_at = check, moment.monotonic
        self.history.add(check)
        if not check.healthy:
            self.failures.add(check)
        key = check.verdict, check.reason
        self.counts[key] = self.counts.get(key, 0) + 1
        self._buckets[bisect_left(BUCKETS, check.seconds)] += 1
        self.seconds_sum += check.seconds
        return self.condition.state is not before.state

    def skip(self, reason: str, count: int = 1) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + count


def _identity(settings: TargetSettings) -> tuple[object, ...]:
    """What must be the same for a record to go on: what is asked, not how often or how weighed."""
    target: Target = settings.target
    asked = (target.host, target.port, target.path, target.expect, target.tls)
    return settings.name, settings.kind, *asked


class Store:
    """The records by name, in the order of the settings."""

    def __init__(self, targets: Iterable[TargetSettings] = ()) -> None:
        self._records: dict[str, Record] = {}
        self.replace(targets)

    @property
    def records(self) -> Mapping[str, Record]:
        return self._records

    def replace(self, targets: Iterable[TargetSettings]) -> None:
        """Take new settings; a target that is asked the same as before keeps its record."""
        before = self._records
        self._records = {}
        for settings in targets:
            kept = before.get(settings.name)
            if kept is not None and _identity(kept.settings) == _identity(settings):
                kept.settings = settings
                self._records[settings.name] = kept
            else:
                self._records[settings.name] = Record(settings)

    def max_age(self, record: Record) -> float:
        return record.max_age

    def maintenance(self, name: str, until: float | None) -> None:
        """Put a target into maintenance until that UNIX time, or end it.

        Raises KeyError for an unknown name.
        """
        record = self._records[name]
        record.condition = maintain(record.condition, until)
