"""The kustomize component: what kubectl makes of a Deployment with it, and back to the plan."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import settings
from ruamel.yaml import YAML

from probe.manifests import emit
from probe.manifests import kubernetes
from probe.manifests import kustomize
from probe.manifests.kubernetes_probes import probes
from probe.manifests.kustomize import Options
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.platforms.timings import Timings
from tests.manifests.test_kubernetes import HTTP
from tests.manifests.test_kubernetes import INLINE
from tests.manifests.test_kubernetes import PLANS
from tests.manifests.test_kubernetes import SCRIPT
from tests.support.kubectl import program

NONE = Options()
SYNC = Workload("split-sync", "")
FOREIGN = {"httpGet": {"path": "/", "port": 80}, "terminationGracePeriodSeconds": 5}


def _plan(workload: Workload = SYNC, **health: Any) -> Plan:
    return Plan(workload, HealthSpec(**health), SCRIPT, INLINE)


def _load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _base(**container: Any) -> dict[str, Any]:
    """Return a Deployment as people have it, with a second container."""
    labels = {"app": "split"}
    own = {"name": "split-sync", "image": "example/split-sync:1", **container}
    pod = {"containers": [{"name": "other", "image": "example/other:1"}, own]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "split-sync"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _apply(tmp_path: Path, plan: Plan, *bases: dict[str, Any]) -> list[Any]:
    """Return what kubectl makes of Deployments with the component."""
    root = {"resources": ["base.yaml"], "components": ["./checks"]}
    _write(tmp_path / "checks", kustomize.build(plan, NONE))
    (tmp_path / "base.yaml").write_text(emit.to_yaml(*bases), encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text(emit.to_yaml(root), encoding="utf-8")
    done = subprocess.run(
        [program("kubectl"), "kustomize", tmp_path],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return list(YAML(typ="safe", pure=True).load_all(done.stdout))


def _container(deployment: Any, name: str = "split-sync") -> Any:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 2
    return next(row for row in containers if row["name"] == name)


def _probes(container: Any) -> dict[str, Any]:
    return {key: value for key, value in container.items() if key.endswith("Probe")}


def _held(plan: Plan) -> Workload:
    """Return what a component knows of a workload."""
    workload = plan.workload
    return Workload(
        name=workload.name,
        image="",
        kind=workload.kind,
        port=workload.port,
        settings=workload.settings,
        expose_admin=workload.expose_admin
        and workload.kind is not Kind.GENERIC
        and plan.health.handler is Handler.EXEC,
    )


@settings(deadline=None, max_examples=100)
@given(PLANS)
def test_back(plan: Plan) -> None:
    """What a component holds is read back from its files."""
    assert kustomize.read(kustomize.render(plan, NONE)) == (_held(plan), plan.health)
    assert not kustomize.problems(plan, NONE)


PLAN_KINDS = [
    pytest.param(_plan(), id="exec"),
    pytest.param(_plan(delivery=Delivery.INLINE), id="inline"),
    pytest.param(_plan(delivery=Delivery.CONFIGMAP, log=True), id="config map"),
    pytest.param(_plan(timings=Timings(10, 5, 3, 0)), id="no start period"),
    pytest.param(_plan(replace(SYNC, port=4000)), id="port"),
]
BASES = [
    pytest.param({}, id="bare"),
    pytest.param({"livenessProbe": FOREIGN, "startupProbe": FOREIGN}, id="other probes"),
    pytest.param({"env": [{"name": "SPLIT_SYNC_ADMIN_HOST", "value": "0.0.0.0"}]}, id="open"),
    pytest.param(
        {
            "env": [
                {
                    "name": "SPLIT_SYNC_ADMIN_HOST",
                    "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}},
                }
            ]
        },
        id="variable from elsewhere",
    ),
]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("plan", PLAN_KINDS)
def test_applied(plan: Plan, base: dict[str, Any], tmp_path: Path) -> None:
    """The container has our probes and no others, asks on loopback, and stays valid."""
    documents = _apply(tmp_path, plan, _base(**base))
    (deployment,) = [row for row in documents if row["kind"] == "Deployment"]
    container = _container(deployment)
    assert _probes(container) == probes(plan, name_port=True)
    assert {"name": "SPLIT_SYNC_ADMIN_HOST", "value": "127.0.0.1"} in container["env"]
    assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False
    for document in documents:
        kubernetes_validate.validate(document, "1.36", strict=True)


def test_http(tmp_path: Path) -> None:
    """The kubelet asks by number, and the ports keep the names that Services ask."""
    ports = [{"name": "admin", "containerPort": 3010}]
    (deployment,) = _apply(tmp_path, _plan(**HTTP), _base(ports=ports))
    container = _container(deployment)
    assert container["livenessProbe"]["httpGet"]["port"] == 3010
    assert container["ports"] == ports
    assert container["env"] == [{"name": "SPLIT_SYNC_ADMIN_HOST", "value": "0.0.0.0"}]


def test_mounted(tmp_path: Path) -> None:
    """The script comes from a ConfigMap whose name changes with it."""
    plan = _plan(delivery=Delivery.CONFIGMAP)
    config_map, deployment = _apply(tmp_path, plan, _base())
    assert config_map["data"] == {"healthcheck.sh": SCRIPT}
    assert re.fullmatch("split-sync-healthcheck-[a-z0-9]{10}", config_map["metadata"]["name"])
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    assert volume == kubernetes.script_volume(config_map["metadata"]["name"])
    assert _container(deployment)["volumeMounts"] == [kubernetes.script_mount()]


def test_others(tmp_path: Path) -> None:
    """Another Deployment and another container stay as they are."""
    other = _base()
    other["metadata"]["name"] = "split-sync-2"
    found = _apply(tmp_path, _plan(), _base(), other)
    by_name = {row["metadata"]["name"]: row for row in found}
    assert by_name["split-sync-2"] == other
    kept = _container(by_name["split-sync"], "other")
    assert kept == {"name": "other", "image": "example/other:1"}


def test_port_kept() -> None:
    """The port's variable stays the Deployment's own; the command names the port."""
    patch = _load(kustomize.build(_plan(replace(SYNC, port=4000)), NONE)["probes.yaml"])
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert [row["name"] for row in container["env"]] == ["SPLIT_SYNC_ADMIN_HOST"]
    assert container["livenessProbe"]["exec"]["command"][-2:] == ["--port", "4000"]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        pytest.param(_plan(replace(SYNC, name="A")), r"--name 'A': ", id="name"),
        pytest.param(_plan(**HTTP, expect="204"), r"--expect 204: ", id="codes"),
    ],
)
def test_problems(plan: Plan, message: str) -> None:
    """What cannot be deployed is told once, by its option."""
    (problem,) = kustomize.problems(plan, NONE)
    assert re.match(message, problem)


@pytest.mark.parametrize(
    ("plan", "note"),
    [
        pytest.param(_plan(), "the Deployment's stands in kustomization.yaml", id="name"),
        pytest.param(_plan(), "the image must hold /healthcheck.sh", id="script"),
        pytest.param(_plan(delivery=Delivery.INLINE), "it patches container", id="inline"),
        pytest.param(_plan(**HTTP), "no NetworkPolicy limits port 3010", id="policy"),
    ],
)
def test_notes(plan: Plan, note: str) -> None:
    """What the user must know besides is said."""
    assert [text for text in kustomize.notes(plan, NONE) if note in text]


def _patched(old: str, new: str) -> dict[str, str]:
    files = kustomize.build(_plan(), NONE)
    assert old in files["probes.yaml"]
    return files | {"probes.yaml": files["probes.yaml"].replace(old, new)}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"probes.yaml": "[]"}, id="list"),
        pytest.param({"probes.yaml": "a: ["}, id="no YAML"),
        pytest.param(_patched("/healthcheck.sh", "/other.sh"), id="foreign"),
        pytest.param(_patched("livenessProbe", "otherProbe"), id="no liveness"),
        pytest.param(_patched("periodSeconds", "other"), id="no period"),
    ],
)
def test_foreign(files: dict[str, str]) -> None:
    """A folder that is not ours is refused, whatever it is."""
    with pytest.raises(SpecError, match=r"\bours?\b"):
        kustomize.read(files)
