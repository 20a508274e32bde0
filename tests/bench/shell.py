"""The shell probe against what people put into a HEALTHCHECK otherwise."""

import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from tests.bench.process import Calls
from tests.bench.process import Command
from tests.bench.process import Run
from tests.bench.process import failures
from tests.bench.process import interleave
from tests.bench.process import peak_memory
from tests.bench.process import system_calls
from tests.bench.server import answering
from tests.bench.tables import MISSING
from tests.bench.tables import Ratio
from tests.bench.tables import milliseconds
from tests.bench.tables import number
from tests.bench.tables import ratios
from tests.bench.tables import table
from tests.support.probes import SCRIPT

PROBE = "healthcheck.sh"
FLOOR = "/bin/true"

# The arguments of each contender; {url}, {port}, {script} and {empty} stand for this run's own.
CONTENDERS = {
    FLOOR: ("/bin/true",),
    "empty bash -p script": ("{empty}",),
    PROBE: ("{script}", "--port", "{port}"),
    f"{PROBE}, bash-static": ("bash-static", "-p", "{script}", "--port", "{port}"),
    "curl": ("curl", "-fsS", "-o", "/dev/null", "-m", "3", "{url}"),
    "wget": ("wget", "-q", "-T", "3", "-t", "1", "-O", "/dev/null", "{url}"),
    # With -T Debian 12's crashes.
    "busybox wget": ("busybox", "wget", "-q", "-O", "/dev/null", "{url}"),
}
# Peer, the most of its wall time above the floor, the most of its peak memory.
WALL_TARGETS = {"curl": 0.34, "wget": 0.85}
MEMORY_TARGETS = {"curl": 0.40}


def report(rounds: int, runs: int) -> Iterator[str]:
    """Yield the tables' lines."""
    with answering() as port, empty_script() as empty:
        commands = {
            name: found
            for name, arguments in CONTENDERS.items()
            if (found := resolve(arguments, port, empty))
        }
        measured = interleave(commands, rounds, runs)
        memory = {name: peak_memory(command) for name, command in commands.items()}
        calls = {name: system_calls(command) for name, command in commands.items()}
    yield f"### Shell probe ({rounds} interleaved rounds of {runs} runs, medians)"
    yield ""
    yield from figures(measured, memory, calls)
    yield from ratios(compare(measured, memory))
    yield from remarks(CONTENDERS, measured)
    if None in calls.values():
        yield "No strace here: no system calls counted."
    if None in memory.values():
        yield "No program named time here: no memory measured."


@contextlib.contextmanager
def empty_script() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty"
        script.write_text("#!/bin/bash -p\n", encoding="ascii")
        script.chmod(0o755)
        yield script


def resolve(arguments: Sequence[str], port: int, empty: Path) -> Command | None:
    """Return the command with the program's whole path, or None without the program."""
    url = f"http://127.0.0.1:{port}/health/application"
    words = [word.format(url=url, port=port, script=SCRIPT, empty=empty) for word in arguments]
    program = shutil.which(words[0])
    return [program, *words[1:]] if program else None


def walls(rounds: Sequence[Sequence[Run]]) -> list[float]:
    return [statistics.median(run.wall for run in several) for several in rounds]


def cpu(rounds: Sequence[Sequence[Run]]) -> float:
    """Return the mean: the kernel's own count of it goes by steps too coarse for a median."""
    return statistics.fmean(run.cpu for several in rounds for run in several)


def above_floor(measured: Mapping[str, Sequence[Sequence[Run]]], name: str) -> list[float]:
    """Return each round's median above that round's cost of starting a program at all."""
    pairs = zip(walls(measured[name]), walls(measured[FLOOR]), strict=True)
    return [wall - floor for wall, floor in pairs]


def figures(
    measured: Mapping[str, Sequence[Sequence[Run]]],
    memory: Mapping[str, float | None],
    calls: Mapping[str, Calls | None],
) -> Iterator[str]:
    return table(
        ["program", "wall ms", f"above {FLOOR}", "CPU ms", "peak KiB", "system calls", "forks"],
        (
            [
                name,
                milliseconds(statistics.median(walls(rounds))),
                milliseconds(statistics.median(above_floor(measured, name))),
                milliseconds(cpu(rounds)),
                number(memory[name]),
                *counted(calls[name]),
            ]
            for name, rounds in measured.items()
        ),
    )


def counted(calls: Calls | None) -> list[str]:
    return [number(calls.total), number(calls.forks)] if calls else [MISSING, MISSING]


def compare(
    measured: Mapping[str, Sequence[Sequence[Run]]], memory: Mapping[str, float | None]
) -> Iterator[Ratio]:
    for peer, target in WALL_TARGETS.items():
        if peer in measured:
            pairs = zip(above_floor(measured, PROBE), above_floor(measured, peer), strict=True)
            what = f"wall above {FLOOR}, {PROBE} / {peer}"
            yield Ratio(what, [ours / theirs for ours, theirs in pairs], target)
    for peer, target in MEMORY_TARGETS.items():
        if (ours := memory[PROBE]) and (theirs := memory.get(peer)):
            yield Ratio(f"peak memory, {PROBE} / {peer}", [ours / theirs], target)


def remarks(
    contenders: Mapping[str, object], measured: Mapping[str, Sequence[Sequence[Run]]]
) -> Iterator[str]:
    """Yield what makes a figure doubtful or is not there at all."""
    for name in contenders:
        if name not in measured:
            yield f"No {name} here: left out."
        elif failed := failures(measured[name]):
            yield f"{name}: {failed} runs failed."
