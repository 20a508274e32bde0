"""Whom /probe may ask: the table of ways to smuggle an address past a list."""

from ipaddress import IPv4Address
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.sidecar.web.allow import Endpoint
from probe.sidecar.web.allow import Named
from probe.sidecar.web.allow import RefusedError
from probe.sidecar.web.allow import read_network
from probe.sidecar.web.allow import resolve

NAMES = {"sync", "10.9.9.9"}
LISTED = [read_network(text) for text in ("10.0.0.0/8", "fd00::/8", "127.0.0.1")]
EVERY_V6 = [read_network("::/0")]

ALLOWED = [
    pytest.param("sync", Named("sync"), id="name"),
    pytest.param("10.9.9.9", Named("10.9.9.9"), id="name that is an address"),
    pytest.param("10.1.2.3", Endpoint("10.1.2.3", 3010), id="v4"),
    pytest.param("10.1.2.3:80", Endpoint("10.1.2.3", 80), id="v4 with port"),
    pytest.param("10.1.2.3:65535", Endpoint("10.1.2.3", 65535), id="highest port"),
    pytest.param("127.0.0.1:9", Endpoint("127.0.0.1", 9), id="one address"),
    pytest.param("[fd00::1]", Endpoint("fd00::1", 3010), id="v6"),
    pytest.param("[FD00:0::0001]:8080", Endpoint("fd00::1", 8080), id="v6 made canonical"),
    pytest.param("[::ffff:10.1.2.3]:80", Endpoint("10.1.2.3", 80), id="mapped, v4 listed"),
]

REFUSED = [
    pytest.param(text, id=text[:60] or "nothing")
    for text in (
        "",
        "localhost", "localhost:3010", "metadata.google.internal", "sync.example:80", "127.1", "0",
        "169.254.169.254", "169.254.170.2", "169.254.169.254:80", "100.100.100.200", "0.0.0.0",
        "127.0.0.2", "9.255.255.255", "11.0.0.0",
        "2852039166", "167838211", "0xa9fea9fe", "0x0a.1.2.3", "0xA9.0xFE.0xA9.0xFE",
        "012.1.2.3", "10.01.2.3", "10.1.2.03", "0251.0376.0251.0376", "10.1.2", "10.1.2.256",
        "10.1.2.3.", "10.1.2.3.4", ".10.1.2.3", "10.1..3", "10.1.2.3 ", " 10.1.2.3", "10.1.2.3\n",
        "\uff110.1.2.3", "10。1。2。3", "10.1.2.٣", "①⓪.1.2.3",
        "10.1.2.3:", "10.1.2.3:0", "10.1.2.3:080", "10.1.2.3:65536", "10.1.2.3:99999",
        "10.1.2.3:80:80", "10.1.2.3:-1", "10.1.2.3:+80", "10.1.2.3:8_0", "10.1.2.3:80/",
        "user@10.1.2.3", "user:pass@10.1.2.3", "10.1.2.3@169.254.169.254", "10.1.2.3#@x",
        "http://10.1.2.3", "http://10.1.2.3:80/", "//10.1.2.3", "10.1.2.3/", "10.1.2.3/../x",
        "10.1.2.3?x=1", "10.1.2.3\\@x", "10.1.2.3%00", "10.1.2.3\0", "10.1.2.3\r\nHost: x",
        "%31%30.1.2.3", "10.1.2.3,10.1.2.4",
        "fd00::1", "fd00::1:80", "[fd00::1%eth0]", "[fd00::1%25eth0]", "[fd00::1]%1", "[[fd00::1]]",
        "[fd00::1]x", "[fd00::1]:", "[fd00::1]:0", "[fd00:::1]", "[fd00::1::2]", "[]", "[10.1.2.3]",
        "[::1]", "[::]", "[fe80::1]", "[fd00:ec2::254.1.1.1.1]", "[2001:db8::1]",
        "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::ffff:127.0.0.2]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]", "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b::10.1.2.3]", "[2002:a9fe:a9fe::]", "[::10.1.2.3]", "[fd00::1",
        "1" * 254, "[" + "f" * 10_000 + "]",
    )
]  # fmt: skip


@pytest.mark.parametrize(("asked", "found"), ALLOWED)
def test_allowed(asked: str, found: object) -> None:
    assert resolve(asked, NAMES, LISTED) == found


@pytest.mark.parametrize("asked", REFUSED)
def test_refused(asked: str) -> None:
    with pytest.raises(RefusedError, match=r"^target: ") as refused:
        resolve(asked, NAMES, LISTED)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("asked", REFUSED)
def test_nothing_is_listed_by_default(asked: str) -> None:
    with pytest.raises(RefusedError):
        resolve(asked, NAMES, [])


CARRIED = [
    pytest.param(text, id=text)
    for text in (
        "[::ffff:169.254.169.254]", "[::169.254.169.254]", "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::169.254.169.254]", "[2002:a9fe:a9fe::1]",
        "[2001:0:4136:e378:8000:63bf:5601:5601]",
    )
]  # fmt: skip


@pytest.mark.parametrize("asked", CARRIED)
def test_every_ipv6_is_no_ipv4(asked: str) -> None:
    """An IPv6 address that reaches an IPv4 host is allowed only where that host is."""
    with pytest.raises(RefusedError):
        resolve(asked, NAMES, EVERY_V6)
    assert isinstance(resolve(asked, NAMES, [*EVERY_V6, read_network("0.0.0.0/0")]), Endpoint)


def test_loopback_of_ipv6_carries_nothing() -> None:
    assert resolve("[::1]", NAMES, EVERY_V6) == Endpoint("::1", 3010)


@given(st.ip_addresses(v=4), st.integers(1, 65535))
def test_ipv4_is_allowed_exactly_inside(address: IPv4Address, port: int) -> None:
    inside = any(net.version == 4 and address in net for net in LISTED)
    try:
        found = resolve(f"{address}:{port}", (), LISTED)
    except RefusedError:
        assert not inside
    else:
        assert inside
        assert found == Endpoint(str(address), port)


@given(st.ip_addresses(v=6))
def test_ipv6_written_in_full_is_the_same(address: IPv6Address) -> None:
    def answer(text: str) -> object:
        try:
            return resolve(f"[{text}]", (), LISTED)
        except RefusedError as error:
            return str(error)

    assert answer(address.exploded) == answer(str(address))


@given(st.text(alphabet="0123456789.:[]%@/xXa-fA-F ", max_size=30))
def test_whatever_is_allowed_is_canonical(asked: str) -> None:
    """No text comes through but as an address that Python and the kernel read alike."""
    try:
        found = resolve(asked, (), LISTED)
    except RefusedError:
        return
    assert isinstance(found, Endpoint)
    parsed = IPv6Address(found.host) if ":" in found.host else IPv4Address(found.host)
    assert str(parsed) == found.host


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "fe80::%eth0/64", "example", ""])
def test_bad_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_network(text)
