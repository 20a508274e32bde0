"""The runner of the shell probe: its verdict for a target, whatever the script is."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probe import TLS
from probe import Target
from probe.client import shell
from probe.client.shell import command
from probe.client.shell import shell_check
from probe.scripts import script_path
from tests.support.probes import LATENESS
from tests.support.servers import REASONS
from tests.support.servers import Ports


@pytest.mark.parametrize(("server", "reason"), REASONS)
def test_verdict(ports: Ports, server: str, reason: str) -> None:
    verdict = shell_check(script_path(), Target(port=getattr(ports, server), timeout=1))

    assert verdict.reason == reason
    assert 0 < verdict.seconds <= 1 + LATENESS


def test_tls(ports: Ports) -> None:
    """A hint in brackets is not part of the reason."""
    assert shell_check(script_path(), Target(port=ports.healthy, tls=TLS())).reason == "tls"


def test_the_environment_changes_nothing(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is told whole by options."""
    for name in ("HOST", "PORT", "PATH", "TIMEOUT", "EXPECT", "TLS"):
        monkeypatch.setenv(f"HEALTHCHECK_{name}", "wrong")

    assert shell_check(script_path(), Target(port=ports.healthy)).healthy


TIMEOUTS = [
    (3.0, "3.00000"),
    (0.5, "0.50000"),
    (0.00001, "0.00001"),
    (1.23456789, "1.23457"),
    (123456.5, "123456"),
    (9999999.0, "9999999"),
]


@pytest.mark.parametrize(("seconds", "text"), TIMEOUTS)
def test_timeout_in_seven_characters(seconds: float, text: str) -> None:
    assert f"--timeout={text}" in command(Path("script"), Target(timeout=seconds))


def test_command() -> None:
    target = Target("::1", 80, "/x", 1.0, "200-299", TLS())

    assert command(Path("/probe.sh"), target) == [
        "/probe.sh",
        *("--host=::1", "--port=80", "--path=/x", "--expect=200-299", "--timeout=1.00000"),
        "--tls",
    ]


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str) -> Path:
        script = tmp_path / "script.sh"
        script.write_text(f"#!/bin/bash\n{text}\n")
        script.chmod(0o755)
        return script

    return make


SCRIPTS = [
    pytest.param("echo healthy: 200", "200", id="healthy"),
    pytest.param("echo 'unhealthy: status 500'; exit 1", "status 500", id="unhealthy"),
    pytest.param("echo healthy: 200; exit 1", "internal", id="healthy-but-exit-1"),
    pytest.param("echo unhealthy: closed", "internal", id="unhealthy-but-exit-0"),
    pytest.param("echo unhealthy: closed; exit 2", "internal", id="exit-2"),
    pytest.param("kill -KILL $$", "internal", id="killed"),
    pytest.param("echo something else; exit 1", "internal", id="another-line"),
    pytest.param("echo unhealthy: closed; echo more; exit 1", "internal", id="two-lines"),
    pytest.param("exit 1", "internal", id="no-line"),
    pytest.param(r"printf '\xff\n'; exit 1", "internal", id="no-text"),
]


@pytest.mark.parametrize(("text", "reason"), SCRIPTS)
def test_other_scripts(write: Write, text: str, reason: str) -> None:
    """What is not the contract's answer is `internal`."""
    assert shell_check(write(text), Target()).reason == reason


def test_script_that_hangs(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that does not keep its own deadline is not waited for."""
    monkeypatch.setattr(shell, "GRACE", 0.2)
    began = time.monotonic()

    assert shell_check(write("exec sleep 60"), Target(timeout=0.2)).reason == "internal"
    assert time.monotonic() - began <= 0.4 + LATENESS


def test_no_script(tmp_path: Path) -> None:
    assert shell_check(tmp_path / "nothing", Target()).reason == "internal"
