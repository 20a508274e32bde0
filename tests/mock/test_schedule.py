"""Schedules: what can be written, what is wrong with it, and when it happens."""

import asyncio
import time

import pytest

from probe.mock.faults import MODES
from probe.mock.faults import SCRIPT
from probe.mock.schedule import Entry
from probe.mock.schedule import Schedule
from probe.mock.schedule import ScheduleError
from probe.mock.schedule import follow
from probe.mock.schedule import read_schedule
from probe.mock.server import Mock

HEALTHY, HANG = MODES["healthy"], MODES["hang"]

GOOD = [
    pytest.param(
        "- at: 0s\n  mode: healthy\n- at: 10s\n  mode: hang\n",
        Schedule((Entry(0, HEALTHY), Entry(10, HANG))),
        id="list",
    ),
    pytest.param(
        "repeat: 1m\nschedule:\n- {at: 500ms, mode: hang}\n",
        Schedule((Entry(0.5, HANG),), 60),
        id="repeat",
    ),
    pytest.param(
        "- {at: 0, backend: 500}\n- {at: 1.5, redis: refused, backend: ok}\n",
        Schedule((Entry(0, backend="500"), Entry(1.5, backend="ok", redis="refused"))),
        id="conditions",
    ),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_read(text: str, expected: Schedule) -> None:
    assert read_schedule(text) == expected


def test_script() -> None:
    (entry,) = read_schedule("- {at: 1h, mode: script, script: [[close]]}").entries
    assert entry.at == 3600
    assert entry.mode is not None
    assert entry.mode.name == SCRIPT.name


BAD = [
    pytest.param("", ["a schedule is a list of entries: `- at: 10s`, `  mode: hang`"], id="empty"),
    pytest.param("a: [", ["line 1: "], id="not YAML"),
    pytest.param(
        "- at: 0s", ["[0]: nothing to change: mode, script, backend, redis"], id="nothing"
    ),
    pytest.param(
        "- {at: soon, mode: hanging, backend: down, colour: red}\n- 3\n",
        [
            "[0].colour: unknown: at, mode, script, backend, redis",
            "[0].backend: 'down' is none of ok, 500, refused, hang",
            "[0].at: 'soon' is no time: 500ms, 10s, 1.5m, 1h",
            "[0].mode: 'hanging' is no mode: healthy, ",
            "[1]: 3 is not an entry with at, mode, script, backend, redis",
        ],
        id="all at once",
    ),
    pytest.param(
        "- {at: 2s, mode: hang}\n- {at: 1s, mode: hang}", ["[1].at: 1s is before 2s"], id="order"
    ),
    pytest.param(
        "repeat: 1s\nschedule: [{at: 1s, mode: hang}]",
        ["repeat: 1s is not after the last entry, 1s"],
        id="repeat too early",
    ),
    pytest.param(
        "- {at: 1s, mode: script, script: [[sing]]}",
        ["[0].script[0]: ['sing'] is no step: "],
        id="steps",
    ),
    pytest.param(
        "- {at: 1s, redis: ok, script: []}", ["[0].script: belongs to mode: script"], id="lone"
    ),
    pytest.param(
        "times: 3\nschedule: [{at: 1s, mode: hang}]", ["times: unknown: schedule, repeat"], id="key"
    ),
]


@pytest.mark.parametrize(("text", "faults"), BAD)
def test_every_fault_with_its_place(text: str, faults: list[str]) -> None:
    with pytest.raises(ScheduleError) as caught:
        read_schedule(text)
    found = caught.value.faults
    assert len(found) == len(faults)
    assert all(fault.startswith(start) for fault, start in zip(found, faults, strict=True))


class Time:
    """A clock that only sleeping moves; after a while it wakes nobody."""

    def __init__(self, end: float) -> None:
        self.now = 100.0
        self.end = 100.0 + end

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self.end:
            raise asyncio.CancelledError


def test_follow_repeats() -> None:
    clock = Time(end=15)
    made: list[tuple[float, Entry]] = []

    async def change(entry: Entry) -> None:
        made.append((clock.now - 100, entry))

    schedule = Schedule((Entry(0, HEALTHY), Entry(4, HANG)), repeat=10)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follow(schedule, change, lambda: clock.now, clock.sleep))
    assert [at for at, _ in made] == [0, 4, 10, 14]


def test_the_mock_follows_its_schedule() -> None:
    schedule = read_schedule("- {at: 0s, mode: hang}\n- {at: 100ms, mode: refuse}")
    deadline = time.monotonic() + 5
    with Mock(mode="healthy", schedule=schedule) as mock:
        while not mock.expected.startswith("unhealthy: refused"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
