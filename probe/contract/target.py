"""What a check asks: host, port, path, timeout, accepted codes, TLS."""

from __future__ import annotations

import re

from probe.contract.value import value

TYPE_CHECKING = False  # typing itself costs 5 ms at every start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CODES = re.compile(r"([1-9][0-9]{2})(?:-([1-9][0-9]{2}))?")


class InvalidInputError(ValueError):
    """An input is not valid; `reason` is how the verdict's line says so."""

    def __init__(self, name: str, value: str) -> None:
        shown = re.sub(r"[^!-~]", "?", value[:40])
        self.name = name
        self.reason = f"usage: {name} '{shown}'"
        super().__init__(f"{name} is not valid: {value!r}")


@value
class TLS:
    """How to speak TLS: PEM files, the name to verify (default: the host), or no check at all."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    insecure: bool = False


@value
class Target:
    """One endpoint. Raises InvalidInputError for the first field that is not valid.

    `timeout` is in seconds, for the whole check; `expect` lists codes and ranges: `200,300-399`.
    """

    host: str = "127.0.0.1"
    port: int = 3010
    path: str = "/health/application"
    timeout: float = 3.0
    expect: str = "200"
    tls: TLS | None = None

    def __post_init__(self) -> None:
        for name in VALID:
            require_valid(name, value := getattr(self, name), str(value))

    def accepts(self, code: int) -> bool:
        return any(code in codes for codes in _ranges(self.expect))

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 host in brackets (RFC 9110, 7.2; RFC 3986, 3.2.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def request(self) -> bytes:
        """The bytes of the one write."""
        return (
            f"GET {self.path} HTTP/1.1\r\nHost: {self.authority}\r\nConnection: close\r\n\r\n"
        ).encode("ascii")


def require_valid(name: str, value: Any, text: str) -> None:
    """Raise InvalidInputError, which shows *text*, where *value* is not valid for that input."""
    if not VALID[name](value):
        raise InvalidInputError(name, text)


def _ranges(expect: str) -> list[range]:
    """Return the accepted codes, or nothing where the list is not valid."""
    found = [_CODES.fullmatch(item) for item in expect.split(",")]
    ranges = [range(int(item[1]), int(item[2] or item[1]) + 1) for item in found if item]
    return ranges if len(ranges) == len(found) and all(ranges) else []


# What is valid, in the order in which faults are told.
VALID: dict[str, Callable[[Any], object]] = {
    "host": re.compile(r"[0-9A-Za-z.:_-]{1,253}").fullmatch,
    "port": lambda port: 1 <= port <= 65535,  # noqa: PLR2004 # RFC 9293, section 3.1: 16 bits
    "path": re.compile(r"/[!-~]{0,1999}").fullmatch,
    "timeout": lambda timeout: 0 < timeout < float("inf"),
    "expect": _ranges,
}
