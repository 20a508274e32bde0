"""The remote control: what it answers, and what it says to a wrong question."""

import base64
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from probe.mock.faults import MODES
from probe.mock.server import Mock
from tests.support.probes import PROBES
from tests.support.probes import asking
from tests.support.probes import run


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock(control_port=0) as running:
        yield running


def ask(mock: Mock, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    assert mock.control_port is not None
    connection = HTTPConnection("127.0.0.1", mock.control_port, timeout=5)
    try:
        text = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, None if body is None else text)
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    assert answer.pop("schema") == 1
    return response.status, answer


def test_mode(mock: Mock) -> None:
    expected = {"mode": "healthy", "expected": "healthy: 200", "host": mock.host, "port": mock.port}
    assert ask(mock, "GET", "/mode") == (200, expected)
    changed = {**expected, "mode": "garbage", "expected": "unhealthy: malformed"}
    assert ask(mock, "PUT", "/mode", {"mode": "garbage"}) == (200, changed)
    assert mock.mode is MODES["garbage"]


def test_script(mock: Mock) -> None:
    body = {"mode": "script", "script": [["read_request"], ["close"]]}
    assert ask(mock, "PUT", "/mode", body)[0] == 200
    assert run(asking(PROBES["reference"], mock.port)).line == "unhealthy: closed"


def test_conditions(mock: Mock) -> None:
    answer = {"conditions": {"backend": "refused", "redis": "ok"}}
    assert ask(mock, "PUT", "/conditions", {"backend": "refused"}) == (200, answer)
    assert ask(mock, "GET", "/conditions") == (200, answer)


def test_requests(mock: Mock) -> None:
    run(asking(PROBES["reference"], mock.port))
    status, answer = ask(mock, "GET", "/requests")
    (request,) = answer["requests"]
    assert status == 200
    assert base64.b64decode(request["base64"]).startswith(b"GET /health/application HTTP/1.1\r\n")
    assert request["text"].endswith("Connection: close\r\n\r\n")
    assert ask(mock, "DELETE", "/requests") == (200, {"deleted": 1})
    assert ask(mock, "GET", "/requests") == (200, {"requests": []})


def test_health(mock: Mock) -> None:
    status, answer = ask(mock, "GET", "/health")
    assert status == 200
    assert (answer["kind"], answer["mode"], answer["port"]) == ("sync", "healthy", "open")
    assert answer["application"]["healthy"] is True
    assert answer["dependencies"]["serviceStatus"] == "healthy"
    mock.set("refuse")
    _, answer = ask(mock, "GET", "/health")
    assert (answer["port"], answer["application"]) == ("closed", None)


FAULTS = [
    pytest.param("PUT", "/mode", {"mode": "hanging"}, 400, "mode", "hanging", id="mode"),
    pytest.param("PUT", "/mode", {"script": []}, 400, "mode", None, id="no mode"),
    pytest.param("PUT", "/mode", {"mode": "script"}, 400, "script", None, id="no script"),
    pytest.param(
        "PUT",
        "/mode",
        {"mode": "script", "script": [["sing"]]},
        400,
        "script",
        [["sing"]],
        id="steps",
    ),
    pytest.param("PUT", "/mode", {"mood": "hang"}, 400, "mood", "hang", id="field"),
    pytest.param("PUT", "/mode", "mode=hang", 400, "body", "mode=hang", id="not JSON"),
    pytest.param("PUT", "/mode", [], 400, "body", [], id="not an object"),
    pytest.param("PUT", "/conditions", {"redis": "500"}, 400, "redis", "500", id="condition"),
    pytest.param("PUT", "/conditions", {"backend": []}, 400, "backend", [], id="condition's type"),
    pytest.param("POST", "/mode", {"mode": "hang"}, 405, "method", "POST", id="method"),
    pytest.param("GET", "/", None, 404, "path", "/", id="path"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "field", "value"), FAULTS)
def test_faults(  # noqa: PLR0917
    mock: Mock, method: str, path: str, body: object, status: int, field: str, value: object
) -> None:
    found, answer = ask(mock, method, path, body)
    error = answer["error"]
    assert (found, error["field"], error["value"]) == (status, field, value)
    assert error["message"]


def test_a_fault_names_what_is_allowed(mock: Mock) -> None:
    _, answer = ask(mock, "PUT", "/mode", {"mode": "hanging"})
    assert answer["error"]["allowed"] == list(MODES)
    _, answer = ask(mock, "PUT", "/conditions", {"redis": "500"})
    assert answer["error"]["allowed"] == ["ok", "refused", "hang"]


def test_a_taken_control_port_ends_everything() -> None:
    with Mock(control_port=0) as first, pytest.raises(OSError, match="in use"):
        Mock(control_port=first.control_port).start()
