"""`probe watch`: the check on an interval, live in a terminal; elsewhere a line for each."""

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Annotated

import typer

from probe.cli.check import VIEWS
from probe.cli.check import read_target
from probe.cli.check_options import parse
from probe.cli.errors import UsageError
from probe.client.blocking import check
from probe.contract.target import InvalidInputError
from probe.contract.target import Target
from probe.contract.verdict import Verdict

KEPT = 60
RECENT = 8
BARS = "▁▂▃▄▅▆▇█"


@dataclass(slots=True)
class History:
    """The last checks, newest last, and the run of equal verdicts at the end."""

    checks: deque[tuple[str, Verdict]] = field(default_factory=lambda: deque(maxlen=KEPT))
    streak: int = 0

    def add(self, at: str, verdict: Verdict) -> None:
        same = bool(self.checks) and self.checks[-1][1].healthy == verdict.healthy
        self.streak = self.streak + 1 if same else 1
        self.checks.append((at, verdict))

    def strip(self) -> str:
        """Return a bar for each check, as high as it was slow; x where it was not healthy."""
        slowest = max(verdict.seconds for _, verdict in self.checks) or 1.0
        return "".join(
            BARS[min(int(verdict.seconds / slowest * len(BARS)), len(BARS) - 1)]
            if verdict.healthy
            else "x"
            for _, verdict in self.checks
        )

    def lines(self, target: Target) -> Iterator[str]:
        _, last = self.checks[-1]
        state = "healthy" if last.healthy else "unhealthy"
        yield f"{target.authority}{target.path}  {state}, {self.streak} in a row"
        yield self.strip()
        for at, verdict in list(self.checks)[-RECENT:]:
            yield f"{at}  {verdict.seconds * 1000:8.1f} ms  {verdict.line}"


def watch(
    context: typer.Context,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between checks.")] = 2.0,
    count: Annotated[int, typer.Option(min=0, help="Checks to make; 0: until Ctrl-C.")] = 0,
) -> None:
    """Check on an interval, live: state, streak, last reasons, latency.

    Takes the options of `probe check` that say what to ask: --host, --port, --path, --timeout,
    --expect, --tls and its files.
    """
    options, unknown = parse(context.args)
    if unknown is not None:
        raise UsageError(f"no such option: {unknown}")
    if foreign := sorted(options.keys() & {*VIEWS, "log"}):
        raise UsageError(f"no such option: --{foreign[0]} (probe check has it)")
    try:
        target = read_target(options, os.environb)
    except InvalidInputError as error:
        raise UsageError(str(error)) from None
    _run(target, interval, count)


def _run(target: Target, interval: float, count: int) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    history = History()
    console = Console()
    if not console.is_terminal:
        for at, verdict in _checks(target, interval, count):
            typer.echo(f"{at}  {verdict.seconds * 1000:8.1f} ms  {verdict.line}")
        return
    with Live(console=console, auto_refresh=False) as live:
        for at, verdict in _checks(target, interval, count):
            history.add(at, verdict)
            style = "green" if verdict.healthy else "red"
            live.update(Text("\n".join(history.lines(target)), style=style), refresh=True)


def _checks(target: Target, interval: float, count: int) -> Iterator[tuple[str, Verdict]]:
    due = time.monotonic()
    made = 0
    while not count or made < count:
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due + interval, time.monotonic())  # a slow check is not made up for
        yield time.strftime("%H:%M:%S"), check(target)
        made += 1
