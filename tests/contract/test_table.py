"""Six drivers over one table: same exit, same line, no noise, in time; whole, split, dripped."""

import pytest

from tests.contract.cases import CASES
from tests.contract.cases import Case
from tests.contract.cases import dripped_cases
from tests.contract.cases import split_cases
from tests.contract.drivers import DRIVERS
from tests.contract.drivers import Driver
from tests.contract.drivers import Outcome
from tests.contract.drivers import ask_all
from tests.support.components import require
from tests.support.probes import LATENESS


@pytest.fixture(scope="module", params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Driver:
    if request.param == "bash-static":
        require("bash-static")
    return DRIVERS[request.param]


@pytest.fixture(scope="module")
def outcomes(driver: Driver) -> dict[str, Outcome]:
    """The whole table asked once, several rows at a time."""
    return {outcome.case.name: outcome for outcome in ask_all(driver, CASES)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_row(outcomes: dict[str, Outcome], case: Case) -> None:
    """Every driver has the row's exit and line, says nothing else, and is not late."""
    result = outcomes[case.name].result

    assert (*result.verdict, result.stderr) == (*case.verdict, "")
    assert result.seconds <= case.timeout + LATENESS


def test_request(outcomes: dict[str, Outcome]) -> None:
    """The request is these bytes, once, whatever the answer."""
    asked = [outcome for outcome in outcomes.values() if outcome.case.reads_the_request]

    assert len(asked) > 100
    assert [outcome for outcome in asked if outcome.requests != (outcome.wanted,)] == []


def test_split(driver: Driver) -> None:
    """Where a segment ends means nothing."""
    assert [outcome for outcome in ask_all(driver, split_cases()) if not outcome.right] == []


def test_dripped(driver: Driver) -> None:
    """An answer that comes byte by byte, in time, is that answer."""
    assert [outcome for outcome in ask_all(driver, dripped_cases()) if not outcome.right] == []
