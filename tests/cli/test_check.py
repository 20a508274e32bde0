"""`probe check` as a process: the script's line and exit, and never another exit code."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.probes import ENVIRONMENT
from tests.support.probes import LATENESS
from tests.support.probes import PROBES
from tests.support.probes import Result
from tests.support.probes import asking
from tests.support.probes import finish
from tests.support.probes import prepared
from tests.support.probes import run
from tests.support.probes import start
from tests.support.servers import Ports

REFERENCE = PROBES["reference"]
MODULE = [sys.executable, "-m", "probe", "check"]


# --- the same line and exit as the script ---------------------------------------------------------

SAME = [
    pytest.param("healthy", [], id="healthy"),
    pytest.param("broken", [], id="broken"),
    pytest.param("broken", ["--expect=500-599"], id="broken-but-expected"),
    pytest.param("refusing", [], id="refusing"),
    pytest.param("mute", ["--timeout=1"], id="mute"),
    pytest.param("full", ["--timeout=1"], id="full-queue"),
    pytest.param("healthy", ["--host=no-such-name.invalid"], id="unresolved"),
    pytest.param("healthy", ["--host", "localhost"], id="localhost"),
    pytest.param("healthy", ["--port=03010"], id="usage"),
    pytest.param("healthy", ["--what"], id="unknown-option"),
    pytest.param("healthy", ["--path"], id="missing-value"),
    pytest.param("healthy", ["--log"], id="log"),
    pytest.param("refusing", ["--timeout=9999999"], id="longest-timeout"),
]


@pytest.mark.parametrize("command", [REFERENCE, MODULE], ids=["console-script", "module"])
@pytest.mark.parametrize(("server", "options"), SAME)
def test_same_as_the_script(
    ports: Ports, command: Sequence[str], server: str, options: list[str]
) -> None:
    port = getattr(ports, server)
    script = run(asking(PROBES["shell"], port, *options))
    result = run(asking(command, port, *options))

    assert (*result.verdict, result.stderr) == (*script.verdict, script.stderr)
    assert result.code in {0, 1}


# What the script does not have: its options are none of the script's business.
EXITS = [
    pytest.param(["--format=json", "--port=0"], id="json-usage"),
    pytest.param(["--format=xml"], id="unknown-format"),
    pytest.param(["--via=nobody"], id="unknown-prober"),
    pytest.param(["--via"], id="missing-prober"),
    pytest.param(["--via=shell"], id="via-shell"),
    pytest.param(["--compare"], id="compare"),
    pytest.param(["--trace"], id="trace"),
    pytest.param(["--tls", "--ca=/nonexistent"], id="no-such-file"),
    pytest.param(["--tls", "--server-name=.x"], id="impossible-name"),
    pytest.param(["--tls", "--cert=/etc/passwd"], id="no-certificate"),
    pytest.param(["--version"], id="version-is-no-option-of-check"),
    pytest.param(["--host=" + "x" * 253], id="longest-host"),
]


@pytest.mark.parametrize("options", EXITS)
def test_exit_is_0_or_1(ports: Ports, options: list[str]) -> None:
    """Nothing of this succeeds against a server that is not healthy, and nothing gives a 2."""
    assert run(asking(REFERENCE, ports.broken, *options)).code == 1


def test_json(ports: Ports) -> None:
    """The documented shape, schema 1."""
    document = json.loads(run(asking(REFERENCE, ports.healthy, "--format=json")).line)

    assert document.pop("seconds") > 0
    assert document == {
        "schema": 1,
        "verdict": "healthy",
        "reason": "200",
        "line": "healthy: 200",
        "status": 200,
        "target": {
            "host": "127.0.0.1",
            "port": ports.healthy,
            "path": "/health/application",
            "timeout": 3.0,
            "expect": "200",
            "tls": False,
        },
    }


def test_json_of_a_usage_fault() -> None:
    document = json.loads(run([*REFERENCE, "--format=json", "--port=x y"]).line)

    assert (document["reason"], document["line"]) == ("usage", "unhealthy: usage: port 'x?y'")


# --- signals --------------------------------------------------------------------------------------

CAUGHT = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM"]
SIGNAL = (1, "unhealthy: signal")


@contextmanager
def waiting(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Start *command* against a mute server, and wait until it is connected."""
    with servers.mute() as server:
        began = time.monotonic()
        process = start(asking(command, server.port, "--timeout=20"))
        assert server.accepted.wait(10)
        yield process, began


@pytest.mark.parametrize("name", CAUGHT)
def test_signal(name: str) -> None:
    """A signal it can catch is told, at once."""
    with waiting(REFERENCE) as (process, began):
        process.send_signal(getattr(signal, f"SIG{name}"))
        result = finish(process, began)

    assert (*result.verdict, result.stderr) == (*SIGNAL, "")
    assert result.seconds < 5


@pytest.mark.parametrize("name", ["INT", "HUP"])
def test_ignored_signal_stays_ignored(ports: Ports, name: str) -> None:
    """As in bash: what was ignored at entry is, and the deadline ends the check."""
    ignoring = prepared(
        f"signal.signal(signal.SIG{name}, signal.SIG_IGN)", asking(REFERENCE, ports.mute)
    )
    began = time.monotonic()
    process = start([*ignoring, "--timeout=1.5"])
    time.sleep(0.7)
    process.send_signal(getattr(signal, f"SIG{name}"))

    assert finish(process, began).verdict == (1, "unhealthy: timeout")


def test_many_signals() -> None:
    """A second signal while the first is told changes nothing."""
    with waiting(REFERENCE) as (process, began):
        for _ in range(20):
            process.send_signal(signal.SIGTERM)
        result = finish(process, began)

    assert (*result.verdict, result.stderr) == (*SIGNAL, "")


# --- descriptors ----------------------------------------------------------------------------------

CLOSED = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


@pytest.mark.parametrize("server", ["healthy", "broken"])
@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_descriptors(ports: Ports, closed: tuple[int, ...], server: str) -> None:
    """The exit is right without stdin, stdout, stderr; where there is a stdout, so is the line."""
    closing = "".join(f"os.close({descriptor});" for descriptor in closed)
    result = run(prepared(closing, asking(REFERENCE, getattr(ports, server))))
    right = {"healthy": (0, "healthy: 200"), "broken": (1, "unhealthy: status 500")}[server]

    assert result.code == right[0]
    assert (result.line, result.stderr) == ("" if 1 in closed else right[1], "")


def test_the_peer_never_gets_the_line(ports: Ports) -> None:
    """With stdout closed the connection may be descriptor 1: the line does not go there."""
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            requests.append(servers.read_request(connection))
            connection.sendall(servers.BROKEN)
            while chunk := connection.recv(4096):
                requests.append(chunk)

    assert ports.healthy
    with servers.serving(serve) as server:
        run(prepared("os.close(1)", asking(REFERENCE, server.port)))
        time.sleep(0.1)

    assert len(requests) == 1


@contextmanager
def full_pipe() -> Iterator[int]:
    """Give the writing end of a pipe that is full and that nobody reads."""
    reading, writing = os.pipe()
    try:
        os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def broken_pipe() -> Iterator[int]:
    """Give the writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@contextmanager
def device(path: str) -> Iterator[int]:
    with Path(path).open("wb") as opened:
        yield opened.fileno()


STDOUTS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "full-pipe": full_pipe,
    "broken-pipe": broken_pipe,
    "dev-full": lambda: device("/dev/full"),
    "dev-null": lambda: device("/dev/null"),
}


def told_to(stdout: str, arguments: Sequence[str]) -> Result:
    with STDOUTS[stdout]() as descriptor:
        return run([*REFERENCE, *arguments], stdout=descriptor)


@pytest.mark.parametrize("stdout", STDOUTS)
@pytest.mark.parametrize(("server", "code"), [("healthy", 0), ("broken", 1), ("mute", 1)])
def test_stdout_that_takes_nothing(ports: Ports, stdout: str, server: str, code: int) -> None:
    """The line is lost, the exit is right, and it is in time."""
    port = getattr(ports, server)
    result = told_to(stdout, [f"--port={port}", "--timeout=1"])

    assert (result.code, result.stderr) == (code, "")
    assert result.seconds < 1 + LATENESS


def test_signal_while_stdout_blocks(ports: Ports) -> None:
    """A signal that comes while the line waits for its reader changes the exit to 1 at most."""
    with full_pipe() as descriptor:
        process = start(asking(REFERENCE, ports.broken), stdout=descriptor)
        result = interrupted(process)

    assert (result.code, result.stderr) == (1, "")


def interrupted(process: subprocess.Popen[bytes]) -> Result:
    """Send SIGUSR1 again and again from the moment that it is caught."""
    began = time.monotonic()
    while not catches(process.pid, signal.SIGUSR1):
        time.sleep(0.001)
    while process.poll() is None:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.01)
    return finish(process, began)


def catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


# --- what it costs to start -----------------------------------------------------------------------

SHOW_MODULES = """\
import sys
before = set(sys.modules)
from probe.__main__ import main
main(sys.argv[1:])
print(*sorted(set(sys.modules) - before))
"""
HEAVY = {
    *("typer", "click", "rich", "asyncio", "aiohttp", "prometheus_client", "ruamel", "yaml"),
    *("dataclasses", "typing", "inspect", "ssl", "json", "threading", "subprocess", "http"),
    *("argparse", "pathlib", "logging", "importlib.metadata", "email", "urllib", "tempfile"),
}


def modules_of(*arguments: str) -> set[str]:
    """Return what a bare interpreter loads for these arguments, by the packages' names too."""
    command = [sys.executable, "-c", SHOW_MODULES, *arguments]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=True
    )
    names = done.stdout.splitlines()[-1].split()
    return {name[:end] for name in names for end in ends_of(name)}


def ends_of(name: str) -> list[int]:
    return [at for at in range(1, len(name)) if name[at] == "."] + [len(name)]


PLAIN = [
    pytest.param("healthy", id="healthy"),
    pytest.param("broken", id="broken"),
    pytest.param("refusing", id="refusing"),
]


@pytest.mark.parametrize("server", PLAIN)
def test_a_plain_check_imports_little(ports: Ports, server: str) -> None:
    """Neither the command line's library, nor asyncio, nor what they pull in."""
    loaded = modules_of("check", f"--port={getattr(ports, server)}")

    assert "probe.client.blocking" in loaded
    assert loaded & HEAVY == set()


def test_a_usage_fault_imports_little() -> None:
    assert modules_of("check", "--port=x") & HEAVY == set()
