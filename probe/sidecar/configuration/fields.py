"""What each key of a target may hold: a table from texts to values. Pure.

The contract's inputs are read as `probe check` reads its options.
"""

import ipaddress
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from probe.contract.inputs import INPUTS
from probe.contract.target import TLS
from probe.contract.target import VALID
from probe.contract.target import Target
from probe.platforms.durations import parse_go_duration
from probe.sidecar.configuration.documents import Value
from probe.sidecar.configuration.settings import RESERVED
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.configuration.settings import Thresholds

Reader = Callable[[Value], Any]
"""Returns the value, or None where it told a fault."""

Values = Mapping[str, Any]

MAX_NAME = 200
MAX_LABELS = 16
SHORTEST_INTERVAL = 0.1
LONGEST = 86400.0
"""Seconds: a day."""

_BARE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,6})?")
LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,99}")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\]\[]*)):(?P<port>[^:]*)")


def seconds(text: str) -> float:
    """Read seconds, bare or with units as Go and Prometheus write them. Raises ValueError."""
    return float(text) if _BARE.fullmatch(text) else float(parse_go_duration(text))


def between(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = seconds(text)
        if not lowest <= value <= highest:
            raise ValueError(f"{text!r} is not between {lowest:g}s and {highest:g}s")
        return value

    return read


def count(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,3}", text):
        raise ValueError(f"{text!r} is not a whole number from 1 to 9999")
    return int(text)


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return read


def _name(text: str) -> str:
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise ValueError(f"{text[:40]!r} is not 1 to {MAX_NAME} characters that can be shown")
    return text


def path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is no path")
    return text


def _input(name: str) -> Callable[[str], Any]:
    row = next(row for row in INPUTS if row.name == name)

    def read(text: str) -> Any:
        value = row.convert(text) if re.fullmatch(row.form, text, re.DOTALL) else None
        if value is None or not VALID[name](value):
            raise ValueError(f"{text[:40]!r} is not a valid {name}: {_FORMS[name]}")
        return value

    return read


# What `probe check --help` says of the same inputs (design 2.1).
_FORMS = {
    "host": "a name or an address, without brackets",
    "port": "1 to 65535, digits without a leading zero",
    "path": "begins with /, printable ASCII without spaces",
    "timeout": "seconds above 0, such as 3 or 2.5s",
    "expect": "codes and ranges, such as 200,300-399",
}


def texts(read: Callable[[str], Any]) -> Reader:
    """Make a reader of one text; where *read* refuses there is a fault and no value."""

    def reader(value: Value) -> Any:
        text = value.text()
        try:
            return None if text is None else read(text)
        except ValueError as error:
            value.fault(str(error))
            return None

    return reader


def lists(read: Callable[[str], Any]) -> Reader:
    reader = texts(read)
    return lambda value: tuple(found for row in value.rows() if (found := reader(row)) is not None)


def read_members(value: Value, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return what the members of a mapping hold; a key without a reader is a fault."""
    found = {}
    for name, member in value.members():
        if name not in readers:
            member.fault(_unknown(name, readers))
        elif (read := readers[name](member)) is not None:
            found[name] = read
    return found


def _unknown(name: str, known: Collection[str]) -> str:
    if near := get_close_matches(name, known, n=1):
        return f"unknown key; is it {near[0]}?"
    return f"unknown key; there are {', '.join(known)}"


def read_labels(value: Value) -> dict[str, str]:
    labels: dict[str, str] = {}
    for name, member in value.members():
        text = member.text()
        if not LABEL.fullmatch(name):
            member.fault("a label's name is letters, digits and _, and does not begin with __")
        elif name in RESERVED:
            member.fault(f"the label {name} is the sidecar's own; give it another name")
        elif text is not None:
            labels[name] = text
    if len(labels) > MAX_LABELS:
        value.fault(f"{len(labels)} labels are more than {MAX_LABELS}")
    return labels


def split_address(text: str, lowest_port: int = 1) -> tuple[str, int]:
    """Read HOST:PORT, an IPv6 address in brackets. Raises ValueError."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is not HOST:PORT (an IPv6 address in brackets)")
    host = found["host"]
    if found["v6"] is not None:
        host = str(ipaddress.IPv6Address(found["v6"]))
    if found["port"] == "0" and lowest_port == 0:
        return _input("host")(host), 0
    return _input("host")(host), _input("port")(found["port"])


TARGET: dict[str, Reader] = {
    "name": texts(_name),
    "kind": texts(one_of("sync", "proxy", "generic")),
    **{name: texts(_input(name)) for name in _FORMS},
    "tls": texts(_flag),
    "ca": texts(path),
    "cert": texts(path),
    "key": texts(path),
    "server_name": texts(_name),
    "insecure": texts(_flag),
    "labels": read_labels,
    "interval": texts(between(SHORTEST_INTERVAL, LONGEST)),
    "failure_threshold": texts(count),
    "success_threshold": texts(count),
    "start_period": texts(between(0, LONGEST)),
    "read_body": texts(_flag),
    "max_age": texts(between(1, 30 * LONGEST)),
}
TLS_FILES = ("ca", "cert", "key")
_TLS = (*TLS_FILES, "server_name", "insecure")
_THRESHOLDS = {
    "failure_threshold": "failure",
    "success_threshold": "success",
    "start_period": "start_period",
}
_PLAIN = ("kind", "interval", "read_body", "max_age", "labels")


def contradictions(values: Values, own: Values) -> Iterator[tuple[str, str]]:
    """Tell which of a target's *own* keys the *values* make meaningless, and why."""
    if not values.get("tls"):
        yield from ((key, "only with tls: true") for key in _TLS if key in own)
    if "key" in own and "cert" not in values:
        yield "key", "needs cert beside it"
    if "max_age" in own and not values.get("read_body"):
        yield "max_age", "only with read_body: true"


def build(values: Values) -> TargetSettings:
    """Make a target's settings of what was read of TARGET's keys."""
    tls = TLS(**_some(values, {key: key for key in _TLS})) if values.get("tls") else None
    target = Target(**_some(values, {key: key for key in _FORMS}), tls=tls)
    return TargetSettings(
        values.get("name", target.authority),
        target,
        thresholds=Thresholds(**_some(values, _THRESHOLDS)),
        **_some(values, {key: key for key in _PLAIN}),
    )


def overlay(settings: TargetSettings, values: Values) -> TargetSettings:
    """Return the settings with some of TARGET's keys changed; those of TLS stay."""
    asked = _some(values, {key: key for key in _FORMS})
    return replace(
        settings,
        target=Target(**{**vars(settings.target), **asked}),
        thresholds=replace(settings.thresholds, **_some(values, _THRESHOLDS)),
        **_some(values, {key: key for key in _PLAIN}),
    )


def _some(values: Values, fields: Mapping[str, str]) -> dict[str, Any]:
    return {field: values[key] for key, field in fields.items() if key in values}
