"""Compose files: their schema, the real docker-compose, and back to what they were made of."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from probe.manifests import command
from probe.manifests import compose
from probe.manifests.compose import Options
from probe.manifests.spec import Delivery
from probe.manifests.spec import Dependent
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import environment
from probe.platforms.rows import COMPOSE
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import health_specs
from tests.manifests.strategies import workloads
from tests.support.components import require

SCRIPT = script_text()
INLINE = inline(SCRIPT)
APP = Options(app=Dependent("app", "example/app:1"))
SYNC = Workload("split-sync", "example/split-sync:1")
PROXY = Workload("split-proxy", "example/split-proxy:1", Kind.PROXY, traffic_port=3000)
GENERIC = Workload("web", "example/web:1", Kind.GENERIC, port=8080, traffic_port=8080)

FILES = st.sampled_from(("./apikey", "secrets/a $b.txt", "/etc/${x}/$$key", "./~", "ü"))
PLANS = st.builds(
    Plan,
    st.sampled_from(Kind).flatmap(lambda kind: workloads(kind, secrets=FILES)),
    health_specs(COMPOSE),
    st.just(SCRIPT),
    st.just(INLINE),
)


def _plan(workload: Workload = SYNC, **health: Any) -> Plan:
    return Plan(workload, HealthSpec(**health), SCRIPT, INLINE)


def _service(plan: Plan, options: Options = Options()) -> dict[str, Any]:  # noqa: B008 # frozen
    service: dict[str, Any] = compose.build(plan, options)["services"][plan.workload.name]
    return service


def _load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _interpolate(value: str) -> str:
    """Read a value as Compose does (its specification, "Interpolation").

    A `$` that is not doubled begins a variable, which would come from whoever starts it.
    """
    found: list[str] = re.findall(r"\$.?|[^$]+", value, re.DOTALL)
    assert all(part == "$$" for part in found if part.startswith("$")), value
    return "".join("$" if part == "$$" else part for part in found)


@settings(deadline=None, max_examples=200)
@given(PLANS)
def test_back(plan: Plan) -> None:
    """What is read back is what it was made of, from the document and from its text."""
    document = compose.build(plan, APP)
    assert compose.read(document) == (plan.workload, plan.health)
    assert _load(compose.render(plan, APP)) == document


@settings(deadline=None, max_examples=200)
@given(PLANS)
def test_interpolated(plan: Plan) -> None:
    """Compose gives the engine our words, variables and files, with each `$` that they have."""
    document = compose.build(plan, APP)
    service = document["services"][plan.workload.name]
    expected = command.argv(plan.workload, plan.health, INLINE)
    assert [_interpolate(word) for word in service["healthcheck"]["test"]] == ["CMD", *expected]
    variables = {
        name: _interpolate(value)
        for name, value in service.get("environment", {}).items()
        if name.removesuffix("_FILE") not in plan.workload.secrets
    }
    assert variables == environment(plan.workload, plan.health)
    files = {name: _interpolate(row["file"]) for name, row in document.get("secrets", {}).items()}
    assert files == plan.workload.secrets


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=plain,
        stdin=subprocess.DEVNULL,
    )


@settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plan=PLANS)
def test_docker_compose(plan: Plan, tmp_path: Path) -> None:
    """docker-compose takes every file; what it writes for itself has our words."""
    path = tmp_path / "compose.yaml"
    path.write_text(compose.render(plan, APP), encoding="utf-8")
    done = _run(require("docker-compose"), "--file", path, "config")
    assert (done.returncode, done.stderr) == (0, "")
    service = _load(done.stdout)["services"][plan.workload.name]
    assert service["healthcheck"]["test"] == _service(plan)["healthcheck"]["test"]


def test_schema(tmp_path: Path) -> None:
    """The Compose specification's schema has nothing to say of any kind and delivery."""
    plans = [
        _plan(replace(workload, secrets={"A": "./a"}), delivery=delivery, log=True)
        for workload in (SYNC, PROXY, GENERIC)
        for delivery in (Delivery.IMAGE, Delivery.INLINE)
    ]
    odd = _plan(
        replace(GENERIC, cpu=Fraction(1, 3)), timings=Timings(1.5, 0.25, 2**31 - 1, 0.000001)
    )
    paths = []
    for number, plan in enumerate([*plans, odd]):
        path = tmp_path / f"{number}.yaml"
        path.write_text(compose.render(plan, APP), encoding="utf-8")
        paths.append(path)
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = _run(checker, "--builtin-schema", "vendor.compose-spec", *paths)
    assert done.returncode == 0, done.stdout


def test_hardened() -> None:
    """A service has an init that reaps, no rights, a read-only root, time to stop, and limits."""
    expected = {
        "init": True,
        "user": "65532:65532",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "cpus": 0.25,
        "mem_limit": "512m",
        "restart": "unless-stopped",
        "stop_grace_period": "45s",
    }
    assert _service(_plan()).items() >= expected.items()


def test_health_check() -> None:
    """Times are strings with their unit, and nothing stands there that old engines refuse."""
    found = _service(_plan(timings=Timings(10, 5, 3, 1.5)))["healthcheck"]
    assert found == {
        "test": ["CMD", "/bin/bash", "-p", "/healthcheck.sh", "--timeout", "4"],
        "interval": "10s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "1.5s",
    }


@pytest.mark.parametrize(
    ("workload", "ports"),
    [
        pytest.param(SYNC, None, id="sync"),
        pytest.param(PROXY, ["3000:3000"], id="proxy"),
        pytest.param(replace(PROXY, expose_admin=True), ["3000:3000", "3010:3010"], id="exposed"),
        pytest.param(GENERIC, ["8080:8080"], id="generic"),
    ],
)
def test_ports(workload: Workload, ports: list[str] | None) -> None:
    """The port for clients is published; the admin port where that was asked for alone."""
    assert _service(_plan(workload)).get("ports") == ports


def test_tmp() -> None:
    """split-proxy has a temporary directory that any user may write; split-sync needs none."""
    found = _service(_plan(PROXY), Options(tmp_size=64))["tmpfs"]
    assert found == ["/tmp:size=64m,mode=1777,nosuid,nodev,noexec"]
    assert "tmpfs" not in _service(_plan())


def test_secrets() -> None:
    """A secret is a file; the environment says where, and never what."""
    plan = _plan(replace(SYNC, secrets={"SPLIT_SYNC_APIKEY": "./apikey"}))
    assert compose.build(plan, Options())["secrets"] == {"SPLIT_SYNC_APIKEY": {"file": "./apikey"}}
    assert _service(plan)["secrets"] == ["SPLIT_SYNC_APIKEY"]
    assert _service(plan)["environment"] == {
        "SPLIT_SYNC_ADMIN_HOST": "127.0.0.1",
        "SPLIT_SYNC_APIKEY_FILE": "/run/secrets/SPLIT_SYNC_APIKEY",
    }


def test_dependent() -> None:
    """The application starts once the workload is healthy."""
    app = compose.build(_plan(), APP)["services"]["app"]
    assert app["depends_on"] == {"split-sync": {"condition": "service_healthy"}}


def _tls(kind: str) -> dict[str, str]:
    return {f"SPLIT_{kind}_ADMIN_TLS_ENABLED": "true"}


PROBLEMS = [
    pytest.param(_plan(replace(SYNC, settings=_tls("SYNC"))), Options(),
                 r"--env SPLIT_SYNC_ADMIN_TLS_ENABLED: .*leave it out.*--tls.*--handler http",
                 id="sync tls"),
    pytest.param(_plan(replace(PROXY, settings=_tls("PROXY"))), Options(),
                 r"--env SPLIT_PROXY_ADMIN_TLS_ENABLED: ", id="proxy tls"),
    pytest.param(_plan(delivery=Delivery.CONFIGMAP), Options(),
                 r"--script configmap: Compose .*--inline", id="configmap"),
    pytest.param(_plan(handler=Handler.HTTP), Options(),
                 r"--handler http: Compose .*--handler exec", id="http"),
    pytest.param(_plan(replace(SYNC, secrets={"KEY": ""})), Options(),
                 r"--secret KEY: .*\./key", id="secret without a file"),
    pytest.param(_plan(replace(GENERIC, settings={"A_FILE": "x"}, secrets={"A": "./a"})), Options(),
                 r"--env A_FILE: .*--secret A", id="variable of a secret"),
    pytest.param(_plan(replace(SYNC, name="a b")), Options(), r"--name 'a b': .*letters",
                 id="name"),
    pytest.param(_plan(), Options(app=Dependent("ü", "x")), r"--app-name 'ü': .*letters",
                 id="name of the dependent"),
    pytest.param(_plan(replace(SYNC, name="app")), APP, r"--app-name 'app': .*another",
                 id="one name for two"),
    pytest.param(_plan(replace(SYNC, cpu=Fraction(1, 1000))), Options(),
                 r"--cpu 0.001: .*0.01", id="cpu"),
    pytest.param(_plan(replace(SYNC, memory=5)), Options(), r"--memory 5m: .*6m", id="memory"),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "options", "message"), PROBLEMS)
def test_problems(plan: Plan, options: Options, message: str) -> None:
    """What cannot be deployed is told once, by its option, with the way out."""
    (problem,) = compose.problems(plan, options)
    assert re.fullmatch(f"{message}.*", problem)


@settings(deadline=None)
@given(PLANS)
def test_no_problems(plan: Plan) -> None:
    """What is within the limits has none."""
    assert not compose.problems(plan, Options())


NOTES = [
    pytest.param(SYNC, "unhealthy container is only shown", id="nothing restarts"),
    pytest.param(replace(SYNC, secrets={"SPLIT_SYNC_APIKEY": "./k"}),
                 "user 65532 must be able to read ./k", id="readable"),
    pytest.param(replace(SYNC, secrets={"SPLIT_SYNC_APIKEY": "./k"}),
                 "such as SPLIT_SYNC_APIKEY_FILE: the entrypoint of probe's images", id="reader"),
    pytest.param(replace(GENERIC, secrets={"A": "./k"}),
                 "such as A_FILE: the application must read", id="generic reader"),
    pytest.param(replace(SYNC, expose_admin=True), "port 3010 is open on every", id="exposed"),
    pytest.param(SYNC, "app waits at `up` alone", id="dependent"),
]  # fmt: skip


@pytest.mark.parametrize(("workload", "note"), NOTES)
def test_notes(workload: Workload, note: str) -> None:
    """What the user must know besides is said."""
    assert [text for text in compose.notes(_plan(workload), APP) if note in text]


def _without(*path: str) -> dict[str, Any]:
    document = compose.build(_plan(), Options())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return document


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="empty"),
        pytest.param([], id="list"),
        pytest.param({"services": {"a": {"image": "x"}}}, id="no check"),
        pytest.param({"services": {"a": {"healthcheck": {"test": "curl x"}}}}, id="foreign"),
        pytest.param({"services": {"a": None}}, id="null"),
        pytest.param(_without("services", "split-sync", "cpus"), id="no cpus"),
        pytest.param(_without("services", "split-sync", "healthcheck", "interval"), id="no time"),
    ],
)
def test_foreign(document: Any) -> None:
    """A file that is not ours is refused, whatever it is."""
    with pytest.raises(SpecError, match=r"\bours?\b"):
        compose.read(document)
