"""Who is due when: fixed rhythm, no drift, no burst, and no slot lost without being counted."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.sidecar.polling.agenda import SPREAD
from probe.sidecar.polling.agenda import TICK
from probe.sidecar.polling.agenda import TOLERANCE
from probe.sidecar.polling.agenda import Agenda


def phases(count: int) -> Agenda:
    """An agenda whose targets lie evenly over the spread."""
    return Agenda(itertools.cycle(number / count for number in range(count)).__next__)


def agenda_of(count: int, interval: float, now: float = 1000.0) -> Agenda:
    agenda = phases(count)
    agenda.replace({f"t{number}": interval for number in range(count)}, now)
    return agenda


def test_first_at_once() -> None:
    """One target is not kept waiting for its interval."""
    agenda = agenda_of(1, 60)

    assert agenda.next_due == pytest.approx(1000, abs=SPREAD)


def test_first_ones_are_spread() -> None:
    """A thousand first checks do not come in one moment, nor later than the interval."""
    agenda = agenda_of(1000, 5)

    per_tenth = Counter(
        round(tenth / 10, 1)
        for tenth in range(60)
        for _ in agenda.take(1000 + tenth / 10)
        if tenth <= 51
    )
    assert sum(per_tenth.values()) >= 1000
    assert max(per_tenth.values()) <= 1000 * (0.1 + TICK) / 5 + 2


def test_no_drift() -> None:
    """Late turns do not move the rhythm."""
    agenda = agenda_of(1, 10)
    first = agenda.next_due
    assert first is not None
    for number in range(50):
        (due,) = agenda.take(first + number * 10 + 0.3)
        assert due.late == pytest.approx(0.3)
        assert due.missed == 0

    assert agenda.next_due == pytest.approx(first + 500)


@pytest.mark.parametrize(("interval", "asleep"), [(1, 60), (10, 60), (10, 12), (5, 86400)])
def test_suspended(interval: int, asleep: float) -> None:
    """After a sleep there is no burst: all go on, once each, in the old rhythm."""
    agenda = agenda_of(1000, interval)
    agenda.take(1000 + interval)
    awake = 1000 + interval + asleep

    assert [due for due in agenda.take(awake) if not due.missed] == []
    per_tenth = [len(agenda.take(awake + tenth / 10)) for tenth in range(1, 10 * interval + 1)]
    assert sum(per_tenth) == pytest.approx(1000, abs=1)
    assert max(per_tenth) <= 1000 * 0.1 / interval + 20


def test_held_up_a_little() -> None:
    """What is late by less than the tolerance is still made."""
    agenda = agenda_of(100, 10)
    agenda.take(1005)

    assert {due.missed for due in agenda.take(1010 + TOLERANCE)} == {0}


def test_missed_are_counted() -> None:
    agenda = agenda_of(1, 10)
    assert agenda.next_due is not None
    first = agenda.next_due
    (due,) = agenda.take(first + 35)

    assert due.missed == 4
    assert agenda.next_due == pytest.approx(first + 40)


@given(
    interval=st.floats(0.1, 100),
    pauses=st.lists(st.floats(0.001, 300), max_size=30),
)
def test_no_slot_lost(interval: float, pauses: list[float]) -> None:
    """Every slot that passed was either taken or told as missed, exactly once."""
    agenda = agenda_of(1, interval)
    assert agenda.next_due is not None
    first, now, told = agenda.next_due, 1000.0, 0
    for pause in pauses:
        now += pause
        told += sum(due.missed or 1 for due in agenda.take(now))
        assert agenda.next_due > now

    passed = (now - first) / interval + 1 if now >= first else 0
    assert told == pytest.approx(passed, abs=1)
    assert agenda.next_due == pytest.approx(first + told * interval)


def test_reload_keeps_the_rhythm() -> None:
    """Who stays is neither checked again at once nor later; who is new, or changed, begins."""
    agenda = agenda_of(2, 10)
    agenda.take(1001)
    before = dict.fromkeys(["t0", "t1"], 10.0)
    for _ in range(50):
        agenda.replace(before, 1002)

    assert agenda.take(1009.9) == []
    agenda.replace({"t0": 10.0, "t2": 5.0}, 1009.9)
    assert [due.name for due in agenda.take(1009.95)] == ["t2"]
    assert [due.name for due in agenda.take(1010.05)] == ["t0"]


def test_ticks() -> None:
    """Dues lie on ticks, so that one turn serves several targets."""
    agenda = agenda_of(1000, 1)
    turns = set()
    while (due := agenda.next_due) is not None and due < 1002:
        turns.add(round(due / TICK, 3))
        agenda.take(due)

    assert len(turns) <= 2 / TICK + 1


def test_nobody() -> None:
    agenda = Agenda(lambda: 0.5)

    assert (agenda.next_due, agenda.take(1e9)) == (None, [])
