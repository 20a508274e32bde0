"""`probe demo`: the whole story on the embedded mock synchronizer, in a few seconds."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import typer

from probe.cli.errors import ProbeError
from probe.client.blocking import check
from probe.client.shell import shell_check
from probe.contract.target import Target
from probe.contract.verdict import Verdict
from probe.scripts import script_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from probe.mock.server import Mock

TIMEOUT = 1.0
# Each act: the mock's mode, and what that is in the world.
ACTS = (
    ("healthy", "a synchronizer that has run for a while"),
    ("unhealthy", "a sync loop has stopped: 500, and it stays 500"),
    ("hang", "accepts the connection, never answers"),
    ("garbage", "answers with bytes that are no HTTP"),
    ("refuse", "nothing listens on the port"),
)


def demo() -> None:
    """Take a mock synchronizer through good and bad times and ask both probes each time."""
    from probe.mock.server import Mock

    with Mock(mode="healthy") as mock:
        target = Target(port=mock.port, timeout=TIMEOUT)
        typer.echo(f"a mock split-sync listens on {target.authority}; each probe has {TIMEOUT:g} s")
        differing = [mode for mode, story in ACTS if not _act(mock, target, mode, story)]
        mock.set("unhealthy")
        _explain(target)
        _watch(mock)
    if differing:
        raise ProbeError(f"the probes differ on: {', '.join(differing)}")
    typer.echo(
        "\nfive acts, two implementations, one verdict each, and a sidecar that saw it come and go."
        " Go on with: probe check --help"
    )


def _act(mock: "Mock", target: Target, mode: str, story: str) -> bool:
    """Play one act; returns whether the probes agree."""
    mock.set(mode)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(shell_check, script_path(), target), pool.submit(check, target)
        shell, reference = (future.result() for future in asked)
    agree = shell.line == reference.line
    typer.echo(f"\n{mode}: {story}")
    _row("healthcheck.sh", shell)
    _row("probe check", reference)
    typer.echo(f"  {'they agree' if agree else 'THEY DIFFER'}")
    return agree


def _row(name: str, verdict: Verdict) -> None:
    exit_code = int(not verdict.healthy)
    typer.echo(f"  {name:<16}{verdict.seconds * 1000:7.1f} ms  exit {exit_code}  {verdict.line}")


def _explain(target: Target) -> None:
    from probe.cli.explain import explain

    verdict = check(target)
    typer.echo(f"\nprobe check --explain, with the 500 again\n  {verdict.line}")
    for line in explain(target, verdict).text().splitlines():
        typer.echo(f"  {line}".rstrip())


# What the sidecar says of its target, one line of JSON a change.
SCENES = (
    ("healthy", "healthy", "a restart has brought the 200 back"),
    ("unhealthy", "unhealthy", "a sync loop stops"),
    ("healthy", "healthy", "another restart"),
)
_PATIENCE = 15.0
"""Seconds for a change: three failed checks of the interval and the timeout below, and a start."""


def _watch(mock: "Mock") -> None:
    """Let a sidecar of its own process see the mock's states change."""
    typer.echo("\nprobe sidecar, which polls and remembers")
    with _sidecar(mock.port) as lines:
        started = _next(lines, "event", "started")
        for mode, state, story in SCENES:
            mock.set(mode)
            seen = _next(lines, "state", state)
            ready = check(_ready_target(str(started["listen"])))
            typer.echo(
                f"  {story}: {seen['before']} -> {seen['state']}"
                f" ({seen['verdict']}); /readyz answers {ready.status}"
            )


@contextmanager
def _sidecar(port: int) -> "Iterator[Queue[dict[str, object]]]":
    command = [sys.executable, "-m", "probe", "sidecar", "--target", f"127.0.0.1:{port}"]
    pace = ["--interval", "300ms", "--listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, *pace], stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        lines: Queue[dict[str, object]] = Queue()
        Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        try:
            yield lines
        finally:
            process.kill()


def _read(stream: "IO[bytes]", lines: "Queue[dict[str, object]]") -> None:
    for line in stream:
        lines.put(json.loads(line))


def _next(lines: "Queue[dict[str, object]]", key: str, value: str) -> dict[str, object]:
    """Wait for a line that has *value* under *key*."""
    deadline = time.monotonic() + _PATIENCE
    try:
        while (line := lines.get(timeout=max(0, deadline - time.monotonic()))).get(key) != value:
            pass
    except Empty:
        raise ProbeError(f"the sidecar did not say {key} {value} in {_PATIENCE:g} s") from None
    return line


def _ready_target(listen: str) -> Target:
    host, _, port = listen.rpartition(":")
    return Target(host=host, port=int(port), path="/readyz", timeout=3.0)
