"""What may befall the sidecar as a process: it goes on, and no check is lost without being counted.

Times are real: what takes long (a pause, a soak) goes on beside the other tests of this module.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from probe.mock.server import Mock
from tests.support import servers
from tests.support.components import require
from tests.support.components import require_root
from tests.support.servers import OK
from tests.support.sidecars import Metrics
from tests.support.sidecars import Process
from tests.support.sidecars import sidecar
from tests.support.sidecars import wait_until

pytestmark = pytest.mark.real

SUSPENDED = 15.0
SOAK = 50.0
GRACE = 5.0


def rows(count: int, port: int, name: str = "target", **more: Any) -> list[dict[str, Any]]:
    return [{"name": f"{name}-{number}", "port": port, **more} for number in range(count)]


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """Let everyone connect, accept nobody."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield servers.port_of(listener)


def assert_all_counted(before: Metrics, after: Metrics, interval: float) -> None:
    """Between two scrapes each target had a due an *interval*, and each was made or counted.

    One may be in flight at either, and either may have come just before or after a due.
    """
    due = (after.at - before.at) / interval
    counted = {name: slots.total - before.slots[name].total for name, slots in after.slots.items()}
    assert all(abs(count - due) <= 3 for count in counted.values()), (due, counted)
    assert abs(sum(counted.values()) / len(counted) - due) <= 1.2, due


# --- what goes on all the while ------------------------------------------------------------------


@dataclass
class Beside:
    """Two sidecars that run from the module's beginning, and when that was."""

    suspended: Process
    before: Metrics
    since: float
    soaked: Process
    resident: float
    descriptors: int
    begun: Metrics


def ask_everything(process: Process, times: int) -> None:
    for _ in range(times):
        for path in ("/metrics", "/", "/api/v1/targets", "/readyz"):
            process.ask(path)


@pytest.fixture(scope="module", autouse=True)
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with (
        servers.answering(OK) as port,
        deaf() as hanging,
        servers.refusing() as dead,
        sidecar(
            tmp_path_factory.mktemp("suspended"),
            {"targets": rows(20, port), "defaults": {"interval": "500ms"}},
        ) as suspended,
        sidecar(
            tmp_path_factory.mktemp("soaked"),
            {
                "targets": [
                    *rows(20, port),
                    *rows(5, hanging, "deaf", timeout="1.5s"),
                    *rows(5, dead, "dead"),
                    {"name": "name", "host": "localhost", "port": port},
                ],
                "defaults": {"interval": "300ms"},
            },
        ) as soaked,
    ):
        wait_until(lambda: suspended.ask("/readyz")[0] == 200)
        time.sleep(1)
        before = suspended.metrics()
        suspended.signals(signal.SIGSTOP)
        since = time.monotonic()
        ask_everything(soaked, 20)
        resident, descriptors = soaked.resident, soaked.descriptors
        yield Beside(suspended, before, since, soaked, resident, descriptors, soaked.metrics())


# --- targets -------------------------------------------------------------------------------------


def script(*steps: list[Any]) -> list[list[Any]]:
    return [["read_request"], *steps]


LINE = b"HTTP/1.1 200 OK\r\n".hex()
WORST = {
    "hang": (script(["hang"]), "timeout"),
    "drip": (script(["drip", "00", 100, 10**9]), "malformed"),
    "drip a line": (script(["drip", LINE[:20], 300, 10**9]), "timeout"),
    "flood": (script(["send_hex", LINE[:26]], ["send_repeat", "41" * 1000, 10**9]), "malformed"),
    "flood of headers": (
        script(["send_hex", LINE], ["send_repeat", "58" * 1000, 10**9]),
        "200",
    ),
    "flood of body": (
        script(["send_hex", LINE + b"\r\n".hex()], ["send_repeat", "7b" * 1000, 10**9]),
        "200",
    ),
}


def test_worst_targets(tmp_path: Path) -> None:
    """Targets that hang, drip or flood get their verdicts; the others keep their rhythm."""
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(servers.answering(OK))
        bad = {
            name: stack.enter_context(Mock(mode="script", script=steps)).port
            for name, (steps, _) in WORST.items()
        }
        targets = [{"name": name, "port": port, "read_body": True} for name, port in bad.items()]
        document = {
            "targets": [*targets, *rows(20, good)],
            "defaults": {"interval": "500ms", "timeout": "2s"},
        }
        process = stack.enter_context(sidecar(tmp_path, document))
        wait_until(lambda: set(bad) <= process.metrics().slots.keys())
        before, resident = process.metrics(), process.resident
        time.sleep(4)
        after = process.metrics()

        assert_all_counted(before, after, 0.5)
        for name, (_, reason) in WORST.items():
            assert set(after.by("reason", "probe_checks_total", target=name)) == {reason}
        assert after.total("probe_checks_skipped_total", target="target-1") == 0
        assert process.resident - resident < 40  # of three floods, 1 MiB each at a time


def test_many_of_which_some_hang(tmp_path: Path) -> None:
    """Of 1,000 targets 300 hang: they are skipped and counted, and none of the 700 is."""
    with (
        servers.answering(OK) as good,
        deaf() as hanging,
    ):
        document = {
            "targets": [*rows(700, good), *rows(300, hanging, "deaf")],
            "defaults": {"interval": "2s", "timeout": "3s"},
        }
        with sidecar(tmp_path, document) as process:
            wait_until(lambda: len(process.metrics().slots) == 1000, 30)
            before = process.metrics()
            time.sleep(9)
            after = process.metrics()

    assert_all_counted(before, after, 2.0)
    for reason in ("overlap", "concurrency"):  # late may be anyone on a busy machine
        skipped = after.by("target", "probe_checks_skipped_total", reason=reason)
        assert skipped
        assert all(name.startswith("deaf-") for name in skipped)


# --- the process ---------------------------------------------------------------------------------


def test_no_descriptors_left(tmp_path: Path) -> None:
    """Checks that cannot be made are counted, no verdict; what grows old is not ready; it heals."""
    with servers.answering(OK) as port:
        document = {"targets": rows(20, port), "defaults": {"interval": "500ms", "timeout": "2s"}}
        with sidecar(tmp_path, document) as process:
            wait_until(lambda: process.ask("/readyz")[0] == 200)
            kept = process.connection()

            def readyz() -> tuple[int, str]:
                kept.request("GET", "/readyz")
                answer = kept.getresponse()
                return answer.status, answer.read().decode()

            assert readyz() == (200, "ok\n")
            before = process.metrics()
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.descriptors, hard))
            wait_until(lambda: readyz()[0] == 503)
            assert "healthy, last check too old" in readyz()[1]
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
            wait_until(lambda: readyz()[0] == 200)
            after = process.metrics()
            kept.close()

    assert_all_counted(before, after, 0.5)
    assert after.by("reason", "probe_checks_skipped_total").keys() == {"descriptors"}
    assert after.by("reason", "probe_checks_total").keys() == {"200"}


def test_few_descriptors_from_the_start(tmp_path: Path) -> None:
    """More targets hang than there are descriptors: the endpoints have theirs all the same."""
    with (
        deaf() as hanging,
        servers.answering(OK) as port,
    ):
        document = {
            "targets": [*rows(60, hanging, "deaf"), *rows(5, port)],
            "defaults": {"interval": "1s", "timeout": "2s"},
        }
        limited = ["sh", "-c", 'ulimit -n 120; exec "$@"', "sh"]
        with sidecar(tmp_path, document, before=limited) as process:
            asked: list[float] = []

            def good() -> bool:
                began = time.monotonic()
                after = process.metrics()
                asked.append(time.monotonic() - began)
                return after.total("probe_success") == 5 and len(after.slots) == 65

            wait_until(good)
            after = process.metrics()

    assert max(asked) < 2.0
    assert after.total("probe_checks_skipped_total", reason="concurrency") > 0
    assert after.total("probe_checks_skipped_total", reason="descriptors") == 0


def test_suspended(beside: Beside) -> None:
    """After a long pause: no burst, all that was missed is counted, and readiness is told right."""
    process = beside.suspended
    time.sleep(max(0.0, beside.since + SUSPENDED - time.monotonic()))
    process.signals(signal.SIGCONT)
    paused = time.monotonic() - beside.since
    # Whichever came first of this question and the first new verdicts: never old ones with 200.
    first = process.ask("/readyz")
    made = process.metrics()
    wait_until(lambda: process.ask("/readyz")[0] == 200)
    time.sleep(2)
    after = process.metrics()

    assert process.ask("/livez")[0] == 200
    assert first[0] == 503 or made.total("probe_checks_total") > beside.before.total(
        "probe_checks_total"
    )
    assert_all_counted(beside.before, after, 0.5)
    awake = after.at - beside.before.at - paused
    for name, slots in after.slots.items():
        assert slots.made - beside.before.slots[name].made <= awake / 0.5 + 3
        assert abs(slots.skipped - beside.before.slots[name].skipped - paused / 0.5) <= 4


# --- names ---------------------------------------------------------------------------------------

# A network of its own whose resolver is a port of ours that never answers.
DEAD_DNS = """\
set -e
ip link set lo up
mount --make-rprivate /
mount --bind {resolv} /etc/resolv.conf
exec {python} {script} {command}
"""
INSIDE = """\
import os, socket, subprocess, sys
port, *command = sys.argv[1:]
if port != "0":
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 53))
server = socket.create_server(("127.0.0.1", 3010))
if os.fork() == 0:
    while True:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
        connection.close()
server.close()
os.execv(command[0], command)
"""


@pytest.mark.parametrize(("silent", "reason"), [(1, "timeout"), (0, "unresolved")],
                         ids=["silent", "unreachable"])  # fmt: skip
def test_dns_gone(tmp_path: Path, silent: int, reason: str) -> None:
    """Names get their verdict by their deadline; those with an address do not feel it."""
    require_root()
    for name in ("ip", "mount", "unshare", "nsenter", "curl"):
        require(name)
    resolv, inside, network = tmp_path / "resolv", tmp_path / "inside.py", tmp_path / "network"
    resolv.write_text("nameserver 127.0.0.1\n" if silent else "nameserver 192.0.2.1\n")
    inside.write_text(INSIDE)
    network.write_text(
        DEAD_DNS.format(resolv=resolv, python=sys.executable, script=inside, command='"$@"')
    )
    document = {
        "targets": [
            *[{"name": f"name-{n}", "host": f"host-{n}.example", "port": 80} for n in range(40)],
            *rows(10, 3010),
        ],
        "defaults": {"interval": "1s", "timeout": "2s"},
    }
    before = [require("unshare"), "-n", "-m", "--pid", "--kill-child", "--fork",
              "sh", str(network), str(silent)]  # fmt: skip
    with sidecar(tmp_path, document, before=before) as process:
        child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True,
                               check=True, timeout=10).stdout.split()[0]  # fmt: skip
        curl = [require("nsenter"), f"--net=/proc/{child}/ns/net", "curl", "-s", "--max-time", "10",
                f"http://127.0.0.1:{process.port}/metrics"]  # fmt: skip

        def metrics() -> Metrics:
            done = subprocess.run(curl, capture_output=True, text=True, timeout=20, check=True)
            return Metrics(done.stdout)

        wait_until(lambda: len(metrics().slots) == 50)
        first = metrics()
        time.sleep(4)
        after = metrics()

    assert_all_counted(first, after, 1.0)
    for number in range(10):
        slots = after.slots[f"target-{number}"]
        assert (slots.skipped, after.total("probe_success", target=f"target-{number}")) == (0, 1)
    for number in range(40):
        counts = after.by("reason", "probe_checks_total", target=f"name-{number}")
        assert counts.keys() == {reason}


# --- settings and clocks -------------------------------------------------------------------------


def test_reload_storm(tmp_path: Path) -> None:
    """Good and bad files by turns, 200 times, by signal and by request: what was valid runs on."""
    with servers.answering(OK) as port:
        good = {"targets": rows(10, port), "defaults": {"interval": "500ms"}}
        with sidecar(tmp_path, good) as process:
            config = tmp_path / "sidecar.json"
            wait_until(lambda: len(process.metrics().slots) == 10)
            before = process.metrics()
            answers = []
            for turn in range(200):
                config.write_text("targets: [" if turn % 2 else json.dumps(good))
                if turn % 20 < 18:
                    process.signals(signal.SIGHUP)
                else:
                    answers.append((turn % 2, process.ask("/-/reload", "POST")[0]))
            broken = process.metrics()
            status, _ = process.ask("/livez")
            config.write_text(json.dumps(good))
            mended = process.ask("/-/reload", "POST")
            time.sleep(2)
            after = process.metrics()

    assert_all_counted(before, after, 0.5)
    assert status == 200
    assert set(answers) == {(0, 200), (1, 500)}
    assert broken.total("probe_sidecar_config_last_reload_successful") == 0
    assert len(broken.slots) == 10
    assert mended[0] == 200
    assert after.total("probe_sidecar_config_last_reload_successful") == 1
    assert after.total("probe_sidecar_reloads_total", result="refused") >= 10
    assert after.total("probe_checks_skipped_total") == 0


# Found by Python at its start: UNIX time with what a file says added.
SHIFTED = """\
import os, time
_real = time.time
_file = os.open(os.environ["SHIFT"], os.O_RDONLY)
time.time = lambda: _real() + float(os.pread(_file, 32, 0) or 0)
"""


def test_clock_set(tmp_path: Path) -> None:
    """The clock goes back and forth by days: the rhythm, the states and readiness do not mind."""
    shift = tmp_path / "shift"
    shift.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(SHIFTED)
    environment = {"PYTHONPATH": str(tmp_path), "SHIFT": str(shift)}
    with servers.answering(OK) as port, servers.refusing() as dead:
        document = {
            "targets": [*rows(10, port), *rows(2, dead, "dead")],
            "defaults": {"interval": "300ms"},
        }
        with sidecar(tmp_path, document, environment=environment) as process:
            wait_until(lambda: process.told("state", target="dead-0", state="unhealthy"))
            wait_until(lambda: len(process.metrics().slots) == 12)
            before = process.metrics()
            for days in (400, -400, 30, -3, 0):
                shift.write_text(f"{days * 86400:<20}")
                for _ in range(7):
                    assert process.ask("/readyz/target-1")[0] == 200
                    assert process.ask("/readyz/dead-1")[0] == 503
                    assert process.ask("/livez")[0] == 200
                    time.sleep(0.1)
                for path in ("/", "/api/v1/targets", "/metrics"):
                    assert process.ask(path)[0] == 200
            after = process.metrics()
            states = [line for line in process.lines if line["event"] == "state"]

    assert_all_counted(before, after, 0.3)
    assert after.total("probe_checks_skipped_total") == 0
    assert {line["target"] for line in states} == {f"target-{n}" for n in range(10)} | {
        "dead-0", "dead-1",
    }  # fmt: skip
    assert all(abs(line["successes"] + line["failures"]) <= 3 for line in states)


# --- its own endpoints ---------------------------------------------------------------------------

OVERSIZED = {
    "line": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "field": b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "fields": b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 30_000 + b"\r\n",
    "no end": b"GET /livez HTTP/1.1\r\nX: " + b"x" * 5_000_000,
    "body": b"POST /-/reload HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000,
    "chunks": b"POST /-/maintenance/target-1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n",
    "pipeline": b"GET /livez HTTP/1.1\r\n\r\n" * 20_000,
    "garbage": bytes(range(256)) * 4000,
}  # fmt: skip


def test_hostile_clients(tmp_path: Path) -> None:
    """Heads that come a byte at a time, and requests without end: checks go on, memory stays."""
    with servers.answering(OK) as port, contextlib.ExitStack() as stack:
        document = {"targets": rows(50, port), "defaults": {"interval": "500ms"}}
        process = stack.enter_context(sidecar(tmp_path, document))
        wait_until(lambda: len(process.metrics().slots) == 50)
        before, resident = process.metrics(), process.resident
        where = ("127.0.0.1", process.port)
        slow = [stack.enter_context(socket.create_connection(where, 10)) for _ in range(300)]
        end = time.monotonic() + 6
        while time.monotonic() < end:
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"G")
            time.sleep(0.5)
        wait_until(lambda: process.ask("/livez") == (200, "ok\n"))
        for data in OVERSIZED.values():
            with socket.create_connection(where, 10) as connection, contextlib.suppress(OSError):
                connection.sendall(data)
            assert process.ask("/livez") == (200, "ok\n")
        after = process.metrics()

        assert_all_counted(before, after, 0.5)
        assert after.total("probe_checks_skipped_total") == 0
        assert after.total("probe_sidecar_connections_refused_total") >= 300 - 128
        assert process.resident - resident < 20


# --- stdout --------------------------------------------------------------------------------------


@contextlib.contextmanager
def broken_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@contextlib.contextmanager
def full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as full:
        yield full.fileno()


@pytest.mark.parametrize("out", [full_disk, broken_pipe])
def test_lines_that_cannot_be_written(tmp_path: Path, out: Any) -> None:
    """They are lost and counted, and nothing else is."""
    port = servers.free_port()
    with servers.answering(OK) as target, out() as descriptor:
        document = {"targets": rows(20, target), "defaults": {"interval": "300ms"}}
        with sidecar(
            tmp_path, document, stdout=descriptor, port=port,
            ready=lambda process: wait_until(lambda: process.ask("/readyz")[0] == 200),
        ) as process:  # fmt: skip
            before = process.metrics()
            time.sleep(1.5)
            after = process.metrics()
            assert_all_counted(before, after, 0.3)
            assert after.total("probe_sidecar_lines_lost_total") == 21
            process.signals(signal.SIGTERM)
            assert process.ends() == 0


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-"])
def test_closed_descriptors(tmp_path: Path, closed: str) -> None:
    """No socket takes the place of stdout: nothing of the lines gets into a connection."""
    port = servers.free_port()
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            heard.append(servers.read_request(connection))
            connection.sendall(OK)

    with servers.serving(serve) as server:
        document = {"targets": rows(20, server.port), "defaults": {"interval": "300ms"}}
        shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
        with sidecar(
            tmp_path, document, before=shell, port=port,
            ready=lambda process: wait_until(lambda: process.ask("/readyz")[0] == 200),
        ) as process:  # fmt: skip
            before = process.metrics()
            time.sleep(1.5)
            after = process.metrics()
            assert_all_counted(before, after, 0.3)
            assert after.by("reason", "probe_checks_total").keys() == {"200"}
            process.signals(signal.SIGTERM)
            assert process.ends() == 0
    assert all(b'"event"' not in request for request in heard)


# --- the end -------------------------------------------------------------------------------------


def test_graceful_stop(tmp_path: Path) -> None:
    """/readyz fails first, a slow reader does not hold it up, and it ends with 0 in the grace."""
    with (
        deaf() as hanging,
        servers.answering(OK) as port,
    ):
        document = {
            "targets": [*rows(100, port), *rows(50, hanging, "deaf")],
            "defaults": {"interval": "2s", "timeout": "30s"},
        }
        with sidecar(tmp_path, document) as process, contextlib.ExitStack() as stack:
            wait_until(lambda: process.ask("/readyz/target-1")[0] == 200)
            where = ("127.0.0.1", process.port)
            for _ in range(20):
                stack.enter_context(socket.create_connection(where, 5))
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            reader.connect(where)
            reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
            began = time.monotonic()
            process.signals(signal.SIGTERM)
            wait_until(lambda: process.ask("/readyz") == (503, "stopping\n"), 1)
            assert process.ask("/livez")[0] == 200
            assert process.ends() == 0
            assert time.monotonic() - began < GRACE + 1


def test_second_signal(tmp_path: Path) -> None:
    """It ends at once, and well, though a connection is still open."""
    with (
        servers.answering(OK) as port,
        sidecar(tmp_path, {"targets": rows(5, port)}) as process,
        socket.create_connection(("127.0.0.1", process.port), 5),
    ):
        process.signals(signal.SIGTERM)
        process.waits_for("stopping")
        began = time.monotonic()
        process.signals(signal.SIGTERM)
        assert process.ends() == 0
        assert time.monotonic() - began < 2


# --- the soak ------------------------------------------------------------------------------------


def test_soak(beside: Beside) -> None:
    """What ran all the while, asked again and again, has not grown in memory or descriptors."""
    process = beside.soaked
    while time.monotonic() < beside.begun.at + SOAK:
        ask_everything(process, 1)
    ask_everything(process, 100)
    wait_until(lambda: process.descriptors <= beside.descriptors + 5)
    after = process.metrics()

    assert_all_counted(beside.begun, after, 0.3)
    assert process.resident - beside.resident < 5
    assert process.ask("/readyz/target-1")[0] == 200
