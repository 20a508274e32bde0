"""Verdicts: reason, word, status, and a line that fits everywhere."""

import re

import pytest

from probe import Verdict
from probe.contract.inputs import INPUTS
from probe.contract.target import InvalidInputError
from probe.contract.verdict import HINTS
from probe.contract.verdict import REASONS
from probe.scripts import script_text

VERDICTS = [
    ("200", True, "200", 200, "healthy: 200"),
    ("204", True, "204", 204, "healthy: 204"),
    ("status 500", False, "status", 500, "unhealthy: status 500"),
    ("malformed", False, "malformed", None, "unhealthy: malformed"),
    ("usage: port '0'", False, "usage", None, "unhealthy: usage: port '0'"),
    ("no /dev/tcp", False, "no", None, "unhealthy: no /dev/tcp"),
    ("bash too old", False, "bash", None, "unhealthy: bash too old"),
    ("tls", False, "tls", None, "unhealthy: tls (only probe check speaks TLS)"),
]


@pytest.mark.parametrize(("reason", "healthy", "word", "status", "line"), VERDICTS)
def test_verdict(reason: str, healthy: bool, word: str, status: int | None, line: str) -> None:  # noqa: FBT001
    verdict = Verdict(reason)

    assert verdict.healthy is healthy
    assert (verdict.word, verdict.status, verdict.line) == (word, status, line)


LONGEST = [
    *REASONS,
    *(InvalidInputError(row.name, "\xff" * 99).reason for row in INPUTS),
    InvalidInputError("server-name", "x" * 99).reason,
]


@pytest.mark.parametrize("reason", LONGEST, ids=lambda reason: reason[:20])
def test_line_fits(reason: str) -> None:
    """Up to 120 printable ASCII bytes."""
    assert re.fullmatch(r"[ -~]{1,120}", Verdict(reason).line)


def hints_of(script: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^ *(\w+)\) line\+=' \((.*)\)' ;;$", script))


def test_hints_are_the_scripts() -> None:
    """One fixed text a reason, the same in both implementations."""
    assert hints_of(script_text()) == HINTS


def reasons_of(script: str) -> set[str]:
    """Find what the script says, by the first word: in `conclude` and in `reason=`."""
    said = re.findall(r"(?:conclude|reason=|echo '?unhealthy:) ?['\"]?([a-z]+)", script)
    return set(said) - {"finish"}


def test_reasons_are_the_scripts() -> None:
    """The script has no reason that is not in the closed list, and all but the accepted code."""
    assert reasons_of(script_text()) == REASONS.keys() - {"200"}
