"""Seconds as people and platforms write them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.platforms.durations import Seconds
from probe.platforms.durations import go_duration
from probe.platforms.durations import parse_duration
from probe.platforms.durations import parse_go_duration
from probe.platforms.durations import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5m", 90),
        ("0", 0),
        ("0.25s", 0.25),
        ("0.1", 0.1),
        ("010", 10),
        ("2.0", 2),
        ("999999999999m", 59999999999940),
    ],
)
def test_parse(text: str, expected: Seconds) -> None:
    """An option's time is seconds, bare or with s or m; whole ones are ints."""
    found = parse_duration(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1", "+1", "1h", "1ms", "1m30s", "1.", ".5", "1e3", "1 s", " 1", "1\n", "1s\n",
     "0x10", "1_0", "inf", "nan", "٣", "1.0000000", "1" * 13],
)  # fmt: skip
def test_parse_refuses(text: str) -> None:
    """Anything else is refused, quoted, with an example of what is taken."""
    with pytest.raises(ValueError, match=r"is not a time: .* such as 90, 90s, 1\.5m") as error:
        parse_duration(text)
    assert str(error.value).startswith(repr(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("10s", 10),
        ("1m30s", 90),
        ("1h", 3600),
        ("1h1m1.5s", 3661.5),
        ("500ms", 0.5),
        ("1500ms", 1.5),
        ("1us", 1e-06),
        ("1µs", 1e-06),
        ("1ns", 1e-09),
        (".5s", 0.5),
        ("5.s", 5),
        ("1s1s", 2),
    ],
)
def test_parse_go(text: str, expected: Seconds) -> None:
    """Go's durations are numbers with units, any of them more than once (time.ParseDuration)."""
    found = parse_go_duration(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text", ["", "5", "s", ".s", "1d", "1 s", "1s ", "-1s", "1s5", "x1s", "1s\n", "1,5s"]
)
def test_parse_go_refuses(text: str) -> None:
    """A number without its unit is none, and is told what it lacks."""
    with pytest.raises(ValueError, match=r"is not a duration with its unit"):
        parse_go_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "90s"), (1.5, "1.5s"), (0.001, "0.001s"), (10.0, "10s"), (1e-06, "0.000001s")],
)
def test_go_duration(seconds: Seconds, text: str) -> None:
    """Written in seconds, without an exponent and without zeros that say nothing."""
    assert go_duration(seconds) == text


@given(st.integers(0, 9_223_372_036 * 10**6).map(lambda micro: plain(Fraction(micro, 10**6))))
def test_go_back(seconds: Seconds) -> None:
    """Whatever an option takes, down to microseconds, is read back from the document."""
    found = parse_go_duration(go_duration(seconds))
    assert (found, type(found)) == (seconds, type(seconds))


@pytest.mark.parametrize(
    ("value", "expected"), [(Fraction(10), 10), (Fraction(1, 4), 0.25), (Fraction(0), 0)]
)
def test_plain(value: Fraction, expected: Seconds) -> None:
    """A whole number is an int, so that documents hold 10 and not 10.0."""
    assert (plain(value), type(plain(value))) == (expected, type(expected))
