"""The real command `probe sidecar` as a process, and what it tells of itself."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "probe", "sidecar"]
PATIENCE = 20.0
"""Seconds within which whatever is waited for must come."""

Document = Mapping[str, Any]
_LABEL = re.compile(r'(\w+)="([^"\\]*)"')


@dataclass(frozen=True, slots=True)
class Slots:
    """What became of a target's dues: checks made, checks skipped and counted."""

    made: int
    skipped: int

    @property
    def total(self) -> int:
        return self.made + self.skipped


class Metrics:
    """One scrape: values by name and labels, and the monotonic time of it."""

    def __init__(self, text: str) -> None:
        self.at = time.monotonic()
        self._lines: dict[str, list[str]] = defaultdict(list)
        for line in text.splitlines():
            self._lines[line.partition("{")[0].partition(" ")[0]].append(line)

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of that name that have these labels."""
        return sum(value for _, value in self._samples(name, labels))

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Add up as `total` does, for each value of *label*."""
        found: dict[str, float] = defaultdict(float)
        for own, value in self._samples(name, labels):
            found[own[label]] += value
        return dict(found)

    def _samples(
        self, name: str, labels: Mapping[str, str]
    ) -> Iterator[tuple[dict[str, str], float]]:
        for line in self._lines[name]:
            own = dict(_LABEL.findall(line))
            if labels.items() <= own.items():
                yield own, float(line.rpartition(" ")[2])

    @property
    def slots(self) -> dict[str, Slots]:
        made = self.by("target", "probe_checks_total")
        skipped = self.by("target", "probe_checks_skipped_total")
        return {
            name: Slots(int(made.get(name, 0)), int(skipped.get(name, 0)))
            for name in made | skipped
        }


@dataclass
class Process:
    """A sidecar that runs; `port` is its first listener's."""

    running: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.running.pid

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has written until now, in whole lines."""
        whole = self.log.read_text().rpartition("\n")[0]
        assert all(line.startswith("{") for line in whole.splitlines()), whole
        return [json.loads(line) for line in whole.splitlines()]

    def told(self, event: str, **fields: Any) -> bool:
        wanted = {"event": event, **fields}
        return any(wanted.items() <= line.items() for line in self.lines)

    def waits_for(self, event: str, **fields: Any) -> None:
        wait_until(lambda: self.told(event, **fields), what=f"{event} {fields}")

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def json(self, path: str) -> Any:
        return json.loads(self.ask(path)[1])

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is kept."""
        kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        kept.connect()
        return kept

    def metrics(self) -> Metrics:
        return Metrics(self.ask("/metrics")[1])

    def signals(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    def ends(self, within: float = PATIENCE) -> int:
        """Wait for the end and return the exit code."""
        return self.running.wait(within)

    @property
    def resident(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(row.split()[1]) for row in status.splitlines() if "VmRSS" in row) / 1000

    @property
    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


def wait_until(holds: Callable[[], bool], within: float = PATIENCE, what: str = "") -> None:
    """Ask again and again; what is refused, reset or cut short is not yet."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError(f"within {within} s did not come: {what or holds}")


@contextlib.contextmanager
def sidecar(  # all but the first by name
    folder: Path,
    document: Document | None = None,
    *options: str,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    stdout: Any = None,
    ready: Callable[[Process], None] = lambda process: process.waits_for("started"),
    port: int = 0,
) -> Iterator[Process]:
    """Run one whose configuration is *document*, by a command *before* it where one is given.

    With *port* 0 it takes a free one, which its first line tells; that needs its stdout.
    """
    folder.mkdir(exist_ok=True)
    log, config = folder / "log", folder / "sidecar.json"
    config.write_text(json.dumps(document or {}))
    command = [*before, *COMMAND, "--config", str(config), *options, *after]
    with log.open("wb") as out:
        running = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{port}"],
            stdout=out if stdout is None else stdout,
            stderr=out,
            env={**os.environ, **(environment or {})},
        )
    process = Process(running, port, log)
    try:
        ready(process)
        if port == 0:
            started = next(line for line in process.lines if line["event"] == "started")
            process.port = int(started["listen"].split(",")[0].rpartition(":")[2])
        yield process
    finally:
        running.kill()
        running.wait(PATIENCE)
