"""The sidecar's container in every document that has one, judged by the platforms' own models."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from probe import __version__
from probe.cli import sidecar as cli
from probe.manifests import sidecar
from probe.manifests.options import WITH_SIDECAR
from probe.manifests.options import Value
from probe.manifests.spec import SpecError
from probe.manifests.targets import TARGETS
from probe.manifests.targets import Made
from probe.manifests.targets import Script
from probe.manifests.targets import make
from probe.manifests.targets import plan_for
from probe.platforms import fargate
from probe.platforms.division import divided_detection
from probe.scripts import inline
from probe.scripts import script_text
from tests.support.components import require
from tests.support.ecs_model import faults

SCRIPT = Script(script_text(), inline(script_text()))
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:split-AbCdEf"
ECS: dict[str, Value] = {
    "region": "us-east-1",
    "execution-role": "arn:aws:iam::123456789012:role/exec",
    "apikey-secret": ARN,
}
NEEDED: dict[str, dict[str, Value]] = {
    "ecs": ECS,
    "cloudformation": ECS,
    "terraform": ECS,
    "kubernetes": {"apikey-secret": "split:apikey"},
    "compose": {"apikey-secret": "./apikey"},
}
KINDS: dict[str, dict[str, Value]] = {
    "sync": {"redis-host": "redis.internal"},
    "proxy": {},
    "generic": {"port": "8080", "path": "/a$(X)${Y}$Z", "expect": "200,204"},
}
VARIANTS: dict[str, dict[str, Value]] = {
    "default": {},
    "no check": {"no-check": True},
    "budget": {"detect-within": "70s"},
    "one failure": {"retries": "1", "start-period": "0"},
}
EVERY = pytest.mark.parametrize("target", sorted(WITH_SIDECAR))
NATIVE = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(map(int, version.split("."))) >= (1, 29)
]


def _given(target: str, kind: str = "sync", **more: Value) -> dict[str, Value]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    needed = dict(NEEDED[target])
    if kind == "generic":
        del needed["apikey-secret"]
    return {"kind": kind, "image": "example/x:1", "sidecar": True, **needed, **KINDS[kind], **named}


def _make(target: str, kind: str = "sync", **more: Value) -> Made:
    return make(TARGETS[target], _given(target, kind, **more), SCRIPT)


def _text(target: str, kind: str = "sync", **more: Value) -> str:
    content = _make(target, kind, **more).content
    assert isinstance(content, str)
    return content


def _yaml(text: str) -> Any:
    return list(YAML(typ="safe", pure=True).load_all(text))


def _ecs(kind: str = "sync", **more: Value) -> dict[str, dict[str, Any]]:
    """Return the containers of a task by name."""
    task = json.loads(_text("ecs", kind, **more))
    return {row["name"]: row for row in task["containerDefinitions"]}


def _pod(kind: str = "sync", **more: Value) -> dict[str, Any]:
    documents = _yaml(_text("kubernetes", kind, **more))
    (found,) = (row for row in documents if row["kind"] == "Deployment")
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


def _services(kind: str = "sync", **more: Value) -> dict[str, Any]:
    (document,) = _yaml(_text("compose", kind, **more))
    services: dict[str, Any] = document["services"]
    return services


COMBINATIONS = [
    pytest.param(kind, changes, id=f"{kind} {name}")
    for kind, (name, changes) in product(KINDS, VARIANTS.items())
]
ON = pytest.mark.parametrize(("kind", "changes"), COMBINATIONS)


@ON
@pytest.mark.parametrize("launch", ["fargate", "ec2"])
@pytest.mark.parametrize("app", [{}, {"app-image": "example/app:1"}], ids=["alone", "app"])
def test_ecs_model(
    kind: str, changes: dict[str, Value], launch: str, app: dict[str, Value]
) -> None:
    """Botocore takes the task, and its containers share what the task has."""
    task = json.loads(_text("ecs", kind, launch=launch, **changes, **app))
    rows = task["containerDefinitions"]
    assert faults(task) == []
    assert sum(row["cpu"] for row in rows) <= int(task["cpu"])
    assert sum(row.get("memory", row.get("memoryReservation")) for row in rows) <= int(
        task["memory"]
    )
    if launch == "fargate":
        assert not [row for row in rows if not 2 <= row.get("stopTimeout", 2) <= 120]
        assert fargate.is_valid(fargate.Size(int(task["cpu"]), int(task["memory"])))


def test_ecs_container() -> None:
    """Essential, read-only, not root, on the task's loopback, asked for its verdict by itself."""
    found = _ecs()[sidecar.NAME]
    assert found.items() >= {
        "essential": True,
        "user": "65532:65532",
        "readonlyRootFilesystem": True,
        "portMappings": [],
        "entryPoint": ["probe"],
        "command": [
            "sidecar", "--target", "127.0.0.1:3010", "--kind", "sync", "--read-body",
            "--interval", "10s", "--timeout", "4s", "--start-period", "60s",
            "--listen", "127.0.0.1:9310",
        ],
        "healthCheck": {
            "command": ["CMD", "probe", "check", "--host", "127.0.0.1", "--no-tls",
                        "--port", "9310", "--path", "/readyz", "--timeout", "2"],
            "interval": 10, "timeout": 3, "retries": 3, "startPeriod": 60,
        },
    }.items()  # fmt: skip
    assert found["logConfiguration"]["options"]["awslogs-stream-prefix"] == sidecar.NAME


def test_ecs_every_essential_container_is_checked() -> None:
    """A task with an essential container without a check is UNKNOWN; --no-check says so."""
    unchecked = [name for name, row in _ecs().items() if "healthCheck" not in row]
    assert unchecked == []
    left = [name for name, row in _ecs(no_check=True).items() if "healthCheck" not in row]
    assert left == ["split-sync"]
    assert any("UNKNOWN" in note for note in _make("ecs", no_check=True).notes)


def test_container_brings_its_check_along() -> None:
    """The image is not touched: what it is asked is one argument, with no script in it."""
    found = {
        "ecs": _ecs()["split-sync"]["healthCheck"]["command"],
        "compose": _services()["split-sync"]["healthcheck"]["test"],
    }
    for words in found.values():
        assert words[:4] == ["CMD", "/bin/bash", "-p", "-c"]
        assert "/healthcheck.sh" not in words
    asked = _ecs(inline=False)["split-sync"]["healthCheck"]["command"]
    assert asked[:4] == ["CMD", "/bin/bash", "-p", "/healthcheck.sh"]


def test_no_check_leaves_the_container_as_it_was() -> None:
    """But for its share of the task, nothing of it differs from one without a sidecar."""
    beside = _ecs(no_check=True)["split-sync"]
    given = {name: value for name, value in _given("ecs").items() if name != "sidecar"}
    alone = json.loads(str(make(TARGETS["ecs"], given, SCRIPT).content))["containerDefinitions"][0]
    shares = {"cpu", "memory", "healthCheck"}
    assert beside.items() >= {k: v for k, v in alone.items() if k not in shares}.items()


@pytest.mark.parametrize(
    ("no_check", "awaited"), [(False, "split-sync"), (True, sidecar.NAME)], ids=["both", "sidecar"]
)
def test_ecs_application_waits_for_who_is_checked(*, no_check: bool, awaited: str) -> None:
    """A container without a check is never HEALTHY, and a wait without an end is none."""
    rows = _ecs(no_check=no_check, app_image="example/app:1")
    assert rows["app"]["dependsOn"] == [{"containerName": awaited, "condition": "HEALTHY"}]
    assert [name for name, row in rows.items() if "startTimeout" in row] == [awaited]


def test_emf() -> None:
    """CloudWatch gets metrics by the log."""
    assert _ecs(sidecar_emf=True)[sidecar.NAME]["command"][-2:] == ["--emit", "emf"]


@ON
@pytest.mark.parametrize("version", [NATIVE[0], NATIVE[-1]])
def test_kubernetes_schema(kind: str, changes: dict[str, Value], version: str) -> None:
    """The strict schema of the first version with native sidecars, and of the newest, takes it."""
    for document in _yaml(_text("kubernetes", kind, **changes)):
        kubernetes_validate.validate(document, version, strict=True)


def test_kubernetes_sidecar() -> None:
    """Native; /livez for its own start and life, /readyz for the pod's readiness, restricted."""
    (found,) = _pod()["initContainers"]
    assert found["restartPolicy"] == "Always"
    assert found["args"][-2:] == ["--metrics-listen", "0.0.0.0:9311"]
    asked = {name: found[name]["httpGet"] for name in found if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"path": "/livez", "port": 9311, "scheme": "HTTP"},
        "livenessProbe": {"path": "/livez", "port": 9311, "scheme": "HTTP"},
        "readinessProbe": {"path": "/readyz", "port": 9311, "scheme": "HTTP"},
    }
    assert (
        found["securityContext"].items()
        >= {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }.items()
    )


def test_kubernetes_workload() -> None:
    """The kubelet restarts the right container, by the sidecar's port; nothing of it is opened."""
    (found,) = _pod()["containers"]
    assert {name for name in found if name.endswith("Probe")} == {"livenessProbe"}
    assert found["livenessProbe"] == {
        "httpGet": {"path": "/readyz", "port": 9311, "scheme": "HTTP"},
        "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 3,
        "successThreshold": 1, "failureThreshold": 3,
    }  # fmt: skip
    variables = {row["name"]: row.get("value") for row in found["env"]}
    assert variables["SPLIT_SYNC_ADMIN_HOST"] == "127.0.0.1"
    assert "ports" not in found
    assert not [name for name in _pod(no_check=True)["containers"][0] if name.endswith("Probe")]


def test_kubernetes_sidecar_dies_before_the_workload() -> None:
    """A sidecar that hangs is found and back before liveness gives the workload up."""
    pod = _pod()
    own = pod["initContainers"][0]["livenessProbe"]
    found = own["failureThreshold"] * own["periodSeconds"] + own["timeoutSeconds"]
    workload = pod["containers"][0]["livenessProbe"]
    patience = (workload["failureThreshold"] - 1) * workload["periodSeconds"]
    assert found + own["terminationGracePeriodSeconds"] <= patience


def _doubled(words: list[str]) -> list[str]:
    return [word.replace("$$", "$") for word in words]


PORTED: dict[str, Callable[[], list[str]]] = {
    "ecs": lambda: _ecs("generic")[sidecar.NAME]["command"],
    "kubernetes": lambda: _doubled(_pod("generic")["initContainers"][0]["args"]),
    "compose": lambda: _doubled(_services("generic")["x-sidecar"]["command"]),
}


@pytest.mark.parametrize("target", PORTED)
def test_words_survive_the_carrier(target: str) -> None:
    """The sidecar gets the path as it was given, whatever the platform expands."""
    words = PORTED[target]()
    assert words[words.index("--path") + 1] == "/a$(X)${Y}$Z"
    assert words[words.index("--expect") + 1] == "200,204"
    assert "--read-body" not in words


def test_arguments_are_known() -> None:
    """Every option that documents give is one of `probe sidecar`."""
    names = [name.replace("_", "-") for name in inspect.signature(cli.sidecar).parameters]
    known = {f"--{prefix}{name}" for name in names for prefix in ("", "no-")}
    target = TARGETS["ecs"]
    more: dict[str, Value] = {"retries": "1", "sidecar-emf": True}
    plan, _ = plan_for(target, _given("ecs", "generic") | more, SCRIPT)
    synchronizer, _ = plan_for(target, _given("ecs"), SCRIPT)
    words = sidecar.arguments(plan, metrics=True) + sidecar.arguments(synchronizer)
    assert {word for word in words if word.startswith("--")} <= known


@ON
def test_compose_schema(tmp_path: Path, kind: str, changes: dict[str, Value]) -> None:
    """The Compose specification's schema takes it."""
    path = tmp_path / "compose.yaml"
    path.write_text(_text("compose", kind, **changes))
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.real
def test_docker_compose(tmp_path: Path) -> None:
    """docker-compose takes it, and starts the sidecar after what it checks."""
    path = tmp_path / "compose.yaml"
    path.write_text(_text("compose", app_image="example/app:1"))
    done = subprocess.run(
        [require("docker-compose"), "--file", path, "config"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    (document,) = _yaml(done.stdout)
    found = document["services"]["split-sync-sidecar"]
    assert found["network_mode"] == "service:split-sync"
    assert found["depends_on"] == {"split-sync": {"condition": "service_started"}}


def test_compose_waits_for_who_is_checked() -> None:
    """A dependent of a service without a check would never start."""
    kept = _services(app_image="example/app:1")
    left = _services(app_image="example/app:1", no_check=True)
    assert list(kept["app"]["depends_on"]) == ["split-sync"]
    assert list(left["app"]["depends_on"]) == ["split-sync-sidecar"]
    assert "healthcheck" not in left["split-sync"]
    assert "healthcheck" in left["split-sync-sidecar"]


@EVERY
def test_budget(target: str) -> None:
    """--detect-within is divided: sidecar and platform together find the fault within it."""
    row = TARGETS[target]
    plan, _ = plan_for(row, _given(target, detect_within="70s"), SCRIPT)
    assert plan.sidecar is not None
    assert divided_detection(plan.sidecar.division, row.platform) <= 70


REFUSED = [
    pytest.param("ecs", {"sidecar": False, "no-check": True}, "--no-check: there is no sidecar"),
    pytest.param("ecs", {"sidecar": False, "sidecar-image": "a"}, "--sidecar-image: there is no"),
    pytest.param("ecs", {"detect-within": "28"}, "nearest that fits: 29"),
    pytest.param("compose", {"detect-within": "8"}, "nearest that fits: 9"),
    pytest.param("kubernetes", {"detect-within": "8"}, "nearest that fits: 9"),
    pytest.param("ecs", {"port": "9310"}, "--port 9310: the sidecar listens there"),
    pytest.param("ecs", {"name": "probe-sidecar"}, "a container is called probe-sidecar already"),
    pytest.param("compose", {"app-image": "a", "app-name": "split-sync-sidecar"}, "is called"),
    pytest.param("kubernetes", {"inline": True}, "--inline: with --sidecar no script runs"),
    pytest.param("kubernetes", {"handler": "http"}, "--handler http: with --sidecar"),
    pytest.param("kubernetes", {"log-failures": True}, "--log-failures: with --sidecar"),
    pytest.param("ecs", {"no-check": True, "inline": True}, "--inline: with --no-check"),
    pytest.param("compose", {"interval": "0.05", "timeout": "0.01"}, "0.1s to 86400s"),
    pytest.param("ecs", {"memory": "100", "launch": "ec2"}, "fits: --cpu 256 --memory"),
    pytest.param("kubernetes", {"env": ("SPLIT_SYNC_ADMIN_TLS_ENABLED=true",)}, "speaks TLS"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "changes", "message"), REFUSED)
def test_refused(target: str, changes: dict[str, Value], message: str) -> None:
    """What cannot be is told by the option, with the way out."""
    given = {
        name: value for name, value in (_given(target) | changes).items() if value is not False
    }
    with pytest.raises(SpecError) as caught:
        make(TARGETS[target], given, SCRIPT)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


@EVERY
def test_image(target: str) -> None:
    """The image is that of our version, unless another is given."""
    assert f"split-probe:{__version__}" in _text(target)
    assert "example/mine:2" in _text(target, sidecar_image="example/mine:2")


def test_short_budget_is_told() -> None:
    """Where the sidecar cannot come back in time, the user is told what that means."""
    note = "a restart of the sidecar restarts the synchronizer too"
    assert any(note in text for text in _make("kubernetes", detect_within="10s").notes)
    assert not any(note in text for text in _make("kubernetes").notes)


def test_dockerfile() -> None:
    """Hadolint has nothing to say; it runs as nobody, and its check is in exec form."""
    path = Path(__file__).parents[2] / "deploy/sidecar/Dockerfile"
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, "--no-color", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    text = path.read_text()
    assert "USER 65532:65532" in text
    assert 'ENTRYPOINT ["probe", "sidecar"]' in text
    written = json.loads(text.partition("CMD ")[2].splitlines()[0])
    plan, _ = plan_for(TARGETS["ecs"], _given("ecs"), SCRIPT)
    assert plan.sidecar is not None
    assert ["CMD", *written] == sidecar.check(plan.sidecar.division.sidecar)
