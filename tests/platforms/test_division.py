"""A budget divided between sidecar and platform: kept at worst, or refused with what would do."""

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.platforms.division import Division
from probe.platforms.division import bridges_restart
from probe.platforms.division import divide
from probe.platforms.division import divided_detection
from probe.platforms.durations import Seconds
from probe.platforms.rows import COMPOSE
from probe.platforms.rows import ECS
from probe.platforms.rows import KUBERNETES
from probe.platforms.rows import Platform
from probe.platforms.timings import Given
from probe.platforms.timings import Timings
from probe.platforms.timings import TimingsError
from probe.platforms.timings import refuse

PLATFORMS = (ECS, KUBERNETES, COMPOSE)
EVERY = pytest.mark.parametrize("platform", PLATFORMS, ids=lambda row: row.name)
GIVEN = st.builds(
    Given,
    interval=st.none() | st.integers(5, 60) | st.integers(50, 600).map(lambda n: n / 10),
    timeout=st.none() | st.integers(2, 5),
    retries=st.none() | st.integers(1, 10),
    start_period=st.none() | st.integers(0, 300),
    start_within=st.none(),
    detect_within=st.none() | st.integers(1, 600) | st.floats(1, 600).map(lambda n: round(n, 3)),
)


def _divide(given_: Given, platform: Platform) -> Division | Seconds:
    """Return the division, or the nearest budget that is said to do."""
    try:
        return divide(given_, platform)
    except TimingsError as error:
        (refusal,) = error.refusals
        assert (refusal.name, refusal.value) == ("detect_within", given_.detect_within)
        assert refusal.source == platform.interval.source
        return refusal.nearest


def _worst(target: Timings, sidecar: Timings, platform: Platform) -> Seconds:
    """Play the worst: a fault just after a check of the sidecar, seen just after one of it.

    The target hangs, so that each check takes its whole deadline; the sidecar's own answer takes
    as long as the platform lets it.
    """
    noticed = target.interval * target.retries + target.timeout
    seen = noticed
    for _ in range(sidecar.retries):
        seen += sidecar.interval if platform.fixed_rate else sidecar.interval + sidecar.timeout
    return round(seen + (sidecar.timeout if platform.fixed_rate else platform.report_lag), 6)


@EVERY
@settings(deadline=None, max_examples=300)
@given(given_=GIVEN)
def test_divided(platform: Platform, given_: Given) -> None:
    """At worst the fault is found within the budget, which is kept; the refused names one that is.

    What is given is kept too, checks of the target never overlap, the platform takes its part.
    """
    if given_.interval is not None and platform.interval.step:
        given_ = given_._replace(interval=round(given_.interval))
    found = _divide(given_, platform)
    if not isinstance(found, Division):
        assert given_.detect_within is not None
        assert found > given_.detect_within
        found = divide(given_._replace(detect_within=found), platform)
    elif given_.detect_within is not None:
        assert _worst(found.target, found.sidecar, platform) <= given_.detect_within
    assert divided_detection(found, platform) == _worst(found.target, found.sidecar, platform)
    assert found.target.timeout <= found.target.interval
    assert not refuse(found.sidecar, platform)
    for name in ("interval", "retries", "start_period"):
        wanted = getattr(given_, name)
        assert wanted in {None, getattr(found.target, name)}


CASES = [
    pytest.param(None, ECS, (10, 4, 3), (10, 3, 3), id="default"),
    pytest.param(60, ECS, (4, 4, 3), (5, 3, 3), id="a minute on ECS"),
    pytest.param(60, KUBERNETES, (7, 4, 3), (10, 3, 3), id="a minute on Kubernetes"),
    pytest.param(29, ECS, (1, 1, 1), (5, 2, 1), id="the shortest on ECS"),
    pytest.param(9, COMPOSE, (1, 1, 1), (5, 2, 1), id="the shortest with Compose"),
]


@pytest.mark.parametrize(("budget", "platform", "target", "sidecar"), CASES)
def test_chosen(
    budget: int | None, platform: Platform, target: tuple[int, ...], sidecar: tuple[int, ...]
) -> None:
    """The calmest that fits: many failures before fewer, long deadlines before short ones."""
    found = divide(Given(detect_within=budget), platform)
    assert (found.target.interval, found.target.timeout, found.target.retries) == target
    assert (found.sidecar.interval, found.sidecar.timeout, found.sidecar.retries) == sidecar


def test_refused_by_the_platform() -> None:
    """What is given must fit the platform's limits, for the same timings check inside too."""
    with pytest.raises(TimingsError) as caught:
        divide(Given(interval=4, detect_within=60), ECS)
    assert [refusal.name for refusal in caught.value.refusals] == ["interval"]


@pytest.mark.parametrize(("retries", "expected"), [(3, True), (2, False)])
def test_restart(*, retries: int, expected: bool) -> None:
    """Between the first and the last failure the sidecar has time to come back."""
    assert bridges_restart(Timings(10, 3, retries), 20) is expected
