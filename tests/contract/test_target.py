"""Targets: what is valid, the request's bytes, the accepted codes."""

from typing import Any

import pytest

from probe import Target
from probe.contract.target import InvalidInputError

VALID = [
    *(("host", host) for host in ("a", "127.0.0.1", "::1", "a_b-c.D:9", "h" * 253)),
    *(("port", port) for port in (1, 80, 65535)),
    *(("path", path) for path in ("/", "/!~", "/" * 2000)),
    *(("timeout", timeout) for timeout in (1e-5, 1, 9999999.0)),
    *(("expect", expect) for expect in ("100", "999", "200,204", "200-200", "200-299,100-999")),
]
INVALID = [
    *(("host", host) for host in ("", "a b", "[::1]", "é", "a/b", "h" * 254, "a\n")),
    *(("port", port) for port in (0, -1, 65536)),
    *(("path", path) for path in ("", "x", "/ ", "/\x7f", "/\n", "/é", "/" * 2001)),
    *(("timeout", timeout) for timeout in (0.0, -1.0, float("inf"), float("nan"))),
    *(("expect", expect) for expect in ("", "20", "099", "2000", "299-200", "200,", ",200")),
    *(("expect", expect) for expect in ("200 ", "200, 204", "200-", "-200", "2xx", "200-201-202")),
]


def named(value: object) -> str:
    return f"{value!s:.12}"


@pytest.mark.parametrize(("name", "value"), VALID, ids=named)
def test_valid(name: str, value: Any) -> None:
    assert getattr(Target(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), INVALID, ids=named)
def test_invalid(name: str, value: Any) -> None:
    """A target that cannot be asked cannot be made, and the error names the input."""
    with pytest.raises(InvalidInputError) as caught:
        Target(**{name: value})

    assert caught.value.name == name


def test_first_fault_counts() -> None:
    """Faults are told in the order of the table of inputs."""
    with pytest.raises(InvalidInputError, match="path is not valid"):
        Target(path="x", timeout=0, expect="x")


RENDERED = [
    pytest.param("a b", "usage: host 'a?b'", id="space"),
    pytest.param("\0\n\xff\x7f", "usage: host '????'", id="one-mark-a-byte"),
    pytest.param("'\"$(x)?", "usage: host ''\"$(x)?'", id="printable-stays"),
    pytest.param(" " * 40, f"usage: host '{'?' * 40}'", id="40-bytes"),
    pytest.param("x " * 40, f"usage: host '{'x?' * 20}'", id="cut-at-40"),
    pytest.param("", "usage: host ''", id="empty"),
]


@pytest.mark.parametrize(("value", "reason"), RENDERED)
def test_reason(value: str, reason: str) -> None:
    """The value is cut at 40 bytes, and what is not printable ASCII is a question mark."""
    assert InvalidInputError("host", value).reason == reason


AUTHORITIES = [
    ("127.0.0.1", "127.0.0.1:3010"),
    ("localhost", "localhost:3010"),
    ("::1", "[::1]:3010"),
]


@pytest.mark.parametrize(("host", "authority"), AUTHORITIES)
def test_authority(host: str, authority: str) -> None:
    assert Target(host=host).authority == authority


def test_request() -> None:
    """These bytes and no others."""
    assert Target(host="::1", port=80, path="/x?y=%20").request == (
        b"GET /x?y=%20 HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n"
    )


ACCEPTED = [
    ("200", {200}),
    ("200,204", {200, 204}),
    ("200-204", {200, 201, 202, 203, 204}),
    ("999,100,200-200", {100, 200, 999}),
    ("200-202,201-203", {200, 201, 202, 203}),
    ("100-999", set(range(100, 1000))),
]


@pytest.mark.parametrize(("expect", "codes"), ACCEPTED, ids=named)
def test_accepts(expect: str, codes: set[int]) -> None:
    assert {code for code in range(100, 1000) if Target(expect=expect).accepts(code)} == codes
