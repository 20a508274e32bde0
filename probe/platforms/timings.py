"""Which timings fit a platform, which are refused, the nearest that fit, and how to choose them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from probe.platforms.durations import Seconds
from probe.platforms.durations import exact
from probe.platforms.durations import plain
from probe.platforms.rows import TIMING_NAMES
from probe.platforms.rows import Field
from probe.platforms.rows import Platform

_MARGIN = 1
_SHORTEST_INTERVAL = 5
_LONGEST_INTERVAL = 30
_RETRIES = (3, 2, 1)
_TIMEOUTS = (5, 4, 3, 2)
_LONGEST_OWN = 3600  # the probe's own --timeout takes up to seven characters


@dataclass(frozen=True, slots=True)
class Timings:
    """How often and how patiently a platform asks; times in seconds.

    `timeout` is the platform's; `own_timeout` is the probe's own deadline, always below it.
    """

    interval: Seconds = 10
    timeout: Seconds = 5
    retries: int = 3
    start_period: Seconds = 60

    @property
    def own_timeout(self) -> Seconds:
        """A second below the platform's timeout, so that the probe ends by itself.

        A platform that kills a probe gives no reason and, before Docker 20.10.18, left it running
        (moby#43737).
        """
        if self.timeout >= 2 * _MARGIN:
            return min(math.floor(self.timeout) - _MARGIN, _LONGEST_OWN)
        return round(self.timeout / 2, 4)


class Given(NamedTuple):
    """What a user asked for; None where nothing was."""

    interval: Seconds | None = None
    timeout: Seconds | None = None
    retries: int | None = None
    start_period: Seconds | None = None
    detect_within: Seconds | None = None
    start_within: Seconds | None = None


class Refusal(NamedTuple):
    """A timing that a platform does not take: its name, its value, why, whose rule, what fits."""

    name: str
    value: Seconds
    why: str
    source: str
    nearest: Seconds

    def __str__(self) -> str:
        return (
            f"{self.name.replace('_', '-')} {self.value} does not fit: {self.why} "
            f"({self.source}); nearest that fits: {self.nearest}"
        )


class TimingsError(ValueError):
    """Timings that do not fit; `refusals` has every one of them."""

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = refusals
        super().__init__("\n".join(map(str, refusals)))


def fit(given: Given, platform: Platform) -> Timings:
    """Return the timings for a platform: as given, the rest chosen to go with them.

    Raises TimingsError where one does not fit the platform's limits or the others.
    """
    timings = _complete(given, platform)
    if refusals := refuse(timings, platform):
        raise TimingsError([_as_given(refusal, given) for refusal in refusals])
    return timings


def _as_given(refusal: Refusal, given: Given) -> Refusal:
    """Return a refusal by the name that the user wrote: start_within is a start_period too."""
    is_within = refusal.name == "start_period" and given.start_within is not None
    return refusal._replace(name="start_within") if is_within else refusal


def refuse(timings: Timings, platform: Platform) -> list[Refusal]:
    """Return what does not fit the platform's limits or the others.

    The nearest values fit together: with all of them nothing is refused any more.
    """
    nearest = _fitting(timings, platform)
    return [
        Refusal(name, value, _why(name, value, nearest, platform), field.source, nearest[name])
        for name, field in platform.fields.items()
        if nearest[name] != (value := getattr(timings, name))
    ]


def fits(value: Seconds, field: Field) -> bool:
    """Tell whether a value is within a field's limits, whatever the others are."""
    return _nearest(value, field) == value


def _fitting(timings: Timings, platform: Platform) -> dict[str, Seconds]:
    """Return the nearest values within the limits, the timeout not above the interval."""
    nearest = {name: _nearest(getattr(timings, name), f) for name, f in platform.fields.items()}
    nearest["interval"] = max(nearest["interval"], platform.timeout.minimum)
    nearest["timeout"] = min(nearest["timeout"], nearest["interval"])
    return nearest


def _why(name: str, value: Seconds, nearest: dict[str, Seconds], platform: Platform) -> str:
    field = platform.fields[name]
    if not fits(value, field):
        return _limits(field, platform)
    if name == "interval":
        shortest = platform.timeout.minimum
        return f"it is below the shortest timeout of {platform.title}, {shortest} s"
    return f"it is above the interval of {nearest['interval']} s, which it would stretch"


def detection(timings: Timings, platform: Platform) -> Seconds:
    """Return the seconds from a fault to the platform's `unhealthy`, at worst.

    Docker waits the interval after the end of each check (daemon/health.go monitor); the kubelet
    starts them on a ticker (pkg/kubelet/prober/worker.go).
    """
    if platform.fixed_rate:
        return exact(timings.retries * timings.interval + timings.timeout)
    return exact(timings.retries * (timings.interval + timings.timeout) + platform.report_lag)


def startup(timings: Timings) -> Seconds:
    """Return how long an application may stay unhealthy at its start before it is replaced."""
    return timings.start_period + timings.retries * (timings.interval + timings.timeout)


def _complete(given: Given, platform: Platform) -> Timings:
    if given.detect_within is not None:
        return _detecting(given.detect_within, given, platform)
    return replace(_plainly(given, platform), start_period=start_of(given))


def start_of(given: Given) -> Seconds:
    """Return the time to start in which failures do not count, by either of its names."""
    starts = (given.start_within, given.start_period, Timings().start_period)
    return next(start for start in starts if start is not None)


def _plainly(given: Given, platform: Platform) -> Timings:
    """Return what is given, the rest by default or as near to it as goes with the given."""
    default = Timings()
    timeout, interval = given.timeout, given.interval
    if interval is None:
        interval = default.interval
        if timeout is not None:
            interval = _nearest(max(interval, timeout), platform.interval)
    if timeout is None:
        timeout = _nearest(min(default.timeout, interval), platform.timeout)
    retries = default.retries if given.retries is None else given.retries
    return Timings(interval, timeout, retries)


def _detecting(seconds: Seconds, given: Given, platform: Platform) -> Timings:
    """Return the calmest timings that find a fault within *seconds*: many retries, long timeout.

    Raises TimingsError where even the most impatient take longer.
    """
    candidates = list(_candidates(seconds, given, platform))
    for timings in candidates:
        if not refuse(timings, platform) and detection(timings, platform) <= seconds:
            return timings
    shortest = candidates[-1]
    if refusals := refuse(shortest, platform):
        raise TimingsError(refusals)
    nearest = plain(Fraction(math.ceil(detection(shortest, platform) * 1000), 1000))
    why = f"{platform.title} takes {nearest} s at worst with {describe(shortest)}"
    raise TimingsError([Refusal("detect_within", seconds, why, platform.interval.source, nearest)])


def _candidates(seconds: Seconds, given: Given, platform: Platform) -> Iterator[Timings]:
    """Yield timings that keep to what is given, the calmest first."""
    longest = _TIMEOUTS[0] if given.interval is None else given.interval
    fitting: list[Seconds] = [timeout for timeout in _TIMEOUTS if timeout <= longest]
    shortest = _nearest(min(longest, _TIMEOUTS[-1]), platform.timeout)
    timeouts = (fitting or [shortest]) if given.timeout is None else [given.timeout]
    for retries in _RETRIES if given.retries is None else [given.retries]:
        for timeout in timeouts:
            interval = given.interval
            if interval is None:
                interval = _interval_for(seconds, retries, timeout, platform)
            yield Timings(interval, timeout, retries, start_of(given))


def _interval_for(seconds: Seconds, retries: int, timeout: Seconds, platform: Platform) -> int:
    """Return the longest interval that finds a fault in time, within reason."""
    if platform.fixed_rate:
        longest = (seconds - timeout) / max(retries, 1)
    else:
        longest = (seconds - platform.report_lag) / max(retries, 1) - timeout
    shortest = max(_SHORTEST_INTERVAL, math.ceil(timeout))
    chosen = max(shortest, min(math.floor(longest), _LONGEST_INTERVAL))
    return int(_nearest(chosen, platform.interval))


def describe(timings: Timings) -> str:
    """Return timings as a refusal names them."""
    return ", ".join(
        f"{name} {getattr(timings, name)}" for name in TIMING_NAMES if name != "start_period"
    )


def _limits(field: Field, platform: Platform) -> str:
    whole = "whole numbers " if field.step else ""
    least = f"0, or from {field.least}" if field.least else f"from {field.minimum}"
    return f"{platform.title} takes {whole}{least} to {field.maximum} for {field.key}"


def _nearest(value: Seconds, field: Field) -> Seconds:
    bounded = min(max(value, field.minimum), field.maximum)
    bounded = max(bounded, field.least) if bounded else bounded
    return round(bounded) if field.step else bounded
