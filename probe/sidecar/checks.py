"""What one check found, and the last of them in little room. Values; no clock, no I/O."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

from probe.sidecar.states import Outcome


@dataclass(frozen=True, slots=True)
class ItemHealth:
    """A sync loop as its body tells it: UNIX time of its last attempt's start, and its age then."""

    name: str
    healthy: bool
    last_hit: float | None = None
    age: float | None = None
    stale: bool = False
    errors: int = 0


@dataclass(frozen=True, slots=True)
class DependencyHealth:
    service: str
    healthy: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What the bodies say; `reasons` are those of `judgement.REASONS`."""

    items: tuple[ItemHealth, ...] = ()
    dependencies: tuple[DependencyHealth, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def degraded(self) -> bool:
        return bool(self.reasons)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `started` is UNIX time; `seconds` it took, `late` seconds it began after its due.

    `reason` is the verdict's word, `line` the contract's line.
    """

    started: float
    seconds: float
    healthy: bool
    reason: str
    status: int | None
    line: str
    late: float = 0.0
    health: Health | None = None

    @property
    def verdict(self) -> str:
        return "healthy" if self.healthy else "unhealthy"

    @property
    def outcome(self) -> Outcome:
        if not self.healthy:
            return Outcome.FAILED
        degraded = self.health is not None and self.health.degraded
        return Outcome.DEGRADED if degraded else Outcome.PASSED


_Words = tuple[bool, str, int | None, str]
_NUMBERS = 3


@lru_cache(4096)
def _shared(words: _Words) -> _Words:
    """Return one tuple for all that are equal: reasons are few, checks are many."""
    return words


class History(Sequence[Check]):
    """The last checks, oldest first, without bodies.

    Packed, at 32 bytes a check and not 200: a thousand targets keep two hundred each.
    """

    __slots__ = ("_limit", "_numbers", "_words")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers = array("d")
        self._words: list[_Words] = []

    def add(self, check: Check) -> None:
        self._numbers.extend((check.started, check.seconds, check.late))
        self._words.append(_shared((check.healthy, check.reason, check.status, check.line)))
        if len(self._words) > self._limit:
            del self._words[0], self._numbers[:_NUMBERS]

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, index: int) -> Check: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Check]: ...
    def __getitem__(self, index: int | slice) -> Check | Sequence[Check]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        healthy, reason, status, line = self._words[number]
        started, seconds, late = self._numbers[number * _NUMBERS : (number + 1) * _NUMBERS]
        return Check(started, seconds, healthy, reason, status, line, late)
