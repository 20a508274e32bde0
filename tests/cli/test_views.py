"""What `probe check` shows besides its line, on the mock."""

import json
import subprocess
import sys
from typing import Any

import pytest

from probe.mock.server import Mock
from probe.mock.server import tls_context


def probe(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "probe", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def document(*arguments: object) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(probe(*arguments, "--format", "json").stdout)
    return loaded


def test_json_of_a_usage_error() -> None:
    """A faulty input is a verdict too, without a target."""
    found = document("check", "--port", "03010")

    assert (found["reason"], found["target"]) == ("usage", None)
    assert found["line"] == "unhealthy: usage: port '03010'"


@pytest.mark.parametrize(
    ("mode", "line", "code"),
    [("healthy", "healthy: 200", 0), ("unhealthy", "unhealthy: status 500", 1)],
)
def test_via_shell(synchronizer: Mock, mode: str, line: str, code: int) -> None:
    """--via shell runs the shipped script: same line, same exit."""
    synchronizer.set(mode)
    done = probe("check", "--port", synchronizer.port, "--via", "shell")

    assert (done.stdout, done.returncode) == (f"{line}\n", code)


def test_compare(synchronizer: Mock) -> None:
    """--compare shows both and says that they agree."""
    done = probe("check", "--port", synchronizer.port, "--compare")

    assert done.stdout.splitlines() == [
        "reference  healthy: 200",
        "shell      healthy: 200",
        "they agree",
    ]
    assert done.returncode == 0


def test_trace(synchronizer: Mock) -> None:
    """--trace tells the phases on stderr; stdout has the line alone."""
    done = probe("check", "--port", synchronizer.port, "--trace")
    phases = [line.split("  ")[0] for line in done.stderr.splitlines()]

    assert phases == ["resolve", "connect", "send", "first byte", "status line"]
    assert done.stdout == "healthy: 200\n"
    assert r"GET /health/application HTTP/1.1\r\n" in done.stderr


def test_trace_in_json(synchronizer: Mock) -> None:
    """With --format json the phases are data; times never go back."""
    rows = document("check", "--port", synchronizer.port, "--trace")["trace"]
    seconds = [row["seconds"] for row in rows]

    assert seconds == sorted(seconds)
    assert rows[-1] | {"seconds": 0} == {"phase": "status line", "seconds": 0, "detail": "200"}


EXPLAINED = [
    ("healthy", ["attempts-only", "dependencies-unseen"]),
    ("unhealthy", ["sticky-500", "dependencies-unseen"]),
    ("starting", ["never-synced", "attempts-only", "dependencies-unseen"]),
    ("refuse", ["refused"]),
    ("garbage", ["malformed"]),
    ("redirect", ["redirect"]),
    ("keep-alive", ["other-service"]),
]


@pytest.mark.parametrize(("mode", "codes"), EXPLAINED, ids=[mode for mode, _ in EXPLAINED])
def test_explain(synchronizer: Mock, mode: str, codes: list[str]) -> None:
    """Each state of the synchronizer is explained by its notes."""
    synchronizer.set(mode)
    found = document("check", "--port", synchronizer.port, "--explain", "--timeout", 2)

    assert [note["code"] for note in found["explain"]["notes"]] == codes


@pytest.mark.parametrize("mode", ["hang", "refuse", "garbage"])
def test_explain_asks_once_where_there_is_no_body(synchronizer: Mock, mode: str) -> None:
    """Without a status line there is no body to read: no second wait for it."""
    synchronizer.set(mode)
    probe("check", "--port", synchronizer.port, "--explain", "--timeout", 1)

    assert len(synchronizer.requests) == (0 if mode == "refuse" else 1)


def test_explain_survives_a_hostile_body(synchronizer: Mock) -> None:
    """A length of thousands of digits changes nothing of the verdict."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}"
    synchronizer.set("script", [["read_request"], ["send_hex", answer.hex()], ["close"]])
    found = document("check", "--port", synchronizer.port, "--explain")

    assert found["line"] == "healthy: 200"
    assert [note["code"] for note in found["explain"]["notes"]] == ["other-service"]


def test_explain_as_text(synchronizer: Mock) -> None:
    """Items stand in a table with the age of their last attempt."""
    lines = probe("check", "--port", synchronizer.port, "--explain").stdout.splitlines()

    assert lines[0] == "healthy: 200"
    assert any(line.startswith("Splits ") and " s ago" in line for line in lines)


def test_explain_a_tls_port() -> None:
    """A TLS port asked in plain HTTP is told as such; asked in TLS it is healthy."""
    with Mock(tls=tls_context()) as mock:
        plain = document("check", "--port", mock.port, "--explain")
        tls = document("check", "--port", mock.port, "--tls", "--insecure", "--explain")

    assert [note["code"] for note in plain["explain"]["notes"]] == ["tls-port"]
    assert tls["line"] == "healthy: 200"
    assert [item["item"] for item in tls["explain"]["items"]][-1] == "Storage"
