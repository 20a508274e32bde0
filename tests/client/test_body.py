"""The reader of whole answers: bounded in time and size, chunks put together."""

import time

import pytest

from probe import Target
from probe.client.body import SIZE_LIMIT
from probe.client.body import Answer
from probe.client.body import read_answer
from probe.client.failures import CheckFailedError
from tests.support.scripted import Step
from tests.support.scripted import playing

HEAD = b"HTTP/1.1 200 OK\r\n"


def send(*data: bytes) -> list[Step]:
    return [["read_request"], *(["send_hex", piece.hex()] for piece in data)]


GOOD = [
    pytest.param([*send(HEAD + b"\r\nbody"), ["close"]], b"body", id="up to the end"),
    pytest.param(
        [*send(HEAD + b"Content-Length: 4\r\n\r\nbody"), ["hang"]], b"body", id="kept open"
    ),
    pytest.param(
        [*send(HEAD + b"content-length:4\r\n\r\nbo", b"dy"), ["hang"]], b"body", id="in pieces"
    ),
    pytest.param(
        [*send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"),
         ["close"]],
        b"body",
        id="chunks",
    ),
    pytest.param(
        [*send(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nbody"), ["close"]],
        b"body",
        id="a length that is none",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "body"), GOOD)
def test_whole(steps: list[Step], body: bytes) -> None:
    """However it is framed, the body is what the server meant."""
    with playing(steps) as played:
        answer = read_answer(Target(port=played.port, timeout=5), time.monotonic)

    assert answer == Answer(200, body)


BAD: list[object] = [
    pytest.param([["read_request"], ["close"]], "closed", id="nothing"),
    pytest.param([["read_request"], ["hang"]], "timeout", id="mute"),
    pytest.param([*send(b"not HTTP"), ["close"]], "malformed", id="no HTTP"),
    pytest.param(
        [*send(HEAD + b"Content-Length: 9\r\n\r\nbody"), ["close"]], "malformed", id="cut short"
    ),
    pytest.param(
        [*send(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), ["close"]],
        "malformed",
        id="no chunk",
    ),
    pytest.param(
        [*send(HEAD + b"\r\n"), ["send_repeat", "41", SIZE_LIMIT], ["hang"]],
        "malformed",
        id="too large",
    ),
]


@pytest.mark.parametrize(("steps", "reason"), BAD)
def test_not_whole(steps: list[Step], reason: str) -> None:
    """What is no whole answer is one named failure, whatever the bytes."""
    with playing(steps) as played, pytest.raises(CheckFailedError) as caught:
        read_answer(Target(port=played.port, timeout=1), time.monotonic)

    assert caught.value.reason == reason
