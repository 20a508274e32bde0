"""What is remembered of a target, how much of it, and what a reload keeps."""

from dataclasses import replace

import pytest

from probe import Target
from probe.contract.target import TLS
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.configuration.settings import Thresholds
from probe.sidecar.states import Moment
from probe.sidecar.states import State
from probe.sidecar.store import BUCKETS
from probe.sidecar.store import KEPT
from probe.sidecar.store import Check
from probe.sidecar.store import Health
from probe.sidecar.store import Record
from probe.sidecar.store import Store

ONE = TargetSettings("one", Target(port=3010, timeout=3), interval=10)


def checked(*, healthy: bool = True, seconds: float = 0.004, health: Health | None = None) -> Check:
    word = "200" if healthy else "timeout"
    line = f"healthy: {word}" if healthy else f"unhealthy: {word}"
    return Check(1e9, seconds, healthy, word, None, line, health=health)


def add(record: Record, check: Check, monotonic: float = 50.0) -> bool:
    return record.add(check, Moment(1e9, monotonic))


def test_bounds() -> None:
    """A month of checks takes no more room than the last hundred; failures outlive successes."""
    record = Record(ONE)
    for _ in range(30):
        add(record, checked(healthy=False))
    for _ in range(1000):
        add(record, checked())

    assert (len(record.history), len(record.failures)) == (KEPT, 30)
    assert record.counts == {("healthy", "200"): 1000, ("unhealthy", "timeout"): 30}
    assert sum(record.buckets) == 1030
    assert record.seconds_sum == pytest.approx(1030 * 0.004)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (10.0, len(BUCKETS) - 1), (10.1, len(BUCKETS))],
)
def test_buckets(seconds: float, bucket: int) -> None:
    """A bound belongs to its own bucket (`le`)."""
    record = Record(ONE)
    add(record, checked(seconds=seconds))

    assert record.buckets.index(1) == bucket


def test_history_is_a_sequence() -> None:
    """Packed and unpacked, a check is the same."""
    record = Record(ONE)
    checks = [replace(checked(seconds=number / 7), late=number / 3) for number in range(KEPT + 20)]
    for check in checks:
        add(record, check)

    assert list(record.history) == checks[20:]
    assert record.history[-1] == checks[-1]
    assert list(record.history[-3:]) == checks[-3:]
    with pytest.raises(IndexError):
        record.history[KEPT]


def test_changes_are_told() -> None:
    record = Record(replace(ONE, thresholds=Thresholds(failure=2)))

    changes = [add(record, checked(healthy=h)) for h in (True, True, False, False, False)]
    assert changes == [True, False, False, True, False]


def test_bodies_are_kept_once() -> None:
    """The last check has its bodies; a hundred old ones would be megabytes."""
    record = Record(ONE)
    health = Health(reasons=("stale",))
    add(record, checked(health=health))

    assert record.condition.state is State.DEGRADED
    assert record.last is not None
    assert record.last.health is health
    assert record.history[-1].health is None


def test_fresh() -> None:
    """A verdict that is older than two intervals and a timeout says nothing any more."""
    record = Record(ONE)
    assert not record.fresh(50)
    add(record, checked(), monotonic=50)

    assert [record.ready(50 + age) for age in (0, 23, 23.1)] == [True, True, False]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        pytest.param(ONE, True, id="the same"),
        pytest.param(replace(ONE, interval=60), True, id="interval"),
        pytest.param(replace(ONE, thresholds=Thresholds(9, 9)), True, id="thresholds"),
        pytest.param(replace(ONE, labels={"team": "a"}), True, id="labels"),
        pytest.param(replace(ONE, target=Target(port=3010, timeout=1)), True, id="timeout"),
        pytest.param(replace(ONE, target=Target(port=3011, timeout=3)), False, id="port"),
        pytest.param(replace(ONE, target=Target(path="/other")), False, id="path"),
        pytest.param(replace(ONE, target=Target(tls=TLS())), False, id="TLS"),
        pytest.param(replace(ONE, name="two"), False, id="name"),
    ],
)
def test_reload(settings: TargetSettings, kept: bool) -> None:  # noqa: FBT001
    """What is known of a target goes on while the same thing is asked."""
    store = Store([ONE])
    record = store.records["one"]
    add(record, checked())
    store.replace([settings])

    (after,) = store.records.values()
    assert (after is record) == kept
    assert after.settings is settings


def test_maintenance() -> None:
    store = Store([ONE])
    store.maintenance("one", 2e9)
    assert store.records["one"].condition.maintenance_until == 2e9
    with pytest.raises(KeyError):
        store.maintenance("two", 2e9)
