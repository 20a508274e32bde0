"""Timings: what fits each platform, what is refused and what would fit, and how they are chosen."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.platforms.durations import Seconds
from probe.platforms.rows import COMPOSE
from probe.platforms.rows import DOCKER
from probe.platforms.rows import ECS
from probe.platforms.rows import KUBERNETES
from probe.platforms.rows import PLATFORMS
from probe.platforms.rows import TIMING_NAMES
from probe.platforms.rows import Field
from probe.platforms.rows import Platform
from probe.platforms.timings import Given
from probe.platforms.timings import Refusal
from probe.platforms.timings import Timings
from probe.platforms.timings import TimingsError
from probe.platforms.timings import detection
from probe.platforms.timings import fit
from probe.platforms.timings import refuse
from probe.platforms.timings import startup
from tests.manifests.strategies import timings as timings_of

GO = 9_223_372_036
INT32 = 2**31 - 1
EVERY = pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)

# What each platform takes, from the vendors' own words: least, most, whole numbers alone.
LIMITS: dict[str, dict[str, tuple[float, int, bool]]] = {
    "docker": {"interval": (0.001, GO, False), "timeout": (0.001, GO, False),
               "retries": (1, INT32, True), "start_period": (0, GO, False)},
    "ecs": {"interval": (5, 300, True), "timeout": (2, 60, True),
            "retries": (1, 10, True), "start_period": (0, 300, True)},
    "kubernetes": {"interval": (1, INT32, True), "timeout": (1, INT32, True),
                   "retries": (1, INT32, True), "start_period": (0, INT32, True)},
    "compose": {"interval": (0.001, GO, False), "timeout": (0.001, GO, False),
                "retries": (1, INT32, True), "start_period": (0, GO, False)},
    "podman": {"interval": (0.001, GO, False), "timeout": (1, GO, False),
               "retries": (1, INT32, True), "start_period": (0, GO, False)},
}  # fmt: skip


def _with(platform: Platform, name: str, value: Seconds) -> Timings:
    """Return timings that fit but for *name*, which has this value."""
    changed: dict[str, Any] = {name: value}
    return replace(Timings(platform.interval.maximum, platform.timeout.minimum), **changed)


EDGES = [
    pytest.param(PLATFORMS[platform], name, *limits, id=f"{platform} {name}")
    for platform, fields in LIMITS.items()
    for name, limits in fields.items()
]


@pytest.mark.parametrize(("platform", "name", "least", "most", "whole"), EDGES)
def test_edges_fit(
    platform: Platform, name: str, least: Seconds, most: int, *, whole: bool
) -> None:
    """The least and the most fit; a fraction between them where the platform takes fractions."""
    if name == "interval" and least < platform.timeout.minimum:
        least = platform.timeout.minimum  # no timeout fits below it
    assert not refuse(_with(platform, name, least), platform)
    assert not refuse(_with(platform, name, most), platform)
    fraction = _with(platform, name, most - 0.5)
    assert [r.name for r in refuse(fraction, platform)] == ([name] if whole else [])


@pytest.mark.parametrize(("platform", "name", "least", "most", "whole"), EDGES)
def test_edges_refused(
    platform: Platform, name: str, least: Seconds, most: int, *, whole: bool
) -> None:
    """What is beyond them is refused by name, with the limits, their source and the edge."""
    del whole
    fits = max(least, platform.timeout.minimum) if name == "interval" else least
    for value, nearest in ((least - 0.0005, fits), (most + 1, most)):
        (refusal,) = refuse(_with(platform, name, value), platform)
        field: Field = getattr(platform, name)
        assert (refusal.name, refusal.value, refusal.nearest) == (name, value, nearest)
        assert str(refusal) == (
            f"{name.replace('_', '-')} {value} does not fit: {refusal.why} "
            f"({field.source}); nearest that fits: {nearest}"
        )
        whole_numbers = "whole numbers " if field.step else ""
        start = f"0, or from {field.least}" if field.least else f"from {least}"
        assert refusal.why == (
            f"{platform.title} takes {whole_numbers}{start} to {most} for {field.key}"
        )


@pytest.mark.parametrize("name", ["docker", "compose", "podman"])
def test_no_start_period_between_nothing_and_a_millisecond(name: str) -> None:
    """The Engine takes 0 or a millisecond and more (moby validateHealthCheck)."""
    platform = PLATFORMS[name]
    assert not refuse(Timings(start_period=0.001), platform)
    (refusal,) = refuse(Timings(start_period=0.0005), platform)
    assert (refusal.name, refusal.nearest) == ("start_period", 0.001)


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [
        ("interval", 4.9, 5),
        ("interval", 12.4, 12),
        ("interval", 12.6, 13),
        ("timeout", 1, 2),
        ("timeout", 59.7, 60),
        ("retries", 0, 1),
        ("retries", 11, 10),
        ("start_period", 301, 300),
    ],
)
def test_nearest_on_ecs(name: str, value: Seconds, nearest: int) -> None:
    """The nearest is a whole number, within the limits."""
    (refusal,) = refuse(_with(ECS, name, value), ECS)
    assert (refusal.nearest, type(refusal.nearest)) == (nearest, int)


def test_every_refusal_is_told() -> None:
    """All that is wrong is told at once, a line each; what is said to fit fits together."""
    with pytest.raises(TimingsError) as error:
        fit(Given(interval=1, timeout=90, retries=11, start_period=999), ECS)
    assert [refusal.name for refusal in error.value.refusals] == list(TIMING_NAMES)
    assert [refusal.nearest for refusal in error.value.refusals] == [5, 5, 10, 300]
    assert len(str(error.value).splitlines()) == 4


@EVERY
def test_timeout_above_interval(platform: Platform) -> None:
    """A timeout above the interval would stretch it, which nobody means: refused everywhere."""
    with pytest.raises(TimingsError, match="above the interval of 10 s") as error:
        fit(Given(interval=10, timeout=11), platform)
    (refusal,) = error.value.refusals
    assert (refusal.name, refusal.nearest) == ("timeout", 10)
    assert fit(Given(interval=10, timeout=10), platform).timeout == 10


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        pytest.param(Given(), Timings(10, 5, 3, 60), id="nothing"),
        pytest.param(Given(interval=30), Timings(30, 5, 3, 60), id="interval"),
        pytest.param(Given(interval=5), Timings(5, 5, 3, 60), id="short interval"),
        pytest.param(Given(interval=6, timeout=2), Timings(6, 2, 3, 60), id="both"),
        pytest.param(Given(timeout=20), Timings(20, 20, 3, 60), id="the interval follows"),
        pytest.param(Given(retries=1), Timings(10, 5, 1, 60), id="retries"),
        pytest.param(Given(start_period=0), Timings(10, 5, 3, 0), id="no start period"),
        pytest.param(Given(start_within=90), Timings(10, 5, 3, 90), id="start within"),
    ],
)
@EVERY
def test_chosen(platform: Platform, given_: Given, expected: Timings) -> None:
    """What is not given goes with what is, the same on every platform."""
    assert fit(given_, platform) == expected


@EVERY
def test_zero_retries_are_refused(platform: Platform) -> None:
    """None is not taken for `not given`: Docker would inherit the image's."""
    with pytest.raises(TimingsError) as error:
        fit(Given(retries=0), platform)
    assert [refusal.name for refusal in error.value.refusals] == ["retries"]


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        pytest.param(DOCKER, 3 * (10 + 5), id="docker"),
        pytest.param(COMPOSE, 3 * (10 + 5), id="compose"),
        pytest.param(ECS, 3 * (10 + 5) + 20, id="ecs: the agent reports each 20 s"),
        pytest.param(KUBERNETES, 3 * 10 + 5, id="kubernetes: a ticker"),
    ],
)
def test_detection(platform: Platform, expected: int) -> None:
    """The worst case: a fault just after a check, every check hanging to its timeout."""
    assert detection(Timings(10, 5, 3), platform) == expected


def test_startup() -> None:
    """An application may be unhealthy through the start period, and the retries after it."""
    assert startup(Timings(10, 5, 3, 60)) == 105


@pytest.mark.parametrize(
    ("platform", "seconds", "expected"),
    [
        pytest.param(ECS, 60, Timings(8, 5, 3), id="ecs 60"),
        pytest.param(ECS, 1000, Timings(30, 5, 3), id="ecs: calm enough"),
        pytest.param(ECS, 27, Timings(5, 2, 1), id="ecs: the least"),
        pytest.param(DOCKER, 60, Timings(15, 5, 3), id="docker 60"),
        pytest.param(DOCKER, 30, Timings(5, 5, 3), id="docker 30"),
        pytest.param(DOCKER, 7, Timings(5, 2, 1), id="docker: the least"),
        pytest.param(KUBERNETES, 60, Timings(18, 5, 3), id="kubernetes 60"),
        pytest.param(KUBERNETES, 7, Timings(5, 2, 1), id="kubernetes: the least"),
    ],
)
def test_detect_within(platform: Platform, seconds: int, expected: Timings) -> None:
    """The calmest that find a fault in time: many retries, a long timeout, a long interval."""
    assert fit(Given(detect_within=seconds), platform) == expected


@pytest.mark.parametrize(
    ("given_", "nearest"),
    [
        pytest.param(Given(detect_within=26), 27, id="too short"),
        pytest.param(Given(detect_within=10, retries=3), 41, id="for these retries"),
        pytest.param(Given(detect_within=10, timeout=10), 40, id="for this timeout"),
        pytest.param(Given(detect_within=10, interval=30), 52, id="for this interval"),
    ],
)
def test_detect_within_refused(given_: Given, nearest: int) -> None:
    """What no timings can do is refused, with what the most impatient would take."""
    with pytest.raises(TimingsError, match=rf"Amazon ECS takes {nearest} s at worst") as error:
        fit(given_, ECS)
    (refusal,) = error.value.refusals
    assert (refusal.name, refusal.nearest) == ("detect_within", nearest)
    assert detection(fit(given_._replace(detect_within=nearest), ECS), ECS) == nearest


@pytest.mark.parametrize(
    ("timeout", "own"),
    [(5, 4), (2, 1), (2.9, 1), (10.5, 9), (1, 0.5), (1.5, 0.75), (0.001, 0.0005), (9999, 3600)],
)
def test_own_timeout(timeout: Seconds, own: Seconds) -> None:
    """A second below the platform's, or half of it where that is less than two."""
    assert Timings(timeout=timeout).own_timeout == own


@EVERY
@settings(deadline=None)
@given(data=st.data())
def test_own_timeout_is_valid(platform: Platform, data: st.DataObject) -> None:
    """It is below the platform's, and what healthcheck.sh takes for its --timeout."""
    found = data.draw(timings_of(platform))
    assert found.own_timeout < found.timeout
    assert re.fullmatch(r"(?=.{1,7}$)[0-9]+(\.[0-9]+)?", f"{found.own_timeout}")


_TIMES = (
    st.none() | st.integers(0, 400) | st.sampled_from((0.0005, 0.25, 4.5, 2**31, 10**10, 10**15))
)
_GIVEN = st.builds(
    Given,
    interval=_TIMES,
    timeout=_TIMES,
    retries=st.none() | st.integers(0, 12) | st.just(2**31),
    start_period=_TIMES,
    detect_within=st.none() | st.none() | _TIMES,
    start_within=_TIMES,
)


def _fitted(given_: Given, platform: Platform) -> Timings | list[Refusal]:
    try:
        return fit(given_, platform)
    except TimingsError as error:
        return error.refusals


def _inside(given_: Given, platform: Platform) -> bool:
    """Tell by the table above whether every timing that was given is within its limits."""
    values = given_._asdict()
    values["start_period"] = next(
        (v for v in (given_.start_within, given_.start_period) if v is not None), None
    )
    for name, (least, most, whole) in LIMITS[platform.name].items():
        value: Any = values[name]
        if value is not None and (not least <= value <= most or (whole and value % 1)):
            return False
    return True


@EVERY
@settings(deadline=None, max_examples=300)
@given(given_=_GIVEN)
def test_fit(platform: Platform, given_: Given) -> None:
    """What comes out fits, is as it was given and finds a fault in time; the rest is refused."""
    found = _fitted(given_, platform)
    if isinstance(found, list):
        assert {refusal.name for refusal in found} <= {
            *TIMING_NAMES,
            "detect_within",
            "start_within",
        }
        return
    assert _inside(given_, platform)
    assert not refuse(found, platform)
    for name in ("interval", "timeout", "retries"):
        assert getattr(given_, name) in {None, getattr(found, name)}
    if given_.detect_within is not None:
        assert detection(found, platform) <= given_.detect_within


@pytest.mark.parametrize("name", ["start_period", "start_within"])
def test_start_by_its_name(name: str) -> None:
    """The budget of a start is refused by the name that was given."""
    with pytest.raises(TimingsError) as error:
        fit(Given(**{name: 301}), ECS)
    assert [refusal.name for refusal in error.value.refusals] == [name]


def test_chosen_interval_is_never_refused() -> None:
    """Where an interval is chosen, the timeout that it was chosen for is what does not fit."""
    with pytest.raises(TimingsError) as error:
        fit(Given(timeout=400, detect_within=100), ECS)
    assert [(r.name, r.nearest) for r in error.value.refusals] == [("timeout", 60)]


@EVERY
@settings(deadline=None, max_examples=200)
@given(interval=st.integers(1, 10**6), timeout=st.integers(1, 10**6), retries=st.integers(0, 100),
       start=st.integers(0, 10**6))  # fmt: skip
def test_nearest_fits(
    platform: Platform, interval: int, timeout: int, retries: int, start: int
) -> None:
    """Whoever takes what is said to fit is refused no more."""
    found = Timings(interval, timeout, retries, start)
    for _ in range(2):  # first the limits, then how they go together
        nearest: dict[str, Any] = {r.name: r.nearest for r in refuse(found, platform)}
        assert all(re.fullmatch("|".join(TIMING_NAMES), name) for name in nearest)
        found = replace(found, **nearest)
    assert not refuse(found, platform)


@EVERY
@settings(deadline=None, max_examples=200)
@given(
    seconds=st.integers(0, 100),
    retries=st.none() | st.integers(1, 10),
    timeout=st.none() | st.integers(2, 60),
)
def test_nearest_detection_fits(
    platform: Platform, seconds: int, retries: int | None, timeout: int | None
) -> None:
    """The nearest time to find a fault in is one that can be kept."""
    asked = Given(detect_within=seconds, retries=retries, timeout=timeout)
    found = _fitted(asked, platform)
    if isinstance(found, list):
        (refusal,) = found
        assert refusal.nearest > seconds
        again = fit(asked._replace(detect_within=refusal.nearest), platform)
        assert detection(again, platform) <= refusal.nearest
