"""The Helm chart: what helm makes of it, what its schema refuses, and back to the plan."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from probe.manifests import helm
from probe.manifests import kubernetes
from probe.manifests.helm import Options
from probe.manifests.spec import Delivery
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.platforms.timings import Timings
from tests.manifests.test_kubernetes import HTTP
from tests.manifests.test_kubernetes import INLINE
from tests.manifests.test_kubernetes import INT32
from tests.manifests.test_kubernetes import PLANS
from tests.manifests.test_kubernetes import SCRIPT
from tests.support.kubectl import program

NONE = Options()
PROXY = Workload(
    "split-proxy",
    "example/split-proxy:1",
    Kind.PROXY,
    traffic_port=3000,
    settings={"SPLIT_PROXY_SLACK_CHANNEL": "a $(B) $$ {{ .Values }}\n\"'\r\x7f\u2028ü: #"},
    secrets={"SPLIT_PROXY_APIKEY": "split:apikey"},
)
GENERIC = Workload("web", "r:5000/web", Kind.GENERIC, port=8080, traffic_port=8080)
PINNED = "r.example:5000/team/web:1.2@sha256:" + "0123456789abcdef" * 4
# What Helm adds to the labels: which release it is, and whose.
_HELM_LABELS = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}


def _plan(workload: Workload = PROXY, **health: Any) -> Plan:
    return Plan(workload, HealthSpec(**health), SCRIPT, INLINE)


def _write(folder: Path, plan: Plan, options: Options = NONE) -> Path:
    for name, text in helm.render(plan, options).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def _helm(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("helm"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
    )


def _template(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Return the documents that helm makes, by kind."""
    done = _helm(folder, "template", name, folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    documents = YAML(typ="safe", pure=True).load_all(done.stdout)
    return {document["kind"]: document for document in documents}


def _without_labels(value: Any) -> Any:
    if isinstance(value, dict):
        kept = value.keys() - _HELM_LABELS
        return {key: _without_labels(item) for key, item in value.items() if key in kept}
    return [_without_labels(item) for item in value] if isinstance(value, list) else value


def _expected(plan: Plan, options: Options) -> dict[str, Any]:
    documents = kubernetes.build(plan, options.kubernetes)
    return {document["kind"]: document for document in documents}


VARIANTS = [
    pytest.param(_plan(), NONE, id="proxy"),
    pytest.param(_plan(Workload("split-sync", "a")), Options(replicas=3), id="sync"),
    pytest.param(_plan(GENERIC, delivery=Delivery.INLINE, log=True), NONE, id="generic inline"),
    pytest.param(_plan(delivery=Delivery.CONFIGMAP), Options(tmp_size=64), id="config map"),
    pytest.param(_plan(replace(PROXY, image=PINNED), **HTTP),
                 Options(admin_from=("10.0.0.0/8", "app=web", "namespace:a")), id="http"),
    pytest.param(_plan(GENERIC, **HTTP), NONE, id="generic http"),
    pytest.param(_plan(replace(PROXY, port=65535, expose_admin=True), **HTTP),
                 Options(admin_from=("a=b",)), id="last port"),
    pytest.param(_plan(replace(PROXY, port=1), **HTTP), NONE, id="first port"),
    pytest.param(_plan(timings=Timings(INT32, INT32, INT32, INT32)), NONE, id="longest"),
    pytest.param(_plan(timings=Timings(1, 1, 1, 0)), NONE, id="no start period"),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "options"), VARIANTS)
def test_lint(plan: Plan, options: Options, tmp_path: Path) -> None:
    """Helm's linter has nothing to warn of."""
    done = _helm(tmp_path, "lint", "--strict", _write(tmp_path, plan, options))
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout + done.stderr


@pytest.mark.parametrize(("plan", "options"), VARIANTS)
def test_same(plan: Plan, options: Options, tmp_path: Path) -> None:
    """Installed under its own name it gives what `generate kubernetes` does, valid and labelled."""
    found = _template(_write(tmp_path, plan, options), plan.workload.name)
    assert _without_labels(found) == _expected(plan, options)
    for document in found.values():
        kubernetes_validate.validate(document, "1.36", strict=True)
        assert document["metadata"]["labels"].keys() >= _HELM_LABELS


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plan=PLANS)
def test_same_whatever(plan: Plan, tmp_path: Path) -> None:
    """So does any plan, with whatever stands in its variables."""
    found = _template(_write(tmp_path, plan), plan.workload.name)
    assert _without_labels(found) == _expected(plan, NONE)


@settings(deadline=None, max_examples=60)
@given(PLANS)
def test_back(plan: Plan) -> None:
    """What is read back from a chart's values is what it was made of."""
    assert helm.read(helm.build(plan, NONE)) == (plan.workload, plan.health)
    assert not helm.problems(plan, NONE)


def _image(documents: dict[str, Any]) -> str:
    image: str = documents["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def test_values(tmp_path: Path) -> None:
    """A release may have another image, name, count and variable."""
    arguments = (
        "--set", "image.repository=r/x", "--set-string", "image.tag=2", "--set", "replicas=0",
        "--set-string", "env.A=$(B)", "--set", "fullnameOverride=other",
    )  # fmt: skip
    found = _template(_write(tmp_path, _plan()), "split-proxy", *arguments)
    deployment = found["Deployment"]
    assert _image(found) == "r/x:2"
    assert deployment["spec"]["replicas"] == 0
    assert {document["metadata"]["name"] for document in found.values()} == {"other"}
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[0] == {"name": "A", "value": "$$(B)"}


def test_release_name(tmp_path: Path) -> None:
    """Another release of the chart has names of its own, and selects its own pods."""
    found = _template(_write(tmp_path, _plan()), "blue")
    assert {row["metadata"]["name"] for row in found.values()} == {"blue-split-proxy"}
    selector = {"app.kubernetes.io/name": "split-proxy", "app.kubernetes.io/instance": "blue"}
    assert found["Service"]["spec"]["selector"] == selector
    spec = found["Deployment"]["spec"]
    assert spec["selector"]["matchLabels"] == selector == spec["template"]["metadata"]["labels"]


def test_handler(tmp_path: Path) -> None:
    """Values may replace a probe's handler, or take the startup probe away."""
    arguments = (
        "--set", "probes.livenessProbe.exec=null",
        "--set", "probes.livenessProbe.httpGet.port=3010",
        "--set", "probes.startupProbe=null",
    )  # fmt: skip
    found = _template(_write(tmp_path, _plan()), "split-proxy", *arguments)
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["livenessProbe"].keys() & {"exec", "httpGet"} == {"httpGet"}
    assert "startupProbe" not in container


def test_mounted_later(tmp_path: Path) -> None:
    """The chart carries the script, so that values alone can mount it."""
    found = _template(_write(tmp_path, _plan()), "split-proxy", "--set", "mountScript=true")
    expected = _expected(_plan(delivery=Delivery.CONFIGMAP), NONE)
    assert _without_labels(found) == expected


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        pytest.param("probes.livenessProbe.periodSeconds=0", "periodSeconds", id="default period"),
        pytest.param("probes.livenessProbe.successThreshold=2", "successThreshold", id="twice"),
        pytest.param("probes.livenessProbe.httpGet.port=1", "livenessProbe", id="two handlers"),
        pytest.param("probes.livenessProbe.intervalSeconds=1", "intervalSeconds", id="unknown"),
        pytest.param("probes.livenessProbe=null", "livenessProbe", id="no liveness"),
        pytest.param("replicaCount=2", "replicaCount", id="unknown value"),
        pytest.param("image.repository=", "repository", id="no image"),
        pytest.param("user=0", "user", id="root"),
        pytest.param("env.A=1", "env", id="no text"),
        pytest.param("env.A-B=x", "A-B", id="no variable"),
        pytest.param("networkPolicy.port=65536", "port", id="port"),
    ],
)
def test_refused(setting: str, place: str, tmp_path: Path) -> None:
    """The schema refuses what the API server would, or would take for something else."""
    done = _helm(tmp_path, "template", "a", _write(tmp_path, _plan()), "--set", setting)
    assert done.returncode != 0
    assert place in done.stderr
    assert done.stdout == ""


def _objects(schema: Any) -> list[dict[str, Any]]:
    """Return every schema that has a list of properties."""
    inner = schema.values() if isinstance(schema, dict) else schema
    nested = [found for item in inner if isinstance(item, dict | list) for found in _objects(item)]
    return [schema, *nested] if isinstance(schema, dict) and "required" in schema else nested


def test_schema() -> None:
    """The schema is valid, closed wherever it lists keys, and takes the values."""
    files = helm.build(_plan(), NONE)
    schema = json.loads(files["values.schema.json"])
    Draft7Validator.check_schema(schema)
    listed = [found for found in _objects(schema) if "properties" in found]
    assert len(listed) > 10
    assert all(found["additionalProperties"] is False for found in listed)
    values = YAML(typ="safe", pure=True).load(files["values.yaml"])
    assert list(Draft7Validator(schema).iter_errors(values)) == []
    assert values.keys() == schema["properties"].keys() - {"global"}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param("web", ("web", "", ""), id="name"),
        pytest.param("web:1", ("web", "1", ""), id="tag"),
        pytest.param("r:5000/web", ("r:5000/web", "", ""), id="port"),
        pytest.param("r:5000/web:1", ("r:5000/web", "1", ""), id="port and tag"),
        pytest.param("web@sha256:00", ("web", "", "sha256:00"), id="digest"),
        pytest.param("web:1@sha256:00", ("web", "1", "sha256:00"), id="tag and digest"),
    ],
)
def test_image(image: str, expected: tuple[str, str, str]) -> None:
    """An image stands in the values in its parts, as tools that update charts expect it."""
    found = helm.values(_plan(replace(PROXY, image=image)), NONE)["image"]
    assert (found["repository"], found["tag"], found["digest"]) == expected


def test_problems() -> None:
    """What Kubernetes cannot have, a chart cannot either."""
    (problem,) = helm.problems(_plan(replace(PROXY, name="A")), NONE)
    assert problem.startswith("--name 'A': ")


def test_notes() -> None:
    """What the user must know besides is said."""
    options = Options(admin_from=("a=b",))
    assert any("and to a=b" in note for note in helm.notes(_plan(**HTTP), options))


def _changed(name: str, old: str, new: str) -> dict[str, str]:
    files = helm.build(_plan(), NONE)
    assert old in files[name]
    return files | {name: files[name].replace(old, new)}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"Chart.yaml": "[]", "values.yaml": "{}"}, id="list"),
        pytest.param({"Chart.yaml": "a: [", "values.yaml": "{}"}, id="no YAML"),
        pytest.param(_changed("values.yaml", "/healthcheck.sh", "/other.sh"), id="foreign"),
        pytest.param(_changed("values.yaml", "resources:", "other:"), id="no resources"),
        pytest.param(_changed("Chart.yaml", "name:", "other:"), id="no name"),
    ],
)
def test_foreign(files: dict[str, str]) -> None:
    """A chart that is not ours is refused, whatever it is."""
    with pytest.raises(SpecError, match=r"\bours?\b"):
        helm.read(files)
