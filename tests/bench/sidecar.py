"""The sidecar as a whole process beside Debian's blackbox_exporter, with the same target server.

What checks cost at a steady rate, how late they begin, how much memory is held, and whether a
scrape of a thousand targets holds them up. Contenders have the first core; the target server,
which is `tests.bench.server`, and whoever asks have the last one.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.library import on_cpu
from tests.bench.server import answering
from tests.bench.tables import MISSING
from tests.bench.tables import Ratio
from tests.bench.tables import ratios
from tests.bench.tables import table
from tests.support import servers

RATE = 200
"""Checks a second for which CPU is compared."""
WINDOW = 10.0
"""Seconds of one measurement of CPU."""
MANY = 1000
"""Targets, each asked once a second."""
LOOPS = {"asyncio": 0.55, "uvloop": 0.35}
"""Against blackbox_exporter's CPU, at most."""
BLACKBOX = "/usr/bin/prometheus-blackbox-exporter"

_SHARES = {"asyncio": 45, "uvloop": 30}
_LATEST = 50.0
"""Milliseconds at which 99 of 100 checks of many have begun, and 999 of 1,000 amid scrapes."""
_MEMORY = {1: 55, MANY: 80}
_PATIENCE = 30.0
_FULL = 100
"""Checks of a target that are remembered, and as many failures."""
_SETTLING = 3.0
_ACCEPTS = ("text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0")
_MODULE = """
modules:
  http_2xx:
    prober: http
    timeout: 3s
    http: {preferred_ip_protocol: ip4, follow_redirects: false}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A process that answers on a port of its own."""

    pid: int
    port: int

    @property
    def cpu(self) -> float:
        """CPU seconds of all its threads: the clock that pthread_getcpuclockid's kin gives."""
        return time.clock_gettime(~self.pid << 3 | 2)

    @property
    def resident(self) -> float:
        """Resident memory in MB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) * 1024 / 1e6 if found else 0.0

    def ask(self, path: str, accept: str = "*/*") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept": accept})
            return connection.getresponse().read()


@contextlib.contextmanager
def _running(command: list[str], port: int, cpu: int) -> Iterator[Contender]:
    """Run *command* on one core until it answers on *port*, and as long as the context is."""
    with on_cpu(cpu):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    contender = Contender(process.pid, port)
    try:
        _await(lambda: bool(contender.ask("/metrics")))
        yield contender
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)


def _await(holds: Callable[[], bool], seconds: float = _PATIENCE) -> None:
    """Wait until that holds; a refusal to connect is not yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionError):
            if holds():
                return
        time.sleep(0.1)
    raise TimeoutError


@contextlib.contextmanager
def sidecar(
    loop: str, cpu: int, target: int, count: int, interval: str = "1s"
) -> Iterator[Contender]:
    """Run a sidecar with so many targets, all of them at one port."""
    rows = [{"name": f"target-{number}", "port": target} for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "sidecar.json"
        config.write_text(json.dumps({"defaults": {"interval": interval}, "targets": rows}))
        port = servers.free_port()
        command = [sys.executable, "-m", "probe", "sidecar", "--config", str(config),
                   "--listen", f"127.0.0.1:{port}", "--loop", loop]  # fmt: skip
        with _running(command, port, cpu) as contender:
            yield contender


@contextlib.contextmanager
def blackbox(cpu: int) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "blackbox.yml"
        config.write_text(_MODULE)
        port = servers.free_port()
        command = [BLACKBOX, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
        with _running(command, port, cpu) as contender:
            yield contender


# --- what checks cost ----------------------------------------------------------------------------


def counted(contender: Contender, metric: str) -> int:
    """Add up a counter over all targets."""
    pattern = rf"^{metric}\{{.*\}} (\d+)".encode()
    return sum(map(int, re.findall(pattern, contender.ask("/metrics"), re.MULTILINE)))


def checked(contender: Contender) -> int:
    return counted(contender, "probe_checks_total")


def cost_of_sidecar(contender: Contender, seconds: float) -> float:
    """Return the CPU milliseconds of a check: two scrapes of all its targets are among them."""
    before, cpu = checked(contender), contender.cpu
    time.sleep(seconds)
    after = checked(contender)
    return (contender.cpu - cpu) * 1e3 / (after - before)


def cost_of_blackbox(contender: Contender, target: int, seconds: float) -> float:
    """Have it probe at the same steady rate, by a client that keeps its connection."""
    path = f"/probe?module=http_2xx&target=127.0.0.1:{target}/health/application"
    connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=_PATIENCE)
    count = int(seconds * RATE)
    with contextlib.closing(connection):
        began, cpu = time.monotonic(), contender.cpu
        for number in range(count):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            connection.request("GET", path)
            if b"\nprobe_success 1" not in connection.getresponse().read():
                raise RuntimeError("blackbox_exporter finds the target server unhealthy")
        return (contender.cpu - cpu) * 1e3 / count


def _costs(rounds: int, cpu: int, target: int) -> dict[str, list[float]]:
    """Return CPU ms a check of each contender, one value a round; they take turns."""
    costs: dict[str, list[float]] = {name: [] for name in LOOPS}
    with contextlib.ExitStack() as stack:
        if Path(BLACKBOX).exists():
            costs["blackbox_exporter"] = []
            other = stack.enter_context(blackbox(cpu))
            cost_of_blackbox(other, target, _SETTLING)
        for _ in range(rounds):
            for loop in LOOPS:
                with sidecar(loop, cpu, target, RATE) as ours:
                    time.sleep(_SETTLING)
                    costs[loop].append(cost_of_sidecar(ours, WINDOW))
            if "blackbox_exporter" in costs:
                costs["blackbox_exporter"].append(cost_of_blackbox(other, target, WINDOW))
    return costs


# --- lateness ------------------------------------------------------------------------------------


def lateness(contender: Contender, interval: float, since: float) -> list[float]:
    """Return the seconds by which checks began late, in order of size.

    Not as the sidecar tells it: against each target's own rhythm, at its earliest.
    """
    until = time.time()  # the question itself is no part of it
    document = json.loads(contender.ask("/api/v1/targets"))
    late: list[float] = []
    for row in document["targets"]:
        times = (_unix(check["started"]) for check in row["history"])
        started = [at for at in times if since <= at < until]
        offsets = [(at - started[0] + interval / 2) % interval for at in started]
        late += [offset - min(offsets) for offset in offsets]
    return sorted(late)


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _many(loop: str, cpu: int, target: int) -> dict[str, float]:
    """Return the figures of a thousand targets: in peace, then amid scrapes."""
    with sidecar(loop, cpu, target, MANY) as ours:
        _await(lambda: checked(ours) >= 2 * MANY)
        since, spent = time.time(), ours.cpu
        time.sleep(2 * WINDOW)
        share = (ours.cpu - spent) / (time.time() - since) * 100
        peace = lateness(ours, 1.0, since)
        time.sleep(1.0)  # what was just asked is no part of what follows
        since = time.time()
        took = _scrape(ours, 2 * WINDOW)
        scraped = lateness(ours, 1.0, since)
        return {
            "share": share,
            "late": percentile(peace, 0.99) * 1e3,
            "scraped": percentile(scraped, 0.999) * 1e3,
            "scrape": statistics.median(took) * 1e3,
            "skipped": counted(ours, "probe_checks_skipped_total"),
        }


def _scrape(contender: Contender, seconds: float) -> list[float]:
    """Scrape without a pause, in both formats by turns; return what each scrape took."""
    accepts = deque(_ACCEPTS)
    end = time.monotonic() + seconds
    took = []
    while (began := time.monotonic()) < end:
        accepts.rotate()
        contender.ask("/metrics", accepts[0])
        took.append(time.monotonic() - began)
    return took


# --- memory --------------------------------------------------------------------------------------


def _memory(loop: str, cpu: int, count: int) -> float:
    """Return resident MB with all that is remembered: failures count twice, so all are failures.

    The page, the API and both formats were asked for by then.
    """
    with (
        servers.refusing() as dead,
        sidecar(loop, cpu, dead, count, "300ms" if count > 1 else "100ms") as ours,
    ):
        _await(lambda: checked(ours) >= (_FULL + 2) * count, 120)
        for path in ("/", "/api/v1/targets"):
            ours.ask(path)
        for accept in _ACCEPTS:
            ours.ask("/metrics", accept)
        return ours.resident


# --- tables --------------------------------------------------------------------------------------


def report(rounds: int, _runs: int) -> Iterator[str]:
    """Yield the tables' lines."""
    cpus = sorted(os.sched_getaffinity(0))
    with answering(cpus[-1]) as target, on_cpu(cpus[-1]):
        costs = _costs(rounds, cpus[0], target)
        many = {loop: _many(loop, cpus[0], target) for loop in LOOPS}
        memory = {
            (loop, count): _memory(loop, cpus[0], count) for loop in LOOPS for count in _MEMORY
        }
    yield f"### Sidecar ({rounds} interleaved rounds of {WINDOW:.0f} s, medians)"
    yield ""
    yield from _cost_lines(costs)
    yield from _figure_lines(many, memory)
    if len(cpus) == 1:
        yield "One core here: the server and whoever asks share it."


def _cost_lines(costs: dict[str, list[float]]) -> Iterator[str]:
    yield from table(
        ["process", f"CPU ms per 1,000 checks at {RATE}/s"],
        ([name, f"{statistics.median(values) * 1e3:.0f}"] for name, values in costs.items()),
    )
    if theirs := costs.get("blackbox_exporter"):
        yield from ratios(
            Ratio(
                f"CPU, {loop} / blackbox_exporter",
                [ours / other for ours, other in zip(costs[loop], theirs, strict=True)],
                most,
            )
            for loop, most in LOOPS.items()
        )


def _figure_lines(
    many: dict[str, dict[str, float]], memory: dict[tuple[str, int], float]
) -> Iterator[str]:
    rows: list[tuple[str, Callable[[str], float], Any]] = [
        (f"{MANY} targets at 1 Hz: share of a core, %", lambda loop: many[loop]["share"], _SHARES),
        ("... late, p99, ms", lambda loop: many[loop]["late"], _LATEST),
        ("... late amid scrapes, p99.9, ms", lambda loop: many[loop]["scraped"], _LATEST),
        ("... a scrape takes, ms", lambda loop: many[loop]["scrape"], None),
        ("... checks skipped", lambda loop: many[loop]["skipped"], 0),
        ("resident MB, 1 target", lambda loop: memory[loop, 1], _MEMORY[1]),
        (f"resident MB, {MANY} targets", lambda loop: memory[loop, MANY], _MEMORY[MANY]),
    ]
    yield from table(
        ["figure", *LOOPS, "at most"],
        (
            [what, *(f"{read(loop):.1f}" for loop in LOOPS), _most(most)]
            for what, read, most in rows
        ),
    )


def _most(promised: Any) -> str:
    if isinstance(promised, dict):
        return " / ".join(f"{promised[loop]:g}" for loop in LOOPS)
    return MISSING if promised is None else f"{promised:g}"
