"""Every recorded answer of the real split-sync and split-proxy 5.12.4, beside the mock's."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from probe.mock import model as models
from probe.mock.answers import Admin
from probe.mock.answers import Reply
from probe.mock.answers import admin
from probe.mock.answers import answer
from probe.mock.model import Model
from probe.mock.model import Settings
from probe.synchronizer.health import parse_dependencies

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "synchronizer.jsonl").read_text().splitlines()
]
NOW = 1_795_489_665.25
SYNC = Settings("sync", split_refresh=2, segment_refresh=2)
PROXY = replace(SYNC, kind="proxy")
TIME = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]*[1-9])?Z")
FAULT, LATER, END, REPAIR = 19.0, 85.0, 341.5, 353.0


@dataclass(frozen=True)
class Run:
    """How a recorded process was run: settings, what happened to it when, when it was asked."""

    settings: Settings
    changes: tuple[tuple[float, dict[str, str]], ...] = ()
    stopped: float | None = None
    at: float = 0.0

    def play(self) -> Model:
        zero = NOW - self.at
        first = dict(self.changes).get(0.0, {})
        model = models.start(self.settings, zero, models.Conditions(**first))
        for seconds, change in self.changes:
            if 0 < seconds <= self.at:
                model = models.with_conditions(model, zero + seconds, **change)
        if self.stopped is not None and self.stopped <= self.at:
            model = models.stop(model, zero + self.stopped)
        return model


def fault(settings: Settings, **change: str) -> Run:
    repair = (REPAIR, {"backend": "ok", "redis": "ok"})
    return Run(settings, ((FAULT, change), repair))


ENDLESS_SYNC = replace(SYNC, http_timeout=0)
WATCHED = replace(PROXY, large_segment_refresh=2)
ENDLESS_PROXY = replace(WATCHED, http_timeout=0)
FAULTS = {
    "reala-3010": fault(SYNC, backend="500"),
    "reala-3011": fault(WATCHED, backend="500"),
    "hour500-3010": fault(SYNC, backend="500"),
    "realb-3010": fault(SYNC, backend="hang"),
    "realb-3011": fault(WATCHED, backend="hang"),
    "realc-3010": fault(ENDLESS_SYNC, backend="hang"),
    "realc-3011": fault(ENDLESS_PROXY, backend="hang"),
    "reald-3010": fault(SYNC, redis="refused"),
    "reald-3011": fault(WATCHED, redis="refused"),
    "reale-3010": fault(SYNC, redis="hang"),
    "reale-3011": fault(WATCHED, redis="hang"),
}
WHEN = {"01": LATER, "end": END, "recover-01": REPAIR - 1, "recover-end": REPAIR + 150}
FAILING = {"500all": {"backend": "500"}, "401": {"backend": "500"}, "noredis": {"redis": "refused"},
           "redishang": {"redis": "hang"}, "nobackend": {"backend": "refused"}}  # fmt: skip
STARTS = {
    "sync-slow6all": Run(replace(SYNC, latency=6)),
    "proxy-slow6": Run(replace(PROXY, latency=6)),
    "sync-term-seghang": Run(SYNC, ((3.0, {"backend": "hang"}),), stopped=6.2),
    "sync-term-startup": Run(SYNC, stopped=2.0),
    "proxy-term-startup": Run(replace(PROXY, latency=6), stopped=2.0),
    "proxy-snapshot-nobackend": Run(
        replace(PROXY, snapshot=True), ((0.0, {"backend": "refused"}),)
    ),
    "proxy-snapshot-hang": Run(replace(PROXY, snapshot=True), ((0.0, {"backend": "hang"}),)),
}
SETTLED = SYNC, WATCHED


def run_of(row: dict[str, Any]) -> Run | None:
    """Find how the process was run whose answer this is; None for one that had run well."""
    name = row["name"]
    if found := re.match(r"(recover-)?((?:real.|hour500)-301[01])-(01|end)", name):
        run = FAULTS[found[2]]
        return replace(run, at=WHEN[(found[1] or "") + found[3]])
    if found := re.match(r"startup-((sync|proxy)-(.*))-[0-9]{2}$", name):
        at = float(re.search(r"\+([0-9.]+)s after", row["what"])[1])  # type: ignore[index]
        settings = SYNC if found[2] == "sync" else PROXY
        changes = ((0.0, FAILING[found[3]]),) if found[3] in FAILING else ()
        stopped = 3.0 if re.fullmatch("term|int|quit|hup|term-splithang", found[3]) else None
        return replace(STARTS.get(found[1], Run(settings, changes, stopped)), at=at)
    return None


def state_of(row: dict[str, Any]) -> Admin:
    name, run = row["name"], run_of(row)
    if run:
        state = admin(run.play(), NOW)
    elif re.match("sync-(auth|tls|ginrelease)", name):  # a few seconds old
        state = admin(Run(SYNC, at=3.0).play(), NOW)
    else:
        settings = SETTLED[name.startswith("proxy")]
        state = admin(models.settled(settings, NOW), NOW)
    if name.startswith(("dep3", "sync-longdeps")):
        (recorded,) = responses(bytes.fromhex(row["response_hex"]))
        state = replace(state, dependencies=parse_dependencies(recorded.body))
    if name.startswith("sync-auth"):
        state = replace(state, username="user", password="pass word")
    return replace(state, tls="plain" in name, uptime=124.2)


def request_of(row: dict[str, Any]) -> bytes:
    """Return the bytes asked; the recording shortened one that is 2 MiB of a single letter."""
    text = re.sub(r"(a)\.\.\.\(([0-9]+) bytes\)", lambda m: m[1] * int(m[2]), row["request"])
    return text.encode("latin-1")


@dataclass(frozen=True)
class Response:
    """An answer in its parts, without what may differ."""

    line: str
    headers: list[tuple[str, str]]
    chunks: int
    body: bytes

    @property
    def shape(self) -> Any:
        try:
            document = json.loads(self.body)
        except ValueError:
            return self.body
        return shape(document)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        names = [inner["name"] for inner in value if "name" in inner]
        assert "Storage" not in names[:-1]
        return sorted(map(shape, value), key=str) if names else list(map(shape, value))
    return "TIME" if isinstance(value, str) and TIME.fullmatch(value) else value


def responses(data: bytes) -> Iterator[Response]:
    while data:
        head, blank, data = data.partition(b"\r\n\r\n")
        assert blank
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        body, chunks, data = body_of(dict(headers), data)
        varying = {"Date": len, "Content-Length": bool}
        shown = [(name, str(varying.get(name, str)(value))) for name, value in headers]
        yield Response(line, shown, chunks, body)


def body_of(headers: dict[str, str], data: bytes) -> tuple[bytes, int, bytes]:
    if headers.get("Transfer-Encoding") == "chunked":
        size, _, rest = data.partition(b"\r\n")
        first = int(size, 16)
        assert size == b"%x" % first
        assert rest[first:] == b"\r\n0\r\n\r\n"
        return rest[:first], 1, b""
    length = int(headers.get("Content-Length", len(data)))
    return data[:length], 0, data[length:]


def replies(data: bytes, state: Admin) -> Iterator[Reply]:
    ask = partial(answer, state=state, now=NOW, shuffle=lambda items: items.reverse())
    while data and (reply := ask(data)):
        yield reply
        data = b"" if reply.close else data[reply.consumed :]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


ANSWERED = [row for row in ROWS if row["response_hex"]]
REFUSED = [row for row in ROWS if row["end"].startswith("connect: ConnectionRefused")]
MUTE = [row for row in ROWS if row["end"] == "no-data" and "sigstop" not in row["name"]]


@pytest.mark.parametrize("row", ANSWERED, ids=ids(ANSWERED))
def test_answer(row: dict[str, Any]) -> None:
    told = list(replies(request_of(row), state_of(row)))
    theirs = list(responses(bytes.fromhex(row["response_hex"])))
    ours = list(responses(b"".join(reply.payload for reply in told)))
    assert [(one.line, one.headers, one.chunks) for one in ours] == [
        (one.line, one.headers, one.chunks) for one in theirs
    ]
    assert [one.shape for one in ours] == [one.shape for one in theirs]
    assert told[-1].close == (row["end"] == "closed-by-server")


@pytest.mark.parametrize("row", REFUSED, ids=ids(REFUSED))
def test_closed_port(row: dict[str, Any]) -> None:
    """Where the real one's port was closed, so is the mock's."""
    run = run_of(row)
    assert run
    assert not models.port_open(run.play(), NOW)


@pytest.mark.parametrize("row", [r for r in ANSWERED if run_of(r)], ids=lambda row: row["name"])
def test_open_port(row: dict[str, Any]) -> None:
    run = run_of(row)
    assert run
    assert models.port_open(run.play(), NOW)


@pytest.mark.parametrize("row", MUTE, ids=ids(MUTE))
def test_no_answer(row: dict[str, Any]) -> None:
    assert not list(replies(request_of(row), state_of(row)))
