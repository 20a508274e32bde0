"""The state table: total, as counted by hand, and as a naive reading of the rules has it."""

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.sidecar.configuration.settings import Thresholds
from probe.sidecar.states import HELD
from probe.sidecar.states import READY
from probe.sidecar.states import TRANSITIONS
from probe.sidecar.states import Condition
from probe.sidecar.states import Event
from probe.sidecar.states import Moment
from probe.sidecar.states import Outcome
from probe.sidecar.states import State
from probe.sidecar.states import maintain
from probe.sidecar.states import step

OUTCOMES = {"+": Outcome.PASSED, "~": Outcome.DEGRADED, "-": Outcome.FAILED}
LETTERS = {state: state[0].upper() for state in State if state is not State.UNHEALTHY} | {
    State.UNHEALTHY: "x"
}
NOW = 1_800_000_000.0


def walk(outcomes: str, thresholds: Thresholds, start: Condition = Condition()) -> list[Condition]:  # noqa: B008
    """Return the conditions after each outcome, one a second."""
    conditions = [start]
    for second, letter in enumerate(outcomes):
        moment = Moment(NOW + second, 50.0 + second)
        conditions.append(step(conditions[-1], OUTCOMES[letter], thresholds, moment))
    return conditions[1:]


def letters(conditions: list[Condition]) -> str:
    return "".join(LETTERS[condition.state] for condition in conditions)


def test_total() -> None:
    """Every state answers every event; what is held only differs where it would fall."""
    assert {state: set(row) for state, row in TRANSITIONS.items()} == {
        state: set(Event) for state in State
    }
    assert set(HELD) == READY
    assert {
        (state, event)
        for state in HELD
        for event in Event
        if HELD[state][event] is not TRANSITIONS[state][event]
    } == {(state, Event.DOWN) for state in READY}


@pytest.mark.parametrize(
    ("thresholds", "outcomes", "states"),
    [
        pytest.param(Thresholds(), "+++", "HHH", id="one success is enough by default"),
        pytest.param(Thresholds(), "---", "SSx", id="the third failure decides"),
        pytest.param(Thresholds(), "+--+--+", "HHHHHHH", id="a success ends the streak"),
        pytest.param(Thresholds(), "+---+", "HHHxH", id="down and up"),
        pytest.param(Thresholds(failure=1), "+-+-", "HxHx", id="a hair trigger follows each"),
        pytest.param(Thresholds(success=3), "+++", "SSH", id="successes count from the start"),
        pytest.param(Thresholds(success=2), "++---+-++", "SHHHxxxxH", id="both thresholds"),
        pytest.param(Thresholds(), "~+~", "DHD", id="bodies move it at once"),
        pytest.param(Thresholds(), "~---~", "DDDxD", id="degraded falls like healthy"),
        pytest.param(Thresholds(start_period=5), "-------", "SSSSSSS", id="start period"),
        pytest.param(Thresholds(start_period=5), "--------", "SSSSSSSx", id="then it counts"),
        pytest.param(Thresholds(start_period=9), "+---", "HHHx", id="once healthy, no more period"),
        pytest.param(Thresholds(start_period=9, success=2), "+---", "SSSS", id="rising is no end"),
    ],
)
def test_walk(thresholds: Thresholds, outcomes: str, states: str) -> None:
    assert letters(walk(outcomes, thresholds)) == states


def test_since() -> None:
    """`since` is when the state came, not when it was last seen."""
    sinces = [condition.since - NOW for condition in walk("++---++", Thresholds())]

    assert sinces == [0, 0, 0, 0, 4, 5, 5]


def test_streaks() -> None:
    conditions = walk("++--~", Thresholds())

    assert [(c.successes, c.failures) for c in conditions] == [
        (1, 0), (2, 0), (0, 1), (0, 2), (1, 0),
    ]  # fmt: skip


def test_maintenance_holds() -> None:
    """What was ready stays so until the end, and then falls at the next failure."""
    (ready,) = walk("+", Thresholds())
    held = walk("--------", Thresholds(), maintain(ready, NOW + 6))

    assert letters(held) == "HHHHHHxx"
    assert [condition.ready for condition in held] == [True] * 6 + [False] * 2


def test_maintenance_of_what_is_down() -> None:
    """It does not make anything ready; getting better is not held."""
    down = walk("---", Thresholds())[-1]

    assert letters(walk("--+--~", Thresholds(), maintain(down, NOW + 60))) == "xxHHHD"


def test_maintenance_ends_when_told() -> None:
    (ready,) = walk("+", Thresholds())
    ended = maintain(maintain(ready, NOW + 60), None)

    assert letters(walk("---", Thresholds(), ended)) == "HHx"


def test_wall_clock_set() -> None:
    """The start period is a span: setting the clock neither ends nor prolongs it."""
    thresholds = Thresholds(failure=1, start_period=10)
    condition = step(Condition(), Outcome.FAILED, thresholds, Moment(NOW, 100))
    ahead = step(condition, Outcome.FAILED, thresholds, Moment(NOW + 86400, 105))
    back = step(ahead, Outcome.FAILED, thresholds, Moment(NOW - 86400, 111))

    assert [ahead.state, back.state] == [State.STARTING, State.UNHEALTHY]


@dataclass(slots=True)
class Naive:
    """The rules, read from the whole past at each step."""

    thresholds: Thresholds
    state: State = State.UNKNOWN
    states: list[State] = field(default_factory=list)
    past: list[tuple[float, bool]] = field(default_factory=list)

    def add(self, at: float, outcome: Outcome, *, maintained: bool) -> State:
        began = self.past[0][0] if self.past else at
        failed = outcome is Outcome.FAILED
        ever_ready = any(state in READY for state in self.states)
        self.past.append((at, failed))
        streak = list(takewhile(lambda check: check[1] == failed, reversed(self.past)))
        if not failed and len(streak) >= self.thresholds.success:
            self.state = State.HEALTHY if outcome is Outcome.PASSED else State.DEGRADED
        elif failed and not (maintained and self.state in READY):
            period = 0.0 if ever_ready else self.thresholds.start_period
            counted = [check for check in streak if check[0] - began >= period]
            if len(counted) >= self.thresholds.failure:
                self.state = State.UNHEALTHY
        if self.state is State.UNKNOWN:
            self.state = State.STARTING
        self.states.append(self.state)
        return self.state


@settings(deadline=None)
@given(
    thresholds=st.builds(
        Thresholds, st.integers(1, 4), st.integers(1, 4), st.sampled_from([0.0, 3.0, 12.0])
    ),
    steps=st.lists(st.tuples(st.sampled_from(Outcome), st.floats(0.1, 5), st.booleans())),
)
def test_naive(thresholds: Thresholds, steps: list[tuple[Outcome, float, bool]]) -> None:
    """Streaks kept step by step say what the whole past says."""
    condition, naive, at = Condition(), Naive(thresholds), 0.0
    for outcome, pause, maintained in steps:
        at += pause
        condition = maintain(condition, NOW + at + 1 if maintained else None)
        condition = step(condition, outcome, thresholds, Moment(NOW + at, at))

        assert condition.state is naive.add(at, outcome, maintained=maintained)
        assert condition.ready == (condition.state in READY)
        assert 0 in {condition.successes, condition.failures}
        assert condition.counted <= condition.failures


def test_new_thresholds() -> None:
    """A reload's thresholds weigh the streak that is there."""
    condition = walk("+--", Thresholds(failure=9))[-1]

    after = step(condition, Outcome.FAILED, Thresholds(failure=3), Moment(NOW, 90))

    assert after.state is State.UNHEALTHY
    assert replace(after, state=State.HEALTHY, since=condition.since) == replace(
        condition, failures=3, counted=3
    )
