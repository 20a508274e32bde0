"""The fixture `synchronizer` in a project that has nothing else of ours."""

import subprocess
import sys
from pathlib import Path

OTHERS_TESTS = """
import socket
import threading

import pytest


def first(synchronizer):
    address = (synchronizer.host, synchronizer.port)
    with socket.create_connection(address, 5) as client:
        client.sendall(b"GET /health/application HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        return client.recv(12)


def test_healthy(synchronizer):
    assert first(synchronizer) == b"HTTP/1.1 200"
    assert synchronizer.expected == "healthy: 200"
    assert len(synchronizer.requests) == 1


def test_set(synchronizer):
    synchronizer.set("unhealthy")
    assert first(synchronizer) == b"HTTP/1.1 500"
    synchronizer.set("script", script=[["read_request"], ["send_hex", "48454c4c4f"], ["close"]])
    assert first(synchronizer) == b"HELLO"
    synchronizer.conditions(backend="refused", redis="ok")


@pytest.mark.synchronizer(kind="proxy", mode="refuse")
def test_marker(synchronizer):
    with pytest.raises(ConnectionRefusedError):
        first(synchronizer)


def test_nothing_is_left():
    assert threading.active_count() == 1
"""
LOADED = """
import pytest, sys
before = set(sys.modules)
import probe.mock.pytest_plugin
added = set(sys.modules) - before
print(added & {"asyncio", "aiohttp", "ruamel.yaml", "ssl", "typer"} or "nothing")
"""


def test_the_fixture_in_another_project(tmp_path: Path) -> None:
    (tmp_path / "test_others.py").write_text(OTHERS_TESTS)
    options = ["-q", "--strict-markers", "-Werror", "-pno:cacheprovider", "-pno:asyncio"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "4 passed" in result.stdout, result.stdout + result.stderr


def test_the_plugin_costs_nothing_unless_used() -> None:
    """What pytest itself loads does not count."""
    command = [sys.executable, "-c", LOADED]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout == "nothing\n"
