"""`probe demo`: the whole story on the embedded mock synchronizer, in a few seconds."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import typer

from probe.cli.errors import ProbeError
from probe.client.blocking import check
from probe.client.shell import shell_check
from probe.contract.target import Target
from probe.contract.verdict import Verdict
from probe.scripts import script_path

if TYPE_CHECKING:
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
    if differing:
        raise ProbeError(f"the probes differ on: {', '.join(differing)}")
    typer.echo("\nfive acts, two implementations, one verdict each. Go on with: probe check --help")


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
