"""A budget of detection, divided: a sidecar checks the target, a platform the sidecar.

Two layers of thresholds add up; they must not multiply. The sidecar counts the target's failures;
the platform asks the sidecar, whose answer already stands on its thresholds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from probe.platforms.durations import Seconds
from probe.platforms.durations import exact
from probe.platforms.durations import plain
from probe.platforms.rows import Platform
from probe.platforms.timings import Given
from probe.platforms.timings import Refusal
from probe.platforms.timings import Timings
from probe.platforms.timings import TimingsError
from probe.platforms.timings import describe
from probe.platforms.timings import detection
from probe.platforms.timings import fit
from probe.platforms.timings import start_of

# How a platform asks the sidecar, the calmest first: it answers from memory, at once.
_ASKED = tuple((interval, timeout) for interval in (10, 5) for timeout in (3, 2))
_ASKED_RETRIES = (3, 2, 1)
_FAILURES = (3, 2, 1)
# Deadlines for the target: fewer retries come before ones so short that a busy machine misses them.
_DEADLINES: tuple[tuple[Seconds, ...], ...] = ((4, 3), (2, 1))
_LONGEST_INTERVAL = 10


@dataclass(frozen=True, slots=True)
class Division:
    """Who asks whom, how often and how patiently; times in seconds.

    `target` is how the sidecar checks the target: `timeout` is the check's own deadline, `retries`
    the failures in a row that make it unhealthy. `sidecar` is how the platform checks the sidecar.
    """

    target: Timings
    sidecar: Timings


def divided_detection(division: Division, platform: Platform) -> Seconds:
    """Return the seconds from a fault of the target to the platform's `unhealthy`, at worst.

    The sidecar starts its checks at a fixed rate: the last failure that it needs begins `retries`
    intervals after the fault at the latest, and takes up to the check's deadline.
    """
    target = division.target
    noticed = target.retries * target.interval + target.timeout
    return exact(noticed + detection(division.sidecar, platform))


def divide(given: Given, platform: Platform) -> Division:
    """Return the calmest division that keeps to what is given and to `detect_within`.

    What is given of interval, timeout and retries is the sidecar's. Raises TimingsError.
    """
    asked = fit(given._replace(detect_within=None), platform)
    if given.detect_within is None:
        target = Timings(asked.interval, asked.own_timeout, asked.retries, asked.start_period)
        return Division(target, Timings(*_ASKED[0], _ASKED_RETRIES[0], asked.start_period))
    candidates = list(_candidates(given, given.detect_within, asked, platform))
    for division in candidates:
        if divided_detection(division, platform) <= given.detect_within:
            return division
    shortest = min(candidates, key=lambda found: divided_detection(found, platform))
    raise TimingsError([_refusal(shortest, given.detect_within, platform)])


def _candidates(
    given: Given, budget: Seconds, asked: Timings, platform: Platform
) -> Iterator[Division]:
    """Yield divisions, the calmest first; the sidecar's interval takes what the others leave."""
    start = start_of(given)
    failures = _FAILURES if given.retries is None else (given.retries,)
    deadlines = _DEADLINES if given.timeout is None else ((asked.own_timeout,),)
    for tier, retries, count, asked_as in product(deadlines, _ASKED_RETRIES, failures, _ASKED):
        sidecar = Timings(*asked_as, retries, start)
        for deadline in tier:
            left = (budget - detection(sidecar, platform) - deadline) / count
            own = _own_interval(left, deadline) if given.interval is None else given.interval
            if deadline <= own:
                yield Division(Timings(own, deadline, count, start), sidecar)


def _own_interval(left: Seconds, deadline: Seconds) -> int:
    """Return the longest whole interval within what is left; never below the deadline."""
    return max(min(math.floor(left), _LONGEST_INTERVAL), math.ceil(deadline), 1)


def _refusal(shortest: Division, budget: Seconds, platform: Platform) -> Refusal:
    nearest = plain(Fraction(math.ceil(divided_detection(shortest, platform) * 1000), 1000))
    why = (
        f"{platform.title} and the sidecar take {nearest} s at worst with "
        f"{describe(shortest.target)} for the target; {describe(shortest.sidecar)} for the sidecar"
    )
    return Refusal("detect_within", budget, why, platform.interval.source, nearest)


def bridges_restart(timings: Timings, seconds: Seconds) -> bool:
    """Tell whether a platform that asks the sidecar so outlasts its absence of *seconds*."""
    return (timings.retries - 1) * timings.interval >= seconds
