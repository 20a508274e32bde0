"""Findings as text, JSON and SARIF."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.findings import Finding
from probe.findings import Severity
from probe.findings import has_error
from probe.findings import ordered
from probe.findings import to_json
from probe.findings import to_sarif
from probe.findings import to_text

ERROR = Finding("ELF001", Severity.ERROR, "/bin/x", "needs libz.so.1", "add it")
WARNING = Finding("CFG002", Severity.WARNING, "", "no health check")
NOTE = Finding("SIZE01", Severity.INFO, "/a", "large")
ODD = Finding("X", Severity.ERROR, "/a\udc80\x1b[31m b:c", "line\nbreak \ud800", "\r")

ANY = st.text(st.characters())
FINDINGS = st.lists(
    st.builds(Finding, ANY, st.sampled_from(Severity), ANY, ANY, ANY, ANY), max_size=5
)


def test_text() -> None:
    """The gravest first, the fix below, a count at the end."""
    assert to_text([NOTE, WARNING, ERROR]) == (
        "error: /bin/x: needs libz.so.1 [ELF001]\n"
        "    fix: add it\n"
        "warning: no health check [CFG002]\n"
        "info: /a: large [SIZE01]\n"
        "1 error, 1 warning, 1 note\n"
    )


def test_why_it_matters() -> None:
    """A line of its own above the fix, not for a note; elsewhere it goes with the message."""
    found = replace(ERROR, why="It does not start.")
    assert "\n    why: It does not start.\n    fix: add it\n" in to_text([found])
    assert "why" not in to_text([replace(NOTE, why="So it is.")])
    message = "needs libz.so.1. It does not start."
    assert json.loads(to_json([found]))["findings"][0]["message"] == message
    assert message in to_sarif([found], "1")


@pytest.mark.parametrize(
    ("findings", "last"),
    [
        pytest.param([], "nothing found", id="none"),
        pytest.param([ERROR, ERROR], "2 errors", id="several"),
        pytest.param([NOTE], "1 note", id="one"),
    ],
)
def test_text_counts(findings: list[Finding], last: str) -> None:
    assert to_text(findings).splitlines()[-1] == last


def test_json() -> None:
    """The shape that every command with findings gives."""
    assert json.loads(to_json([ERROR])) == {
        "schema": 1,
        "findings": [
            {
                "code": "ELF001",
                "severity": "error",
                "path": "/bin/x",
                "message": "needs libz.so.1",
                "fix": "add it",
            }
        ],
    }


def test_sarif() -> None:
    """Rules are listed once, results point at them; a finding about no file has no location."""
    run = json.loads(to_sarif([ERROR, WARNING, NOTE, ERROR], "1.2", {"ELF001": "it lacks one"}))[
        "runs"
    ][0]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("probe", "1.2")
    assert driver["rules"] == [
        {"id": "CFG002"},
        {"id": "ELF001", "shortDescription": {"text": "it lacks one"}},
        {"id": "SIZE01"},
    ]
    assert [driver["rules"][one["ruleIndex"]]["id"] for one in run["results"]] == [
        one["ruleId"] for one in run["results"]
    ]
    assert [one["level"] for one in run["results"]] == ["error", "error", "warning", "note"]
    assert [len(one.get("locations", [])) for one in run["results"]] == [1, 1, 0, 1]
    assert run["results"][0]["message"]["text"] == "needs libz.so.1\nfix: add it"


def test_sarif_uri() -> None:
    """A path becomes a relative reference, its bytes kept."""
    result = json.loads(to_sarif([ODD], "1"))["runs"][0]["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%80%1B%5B31m%20b%3Ac"


def test_text_has_nothing_for_a_terminal_to_obey() -> None:
    assert to_text([ODD]) == (
        "error: /a\\x80\\x1b[31m b:c: line\\nbreak \\ud800 [X]\n    fix: \\r\n1 error\n"
    )


@pytest.mark.parametrize(
    ("findings", "expected"),
    [([], False), ([WARNING, NOTE], False), ([NOTE, ERROR], True)],
    ids=["none", "warnings", "error"],
)
def test_has_error(findings: list[Finding], expected: bool) -> None:  # noqa: FBT001 - a case
    assert has_error(findings) is expected


@given(FINDINGS)
def test_any_finding_can_be_written(findings: list[Finding]) -> None:
    """Whatever was found, the text can be encoded, has one line each, and does not depend on order.

    And JSON is read back with every finding in it.
    """
    text = to_text(findings)
    text.encode()
    whys = sum(bool(one.why) for one in findings if one.severity is not Severity.INFO)
    assert len(text.split("\n")) == 2 + whys + sum(1 + bool(one.fix) for one in findings)
    assert text == to_text(reversed(findings))
    to_sarif(findings, "1").encode()
    assert len(json.loads(to_json(findings).encode())["findings"]) == len(ordered(findings))
