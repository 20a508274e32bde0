"""What a probe leaves behind, and the container's log, under a PID 1 that never reaps."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import pid_one
from tests.support.components import require
from tests.support.components import require_root
from tests.support.probes import ENVIRONMENT
from tests.support.probes import LATENESS
from tests.support.probes import PROBES
from tests.support.probes import SHELLS
from tests.support.probes import asking
from tests.support.servers import Ports

pytestmark = pytest.mark.real

BATCH = 20
RUNS = 120
LOGGING = ENVIRONMENT | {"HEALTHCHECK_LOG": "1"}
TIMEOUT = [1, "unhealthy: timeout\n", ""]
SIGNAL = [1, "unhealthy: signal\n", ""]
BROKEN = [1, "unhealthy: status 500\n", ""]
REFUSED = [1, "unhealthy: refused (nothing listens there, or not yet)\n", ""]
HEALTHY = [0, "healthy: 200\n", ""]


def in_container(command: Sequence[str], folder: Path, **order: Any) -> dict[str, Any]:
    """Run probes in a PID namespace of their own, and return the report of its runtime."""
    require_root()
    report = folder / "report"
    whole = {
        "report": str(report),
        "command": list(command),
        "environment": ENVIRONMENT,
        "runs": 1,
        "at_once": 1,
        "signal_after": None,
        "stdout": str(folder / "log"),
        "without_proc": False,
    }
    subprocess.run(
        [
            *(require("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child"),
            *(sys.executable, "-I", "-S", pid_one.__file__, json.dumps(whole | order)),
        ],
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(report.read_text())
    return found


# --- processes ------------------------------------------------------------------------------------

ENDINGS = [
    pytest.param("mute", None, TIMEOUT, id="timeouts, mute server"),
    pytest.param("full", None, TIMEOUT, id="timeouts, full accept queue"),
    pytest.param("mute", 0.6, SIGNAL, id="SIGTERM, mute server"),
    pytest.param("full", 0.6, SIGNAL, id="SIGTERM, full accept queue"),
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("server", "signal_after", "ending"), ENDINGS)
def test_nothing_is_left(
    shell: str,
    server: str,
    signal_after: float | None,
    ending: list[object],
    *,
    ports: Ports,
    tmp_path: Path,
) -> None:
    """After each batch, at once: no process and no zombie but PID 1 and the runtime."""
    if shell == "bash-static":
        require("bash-static")
    timeout = "0.6" if signal_after is None else "9"
    report = in_container(
        asking(SHELLS[shell], getattr(ports, server), "--timeout", timeout),
        tmp_path,
        runs=RUNS,
        at_once=BATCH,
        signal_after=signal_after,
    )
    assert (report["left"], report["results"]) == ([], [ending])
    assert report["runs"] >= RUNS
    assert report["longest"] < 0.6 + 2 * LATENESS


# --- the container's log --------------------------------------------------------------------------

CASES = [
    pytest.param("healthy", HEALTHY, id="healthy"),
    pytest.param("broken", BROKEN, id="broken"),
    pytest.param("refusing", REFUSED, id="refused"),
    pytest.param("mute", TIMEOUT, id="timeout"),
]


@pytest.fixture(params=PROBES)
def probe(request: pytest.FixtureRequest) -> list[str]:
    return PROBES[request.param]


@pytest.mark.parametrize(("server", "ending"), CASES)
def test_log(
    probe: list[str], server: str, ending: list[Any], ports: Ports, tmp_path: Path
) -> None:
    """An unhealthy line, and no other, goes to PID 1's stdout too, and is appended there."""
    log = tmp_path / "log"
    log.write_text("started\n")
    command = asking(probe, getattr(ports, server), "--timeout", "0.6")
    report = in_container(command, tmp_path, environment=LOGGING, runs=2)
    assert (report["left"], report["results"]) == ([], [ending])
    logged = f"healthcheck: {ending[1]}" if ending[0] else ""
    assert log.read_text() == "started\n" + logged * 2


def test_log_is_asked_for(probe: list[str], ports: Ports, tmp_path: Path) -> None:
    in_container(asking(probe, ports.broken), tmp_path)
    assert (tmp_path / "log").read_text() == ""
    in_container(asking(probe, ports.broken, "--log"), tmp_path)
    assert (tmp_path / "log").read_text() == "healthcheck: unhealthy: status 500\n"


@pytest.mark.parametrize(("server", "ending"), CASES)
def test_full_log(
    probe: list[str], server: str, ending: list[Any], ports: Ports, tmp_path: Path
) -> None:
    """A log that nobody reads delays the exit to the deadline at most, and leaves nothing."""
    command = asking(probe, getattr(ports, server), "--timeout", "0.6")
    report = in_container(command, tmp_path, environment=LOGGING, stdout=None)
    assert (report["left"], report["results"]) == ([], [ending])
    assert report["longest"] < 0.6 + LATENESS


@pytest.mark.parametrize(("server", "ending"), CASES)
def test_no_proc(
    probe: list[str], server: str, ending: list[Any], ports: Ports, tmp_path: Path
) -> None:
    """Without /proc there is no log, and not a word about it."""
    command = asking(probe, getattr(ports, server), "--timeout", "0.6")
    report = in_container(command, tmp_path, environment=LOGGING, without_proc=True)
    assert report["results"] == [ending]
    assert (tmp_path / "log").read_text() == ""


def test_log_of_another_user(probe: list[str], ports: Ports, tmp_path: Path) -> None:
    """A probe that may not open PID 1's stdout says nothing about it."""
    command = [require("setpriv"), "--reuid=65532", "--clear-groups", *probe]
    report = in_container(asking(command, ports.broken), tmp_path, environment=LOGGING)
    assert report["results"] == [BROKEN]
    assert (tmp_path / "log").read_text() == ""
