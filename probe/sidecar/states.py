"""A target's state: how the outcomes of checks move it.

A pure table; what the clocks say is an argument.

A streak that reaches its threshold is what moves a state, as Kubernetes counts; in the start
period failures do not count, as Docker and ECS have it.
"""

from dataclasses import dataclass
from dataclasses import replace
from enum import StrEnum

from probe.sidecar.configuration.settings import Thresholds


class State(StrEnum):
    """`degraded`: the status line is good, the bodies are not (read_body only)."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


READY = frozenset({State.HEALTHY, State.DEGRADED})


class Outcome(StrEnum):
    """What one check means for the state."""

    PASSED = "passed"
    DEGRADED = "degraded"
    FAILED = "failed"


class Event(StrEnum):
    """An outcome, weighed by the streak that it continues."""

    UP = "up"
    """Enough successes in a row."""
    UP_DEGRADED = "up, degraded"
    RISING = "rising"
    """A success, and not yet enough of them."""
    FALLING = "falling"
    """A failure, and not yet enough of them, or one that does not count."""
    DOWN = "down"
    """Enough failures in a row."""


def _row(rising: State, falling: State, down: State = State.UNHEALTHY) -> dict[Event, State]:
    return {
        Event.UP: State.HEALTHY,
        Event.UP_DEGRADED: State.DEGRADED,
        Event.RISING: rising,
        Event.FALLING: falling,
        Event.DOWN: down,
    }


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.UNKNOWN: _row(rising=State.STARTING, falling=State.STARTING),
    State.STARTING: _row(rising=State.STARTING, falling=State.STARTING),
    State.HEALTHY: _row(rising=State.HEALTHY, falling=State.HEALTHY),
    State.DEGRADED: _row(rising=State.DEGRADED, falling=State.DEGRADED),
    State.UNHEALTHY: _row(rising=State.UNHEALTHY, falling=State.UNHEALTHY),
}

# In maintenance what was ready stays so, whatever fails; getting better is always allowed.
HELD = {state: TRANSITIONS[state] | {Event.DOWN: state} for state in READY}


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: `wall` is UNIX time, which can be set; `monotonic` is for spans."""

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Condition:
    """A target's state and what it hangs on.

    `since` and `maintenance_until` are UNIX times, `first_check` is of the monotonic clock.
    `successes` and `failures` are the streaks of the last checks, one of them 0; `counted` are
    those failures of the streak that did not fall into the start period.
    """

    state: State = State.UNKNOWN
    since: float = 0.0
    successes: int = 0
    failures: int = 0
    counted: int = 0
    first_check: float | None = None
    was_ready: bool = False
    maintenance_until: float | None = None

    @property
    def ready(self) -> bool:
        return self.state in READY

    def in_maintenance(self, wall: float) -> bool:
        return self.maintenance_until is not None and wall < self.maintenance_until


def step(
    condition: Condition, outcome: Outcome, thresholds: Thresholds, moment: Moment
) -> Condition:
    """Return the condition after one more check."""
    first = moment.monotonic if condition.first_check is None else condition.first_check
    failed = outcome is Outcome.FAILED
    early = not condition.was_ready and moment.monotonic - first < thresholds.start_period
    streaks = replace(
        condition,
        first_check=first,
        successes=0 if failed else condition.successes + 1,
        failures=condition.failures + 1 if failed else 0,
        counted=condition.counted + (not early) if failed else 0,
    )
    state = _next(streaks, _weigh(streaks, outcome, thresholds), moment.wall)
    if state is condition.state:
        return streaks
    return replace(
        streaks, state=state, since=moment.wall, was_ready=condition.was_ready or state in READY
    )


def maintain(condition: Condition, until: float | None) -> Condition:
    """Return the condition in maintenance until that UNIX time; None ends maintenance."""
    return replace(condition, maintenance_until=until)


def _weigh(streaks: Condition, outcome: Outcome, thresholds: Thresholds) -> Event:
    if outcome is Outcome.FAILED:
        return Event.DOWN if streaks.counted >= thresholds.failure else Event.FALLING
    if streaks.successes < thresholds.success:
        return Event.RISING
    return Event.UP if outcome is Outcome.PASSED else Event.UP_DEGRADED


def _next(condition: Condition, event: Event, wall: float) -> State:
    if condition.in_maintenance(wall) and condition.state in HELD:
        return HELD[condition.state][event]
    return TRANSITIONS[condition.state][event]
