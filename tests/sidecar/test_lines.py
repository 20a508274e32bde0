"""Log lines: one line each, whatever a name holds; EMF as CloudWatch documents it."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import Target
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.lines import emf_line
from probe.sidecar.lines import event_line
from probe.sidecar.lines import state_line
from probe.sidecar.states import Moment
from probe.sidecar.states import State
from probe.sidecar.store import Check
from probe.sidecar.store import Health
from probe.sidecar.store import Record

NOW = 1_800_000_000.125
DOWN = Check(NOW, 3.0, False, "timeout", None, "unhealthy: timeout")  # noqa: FBT003
UP = Check(NOW, 0.0123456789, True, "200", 200, "healthy: 200")  # noqa: FBT003


def record(*checks: Check, name: str = "flags") -> Record:
    made = Record(TargetSettings(name, Target()))
    for check in checks:
        made.add(check, Moment(NOW, 5.0))
    return made


def test_state_json() -> None:
    fallen = record(UP, DOWN, DOWN)
    before = fallen.condition
    fallen.add(DOWN, Moment(NOW, 5.0))

    assert json.loads(state_line(fallen, before, "json")) == {
        "time": "2027-01-15T08:00:00.125Z",
        "level": "error",
        "event": "state",
        "target": "flags",
        "state": "unhealthy",
        "before": "healthy",
        "verdict": "unhealthy: timeout",
        "reason": "timeout",
        "seconds": 3.0,
        "failures": 3,
        "successes": 0,
    }


def test_state_logfmt() -> None:
    degraded = record(replace(UP, health=Health(reasons=("stale", "storage"))))

    assert state_line(degraded, Record(degraded.settings).condition, "logfmt") == (
        "time=2027-01-15T08:00:00.125Z level=warning event=state target=flags state=degraded"
        ' before=unknown verdict="healthy: 200" reason=200 degraded=stale,storage'
        " seconds=0.012346 failures=0 successes=1"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b", '"a b"'),
        ("", '""'),
        ('"', '"\\""'),
        ("a=b", '"a=b"'),
        ("x\ny", '"x\\ny"'),
        (True, "true"),
    ],
)
def test_logfmt_values(value: object, shown: str) -> None:
    line = event_line("info", "x", NOW, "logfmt", value=value)

    assert line.endswith(f"value={shown}")


@given(name=st.text(min_size=1, max_size=50))
def test_one_line(name: str) -> None:
    """No name breaks a line, in either form, and JSON gives it back."""
    hostile = record(UP, name=name)
    lines = [state_line(hostile, hostile.condition, form) for form in ("json", "logfmt")]
    lines.append(emf_line(hostile, NOW, ready=True) or "")

    assert all(re.fullmatch(r"[ -~]+", line) for line in lines)
    assert json.loads(lines[0])["target"] == name
    # CloudWatch takes no other dimensions.
    assert json.loads(lines[2])["target"] == name.encode("ascii", "replace").decode()


def test_emf() -> None:
    """Each metric that the directive names is a number beside it, and each dimension a text."""
    line = emf_line(record(UP), NOW, ready=True)
    assert line is not None
    document = json.loads(line)
    (directive,) = document["_aws"]["CloudWatchMetrics"]

    assert document["_aws"]["Timestamp"] == 1_800_000_000_125
    assert {metric["Name"]: document[metric["Name"]] for metric in directive["Metrics"]} == {
        "probe_success": 1,
        "probe_ready": 1,
        "probe_degraded": 0,
        "probe_duration_seconds": 0.012346,
        "probe_consecutive_failures": 0,
    }
    assert {metric["Unit"] for metric in directive["Metrics"]} <= {"None", "Seconds", "Count"}
    assert [document[name] for name in directive["Dimensions"][0]] == ["flags"]
    assert emf_line(record(), NOW, ready=False) is None


def test_emf_tells_degraded() -> None:
    """What the status line hides is a metric, so that an alarm can be set on it."""
    degraded = record(UP)
    degraded.condition = replace(degraded.condition, state=State.DEGRADED)
    line = emf_line(degraded, NOW, ready=True)
    assert line is not None
    assert json.loads(line)["probe_degraded"] == 1
