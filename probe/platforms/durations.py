"""Seconds as people and platforms write them."""

import re
from fractions import Fraction

_DURATION = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,6})?)(?P<unit>s|m|)")
_UNITS: dict[str, int] = {"": 1, "s": 1, "m": 60}
_GO_UNITS = {
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_GO_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|us|µs|ns|m|s)")

Seconds = int | float


def parse_duration(text: str) -> Seconds:
    """Read an option's value: seconds, bare or with `s` or `m`. Raises ValueError."""
    if (found := _DURATION.fullmatch(text)) is None:
        raise ValueError(
            f"{text!r} is not a time: seconds, bare or with s or m, such as 90, 90s, 1.5m"
        )
    return plain(Fraction(found["number"]) * _UNITS[found["unit"]])


def parse_go_duration(text: str) -> Seconds:
    """Read a Go duration (Dockerfile, Compose): `1m30s`, `500ms`. Raises ValueError."""
    parts = _GO_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        if text == "0":
            return 0
        raise ValueError(f"{text!r} is not a duration with its unit, such as 10s or 1m30s")
    return plain(sum((Fraction(number) * _GO_UNITS[unit] for number, unit in parts), Fraction()))


def go_duration(seconds: Seconds) -> str:
    """Write seconds as Dockerfiles and Compose files have them: `90s`, `1.5s`, `0s`."""
    return (
        f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
        if isinstance(seconds, float)
        else f"{seconds}s"
    )


def exact(seconds: Seconds) -> Seconds:
    """Return a sum or product of seconds as it would be without floats: to the microsecond."""
    return round(seconds, 6)


def plain(value: Fraction) -> Seconds:
    """Return an int where there is no fraction, so that documents hold 10 and not 10.0."""
    return int(value) if value.denominator == 1 else float(value)
