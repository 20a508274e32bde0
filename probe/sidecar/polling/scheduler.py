"""Polls the targets: one timer, one check of a target at a time, so many in flight and no more.

What is not checked is counted: `overlap` (the target's last check still runs), `concurrency` (too
many run), `late` (its time or its deadline passed while we were held up), `descriptors` (none are
left to the process).
"""

import asyncio
import random
import time
from collections.abc import Callable
from functools import lru_cache
from functools import partial

from probe.client.blocking import Clock
from probe.contract.verdict import Verdict
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.polling.agenda import TOLERANCE
from probe.sidecar.polling.agenda import Agenda
from probe.sidecar.polling.agenda import Due
from probe.sidecar.polling.checking import Done
from probe.sidecar.polling.checking import Finding
from probe.sidecar.polling.checking import Running
from probe.sidecar.process import room_for_checks
from probe.sidecar.states import Condition
from probe.sidecar.states import Moment
from probe.sidecar.store import Check
from probe.sidecar.store import Record
from probe.sidecar.store import Store

HEARTBEAT = 1.0
"""Seconds after which the loop turns though nothing is due, so that `turned` tells of the loop."""

STALLED = 10.0
"""Seconds without a turn after which the polling counts as stopped."""

Start = Callable[[TargetSettings, Done], Running]
OnChange = Callable[[Record, Condition], None]
"""Told a record whose state changed, and its condition before."""


def _ignore(_record: Record, _before: Condition) -> None:
    pass


class Scheduler:
    """Polls what `store` holds. `check` begins one check, as `checking.Checker.start` does.

    `lag` is how late the last turn was, in seconds; `turned` is the clock's time of it.
    """

    def __init__(  # noqa: PLR0913 # what a test replaces is an argument
        self,
        store: Store,
        check: Start,
        *,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        on_change: OnChange = _ignore,
        max_concurrency: int = 512,
        room: Callable[[], int] = room_for_checks,
        phase: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._check = check
        self._clock = clock
        self._wall = wall
        self._on_change = on_change
        self._room = room
        self._limit = min(max_concurrency, room())
        self._agenda = Agenda(phase)
        self._running: dict[int, tuple[Record, Running | None]] = {}
        self._suspects: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped: asyncio.Event | None = None
        self.lag = 0.0
        self.turned = clock()

    @property
    def in_flight(self) -> int:
        return len(self._running)

    def alive(self) -> bool:
        """Tell whether the polling turns. Says nothing of any target."""
        return self._clock() - self.turned <= STALLED

    async def run(self) -> None:
        """Poll until `stop`. What is in flight then is closed, unheard."""
        self._stopped = asyncio.Event()
        self._reschedule()
        try:
            self._turn(self._clock())
            await self._stopped.wait()
        finally:
            self._end()

    def stop(self) -> None:
        if self._stopped is not None:
            self._stopped.set()

    def apply(self, settings: Settings) -> None:
        """Take new settings; targets that stay go on in their rhythm, with what is known."""
        self._store.replace(settings.targets)
        self._limit = min(settings.max_concurrency, self._room())
        if self._stopped is not None:
            self._reschedule()
            self._arm()

    def maintenance(self, name: str, until: float | None) -> None:
        """Put a target into maintenance until that UNIX time, or end it. Raises KeyError."""
        self._store.maintenance(name, until)

    def _reschedule(self) -> None:
        intervals = {name: row.settings.interval for name, row in self._store.records.items()}
        self._agenda.replace(intervals, self._clock())

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        due = self._agenda.next_due
        at = now + HEARTBEAT if due is None else min(due, now + HEARTBEAT)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, at - now), self._turn, at)

    def _turn(self, expected: float) -> None:
        now = self.turned = self._clock()
        self.lag = max(0.0, now - expected)
        try:
            for due in self._agenda.take(now):
                self._serve(due)
        finally:
            self._arm()

    def _serve(self, due: Due) -> None:
        record = self._store.records[due.name]
        if due.missed:
            record.skip("late", due.missed)
        elif (reason := self._obstacle(record)) is not None:
            record.skip(reason)
        else:
            self._start(record, due.late)

    def _obstacle(self, record: Record) -> str | None:
        if id(record) in self._running:
            return "overlap"
        # Targets that hang may take half of the places, so that they cannot starve the others.
        suspect = _hung(record) and len(self._suspects) >= max(1, self._limit // 2)
        return "concurrency" if suspect or len(self._running) >= self._limit else None

    def _start(self, record: Record, late: float) -> None:
        key = id(record)
        self._running[key] = record, None
        if _hung(record):
            self._suspects.add(key)
        done = partial(self._done, record, self._wall(), late)
        try:
            running = self._check(record.settings, done)
        except Exception:  # noqa: BLE001 # a fault of ours in one target's check stops no other
            done(Finding("internal", 0.0))
            return
        if key in self._running:  # it may be over already
            self._running[key] = record, running

    def _done(self, record: Record, started: float, late: float, finding: Finding) -> None:
        key = id(record)
        if self._running.pop(key, None) is None:  # stopped meanwhile
            return
        self._suspects.discard(key)
        skipped = finding.skipped or _held_up(record, finding)
        if skipped is not None:
            record.skip(skipped)
            return
        before = record.condition
        word, status, line = _told(finding.reason)
        check = Check(
            started=started,
            seconds=finding.seconds,
            healthy=finding.reason.isdigit(),
            reason=word,
            status=status,
            line=line,
            late=late,
            health=finding.health,
        )
        if record.add(check, Moment(self._wall(), self._clock())):
            self._on_change(record, before)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for _, running in self._running.values():
            if running is not None:
                running.cancel()
        self._running.clear()
        self._suspects.clear()


def _held_up(record: Record, finding: Finding) -> str | None:
    """Tell a check that lasted far beyond its deadline: we slept, and it says nothing."""
    return "late" if finding.seconds > record.settings.target.timeout + TOLERANCE else None


def _hung(record: Record) -> bool:
    return record.last is not None and record.last.reason == "timeout"


@lru_cache(2048)
def _told(reason: str) -> tuple[str, int | None, str]:
    verdict = Verdict(reason)
    return verdict.word, verdict.status, verdict.line
