"""When each target is due: fixed cadence from a phase of its own. Pure; times are one clock's.

What was missed is skipped, never made up for: a machine that slept, or a loop that was held up,
goes on in the old rhythm and not with a burst.
"""

import heapq
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass

SPREAD = 0.01
"""Seconds for each target over which first checks are spread, up to the interval."""

TOLERANCE = 1.0
"""Seconds (or half the interval) by which a check may be late; later than that it is skipped."""

TICK = 0.02
"""Seconds to which dues are rounded up: a wake-up for several targets saves a fifth of the CPU."""


@dataclass(frozen=True, slots=True)
class Due:
    """One target whose time has come: seconds late, and how many checks were missed.

    Where `missed` is not 0 there is none to make now.
    """

    name: str
    late: float
    missed: int


@dataclass(slots=True)
class _Entry:
    interval: float
    at: float


class Agenda:
    """The targets in the order of their dues. `phase` gives numbers in [0, 1)."""

    def __init__(self, phase: Callable[[], float]) -> None:
        self._phase = phase
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, str]] = []

    def replace(self, intervals: Mapping[str, float], now: float) -> None:
        """Take these targets and intervals; who stays with the same interval keeps its rhythm."""
        spread = SPREAD * len(intervals)
        before = self._entries
        self._entries = {}
        for name, interval in intervals.items():
            old = before.get(name)
            if old is not None and old.interval == interval:
                self._entries[name] = old
            else:
                at = now + self._phase() * min(interval, spread)
                self._entries[name] = _Entry(interval, _rounded(at))
        self._heap = [(entry.at, name) for name, entry in self._entries.items()]
        heapq.heapify(self._heap)

    @property
    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> list[Due]:
        """Return who is due by now, earliest first, and give each its next time."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            at, name = self._heap[0]
            entry = self._entries[name]
            late = now - at
            passed = 1 + int(late / entry.interval)
            missed = passed if late > min(TOLERANCE, entry.interval / 2) else 0
            due.append(Due(name, late, missed))
            entry.at = at + passed * entry.interval
            heapq.heapreplace(self._heap, (entry.at, name))
        return due


def _rounded(at: float) -> float:
    return -(-at // TICK) * TICK
