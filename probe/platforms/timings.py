"""Which timings fit a platform, which are refused, the nearest that fit, and how to choose them."""

import math
from dataclasses import dataclass
from dataclasses import replace
from typing import NamedTuple

from probe.platforms.durations import Seconds
from probe.platforms.rows import TIMING_NAMES
from probe.platforms.rows import Field
from probe.platforms.rows import Platform

_MARGIN = 1
_SHORTEST_INTERVAL = 5
_LONGEST_INTERVAL = 30
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
        raise TimingsError(refusals)
    return timings


def refuse(timings: Timings, platform: Platform) -> list[Refusal]:
    """Return what does not fit the platform's limits, or else what does not fit together."""
    named = [(name, field, getattr(timings, name)) for name, field in platform.fields.items()]
    outside = [
        Refusal(name, value, _limits(field, platform), field.source, _nearest(value, field))
        for name, field, value in named
        if _nearest(value, field) != value
    ]
    if not outside and timings.timeout > timings.interval:
        why = f"it is above the interval of {timings.interval} s, which it would stretch"
        outside.append(
            Refusal("timeout", timings.timeout, why, platform.timeout.source, timings.interval)
        )
    return outside


def detection(timings: Timings, platform: Platform) -> Seconds:
    """Return the seconds from a fault to the platform's `unhealthy`, at worst.

    Docker waits the interval after the end of each check (daemon/health.go monitor); the kubelet
    starts them on a ticker (pkg/kubelet/prober/worker.go).
    """
    if platform.fixed_rate:
        return timings.retries * timings.interval + timings.timeout
    return timings.retries * (timings.interval + timings.timeout) + platform.report_lag


def startup(timings: Timings) -> Seconds:
    """Return how long an application may stay unhealthy at its start before it is replaced."""
    return timings.start_period + timings.retries * (timings.interval + timings.timeout)


def _complete(given: Given, platform: Platform) -> Timings:
    if given.detect_within is not None:
        timings = _detecting(given.detect_within, given, platform)
    else:
        default = Timings()
        timeout = given.timeout
        interval = given.interval
        if interval is None:
            interval = default.interval if timeout is None else max(default.interval, timeout)
        if timeout is None:
            timeout = _nearest(min(default.timeout, interval), platform.timeout)
        timings = Timings(interval, timeout, given.retries or default.retries)
        timings = timings if given.retries is None else replace(timings, retries=given.retries)
    for start in (given.start_period, given.start_within):
        if start is not None:
            timings = replace(timings, start_period=start)
    return timings


def _detecting(seconds: Seconds, given: Given, platform: Platform) -> Timings:
    """Return the calmest timings that find a fault within *seconds*: many retries, long timeout.

    Raises TimingsError where even the most impatient take longer.
    """
    retries = (given.retries,) if given.retries is not None else (3, 2, 1)
    timeouts = (given.timeout,) if given.timeout is not None else (5, 4, 3, 2)
    for tries in retries:
        for timeout in timeouts:
            interval = given.interval
            if interval is None:
                interval = _interval_for(seconds, tries, timeout, platform)
            timings = Timings(interval, timeout, tries)
            if not refuse(timings, platform) and detection(timings, platform) <= seconds:
                return timings
    shortest = Timings(
        given.interval if given.interval is not None else max(_SHORTEST_INTERVAL, timeouts[-1]),
        timeouts[-1],
        retries[-1],
    )
    if refusals := refuse(shortest, platform):
        raise TimingsError(refusals)
    nearest = detection(shortest, platform)
    why = f"{platform.title} takes {nearest} s at worst with {_say(shortest)}"
    raise TimingsError([Refusal("detect_within", seconds, why, platform.interval.source, nearest)])


def _interval_for(seconds: Seconds, retries: int, timeout: Seconds, platform: Platform) -> int:
    if platform.fixed_rate:
        longest = (seconds - timeout) / max(retries, 1)
    else:
        longest = (seconds - platform.report_lag) / max(retries, 1) - timeout
    return max(
        _SHORTEST_INTERVAL, min(math.floor(longest), max(_LONGEST_INTERVAL, math.ceil(timeout)))
    )


def _say(timings: Timings) -> str:
    return ", ".join(
        f"{name} {getattr(timings, name)}" for name in TIMING_NAMES if name != "start_period"
    )


def _limits(field: Field, platform: Platform) -> str:
    whole = "whole numbers " if field.step else ""
    return f"{platform.title} takes {whole}from {field.minimum} to {field.maximum} for {field.key}"


def _nearest(value: Seconds, field: Field) -> Seconds:
    bounded = min(max(value, field.minimum), field.maximum)
    return round(bounded) if field.step else bounded
