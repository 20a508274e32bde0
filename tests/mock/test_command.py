"""`probe mock` as a program."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe.cli.mock import Backend
from probe.cli.mock import Kind
from probe.cli.mock import Redis
from probe.mock import model as models
from probe.mock.faults import MODES
from tests.support.probes import PROBES
from tests.support.probes import asking
from tests.support.probes import run

PROBE = str(Path(sys.executable).parent / "probe")
READY = re.compile(r"probe mock: split-sync 5\.12\.4 \((\S+)\) on 127\.0\.0\.1:(\d+)\n")
CONTROL = re.compile(r"probe mock: control on (127\.0\.0\.1:\d+)\n")


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start `probe mock run` on a free port, which its first line on stderr tells."""
    command = [PROBE, "mock", "run", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            ready = READY.fullmatch(process.stderr.readline())
            assert ready is not None, process.stderr.read()
            yield process, int(ready[2])
        finally:
            process.kill()


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROBE, "mock", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_runs_until_a_signal(number: signal.Signals, code: int) -> None:
    with running("--mode", "hang") as (process, _):
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors.strip()) == (code, "")


def test_set_changes_a_running_mock() -> None:
    with running("--control-port", "0", "--log-requests") as (process, port):
        assert process.stderr is not None
        told = CONTROL.fullmatch(process.stderr.readline())
        assert told is not None
        assert probe("set", "unhealthy", "--control", told[1]).returncode == 0
        assert run(asking(PROBES["reference"], port)).line == "unhealthy: status 500"
        assert process.stderr.readline().startswith(
            "probe mock: GET /health/application HTTP/1.1\\r"
        )
        assert probe("set", "--backend", "refused", "--control", told[1]).returncode == 0


def test_schedule_and_script(tmp_path: Path) -> None:
    schedule = tmp_path / "schedule.yaml"
    schedule.write_text("- {at: 1h, mode: hang}\n")
    script = tmp_path / "script.json"
    script.write_text('{"name": "a row of the corpus", "script": [["read_request"], ["close"]]}')
    options = ["--mode", "script", "--script", str(script), "--schedule", str(schedule)]
    with running(*options) as (_, port):
        assert run(asking(PROBES["reference"], port)).line == "unhealthy: closed"


def test_tls() -> None:
    with running("--tls") as (_, port):
        command = asking(PROBES["reference"], port, "--tls", "--insecure")
        assert run(command).line == "healthy: 200"


def test_modes_as_text() -> None:
    result = probe("modes")
    assert result.returncode == 0
    for mode in MODES.values():
        assert mode.doc in result.stdout


def test_modes_as_json() -> None:
    answer = json.loads(probe("modes", "--format", "json").stdout)
    assert answer["schema"] == 1
    assert [row["name"] for row in answer["modes"]] == list(MODES)


def test_a_taken_port() -> None:
    with running() as (_, port):
        result = probe("run", "--port", str(port))
    assert result.returncode == 1
    assert re.fullmatch(r"probe: cannot listen: .*in use.*\n", result.stderr)


USAGE = [
    pytest.param(["run", "--mode", "helthy"], "'helthy' is no mode: healthy, ", id="mode"),
    pytest.param(["run", "--mode", "script"], "mode script needs a script", id="no script"),
    pytest.param(["run", "--schedule", "/none"], "cannot read /none: ", id="no file"),
    pytest.param(["run", "--cert", "/none"], "--cert and --key need --tls", id="no TLS"),
    pytest.param(["run", "--tls", "--cert", "/none"], "cannot use /none", id="no certificate"),
    pytest.param(["set", "helthy", "--control", "x:1"], "'helthy' is no mode: ", id="set: mode"),
    pytest.param(["set", "--control", "x:1"], "nothing to set: MODE", id="set: nothing"),
    pytest.param(["set", "hang", "--control", "3010"], "'3010' is not HOST", id="set: address"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE)
def test_usage_errors(arguments: list[str], message: str) -> None:
    result = probe(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


def test_set_where_no_mock_is() -> None:
    result = probe("set", "hang", "--control", "127.0.0.1:1")
    assert result.returncode == 1
    assert "no mock at 127.0.0.1:1" in result.stderr


def test_choices_are_the_models() -> None:
    """The options' values are those that the model knows."""
    assert tuple(Kind) == models.KINDS
    assert tuple(Backend) == models.BACKENDS
    assert tuple(Redis) == models.REDISES
