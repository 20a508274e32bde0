"""Shell probe against reference probe on what nobody thought of.

A failing example is printed as a row for `tests/data/contract.jsonl`. `FUZZ_EXAMPLES=3000` looks
longer; in CI the examples are the same every time.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from tests.contract.cases import Case
from tests.contract.cases import pause
from tests.contract.cases import send
from tests.contract.drivers import DRIVERS
from tests.contract.drivers import Outcome
from tests.contract.drivers import ask
from tests.support.probes import ENVIRONMENT
from tests.support.probes import LATENESS
from tests.support.probes import PROBES
from tests.support.probes import Result
from tests.support.probes import run
from tests.support.scripted import Step

FUZZED = ("blocking", "asyncio", "sidecar", "bash")
TIMEOUT = 1.0

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
pytestmark = pytest.mark.timeout(3600)


# --- what a server may send -----------------------------------------------------------------------


def mostly(usual: Sequence[bytes], odd: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Draw what is usual nine times in ten."""
    return st.integers(0, 9).flatmap(lambda die: odd if die == 0 else st.sampled_from(usual))


REASONS = st.one_of(
    st.sampled_from([b"", b"OK", b"\0", b"O\rK", b"unhealthy", b"HTTP/1.1 500 X"]),
    st.binary(max_size=20),
    # About the limit, with and without NULs between.
    st.builds(
        lambda byte, length, nuls: byte * length + b"\0" * nuls,
        st.sampled_from([b"r", b" ", b"\r", b"\xff"]),
        st.integers(505, 516),
        st.integers(0, 3),
    ),
    st.builds(lambda length: b"r\0" * length, st.integers(505, 516)),
)

near_valid = st.builds(
    lambda *parts: b"".join(parts),
    mostly([b"HTTP/1.1", b"HTTP/1.0"], st.sampled_from([b"HTTP/2", b"http/1.1", b"HTTP/1.\0"])),
    mostly([b" "], st.binary(max_size=2)),
    mostly(
        [b"200", b"503", b"204", b"100"],
        st.one_of(st.from_regex(rb"[0-9]{1,4}", fullmatch=True), st.binary(max_size=4)),
    ),
    mostly([b" ", b"\r", b"\n", b" "], st.binary(max_size=2)),
    REASONS,
    mostly([b"\r\n", b"\n", b""], st.sampled_from([b"\r", b"\0", b"\r\0\n", b"\n\r"])),
    st.sampled_from([b"", b"", b"\r\n", b"X: y\r\n\r\nbody", b"HTTP/1.1 200 OK\r\n"]),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a near-valid answer with one byte replaced, lost, or doubled, or its end lost."""
    data = draw(near_valid)
    at = draw(st.integers(0, min(20, len(data))))
    instead = draw(st.one_of(st.just(b""), st.binary(min_size=1, max_size=1), st.just(data[at:])))
    return data[:at] + instead + data[at + draw(st.integers(0, 1)) :]


@st.composite
def cut(draw: st.DrawFn) -> bytes:
    data = draw(near_valid)
    return data[: draw(st.integers(0, len(data)))]


STREAMS = st.one_of(near_valid, near_valid, damaged(), cut(), st.binary(max_size=40))
PAUSES = st.sampled_from([0, 0, 1, 5, 20])
# A connection that stays open may cost the whole deadline, so it is rare.
ENDINGS = st.sampled_from(
    [[["close"]]] * 6 + [[["rst"]]] * 3 + [[["shutdown_wr"], ["hang"]]] * 2 + [[["hang"]]]
)


@st.composite
def scripts(draw: st.DrawFn) -> tuple[Step, ...]:
    """Draw a stream, where it is split, the pauses between, and how it ends."""
    data = draw(STREAMS)
    cuts = sorted(draw(st.sets(st.integers(1, 30) | st.integers(1, 600), max_size=4)))
    steps: list[Step] = [["read_request"]]
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if part := data[start:end]:
            steps += [send(part), pause(draw(PAUSES))]
    return (*steps, *draw(ENDINGS))


def row(outcomes: Sequence[Outcome]) -> str:
    """Spell an example as a row of the table, each driver's answer instead of the line."""
    found = {name: outcome.result.line for name, outcome in zip(FUZZED, outcomes, strict=True)}
    steps = outcomes[0].case.steps
    return json.dumps({"name": "fuzz-", "script": steps, "expect": "", "why": "", "line": found})


@fuzz
@given(scripts())
def test_streams(steps: tuple[Step, ...]) -> None:
    """Whatever a server sends, in whatever pieces, all implementations say the same in time."""
    case = Case("fuzz", steps, "", TIMEOUT)
    with ThreadPoolExecutor(len(FUZZED)) as pool:
        outcomes = list(pool.map(lambda name: ask(DRIVERS[name], case), FUZZED))

    results = [outcome.result for outcome in outcomes]
    assert len({(result.verdict, result.stderr) for result in results}) == 1, row(outcomes)
    assert max(result.seconds for result in results) <= TIMEOUT + LATENESS, row(outcomes)


# --- what an operator may write -------------------------------------------------------------------

ODD_TEXTS = [
    *("", "0", "1", "3010", "03010", "65535", "65536", "99999", "/", "/x", "200", "200-299"),
    *("299-200", "200,", ",200", "099", "3s", "0.5", "1.5s", "0s", ".5", "1..", "1.s", "ss"),
    *("tcp://1", "udp://", "sctp://", "tcp:/", "0.0.0.0", "[::]", "[::1]", "::1", "t", "True"),
    *("on", "false", "$(exit)", "`id`", "*", "?", "[!-~]", "a b", "\\", "&", "'", '"', "-n"),
]
TEXTS = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.integers(250, 256).map(lambda length: "h" * length),
    st.integers(1997, 2003).map(lambda length: "/" * length),
    st.from_regex(r"[0-9.,s-]{1,9}", fullmatch=True),
    # Every byte but NUL, as the system's calls give it to Python.
    st.binary(max_size=50).map(lambda data: os.fsdecode(data.replace(b"\0", b""))),
)
INPUTS = ("host", "port", "path", "timeout", "expect")
OPTIONS = st.one_of(
    st.tuples(st.sampled_from([f"--{name}" for name in INPUTS]), TEXTS),
    st.builds(lambda name, text: (f"--{name}={text}",), st.sampled_from(INPUTS), TEXTS),
    st.sampled_from([("--tls",), ("--no-tls",), ("--tls=1",), ("--",), ("-h",), ("--hos", "x")]),
    st.tuples(TEXTS),
)
VARIABLES = [
    *(f"HEALTHCHECK_{name.upper()}" for name in (*INPUTS, "tls")),
    *(
        f"SPLIT_{kind}_ADMIN_{name}"
        for kind in ("SYNC", "PROXY")
        for name in ("HOST", "PORT", "TLS_ENABLED")
    ),
]
# The last option is unknown, or the value of the one before it: nothing is ever connected to.
LAST = ("--none", "--none")


@fuzz
@given(
    st.lists(OPTIONS, max_size=4), st.dictionaries(st.sampled_from(VARIABLES), TEXTS, max_size=5)
)
def test_inputs(options: list[tuple[str, ...]], variables: dict[str, str]) -> None:
    """Whatever stands in options and variables, both implementations find the same fault."""
    arguments = [part for option in options for part in option]
    results = [
        run([*command, *arguments, *LAST], env=ENVIRONMENT | variables)
        for command in PROBES.values()
    ]

    assert all(is_usage(result) for result in results), results
    assert results[0].line == results[1].line


def is_usage(result: Result) -> bool:
    return (result.code, result.stderr) == (1, "") and result.line.startswith("unhealthy: usage: ")
