"""The sidecar as a process: signals, exit codes, lines, and what it costs others to look at it."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import servers
from tests.support.servers import OK

COMMAND = [str(Path(sys.executable).parent / "probe"), "sidecar"]
PATIENCE = 15.0
LOOPS = ["asyncio", "uvloop"]


@dataclass
class Process:
    """A sidecar that runs; `lines` are those it has written until now."""

    running: subprocess.Popen[bytes]
    log: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def waits_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """Return the first line of that event and fields; fails where none comes in time."""
        wanted = {"event": event, **fields}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for line in self.lines:
                if wanted.items() <= line.items():
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no {wanted} in {self.log.read_text()}")

    @property
    def address(self) -> str:
        return str(self.waits_for("started")["listen"])

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ends(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.running.send_signal(number)
        return self.running.wait(PATIENCE)


@contextlib.contextmanager
def started(folder: Path, *options: str) -> Iterator[Process]:
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "--listen", "127.0.0.1:0", *options], stdout=out, stderr=out
        )
    try:
        yield Process(process, log)
    finally:
        process.kill()
        process.wait(PATIENCE)


def run(*options: str) -> tuple[int, str, str]:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=30,
                          check=False)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_well(tmp_path: Path, loop: str, number: signal.Signals) -> None:
    """Exit 0 within the grace, on either loop, for either signal."""
    with servers.answering(OK) as port:
        target = f"127.0.0.1:{port}"
        options = ("--target", target, "--interval", "100ms", "--loop", loop)
        with started(tmp_path, *options) as process:
            process.waits_for("state", target=target, state="healthy")
            assert process.ask(f"/readyz/{target}") == (200, "ok\n")
            began = time.monotonic()
            assert process.ends(number) == 0
            assert time.monotonic() - began < 5
            assert [line["event"] for line in process.lines[-2:]] == ["stopping", "stopped"]


def test_second_signal_hurries(tmp_path: Path) -> None:
    with started(tmp_path, "--target", "127.0.0.1:1") as process:
        process.waits_for("started")
        process.running.send_signal(signal.SIGTERM)
        process.waits_for("stopping")
        began = time.monotonic()
        assert process.ends() == 0
        assert time.monotonic() - began < 0.8


def test_hang_up_reloads(tmp_path: Path) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text("targets: [{name: a, port: 1}]")
    with started(tmp_path, "--config", str(config)) as process:
        process.waits_for("started", targets=1)
        config.write_text("targets: [{name: a, port: 1}, {name: b, port: 2}]")
        process.running.send_signal(signal.SIGHUP)
        process.waits_for("reload", result="accepted", targets=2)
        config.write_text("targets: {")
        process.running.send_signal(signal.SIGHUP)
        assert f"{config}:1:" in process.waits_for("reload", result="refused")["why"]
        assert process.ask("/livez")[0] == 200


def test_stopped_and_continued(tmp_path: Path) -> None:
    """After a pause an old verdict is not ready until there is a new one, and /livez recovers."""
    with servers.answering(OK) as port:
        target = f"127.0.0.1:{port}"
        with started(tmp_path, "--target", target, "--interval", "200ms") as process:
            process.waits_for("state", target=target, state="healthy")
            process.running.send_signal(signal.SIGSTOP)
            time.sleep(5)
            process.running.send_signal(signal.SIGCONT)
            time.sleep(1)
            assert process.ask("/readyz")[0] == 200
            assert process.ask("/livez")[0] == 200
            checks = re.search(r"probe_checks_total\{.*\} (\d+)", process.ask("/metrics")[1])
            assert checks is not None
            assert int(checks[1]) < 25  # no burst: of 30 intervals the pause was 25


CHECKED = [
    pytest.param("targets: [{name: a, port: 1}]", 0, "1 target, no faults", id="good"),
    pytest.param("targets: []", 0, "0 targets, no faults", id="none"),
    pytest.param("targets: [{nam: a}]", 1, "sidecar.yml:1:17: targets[0].nam", id="bad"),
    pytest.param("web: {config_file: web.yml}", 1, "web.yml: cannot be read", id="no file"),
]


@pytest.mark.parametrize(("text", "code", "told"), CHECKED)
def test_check_config(tmp_path: Path, text: str, code: int, told: str) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text(text)
    found, out, err = run("--config", str(config), "--check-config")
    assert found == code
    assert told in (out if code == 0 else err)


USAGE = [
    pytest.param(["--target", "nowhere"], 2, "'nowhere' is not HOST:PORT", id="target"),
    pytest.param(
        ["--target", "nowhere", "--timeout", "x"],
        2,
        "--timeout: 'x' is not a valid timeout: seconds above 0, such as 3 or 2.5s\n--target: ",
        id="several at once",
    ),
    pytest.param(["--target", "a:1", "--target", "a:1", "--check-config"], 0, "", id="twice"),
    pytest.param(["--interval", "0"], 2, "--interval: '0' is not between", id="interval"),
    pytest.param(["--listen", "9310"], 2, "--listen: '9310' is not HOST:PORT", id="listen"),
    pytest.param(["--config", "/nonexistent"], 1, "cannot be read", id="config"),
    pytest.param(
        ["--target", "127.0.0.1:1", "--listen", "192.0.2.1:80"], 1, "cannot listen", id="not ours"
    ),
    pytest.param([], 2, "nothing to check: give --target", id="nothing"),
]


@pytest.mark.parametrize(("options", "code", "told"), USAGE)
def test_usage(options: list[str], code: int, told: str) -> None:
    found, _, err = run(*options)
    assert found == code
    assert told in err
    assert "Traceback" not in err


def test_full_pipe_holds_up_nothing(tmp_path: Path) -> None:
    """Nobody reads our stdout: checks go on, lines are lost and counted, and the end comes."""
    reading, writing = os.pipe()
    with servers.refusing() as dead, contextlib.ExitStack() as stack:
        stack.callback(os.close, reading)
        port = servers.free_port()
        config = tmp_path / "sidecar.yml"
        rows = [{"name": f"{'x' * 150}{i}", "port": dead} for i in range(1000)]
        config.write_text(json.dumps({"targets": rows, "defaults": {"interval": "500ms"}}))
        process = subprocess.Popen(
            [*COMMAND, "--config", str(config), "--listen", f"127.0.0.1:{port}"], stdout=writing
        )
        os.close(writing)
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.kill)
        url = f"http://127.0.0.1:{port}/metrics"
        end = time.monotonic() + PATIENCE
        lost = 0
        while not lost and time.monotonic() < end:
            time.sleep(0.2)
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                found = re.search(r"lines_lost_total (\d+)", answer.read().decode())
                lost = int(found[1]) if found else 0
        assert lost > 0
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_scrapes_hold_up_no_check(tmp_path: Path, loop: str) -> None:
    """With 1,000 targets a scrape, the page and the API delay the polling by 50 ms at most.

    The lag that is looked at is the loop's own between scrapes: a busy machine adds to it, so the
    median of what scrapes leave behind is judged, not the worst.
    """
    with servers.answering(OK) as port:
        config = tmp_path / "sidecar.yml"
        rows = [{"name": f"target-{i}", "port": port} for i in range(1000)]
        config.write_text(json.dumps({"targets": rows, "defaults": {"interval": "20s"}}))
        with started(tmp_path, "--config", str(config), "--loop", loop) as process:
            process.waits_for("started")
            lags = []
            for _ in range(15):
                for path in ("/metrics", "/", "/api/v1/targets"):
                    text = process.ask(path)[1]
                    if found := re.search(r"loop_lag_seconds ([0-9.e-]+)", text):
                        lags.append(float(found[1]))
            assert sorted(lags)[len(lags) // 2] < 0.05


def test_descriptors_run_out_and_come_back(tmp_path: Path) -> None:
    """Clients that take every descriptor stop no polling for good, and nobody's exit."""
    with servers.answering(OK) as port, contextlib.ExitStack() as stack:
        target = f"127.0.0.1:{port}"
        process = stack.enter_context(started(tmp_path, "--target", target, "--interval", "100ms"))
        process.waits_for("state", target=target, state="healthy")
        resource.prlimit(process.running.pid, resource.RLIMIT_NOFILE, (16, 4096))
        host, _, own = process.address.rpartition(":")
        clients = [socket.create_connection((host, int(own)), timeout=5) for _ in range(30)]
        time.sleep(1)
        for client in clients:
            client.close()
        resource.prlimit(process.running.pid, resource.RLIMIT_NOFILE, (256, 4096))
        end = time.monotonic() + PATIENCE
        while process.ask(f"/readyz/{target}")[0] != 200 and time.monotonic() < end:
            time.sleep(0.1)
        text = process.ask("/metrics")[1]
        assert f'probe_ready{{target="{target}"}} 1\n' in text
        assert 'reason="descriptors"' in text  # what could not be checked is counted
        assert process.ends() == 0
