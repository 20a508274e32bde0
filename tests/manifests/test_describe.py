"""Descriptions: what the options' values make, and every fault told by name."""

from fractions import Fraction
from typing import Any

import pytest

from probe.manifests.describe import Units
from probe.manifests.describe import health_spec
from probe.manifests.describe import remarks
from probe.manifests.describe import workload
from probe.manifests.spec import Delivery
from probe.manifests.spec import Kind
from probe.manifests.spec import Workload
from probe.platforms.rows import ECS

UNITS = Units(Fraction(1, 1024), Fraction(1))


def _workload(**values: Any) -> tuple[Workload, list[str]]:
    problems: list[str] = []
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return workload(named, UNITS, problems), problems


def test_defaults() -> None:
    """Without options it is a split-sync that nobody but its own container reaches."""
    found, problems = _workload(image="example/split-sync:1")
    assert not problems
    assert found == Workload("split-sync", "example/split-sync:1")
    assert found.published_ports == ()


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        pytest.param({"kind": "proxy"}, "traffic_port", 3000, id="proxy-serves"),
        pytest.param({"kind": "proxy"}, "name", "split-proxy", id="proxy-name"),
        pytest.param({"kind": "generic", "port": 80, "image": "a.b/c/My_App:1"}, "name", "my-app",
                     id="generic-name"),
        pytest.param({"kind": "generic", "port": 80}, "traffic_port", 80, id="generic-serves"),
        pytest.param({"redis_host": "r"}, "settings", {"SPLIT_SYNC_REDIS_HOST": "r"}, id="redis"),
        pytest.param({"env": ("SPLIT_SYNC_ADMIN_PORT=3011",)}, "port", 3011, id="port-by-env"),
        pytest.param({"env": ("SPLIT_SYNC_ADMIN_PORT=3011",)}, "settings", {}, id="port-once"),
        pytest.param({"kind": "proxy", "env": ("SPLIT_PROXY_SERVER_PORT=81",)}, "traffic_port", 81,
                     id="traffic-by-env"),
        pytest.param({"kind": "proxy", "traffic_port": 81}, "settings",
                     {"SPLIT_PROXY_SERVER_PORT": "81"}, id="traffic-by-option"),
        pytest.param({"cpu": "512"}, "cpu", Fraction(1, 2), id="cpu-units"),
        pytest.param({"memory": "1 GB"}, "memory", 1024, id="memory"),
        pytest.param({"apikey_secret": "a:b"}, "secrets", {"SPLIT_SYNC_APIKEY": "a:b"}, id="key"),
    ],
)  # fmt: skip
def test_fields(values: dict[str, Any], field: str, expected: object) -> None:
    """Each option reaches its field, and the synchronizer's own variables are read too."""
    found, problems = _workload(**values)
    assert not problems
    assert getattr(found, field) == expected


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"env": ("SPLIT_SYNC_APIKEY=x",)}, "plain text: --apikey-secret"),
        ({"env": ("SPLIT_SYNC_REDIS_PASS=x",)}, "--secret SPLIT_SYNC_REDIS_PASS=REF"),
        ({"env": ("SPLIT_SYNC_REDIS_HOSTS=x",)}, "SPLIT_SYNC_REDIS_HOST?"),
        ({"env": ("SPLIT_SYNC_REDIS_PORT=six",)}, "is no whole number"),
        ({"env": ("SPLIT_SYNC_REDIS_TLS=yes",)}, "is neither true nor false"),
        ({"env": ("SPLIT_PROXY_LOG_LEVEL=info",)}, "does not belong to --kind sync"),
        ({"env": ("SPLIT_SYNC_ADMIN_HOST=0.0.0.0",)}, "--expose-admin"),
        ({"env": ("SPLIT_SYNC_ADMIN_PORT=03010",)}, "is no port"),
        ({"env": ("SPLIT_SYNC_ADMIN_PORT=3011",), "port": 3012}, "--port: 3012 contradicts"),
        ({"env": ("HEALTHCHECK_PORT=1",)}, "follows from the options"),
        ({"env": ("DB_PASSWORD=x",)}, "looks like a secret"),
        ({"env": ("A",)}, "'A' is not NAME=VALUE"),
        ({"env": ("A=1", "A=2")}, "A is given twice"),
        ({"env": ("A=1",), "secret": ("A=r",)}, "--secret: A is a plain variable too"),
        ({"redis_host": "r", "env": ("SPLIT_SYNC_REDIS_HOST=s",)}, "contradicts SPLIT_SYNC_REDIS"),
        ({"redis_host": "r", "secret": ("SPLIT_SYNC_REDIS_HOST=x",)}, "is a plain variable too"),
        ({"apikey_secret": "r", "secret": ("SPLIT_SYNC_APIKEY=s",)}, "contradicts --secret"),
        ({"secret": ("SPLIT_SYNC_ADMIN_HOST=r",)}, "--env SPLIT_SYNC_ADMIN_HOST=VALUE"),
        ({"secret": ("SPLIT_SYNC_ADMIN_TLS_ENABLED=r",)}, "is no secret: the check must know it"),
        ({"secret": ("SPLIT_SYNC_API_KEY=r",)}, "is no setting of split-sync; SPLIT_SYNC_APIKEY?"),
        ({"secret": ("SPLIT_PROXY_APIKEY=r",)}, "does not belong to --kind sync"),
        ({"secret": ("HEALTHCHECK_PORT=r",)}, "follows from the options"),
        ({"env": ("SPLIT_SYNC_ADMIN_HOST=10.0.0.1",), "expose_admin": True}, "leave it out"),
        ({"kind": "proxy", "redis_host": "r"}, "--redis-host: split-sync alone"),
        ({"kind": "generic"}, "--port: needed with --kind generic"),
        ({"kind": "generic", "port": 80, "apikey_secret": "r"}, "--apikey-secret"),
        ({"kind": "proxy", "port": 3000}, "is the port for clients too"),
        ({"traffic_port": 80}, "serves no clients"),
        ({"user": 0}, "--user: 0 is root"),
        ({"cpu": "much"}, "--cpu: 'much' is no amount of CPU"),
        ({"memory": "0"}, "--memory: '0' is no amount of memory"),
    ],
)  # fmt: skip
def test_faults(values: dict[str, Any], problem: str) -> None:
    """What cannot work is told by the option's name, with the way out."""
    _, problems = _workload(**values)
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "DB_PASSWORD_FILE", "SECRETARY"])
def test_no_secrets(name: str) -> None:
    """A word that merely begins like one, and the place where a secret lies, stay plain."""
    found, problems = _workload(env=(f"{name}=x",))
    assert (found.settings, problems) == ({name: "x"}, [])


def test_every_fault_is_told() -> None:
    """All faults of one description come at once."""
    _, problems = _workload(user=0, cpu="much", env=("A",))
    assert len(problems) == 3


def test_health_spec_tells_each_timing() -> None:
    """Timings outside a platform's limits are named with the option."""
    problems: list[str] = []
    health_spec({"interval": 1, "retries": 11}, ECS, problems)
    assert [problem.split()[0] for problem in problems] == ["--interval", "--retries"]


def test_two_starts() -> None:
    """One budget in two words is taken where both say the same."""
    problems: list[str] = []
    health_spec({"start-period": 60, "start-within": 60}, ECS, problems)
    assert not problems
    health_spec({"start-period": 60, "start-within": 90}, ECS, problems)
    assert problems == ["--start-within: contradicts --start-period: leave one of them out"]


def test_inline_needs_no_script() -> None:
    """An inline check takes nothing from a ConfigMap."""
    problems: list[str] = []
    found = health_spec({"inline": True, "script": "configmap"}, ECS, problems)
    assert found.delivery is Delivery.INLINE
    assert problems


@pytest.mark.parametrize(
    ("described", "remark"),
    [
        (Workload("n", "i"), "no --apikey-secret"),
        (Workload("n", "i"), "no --redis-host"),
        (Workload("n", "i", Kind.PROXY, settings={"SPLIT_PROXY_SNAPSHOT": "a b"}), "has a blank"),
    ],
)
def test_remarks(described: Workload, remark: str) -> None:
    """What the synchronizer would stumble over is said, though it can be deployed."""
    assert any(remark in text for text in remarks(described))
