"""`probe check`, the console script, against the start of its own interpreter."""

import shutil
import statistics
import sys
from collections.abc import Iterator

from tests.bench.process import interleave
from tests.bench.server import answering
from tests.bench.shell import cpu
from tests.bench.shell import remarks
from tests.bench.shell import walls
from tests.bench.tables import Ratio
from tests.bench.tables import milliseconds
from tests.bench.tables import ratios
from tests.bench.tables import table
from tests.support.probes import PROBES

PROBE = "probe check"
FLOOR = "python -c pass"
TARGET = 2.9

# {url} and {port} stand for this run's own.
CONTENDERS = {
    FLOOR: (sys.executable, "-c", "pass"),
    PROBE: (*PROBES["reference"], "--port", "{port}"),
    "curl": ("curl", "-fsS", "-o", "/dev/null", "-m", "3", "{url}"),
}


def report(rounds: int, runs: int) -> Iterator[str]:
    """Yield the tables' lines."""
    with answering() as port:
        url = f"http://127.0.0.1:{port}/health/application"
        commands = {
            name: [program, *(word.format(url=url, port=port) for word in arguments)]
            for name, (command, *arguments) in CONTENDERS.items()
            if (program := shutil.which(command))
        }
        measured = interleave(commands, rounds, runs)
    yield f"### `probe check` ({rounds} interleaved rounds of {runs} runs, medians)"
    yield ""
    rows = {name: (statistics.median(walls(taken)), cpu(taken)) for name, taken in measured.items()}
    yield from table(
        ["program", "wall ms", "CPU ms"],
        ([name, *map(milliseconds, figures)] for name, figures in rows.items()),
    )
    if PROBE in measured:
        pairs = zip(walls(measured[PROBE]), walls(measured[FLOOR]), strict=True)
        values = [ours / floor for ours, floor in pairs]
        yield from ratios([Ratio(f"wall, {PROBE} / {FLOOR}", values, TARGET)])
    yield from remarks(CONTENDERS, measured)
