"""The other commands as a user calls them."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from probe import __version__
from probe.mock.server import Mock
from probe.scripts import script_path
from probe.scripts import script_text
from tests.cli.test_views import probe


def test_version() -> None:
    assert probe("--version").stdout == f"probe {__version__}\n"


USAGE = [
    ["nothing"],
    ["watch", "--bogus"],
    ["watch", "--port", "0"],
    ["watch", "--trace"],
    ["script", "--bogus"],
    ["mock", "run", "--mode", "bogus"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage_errors(arguments: list[str]) -> None:
    """Exit 2, nothing on stdout, one line that says what is wrong."""
    done = probe(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("probe: ")
    assert len(done.stderr.splitlines()) == 1


def test_no_command_is_the_help() -> None:
    """Without a command the help comes on stderr as it is, and exit 2."""
    done = probe()

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: probe ")


def test_script_into_a_pipe_that_ends() -> None:
    """`probe script | head -1` says nothing on stderr."""
    done = subprocess.run(
        ["/bin/bash", "-c", f'"{sys.executable}" -m probe script | head -n 1'],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("#!/bin/bash -p\n", "")


def test_script_is_the_file() -> None:
    """`probe script` prints healthcheck.sh byte for byte."""
    assert probe("script").stdout == script_text()


def test_inline_is_derived(synchronizer: Mock) -> None:
    """--inline is the same probe as one argument, far below the 128 KiB that one may have."""
    inline = probe("script", "--inline").stdout
    done = subprocess.run(
        ["/bin/bash", "-p", "-c", inline, "healthcheck", "--port", str(synchronizer.port)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "healthy: 200\n", "")
    assert inline.startswith(f"# healthcheck {__version__}\n")
    assert len(inline) < len(script_text()) < 128 * 1024


def test_script_can_run() -> None:
    """Wherever the package is, the script has its run bit."""
    assert os.access(script_path(), os.X_OK)


def test_demo() -> None:
    """Five acts, agreement in each, --explain's notes, the sidecar's changes; under 15 seconds."""
    start = time.monotonic()
    done = probe("demo")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("  they agree\n") == 5
    assert "sticky-500" in done.stdout
    assert "healthy -> unhealthy (unhealthy: status 500); /readyz answers 503" in done.stdout
    assert "unhealthy -> healthy (healthy: 200); /readyz answers 200" in done.stdout
    assert time.monotonic() - start < 15


def test_demo_interrupted() -> None:
    """Ctrl-C ends it cleanly with 130."""
    with subprocess.Popen(
        [sys.executable, "-m", "probe", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert (process.returncode, errors) == (130, b"")


def test_watch(synchronizer: Mock) -> None:
    """Without a terminal each check is a line."""
    done = probe("watch", "--port", synchronizer.port, "--interval", 0.1, "--count", 3)

    assert [line.split("  ")[-1] for line in done.stdout.splitlines()] == ["healthy: 200"] * 3


def test_watch_in_a_terminal(synchronizer: Mock) -> None:
    """In a terminal it shows state and streak."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "probe", "watch", f"--port={synchronizer.port}",
         "--interval=0.1", "--count=3"],
        stdout=theirs, stderr=theirs, timeout=30, check=False,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)

    assert done.returncode == 0
    assert b"healthy, 3 in a row" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other side of a terminal has gone
        return b""
