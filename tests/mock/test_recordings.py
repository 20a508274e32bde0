"""The mock's answers beside recorded answers of the real split-sync and split-proxy 5.12.4."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe.mock import model as models
from probe.mock.answers import PLAIN_TO_TLS
from probe.mock.answers import Admin
from probe.mock.answers import Reply
from probe.mock.answers import answer
from probe.mock.model import BASE
from probe.mock.model import Model
from probe.mock.model import Settings

RECORDINGS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "synchronizer.jsonl").read_text().splitlines()
]
NOW = 1_800_000_000.123456789
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
FAULT = 330.0  # seconds from fault to the recordings "at the end"
CHANGE = 62.0  # and to those of a first change

# What the real ones were put through in the recordings of that name.
CONDITIONS: dict[str, dict[str, str]] = {
    "reala": {"backend": "500"},
    "realb": {"backend": "refused"},
    "realc": {"backend": "hang"},
    "reald": {"redis": "refused"},
    "reale": {"redis": "hang"},
}
HOURS: dict[str, list[str]] = {
    "dep3-sync-ok": ["ok"],
    "dep3-sync-mixed": ["500"],
    "dep3-sync-refused": ["refused"],
    "dep3-sync-recovered": ["ok"],
}


def _settings(row: dict[str, Any]) -> Settings:
    kind = "proxy" if "proxy" in row["name"] or "3011" in row["name"] else "sync"
    return Settings(kind, split_refresh=2.0, segment_refresh=2.0, large_segment_refresh=2.0)


def _started(row: dict[str, Any]) -> Model:
    """A start-up as `what` tells it: so many seconds after exec, some with slow requests."""
    after = float(re.search(r"\+([0-9.]+)s after", row["what"])[1])  # type: ignore[index]
    slow = 24.0 if "slow6all" in row["name"] else 6.0 if "slow6" in row["name"] else 0.05
    if "proxy" in row["name"]:
        slow = 12.28 if "slow6" in row["name"] else 0.05
    snapshot = "snapshot" in row["name"]
    settings = replace(
        _settings(row), first_sync=slow, snapshot=snapshot, large_segment_refresh=600.0
    )
    return models.start(settings, NOW - after, "refused" if snapshot else "ok")


def _faulty(row: dict[str, Any]) -> Model:
    found = re.search(r"real[a-e]", row["name"])
    assert found
    settings = replace(_settings(row), http_timeout=0.0 if found[0] == "realc" else 30.0)
    model = models.start(settings, NOW - FAULT - 30)
    change = "change" in row["what"] and not row["name"].startswith("recover")
    since = NOW - (CHANGE if change else FAULT)
    model = models.with_conditions(model, since, **CONDITIONS[found[0]])
    if row["name"].startswith("recover"):
        model = models.with_conditions(model, NOW - 1, backend="ok", redis="ok")
    return model


def _looked_at(row: dict[str, Any]) -> Model:
    """Dependencies were recorded with a shorter period: here hours go by."""
    model = models.start(_settings(row), NOW - models.HOUR - 5)
    backend = HOURS[row["name"].rpartition("-")[0]][0]
    return models.with_conditions(model, NOW - models.HOUR, backend=backend)


def _long(row: dict[str, Any]) -> Model:
    body = bytes.fromhex(row["response_hex"])
    services = tuple(re.findall(rb'"service":"([^"]*)"', body))
    settings = replace(_settings(row), services=tuple(service.decode() for service in services))
    return models.start(settings, NOW - 100)


def _settled(row: dict[str, Any]) -> Model:
    return models.start(_settings(row), NOW - 124)


MODELS: list[tuple[str, Callable[[dict[str, Any]], Model]]] = [
    ("startup-", _started),
    ("real", _faulty),
    ("recover-real", _faulty),
    ("dep3-", _looked_at),
    ("sync-longdeps", _long),
    ("", _settled),
]


def _model(row: dict[str, Any]) -> Model:
    return next(make for prefix, make in MODELS if row["name"].startswith(prefix))(row)


def _admin(row: dict[str, Any]) -> Admin:
    model = _model(row)
    if row["name"].startswith(("sync-auth", "sync-tls", "sync-ginrelease")):
        model = replace(model, started=NOW - 8)
    credentials = ("user", "pass word") if row["name"].startswith("sync-auth") else ("", "")
    return Admin(
        replace(model, eras=(replace(model.eras[0], start=0.0), *model.eras[1:])), *credentials
    )


def _request(row: dict[str, Any]) -> bytes:
    text: str = row["request"]
    if cut := re.fullmatch(r"(.*)\.\.\.\((\d+) bytes\)", text, re.DOTALL):
        return cut[1].encode().ljust(int(cut[2]), b"a")
    return text.encode("latin-1")


def _ask(row: dict[str, Any]) -> tuple[bytes, bool]:
    """All answers to what was sent, and whether the connection ends after them."""
    data, payload, close = _request(row), b"", False
    admin = _admin(row)
    while data and not close:
        reply: Reply | None = answer(data, admin, now=NOW, shuffle=lambda items: None)
        if reply is None:
            break
        payload, data, close = payload + reply.payload, data[reply.consumed :], reply.close
    return payload, close


def _normal(payload: bytes) -> list[str]:
    """The answers in lines, without what may differ: times, lengths, the counters' random order."""
    text = TIME.sub("TIME", payload.decode("latin-1"))
    text = re.sub(r"Date: [^\r]*", "Date: DATE", text)
    text = re.sub(r"Content-Length: [0-9]{3,4}\r", "Content-Length: N\r", text)
    text = re.sub(r'"errorCount":[0-9]+', '"errorCount":N', text)
    text = re.sub(r'"uptime":"[0-9hms]+"', '"uptime":"UPTIME"', text)
    text = re.sub(r'"items":\[(.*?)\]', _ordered, text)
    text = re.sub(r"\n[0-9a-f]{3}\r\n\{", "\nCHUNK\r\n{", text)
    return text.split("\r\n")


def _ordered(found: re.Match[str]) -> str:
    items = re.findall(r"\{.*?\}", found[1])
    counters = [item for item in items if "Storage" not in item]
    assert items[: len(counters)] == counters
    return str(sorted(counters) + items[len(counters) :])


PLAIN = [
    row
    for row in RECORDINGS
    if row["response_hex"] and not re.match(r"sync-tls\w+-plain", row["name"])
]
TO_TLS = [row for row in RECORDINGS if re.match(r"sync-tls\w+-plain", row["name"])]


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row["name"])
def test_answers_are_the_recorded_ones(row: dict[str, Any]) -> None:
    """Status line, fields in their order, body: only times, lengths and random order may differ."""
    payload, close = _ask(row)

    assert _normal(payload) == _normal(bytes.fromhex(row["response_hex"]))
    assert close == (row["end"] == "closed-by-server")


@pytest.mark.parametrize("row", TO_TLS, ids=lambda row: row["name"])
def test_a_tls_port_answers_a_plain_question(row: dict[str, Any]) -> None:
    """The same 76 bytes whatever was asked."""
    assert bytes.fromhex(row["response_hex"]) == PLAIN_TO_TLS


@pytest.mark.parametrize(
    "row", [row for row in RECORDINGS if "ConnectionRefused" in row["end"]], ids=lambda r: r["name"]
)
def test_the_port_is_closed_where_it_was(row: dict[str, Any]) -> None:
    """Right after exec nothing listens yet."""
    model = models.start(_settings(row), NOW)

    assert not models.port_open(model, NOW)


def test_the_base_is_the_recorded_one() -> None:
    """Service addresses are those of the recordings' backend."""
    assert BASE in bytes.fromhex(PLAIN[3]["response_hex"]).decode()
