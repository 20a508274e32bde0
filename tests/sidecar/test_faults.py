"""The mock's whole list of faults, as the sidecar judges and remembers it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from probe import Target
from probe import Verdict
from probe.mock.faults import MODES
from probe.mock.server import Mock
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.configuration.settings import Thresholds
from probe.sidecar.polling.checking import Checker
from probe.sidecar.polling.scheduler import Scheduler
from probe.sidecar.states import State
from probe.sidecar.store import Record
from probe.sidecar.store import Store

pytestmark = pytest.mark.asyncio

INTERVAL = 0.2


@pytest.mark.parametrize("read_body", [False, True], ids=["status", "bodies"])
@pytest.mark.parametrize("mode", [name for name in MODES if name != "script"])
async def test_verdict(mode: str, read_body: bool) -> None:  # noqa: FBT001
    """Whatever the fault, the verdict is the contract's, with bodies read and without."""
    checker = Checker()
    with Mock(mode=mode) as mock:
        settings = TargetSettings("one", Target(port=mock.port, timeout=1.5), kind="sync")
        expected = mock.expected
        finding = await checker.check(replace(settings, read_body=read_body))
    checker.close()

    assert Verdict(finding.reason).line == expected
    assert finding.seconds < 1.5 + 0.5


@contextlib.asynccontextmanager
async def polling(record: Record, store: Store) -> AsyncIterator[None]:
    checker = Checker()
    scheduler = Scheduler(store, checker.start)
    task = asyncio.create_task(scheduler.run())
    try:
        yield
    finally:
        scheduler.stop()
        await asyncio.wait_for(task, 5)
        checker.close()
    assert record.last is not None


async def seconds_until(record: Record, *states: State) -> float:
    began = time.monotonic()
    while record.condition.state not in states:
        assert time.monotonic() - began < 10, record.condition
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.parametrize(
    "thresholds",
    [Thresholds(failure=1), Thresholds(failure=3, success=2), Thresholds(failure=5, success=3)],
    ids=str,
)
async def test_states_in_time(thresholds: Thresholds) -> None:
    """A state changes with the check that fills its threshold: neither before nor after."""
    with Mock(mode="healthy") as mock:
        target = Target(port=mock.port, timeout=1)
        store = Store([TargetSettings("one", target, interval=INTERVAL, thresholds=thresholds)])
        record = store.records["one"]
        async with polling(record, store):
            await seconds_until(record, State.HEALTHY)
            mock.set("unhealthy")
            down = await seconds_until(record, State.UNHEALTHY)
            assert record.condition.failures == thresholds.failure
            mock.set("healthy")
            up = await seconds_until(record, State.HEALTHY)
            assert record.condition.successes == thresholds.success

    assert (thresholds.failure - 1) * INTERVAL - 0.1 <= down <= thresholds.failure * INTERVAL + 1
    assert (thresholds.success - 1) * INTERVAL - 0.1 <= up <= thresholds.success * INTERVAL + 1


async def test_flapping() -> None:
    """By turns good and bad: no threshold of two is ever filled, and every check is counted."""
    with Mock(mode="flapping") as mock:
        target = Target(port=mock.port, timeout=1)
        store = Store([TargetSettings("one", target, interval=0.1)])
        record = store.records["one"]
        async with polling(record, store):
            await asyncio.sleep(1.5)

    assert record.condition.state in {State.HEALTHY, State.STARTING}
    assert set(record.counts) == {("healthy", "200"), ("unhealthy", "status")}
    healthy, unhealthy = record.counts["healthy", "200"], record.counts["unhealthy", "status"]
    assert abs(healthy - unhealthy) <= 1


async def test_what_the_status_code_hides() -> None:
    """200 all the time; the bodies say degraded while nothing was synced, and healthy after."""
    with Mock(mode="starting") as mock:
        target = Target(port=mock.port, timeout=1)
        one = TargetSettings("one", target, kind="sync", interval=INTERVAL, read_body=True)
        store = Store([one, replace(one, name="shallow", read_body=False)])
        record = store.records["one"]
        async with polling(record, store):
            await seconds_until(record, State.DEGRADED)
            assert record.condition.ready
            await seconds_until(store.records["shallow"], State.HEALTHY)
            mock.set("healthy")
            await seconds_until(record, State.HEALTHY)

    assert set(record.counts) == {("healthy", "200")}
