"""Whom /probe?target= may ask: a configured target by name, or an address inside a listed network.

Pure, and strict on purpose. An address is read once, in its canonical form alone, and what was
checked is what is dialled: names (which can be made to point elsewhere between check and use),
decimal, octal, hexadecimal and short forms of IPv4, zone ids and userinfo are refused unread.
"""

import re
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from ipaddress import IPv4Network
from ipaddress import IPv6Address
from ipaddress import IPv6Network
from ipaddress import ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORT = 3010
LONGEST = 253
"""Characters of a target that are looked at."""

_AUTHORITY = re.compile(
    r"(?:(?P<v4>[0-9]{1,3}(?:\.[0-9]{1,3}){3})|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_HIGHEST_PORT = 65535

# IPv6 addresses that reach an IPv4 host: RFC 4291 (2.5.5.1), RFC 6052 (2.1), RFC 8215.
_CARRIERS = tuple(map(IPv6Network, ("::/96", "64:ff9b::/96")))
_LOCAL_CARRIER = IPv6Network("64:ff9b:1::/48")


class RefusedError(ValueError):
    """What was asked for is not allowed; the message is fit to be sent back."""


@dataclass(frozen=True, slots=True)
class Named:
    """A configured target."""

    name: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address inside a listed network, in the form in which it is dialled."""

    host: str
    port: int


def read_network(text: str) -> Network:
    """Read `10.0.0.0/8`, `fd00::/8` or one address. Raises ValueError."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone id")
    return ip_network(text)


def resolve(asked: str, names: Container[str], networks: Iterable[Network]) -> Named | Endpoint:
    """Return what *asked* stands for. Raises RefusedError."""
    if asked in names:
        return Named(asked)
    address, port = _read(asked)
    reached = tuple(_reached(address))
    if not all(_listed(one, networks) for one in reached):
        raise RefusedError(
            f"target: {reached[0]} is in none of the networks under probe.allow;"
            " list it there, or ask for a configured target by its name"
        )
    return Endpoint(str(reached[0]), port)


def _read(asked: str) -> tuple[Address, int]:
    found = _AUTHORITY.fullmatch(asked) if len(asked) <= LONGEST else None
    if found is None:
        raise RefusedError(
            "target: neither the name of a configured target nor an address"
            " as 192.0.2.1, 192.0.2.1:3010 or [2001:db8::1]:3010"
        )
    port = int(found["port"] or DEFAULT_PORT)
    if port > _HIGHEST_PORT:
        raise RefusedError(f"target: {port} is not a port")
    try:
        address = IPv4Address(found["v4"]) if found["v4"] else IPv6Address(found["v6"])
    except ValueError as error:
        raise RefusedError(f"target: {error}") from None
    return address, port


def _reached(address: Address) -> Iterator[Address]:
    """Yield the address that is dialled, then those that it may be translated to on its way."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped:
        yield address.ipv4_mapped  # the kernel dials IPv4
    else:
        yield address
        yield from _carried(address)


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _CARRIERS) and int(address) > 1:
        yield low
    elif address in _LOCAL_CARRIER:
        yield low  # with the longest prefix; the operator chooses a shorter one
    elif address.sixtofour:
        yield address.sixtofour
    elif address.teredo:
        yield from address.teredo


def _listed(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
