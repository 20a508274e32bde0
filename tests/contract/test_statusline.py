"""The status-line parser: each case whole, split at every byte, byte by byte, with more behind."""

import pytest

from probe.contract.exchange import PlainExchange
from probe.contract.statusline import HEAD
from probe.contract.statusline import REASON_LIMIT
from probe.contract.statusline import MalformedError
from probe.contract.statusline import StatusLine
from probe.contract.target import Target

GOOD = [
    pytest.param(b"HTTP/1.1 200 OK\r\n", 200, id="usual"),
    pytest.param(b"HTTP/1.0 200 OK\n", 200, id="bare-lf"),
    pytest.param(b"HTTP/1.1 200 \r\n", 200, id="no-reason"),
    pytest.param(b"HTTP/1.1 200\r\n", 200, id="no-reason-no-space"),
    pytest.param(b"HTTP/1.1 200\n", 200, id="no-reason-bare-lf"),
    pytest.param(b"HTTP/1.1 999 \n", 999, id="last-code"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n", 100, id="first-code"),
    pytest.param(b"HTTP/1.1 200 \xff\x01\r\x7f\n", 200, id="any-bytes-in-the-reason"),
    pytest.param(b"HTTP/1.1 200 " + b"r" * 511 + b"\n", 200, id="longest-reason"),
    pytest.param(b"HTTP/1.1 200 " + b"\0" * 999 + b"\n", 200, id="nuls-are-not-counted"),
    pytest.param(b"HTTP/1.1 200 " + b"\0r" * 511 + b"\n", 200, id="nuls-between"),
]
# What decides ends each of these: without their last byte they are open.
BAD = [
    pytest.param(b"HTTP/1.2 200 ", id="version-1.2"),
    pytest.param(b"HTTP/1.1 099 ", id="code-099"),
    pytest.param(b"HTTP/1.1 2000", id="four-digits"),
    pytest.param(b"HTTP/1.1 200\t", id="tab-after-the-code"),
    pytest.param(b"HTTP/1.1\xa0200 ", id="no-break-space"),
    pytest.param(b"http/1.1 200 ", id="lower-case"),
    pytest.param(b"HTTP/1.1 200\0", id="nul-at-13"),
    pytest.param(b"HTTP\0", id="nul-at-5"),
    pytest.param(b"\0", id="nul-at-1"),
    pytest.param(b"HTTP/1.1 200\r\r", id="cr-cr"),
    pytest.param(b"HTTP/1.1 200\r\0", id="cr-nul"),
    pytest.param(b"HTTP/1.1 200 " + b"r" * 512, id="reason-too-long"),
    pytest.param(b"HTTP/1.1 200 " + b"r\0" * 511 + b"r", id="reason-too-long-but-for-nuls"),
]


def feed_all(*pieces: bytes) -> int | None:
    """Feed *pieces* to one parser; all but the last leave it open."""
    parser = StatusLine()
    *first, last = pieces
    assert [parser.feed(piece) for piece in first] == [None] * len(first)
    return parser.feed(last)


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(("data", "code"), GOOD)
def test_whole(data: bytes, code: int) -> None:
    assert feed_all(data) == code


@pytest.mark.parametrize(("data", "code"), GOOD)
def test_more_behind(data: bytes, code: int) -> None:
    """Nothing behind the line end is looked at."""
    assert feed_all(data + b"\0" * REASON_LIMIT) == code


@pytest.mark.parametrize(("data", "code"), GOOD)
def test_split_at_every_byte(data: bytes, code: int) -> None:
    for at in range(1, len(data)):
        assert feed_all(data[:at], data[at:]) == code


@pytest.mark.parametrize(("data", "code"), GOOD)
def test_byte_by_byte(data: bytes, code: int) -> None:
    """Every prefix says "more"."""
    assert feed_all(*bytewise(data)) == code


@pytest.mark.parametrize("data", BAD)
def test_malformed_whole(data: bytes) -> None:
    with pytest.raises(MalformedError):
        feed_all(data)


@pytest.mark.parametrize("data", BAD)
def test_malformed_byte_by_byte(data: bytes) -> None:
    """The byte that decides does so at once, and none before it."""
    with pytest.raises(MalformedError):
        feed_all(*bytewise(data))


@pytest.mark.parametrize("data", BAD)
def test_malformed_split_at_every_byte(data: bytes) -> None:
    for at in range(1, len(data)):
        with pytest.raises(MalformedError):
            feed_all(data[:at], data[at:] + b"\r\n")


@pytest.mark.parametrize("length", range(HEAD))
def test_fewer_bytes_decide_nothing(length: int) -> None:
    """Fewer than 13 bytes decide nothing, whatever they are."""
    assert feed_all(b"\xff" * length) is None


def test_nothing_is_more() -> None:
    """An empty piece changes nothing, wherever it comes."""
    assert feed_all(b"", b"HTTP/1.1 200\r", b"", b"\n") == 200


# --- the exchange ---------------------------------------------------------------------------------

REASONS = [
    pytest.param(b"HTTP/1.1 200 OK\r\n", "200", id="accepted"),
    pytest.param(b"HTTP/1.1 204 X\r\n", "204", id="accepted-too"),
    pytest.param(b"HTTP/1.1 500 X\r\n", "status 500", id="not-accepted"),
    pytest.param(b"HTTP/1.1 200 O", None, id="more"),
    pytest.param(b"go away, please\r\n", "malformed", id="malformed"),
]


@pytest.mark.parametrize(("data", "reason"), REASONS)
def test_exchange(data: bytes, reason: str | None) -> None:
    exchange = PlainExchange(Target(expect="200,204"))
    exchange.received(data)

    assert exchange.reason == reason


def test_exchange_asks_once() -> None:
    exchange = PlainExchange(Target())

    assert (exchange.outgoing(), exchange.outgoing()) == (Target().request, b"")


def test_exchange_ended() -> None:
    exchange = PlainExchange(Target())
    exchange.ended()

    assert exchange.reason == "closed"
