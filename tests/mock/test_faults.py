"""The table of modes: complete, documented, and each mode's bytes as a client sees them."""

import socket

import pytest

from probe.mock.connection import pieces
from probe.mock.faults import MODES
from probe.mock.faults import VERBS
from probe.mock.faults import Mode
from probe.mock.faults import ModeError
from probe.mock.faults import Port
from probe.mock.faults import Step
from probe.mock.faults import StepsError
from probe.mock.faults import mode_named
from probe.mock.faults import read_steps
from probe.mock.server import Mock
from tests.support.probes import PROBES
from tests.support.probes import asking
from tests.support.probes import run

WANTED = {
    "healthy", "unhealthy", "starting", "flapping", "refuse", "backlog", "hang", "slow", "drip",
    "early-close", "reset-before", "reset-mid", "reset-after", "garbage", "tls", "http09",
    "endless-line", "endless-header", "nul", "interim", "redirect", "keep-alive", "script",
}  # fmt: skip
QUESTION = b"GET /health/application HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
RULED = [name for name in MODES if name != "script"]


def test_every_mode_is_there() -> None:
    assert set(MODES) == WANTED


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_mode_is_documented_and_does_one_thing(mode: Mode) -> None:
    assert mode.doc
    assert len(mode.doc) < 90
    assert mode.reasons or mode.name == "script"
    ways = [bool(mode.steps), bool(mode.presets), mode.port is not Port.OPEN]
    assert sum(ways) == (mode.name != "script")


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_steps_are_of_the_language(mode: Mode) -> None:
    assert {step.verb for step in mode.steps} <= set(VERBS)


def test_steps_as_the_corpus_writes_them() -> None:
    raw = [["read_request"], ["send_hex", "48"], ["send_repeat", "00ff", 3], ["sleep_ms", 20]]
    assert read_steps(raw) == (
        Step("read_request"),
        Step("send_hex", b"H"),
        Step("send_repeat", b"\0\xff", 3),
        Step("sleep_ms", milliseconds=20),
    )


FAULTY = [
    pytest.param("close", ["script: 'close' is not a list of steps"], id="no list"),
    pytest.param([], ["script: [] is not a list of steps"], id="empty"),
    pytest.param([["sleep_ms"]], ["script[0]: sleep_ms takes milliseconds"], id="argument missing"),
    pytest.param([["hang", 1]], ["script[0]: hang takes no argument"], id="argument too many"),
    pytest.param(
        [["send_hex", "4"], ["hang"], ["send_repeat", "zz", True]],
        [
            "script[0]: send_hex: data '4' is not hexadecimal",
            "script[2]: send_repeat: data 'zz' is not hexadecimal",
            "script[2]: send_repeat: count True is not a whole number, 0 or above",
        ],
        id="all at once",
    ),
]


@pytest.mark.parametrize(("raw", "faults"), FAULTY)
def test_faulty_steps(raw: object, faults: list[str]) -> None:
    with pytest.raises(StepsError) as caught:
        read_steps(raw)
    assert list(caught.value.faults) == faults


def test_unknown_step_names_the_known() -> None:
    with pytest.raises(
        StepsError, match=r"script\[0\]: \['sing'\] is no step: read_request, .*hang"
    ):
        read_steps([["sing"]])


@pytest.mark.parametrize(
    ("name", "script", "message"),
    [
        ("helthy", None, "'helthy' is no mode: healthy, "),
        (3, None, "3 is no mode: healthy, "),
        ("script", None, "mode script needs a script"),
        ("hang", [["close"]], "mode hang takes no script"),
    ],
)
def test_no_such_mode(name: object, script: object, message: str) -> None:
    with pytest.raises(ModeError, match=message):
        mode_named(name, script)


@pytest.mark.parametrize("count", [0, 1, 3, 65536, 200_001])
def test_repeated_bytes_come_in_pieces(count: int) -> None:
    assert b"".join(pieces(Step("send_repeat", b"ab", count))) == b"ab" * count


def test_nothing_repeated_is_nothing() -> None:
    assert list(pieces(Step("send_repeat", b"", 10**15))) == []


def read_to_end(client: socket.socket) -> None:
    while client.recv(4096):
        pass


FIRST_BYTES = [
    ("healthy", b"HTTP/1.1 200 OK\r\n"),
    ("unhealthy", b"HTTP/1.1 500 "),
    ("starting", b"HTTP/1.1 200 OK\r\n"),
    ("drip", b"HT"),
    ("slow", b"HTTP/1.1 200 OK\r\n"),
    ("early-close", b"HTTP/1.1 "),
    ("reset-mid", b"HTTP/1.1 "),
    ("reset-after", b"HTTP/1.1 200 OK\r\n"),
    ("garbage", b"\x7fELF"),
    ("tls", b"\x15\x03\x03"),
    ("http09", b'{"healthy":true}'),
    ("endless-line", b"HTTP/1.1 200 " + b"A" * 5000),
    ("endless-header", b"HTTP/1.1 200 OK\r\nX-Endless: " + b"A" * 5000),
    ("nul", b"HTTP/1.1\x00200"),
    ("interim", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
    ("redirect", b"HTTP/1.1 302 Found\r\nLocation: "),
    ("keep-alive", b"HTTP/1.1 200 OK\r\n"),
]


@pytest.mark.parametrize(("name", "expected"), FIRST_BYTES, ids=[name for name, _ in FIRST_BYTES])
def test_first_bytes(name: str, expected: bytes) -> None:
    with Mock(mode=name) as mock, socket.create_connection((mock.host, mock.port), 5) as client:
        client.sendall(QUESTION)
        with client.makefile("rb") as stream:
            assert stream.read(len(expected)) == expected


@pytest.mark.parametrize("name", ["early-close", "tls", "http09", "nul", "interim", "redirect"])
def test_ends_after_its_bytes(name: str) -> None:
    with Mock(mode=name) as mock, socket.create_connection((mock.host, mock.port), 5) as client:
        client.sendall(QUESTION)
        read_to_end(client)


@pytest.mark.parametrize("name", ["reset-before", "reset-mid", "reset-after"])
def test_ends_with_a_reset(name: str) -> None:
    with Mock(mode=name) as mock, socket.create_connection((mock.host, mock.port), 5) as client:
        client.sendall(QUESTION)
        with pytest.raises(ConnectionResetError):
            read_to_end(client)


@pytest.mark.parametrize("name", ["hang", "keep-alive"])
def test_stays_open(name: str) -> None:
    with Mock(mode=name) as mock, socket.create_connection((mock.host, mock.port), 5) as client:
        client.sendall(QUESTION)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            read_to_end(client)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("name", RULED)
def test_the_probes_say_what_the_table_says(name: str, probe: str) -> None:
    with Mock(mode=name) as mock:
        for line in MODES[name].lines:
            assert mock.expected == line
            timeout = "1.5" if line.endswith("timeout") else "10"
            result = run(asking(PROBES[probe], mock.port, "--timeout", timeout))
            assert result.verdict == (int(not line.startswith("healthy")), line)
