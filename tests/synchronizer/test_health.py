"""The health bodies, read and written: to the nanosecond, and never an error without a name."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from probe.synchronizer import health
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import BodyError
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item

MOMENT = 1_795_489_589_538_121_259
HEALTHY = (
    b'{"healthy":true,"healthySince":"2026-11-24T03:06:29.538121259Z","items":['
    b'{"name":"Splits","healthy":true,"lastHit":"2026-11-24T03:06:29Z"},'
    b'{"name":"Storage","healthy":false,"lastHit":"2026-11-24T03:06:29.5Z","errorCount":33}]}'
)
UNHEALTHY = b'{"healthy":false,"healthySince":null,"items":[{"name":"Splits","healthy":false}]}'
APPLICATIONS = [
    (
        HEALTHY,
        ApplicationHealth(
            True,  # noqa: FBT003
            MOMENT,
            (
                Item("Splits", healthy=True, last_hit=MOMENT - 538_121_259),
                Item("Storage", healthy=False, last_hit=MOMENT - 38_121_259, error_count=33),
            ),
        ),
    ),
    (UNHEALTHY, ApplicationHealth(False, None, (Item("Splits", healthy=False),))),  # noqa: FBT003
]
DOWN = (
    b'{"serviceStatus":"down","dependencies":[{"service":"http://h/?a=1\\u0026b","healthy":false,'
    b'"message":"Get \\"http://h\\": \\u003ceof\\u003e",'
    b'"lastHit":"2026-11-24T03:06:29.538121259Z"},'
    b'{"service":"s","healthy":true,"healthySince":"2026-11-24T03:06:29.538121259Z"}]}'
)
DEPENDENCIES = DependenciesHealth(
    "down",
    (
        Dependency(
            "http://h/?a=1&b", healthy=False, message='Get "http://h": <eof>', last_hit=MOMENT
        ),
        Dependency("s", healthy=True, healthy_since=MOMENT),
    ),
)


@pytest.mark.parametrize(("body", "value"), APPLICATIONS, ids=["healthy", "unhealthy"])
def test_application(body: bytes, value: ApplicationHealth) -> None:
    assert health.parse_application(body) == value
    assert health.write_application(value) == body


def test_dependencies() -> None:
    assert health.parse_dependencies(DOWN) == DEPENDENCIES
    assert health.write_dependencies(DEPENDENCIES) == DOWN


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-11-24T03:06:29.538121259Z", MOMENT),
        ("2026-11-24T03:06:29.53812125Z", MOMENT - 9),
    ],
)
def test_time(text: str, nanoseconds: int) -> None:
    assert health.parse_time(text) == nanoseconds
    assert health.format_time(nanoseconds) == text


def test_time_of_another_zone() -> None:
    assert health.parse_time("2026-11-24T04:36:29.538121259+01:30") == MOMENT
    assert health.parse_time("2026-11-24T01:36:29.538121259-01:30") == MOMENT


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-24", "2026-11-24T03:06:29", "2026-02-30T03:06:29Z", "2026-11-24T24:06:29Z",
     "2026-11-24T03:06:29.Z", "2026-11-24T03:06:29+99:00", "0000-01-01T00:00:00Z",
     "٢٠٢٦-11-24T03:06:29Z"],
)  # fmt: skip
def test_no_time(text: str) -> None:
    with pytest.raises(BodyError, match="is not a time"):
        health.parse_time(text)


@given(st.integers(-(10**18), 4 * 10**18))
def test_time_both_ways(nanoseconds: int) -> None:
    assert health.parse_time(health.format_time(nanoseconds)) == nanoseconds


APPLICATION_FAULTS = [
    (b"", "body: not JSON: "),
    (b"\xff{}", "body: byte 0 is not UTF-8"),
    (b"404 page not found", "body: not JSON: "),
    (b"[" * 100_000, "body: nested too deep"),
    (b"[]", "body: [] is not an object"),
    (b"{}", "healthy: None is not true or false"),
    (b'{"healthy":1}', "healthy: 1 is not true or false"),
    (
        b'{"healthy":true,"healthySince":3,"items":[]}',
        "healthySince: healthySince: 3 is not a text",
    ),
    (b'{"healthy":true,"healthySince":"x","items":[]}', "healthySince: 'x' is not a time"),
    (b'{"healthy":true}', "items: None is not a list"),
    (b'{"healthy":true,"items":[1]}', "items[0]: 1 is not an object"),
    (b'{"healthy":true,"items":[{"healthy":true}]}', "items[0].name: None is not a text"),
    (
        b'{"healthy":true,"items":[{"name":"a","healthy":true,"errorCount":true}]}',
        "items[0].errorCount: True is not a whole number",
    ),
]


@pytest.mark.parametrize(("body", "message"), APPLICATION_FAULTS, ids=lambda value: value[:30])
def test_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(BodyError) as caught:
        health.parse_application(body)
    assert str(caught.value).startswith(message)


def test_what_is_wrong_with_dependencies() -> None:
    with pytest.raises(BodyError, match="serviceStatus: 'fine' is none of healthy, degraded, down"):
        health.parse_dependencies(b'{"serviceStatus":"fine","dependencies":[]}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["healthy", "healthySince", "items", "name", "lastHit", "errorCount",
                         "serviceStatus", "dependencies", "service", "message"]),
        inner,
    ),
)  # fmt: skip
PARSERS = [health.parse_application, health.parse_dependencies]


@pytest.mark.parametrize("parse", PARSERS)
@given(value=JSON)
def test_any_json(parse: Callable[[bytes], Any], value: Any) -> None:
    any_bytes(parse, json.dumps(value).encode())


@pytest.mark.parametrize("parse", PARSERS)
@given(body=st.binary())
@example(body=b'{"healthy":' + b"9" * 5000)
@example(body=b'"\\ud800"')
def test_any_bytes(parse: Callable[[bytes], Any], body: bytes) -> None:
    any_bytes(parse, body)


def any_bytes(parse: Callable[[bytes], Any], body: bytes) -> None:
    """Either they are read, or the error has its name."""
    with contextlib.suppress(BodyError):
        parse(body)


def test_half_a_character_is_written_too() -> None:
    """JSON may hold what UTF-8 cannot."""
    row = Dependency("\ud800", healthy=True)
    assert b'"service":"?"' in health.write_dependencies(DependenciesHealth("healthy", (row,)))
