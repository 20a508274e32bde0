"""The polling: cadence, limits and counts with checks that are played, and a thousand real ones."""

import asyncio
import contextlib
import socket
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

import pytest

from probe import Target
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.configuration.settings import Thresholds
from probe.sidecar.polling.checking import Checker
from probe.sidecar.polling.checking import Done
from probe.sidecar.polling.checking import Finding
from probe.sidecar.polling.scheduler import STALLED
from probe.sidecar.polling.scheduler import Scheduler
from probe.sidecar.states import State
from probe.sidecar.store import Record
from probe.sidecar.store import Store
from tests.bench.server import answering
from tests.support.servers import bound
from tests.support.servers import port_of

pytestmark = pytest.mark.asyncio


@dataclass
class Checks:
    """Checks that are over at once, or not before they are told; and all that were begun."""

    reason: str | None = "200"
    skipped: str | None = None
    seconds: float = 0.001
    begun: list[str] = field(default_factory=list)
    waiting: list[Done] = field(default_factory=list)
    cancelled: int = 0

    def start(self, settings: TargetSettings, done: Done) -> "Checks":
        self.begun.append(settings.name)
        if self.reason is None:
            self.waiting.append(done)
        else:
            done(Finding(self.reason, self.seconds, skipped=self.skipped))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def end(self, reason: str) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(Finding(reason, 0.001))


@dataclass
class Clock:
    """The machine's clock, and what it was set by since."""

    read: Callable[[], float]
    offset: float = 0.0

    def __call__(self) -> float:
        return self.read() + self.offset


def targets(count: int, interval: float = 0.1) -> tuple[TargetSettings, ...]:
    return tuple(
        TargetSettings(f"t{number}", Target(timeout=0.05), interval=interval)
        for number in range(count)
    )


@contextlib.asynccontextmanager
async def running(scheduler: Scheduler) -> AsyncIterator[None]:
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        scheduler.stop()
        await asyncio.wait_for(task, 5)


def made(record: Record) -> int:
    return sum(record.counts.values())


async def test_cadence() -> None:
    """A target is checked once an interval, and none is left out."""
    store, checks = Store(targets(5)), Checks()
    async with running(Scheduler(store, checks.start)):
        await asyncio.sleep(1.05)

    counts = Counter(checks.begun)
    assert len(counts) == 5
    assert all(8 <= count <= 12 for count in counts.values())
    assert {name: made(record) for name, record in store.records.items()} == counts


async def test_no_overlap() -> None:
    """While a check runs there is no second one; what is left out is counted."""
    store, checks = Store(targets(1)), Checks(reason=None)
    scheduler = Scheduler(store, checks.start)
    async with running(scheduler):
        await asyncio.sleep(0.55)
        assert scheduler.in_flight == 1
        checks.end("200")
        await asyncio.sleep(0.15)
        assert len(checks.begun) == 2

    assert 3 <= store.records["t0"].skipped["overlap"] <= 6


async def test_concurrency() -> None:
    """So many at once and no more: who finds no place is counted."""
    store, checks = Store(targets(10)), Checks(reason=None)
    scheduler = Scheduler(store, checks.start, max_concurrency=3)
    async with running(scheduler):
        await asyncio.sleep(0.3)
        assert scheduler.in_flight == 3

    skipped = Counter[str]()
    for record in store.records.values():
        skipped.update(record.skipped)
    assert skipped["concurrency"] >= 7


async def test_hanging_ones_leave_room() -> None:
    """Targets that hang take half of the places; the others go on."""
    store, checks = Store(targets(20)), Checks(reason="timeout")
    scheduler = Scheduler(store, checks.start, max_concurrency=8)
    async with running(scheduler):
        await asyncio.sleep(0.3)
        checks.reason = None
        await asyncio.sleep(0.3)
        assert scheduler.in_flight == 4


async def test_stop_closes() -> None:
    """What is in flight at the end is closed, and not waited for."""
    checks = Checks(reason=None)
    scheduler = Scheduler(Store(targets(3)), checks.start)
    async with running(scheduler):
        await asyncio.sleep(0.2)

    assert (checks.cancelled, scheduler.in_flight) == (3, 0)


async def test_late_answers_are_dropped() -> None:
    """A check that ends after the scheduler has stopped harms nobody."""
    checks = Checks(reason=None)
    async with running(Scheduler(Store(targets(3)), checks.start)):
        await asyncio.sleep(0.2)
    checks.end("200")


async def test_suspended() -> None:
    """After a minute's sleep there is no burst, what was missed is counted, and it goes on."""
    store, checks, clock = Store(targets(100, 0.5)), Checks(), Clock(time.monotonic)
    scheduler = Scheduler(store, checks.start, clock=clock)
    async with running(scheduler):
        await asyncio.sleep(0.7)
        before = len(checks.begun)
        clock.offset += 60
        await asyncio.sleep(0.05)
        assert len(checks.begun) - before <= 25
        assert max(scheduler.lag, 0) >= 0
        await asyncio.sleep(0.6)
        after = len(checks.begun) - before

    assert 80 <= after <= 150
    missed = sum(record.skipped.get("late", 0) for record in store.records.values())
    assert missed == pytest.approx(100 * 60 / 0.5, rel=0.02)


@pytest.mark.parametrize("offset", [-3600.0, 86400.0], ids=["back", "ahead"])
async def test_wall_clock_set(offset: float) -> None:
    """Setting the clock changes neither the rhythm nor who is fresh and ready."""
    store, checks, wall = Store(targets(4)), Checks(), Clock(time.time)
    async with running(Scheduler(store, checks.start, wall=wall)):
        await asyncio.sleep(0.3)
        wall.offset = offset
        before = len(checks.begun)
        assert all(record.ready(time.monotonic()) for record in store.records.values())
        await asyncio.sleep(0.5)

    assert 12 <= len(checks.begun) - before <= 28
    assert not any(record.skipped for record in store.records.values())
    last = store.records["t0"].last
    assert last is not None
    assert last.started == pytest.approx(time.time() + offset, abs=5)


async def test_changes_are_told() -> None:
    """Each change of state is told once, with what was before."""
    told: list[tuple[str, State, State]] = []
    (one,) = targets(1)
    checks = Checks()
    scheduler = Scheduler(
        Store([one]),
        checks.start,
        on_change=lambda record, before: told.append(
            (record.settings.name, before.state, record.condition.state)
        ),
    )
    async with running(scheduler):
        await asyncio.sleep(0.25)
        checks.reason = "status 500"
        await asyncio.sleep(0.5)

    assert told == [("t0", State.UNKNOWN, State.HEALTHY), ("t0", State.HEALTHY, State.UNHEALTHY)]


async def test_apply() -> None:
    """New settings hold at once: who stays keeps what is known, who went is asked no more."""
    store, checks = Store(targets(2)), Checks()
    scheduler = Scheduler(store, checks.start)
    async with running(scheduler):
        await asyncio.sleep(0.25)
        record = store.records["t0"]
        new = TargetSettings("new", Target(port=3011), interval=0.1)
        scheduler.apply(Settings(targets=(targets(1)[0], new)))
        checks.begun.clear()
        await asyncio.sleep(0.35)

    assert store.records["t0"] is record
    assert set(checks.begun) == {"t0", "new"}


async def test_reload_while_checking() -> None:
    """A check of a target that is gone meanwhile ends quietly, and its place is free again."""
    store, checks = Store(targets(2)), Checks(reason=None)
    scheduler = Scheduler(store, checks.start)
    async with running(scheduler):
        await asyncio.sleep(0.2)
        scheduler.apply(Settings(targets=()))
        checks.end("200")
        assert scheduler.in_flight == 0
        assert store.records == {}


async def test_reload_storm() -> None:
    """Reloads without end starve no check."""
    store, checks = Store(targets(5)), Checks()
    scheduler = Scheduler(store, checks.start)
    async with running(scheduler):
        for _ in range(100):
            scheduler.apply(Settings(targets=targets(5)))
            await asyncio.sleep(0.01)

    assert min(Counter(checks.begun).values()) >= 7


async def test_maintenance() -> None:
    """What was ready stays so while it is maintained, though its checks fail and say so."""
    one = TargetSettings("t0", Target(), interval=0.1, thresholds=Thresholds(failure=1))
    store, checks = Store([one]), Checks()
    scheduler = Scheduler(store, checks.start)
    async with running(scheduler):
        await asyncio.sleep(0.15)
        scheduler.maintenance("t0", time.time() + 60)
        checks.reason = "refused"
        await asyncio.sleep(0.25)
        record = store.records["t0"]
        assert record.condition.ready
        assert record.last is not None
        assert not record.last.healthy
        scheduler.maintenance("t0", None)
        await asyncio.sleep(0.25)
        assert not record.condition.ready


async def test_no_verdict_without_a_check() -> None:
    """That no descriptor was left is counted, and changes no state."""
    store, checks = Store(targets(1)), Checks(skipped="descriptors")
    async with running(Scheduler(store, checks.start)):
        await asyncio.sleep(0.25)

    record = store.records["t0"]
    assert record.condition.state is State.UNKNOWN
    assert record.skipped["descriptors"] == len(checks.begun) >= 2


async def test_slept_through() -> None:
    """A check that was in flight while we slept says nothing of the target."""
    store, checks = Store(targets(1)), Checks(reason="timeout", seconds=60.0)
    async with running(Scheduler(store, checks.start)):
        await asyncio.sleep(0.25)

    record = store.records["t0"]
    assert (record.last, record.condition.state) == (None, State.UNKNOWN)
    assert record.skipped["late"] == len(checks.begun)


async def test_alive() -> None:
    """The loop's own health follows from its turns, with no target at all."""
    clock = Clock(time.monotonic)
    scheduler = Scheduler(Store(), Checks().start, clock=clock)
    async with running(scheduler):
        await asyncio.sleep(0)
        assert scheduler.alive()
        clock.offset = STALLED + 1
        assert not scheduler.alive()
        await asyncio.sleep(1.2)
        assert scheduler.alive()


async def test_a_check_that_raises() -> None:
    """A fault of ours in one target's check stops no other."""

    def start(settings: TargetSettings, done: Done) -> Checks:
        if settings.name == "t0":
            raise ZeroDivisionError
        return checks.start(settings, done)

    store, checks = Store(targets(2)), Checks()
    scheduler = Scheduler(store, start)
    async with running(scheduler):
        await asyncio.sleep(0.35)

    assert set(checks.begun) == {"t1"}
    assert set(store.records["t0"].counts) == {("unhealthy", "internal")}
    assert scheduler.in_flight == 0


@contextlib.contextmanager
def hanging() -> Iterator[int]:
    with bound() as listener:
        listener.listen(4096)
        yield port_of(listener)


async def test_thousand_of_which_300_hang() -> None:
    """The 700 others are checked each second, in time; nothing is lost without being counted."""
    with answering() as port, hanging() as mute:
        store = Store(
            TargetSettings(
                f"t{number}",
                Target(port=mute if number % 10 < 3 else port, timeout=2.0),
                interval=1.0,
            )
            for number in range(1000)
        )
        checker = Checker()
        async with running(Scheduler(store, checker.start)):
            await asyncio.sleep(5.5)
        checker.close()

    sound = [r for r in store.records.values() if r.settings.target.port == port]
    hung = [r for r in store.records.values() if r.settings.target.port == mute]
    assert {key for record in sound for key in record.counts} == {("healthy", "200")}
    assert {key for record in hung for key in record.counts} == {("unhealthy", "timeout")}
    assert all(made(record) + sum(record.skipped.values()) >= 5 for record in sound)
    assert statistics.mean(made(record) for record in sound) >= 4.8
    assert all(made(r) + sum(r.skipped.values()) + 1 >= 5 for r in hung)
    assert {reason for record in hung for reason in record.skipped} <= {"overlap", "concurrency"}
    late = sorted(check.late for record in sound for check in record.history)
    assert late[int(len(late) * 0.99)] < 0.25


async def test_real_checks_survive_the_descriptor_limit() -> None:
    """Descriptors of checks are given back: as many are open after a second as before."""
    with answering() as port, socket.socket() as first:
        store = Store(
            TargetSettings(f"t{number}", Target(port=port), interval=0.1) for number in range(50)
        )
        checker = Checker()
        async with running(Scheduler(store, checker.start)):
            await asyncio.sleep(1)
        checker.close()
        with socket.socket() as last:
            assert last.fileno() <= first.fileno() + 2
