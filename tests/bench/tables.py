"""Figures as Markdown."""

import statistics
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass

MISSING = "-"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure against a peer's, one for each round, and the most it should be."""

    what: str
    values: Sequence[float]
    target: float


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table's lines; all columns but the first are numbers."""
    yield _line(head)
    yield _line(["---", *["---:"] * (len(head) - 1)])
    yield from map(_line, rows)
    yield ""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def ratios(found: Iterable[Ratio]) -> Iterator[str]:
    rows = [
        [
            ratio.what,
            f"{statistics.median(ratio.values):.2f}",
            f"{min(ratio.values):.2f}-{max(ratio.values):.2f}",
            f"<= {ratio.target:.2f}",
        ]
        for ratio in found
    ]
    if rows:
        yield from table(["ratio", "median", "rounds", "target"], rows)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.0f}"


def number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0f}"
