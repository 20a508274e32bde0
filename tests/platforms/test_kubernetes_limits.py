"""Kubernetes' own validation of probes, with its messages, against our limits and our probes."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.manifests.kubernetes_probes import probes
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import Timings
from probe.platforms.timings import refuse
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import timings

Probe = dict[str, Any]

INT32 = 2**31 - 1
PLACE = "spec.containers[0]."
EXEC: Probe = {"exec": {"command": ["a"]}}
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_FIXED = {"livenessProbe", "startupProbe"}


def validate(key: str, probe: Probe) -> list[str]:
    """Say what the API server says of a probe: pkg/apis/core/validation/validation.go, 1.36.2.

    validateProbe, validateHandler, and what validateLivenessProbe and its siblings add.
    """
    return [f"{PLACE}{key}{fault}" for fault in [*_handler(probe), *_counts(key, probe)]]


def _handler(probe: Probe) -> list[str]:
    present = [name for name in _HANDLERS if name in probe]
    if not present:
        return [": Required value: must specify a handler type"]
    found = [
        f".{name}: Forbidden: may not specify more than 1 handler type" for name in present[1:]
    ]
    if present[0] == "exec" and not probe["exec"].get("command"):
        found.append(".exec.command: Required value")
    if present[0] == "httpGet":
        found += _http(probe["httpGet"])
    return found


def _http(request: Probe) -> list[str]:
    found = [f".httpGet.port: Invalid value: {fault}" for fault in _port(request.get("port", 0))]
    if (scheme := request.get("scheme", "HTTP")) not in {"HTTP", "HTTPS"}:
        supported = 'supported values: "HTTP", "HTTPS"'
        found.append(f'.httpGet.scheme: Unsupported value: "{scheme}": {supported}')
    return found


def _port(port: int | str) -> list[str]:
    if isinstance(port, int):
        valid = 1 <= port <= 65535
        return [] if valid else [f"{port}: must be between 1 and 65535, inclusive"]
    rules = (
        (len(port) <= 15, "must be no more than 15 characters"),
        (
            re.fullmatch("[-a-z0-9]*", port),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (re.search("[a-z]", port), "must contain at least one letter (a-z)"),
    )
    return [f'"{port}": {message}' for valid, message in rules if not valid]


def _counts(key: str, probe: Probe) -> list[str]:
    found = [
        f".{name}: Invalid value: {probe[name]}: must be greater than or equal to 0"
        for name in _COUNTS
        if probe.get(name, 0) < 0
    ]
    success = probe.get("successThreshold", 0) or 1
    if key in _FIXED and success != 1:
        found.append(f".successThreshold: Invalid value: {success}: must be 1")
    return found


# What was given to the real validation, and its words.
MESSAGES = [
    pytest.param("livenessProbe", {}, "livenessProbe: Required value: must specify a handler type",
                 id="no handler"),
    pytest.param("livenessProbe", EXEC | {"httpGet": {"port": 1}},
                 "livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
                 id="two handlers"),
    *(
        pytest.param("readinessProbe", EXEC | {name: -1},
                     f"readinessProbe.{name}: Invalid value: -1: "
                     "must be greater than or equal to 0", id=name)
        for name in _COUNTS
    ),
    pytest.param("livenessProbe", EXEC | {"successThreshold": 2},
                 "livenessProbe.successThreshold: Invalid value: 2: must be 1",
                 id="liveness twice"),
    pytest.param("startupProbe", EXEC | {"successThreshold": 2},
                 "startupProbe.successThreshold: Invalid value: 2: must be 1", id="startup twice"),
    pytest.param("livenessProbe", {"exec": {"command": []}},
                 "livenessProbe.exec.command: Required value", id="no command"),
    pytest.param("livenessProbe", {"httpGet": {"port": 65536}},
                 "livenessProbe.httpGet.port: Invalid value: 65536: must be between 1 and 65535, "
                 "inclusive", id="port"),
    pytest.param("livenessProbe", {"httpGet": {}},
                 "livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, "
                 "inclusive", id="no port"),
    pytest.param("livenessProbe", {"httpGet": {"port": "8080"}},
                 'livenessProbe.httpGet.port: Invalid value: "8080": must contain at least one '
                 "letter (a-z)", id="port as text"),
    pytest.param("livenessProbe", {"httpGet": {"port": "Bad_Name"}},
                 'livenessProbe.httpGet.port: Invalid value: "Bad_Name": must contain only '
                 "alpha-numeric characters (a-z, 0-9), and hyphens (-)", id="name of a port"),
    pytest.param("livenessProbe", {"httpGet": {"port": "a-name-longer-than-15"}},
                 'livenessProbe.httpGet.port: Invalid value: "a-name-longer-than-15": must be no '
                 "more than 15 characters", id="long name of a port"),
    pytest.param("livenessProbe", {"httpGet": {"port": 1, "scheme": "https"}},
                 'livenessProbe.httpGet.scheme: Unsupported value: "https": supported values: '
                 '"HTTP", "HTTPS"', id="scheme"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "probe", "message"), MESSAGES)
def test_messages(key: str, probe: Probe, message: str) -> None:
    """Our copy of the validation says what the real one said."""
    assert validate(key, probe) == [PLACE + message]


TEXT = script_text()
INLINE = inline(TEXT)
HANDLERS = [pytest.param(handler, id=handler) for handler in Handler]


@pytest.mark.parametrize("handler", HANDLERS)
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_valid(handler: Handler, data: st.DataObject) -> None:
    """What fits our limits gives probes of which it has nothing to say."""
    health = HealthSpec(data.draw(timings(KUBERNETES)), handler=handler)
    made = probes(Plan(Workload("split-sync", "image"), health, TEXT, INLINE))
    assert [fault for key, probe in made.items() for fault in validate(key, probe)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("interval", -1, id="negative period"),
        pytest.param("timeout", -1, id="negative timeout"),
        pytest.param("retries", -1, id="negative threshold"),
        pytest.param("start_period", -1, id="negative start"),
        pytest.param("interval", 1.5, id="no int32, period"),
        pytest.param("timeout", 1.5, id="no int32, timeout"),
        pytest.param("start_period", 0.5, id="no int32, start"),
        pytest.param("interval", INT32 + 1, id="int32 overflow, period"),
        pytest.param("retries", INT32 + 1, id="int32 overflow, threshold"),
        pytest.param("start_period", INT32 + 1, id="int32 overflow, start"),
        pytest.param("interval", 0, id="0 would mean the default, 10"),
        pytest.param("timeout", 0, id="0 would mean the default, 1"),
        pytest.param("retries", 0, id="0 would mean the default, 3"),
    ],
)
def test_refused(name: str, value: Any) -> None:
    """What the validation refuses, or takes for something else, we refuse by name."""
    (refusal,) = refuse(replace(Timings(timeout=1), **{name: value}), KUBERNETES)
    assert refusal.name == name
    nearest: Any = refusal.nearest
    assert not refuse(replace(Timings(timeout=1), **{name: nearest}), KUBERNETES)


def test_limits() -> None:
    """The bounds are those of int32, from where a number no longer means the default."""
    found = {
        field.key: (field.minimum, field.maximum, field.default)
        for field in KUBERNETES.fields.values()
    }
    assert found == {
        "periodSeconds": (1, INT32, 10),
        "timeoutSeconds": (1, INT32, 1),
        "failureThreshold": (1, INT32, 3),
        "startupProbe": (0, INT32, 0),
    }
