"""Task definitions: what the API's model says of them, and what they read back to."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import settings
from moto.server import ThreadedMotoServer

from probe.manifests import command
from probe.manifests import ecs
from probe.manifests import ecs_sizes
from probe.manifests.ecs import Options
from probe.manifests.spec import Delivery
from probe.manifests.spec import Dependent
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.platforms import fargate
from probe.platforms.rows import ECS
from probe.platforms.rows import Field
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import ecs_cases
from tests.support.ecs_model import faults
from tests.support.ecs_model import listed
from tests.support.ecs_model import prose

_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:split-AbCdEf"
_TASK_ROLE = "arn:aws:iam::123456789012:role/task"
OPTIONS = Options(
    log_group="/ecs/split",
    region="us-east-1",
    execution_role="arn:aws:iam::123456789012:role/exec",
)
WORKLOADS = {
    Kind.SYNC: Workload(
        "split-sync",
        "example/split-sync:1",
        settings={"SPLIT_SYNC_REDIS_HOST": "redis.internal", "SPLIT_SYNC_LOG_LEVEL": "${x}"},
        secrets={"SPLIT_SYNC_APIKEY": _ARN},
    ),
    Kind.PROXY: Workload(
        "split-proxy",
        "example/split-proxy:1",
        Kind.PROXY,
        traffic_port=3000,
        secrets={"SPLIT_PROXY_APIKEY": _ARN},
    ),
    Kind.GENERIC: Workload("app", "example/app:1", Kind.GENERIC, port=8080, traffic_port=8080),
}
SCRIPT = script_text()


def plan_of(kind: Kind, health: HealthSpec | None = None, **changes: Any) -> Plan:
    """Return the plan of a usual workload, changed."""
    workload = replace(WORKLOADS[kind], **changes)
    return Plan(workload, health or HealthSpec(), SCRIPT, inline(SCRIPT))


_CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "application": {"app": Dependent("web", "example/web:1")},
    "exec": {"ecs_exec": True, "task_role": _TASK_ROLE},
    "volume": {"tmp_volume": True, "arch": "arm64"},
    "all": {
        "app": Dependent("web", "example/web:1"),
        "ecs_exec": True,
        "task_role": _TASK_ROLE,
        "tmp_volume": True,
        "family": "family",
    },
}
COMBINATIONS = [
    pytest.param(
        plan_of(kind, HealthSpec(delivery=delivery, log=delivery is Delivery.INLINE)),
        replace(OPTIONS, launch=launch, **changes),
        id=f"{kind}-{launch}-{delivery}-{name}",
    )
    for kind, launch, delivery, (name, changes) in product(
        Kind, ("fargate", "ec2"), (Delivery.IMAGE, Delivery.INLINE), _CHANGES.items()
    )
]


def container_of(plan: Plan, options: Options) -> dict[str, Any]:
    found: dict[str, Any] = ecs.build(plan, options)["containerDefinitions"][0]
    return found


@pytest.mark.parametrize("field", ECS.fields.values(), ids=ECS.fields)
def test_limits_are_the_documented_ones(field: Field) -> None:
    """The health check's limits and defaults are those of the API reference."""
    text = prose("HealthCheck", field.key)
    bounds = re.search(r"between ([0-9]+) and ([0-9]+) (?:seconds|retries)", text)
    default = re.search(r"default value is ([0-9]+)|By default, the startPeriod is (off)", text)
    assert bounds is not None
    assert default is not None
    assert [field.minimum, field.maximum] == [int(number) for number in bounds.groups()]
    assert field.default == int(default[1] or 0)


def test_cpu_on_ec2_is_the_documented_one() -> None:
    """The task's CPU on EC2 has the bounds that the API reference gives."""
    text = prose("RegisterTaskDefinitionRequest", "cpu")
    assert f"between {ecs_sizes.EC2_TASK_CPU[0]} CPU units" in text
    assert f"and {ecs_sizes.EC2_TASK_CPU[-1]} CPU units" in text
    assert f"than {ecs_sizes.MIN_CONTAINER_MEMORY} MiB" in prose("ContainerDefinition", "memory")
    assert f"kernel allows is {ecs_sizes.MIN_CONTAINER_CPU}," in prose("ContainerDefinition", "cpu")


@pytest.mark.parametrize(("plan", "options"), COMBINATIONS)
def test_model_takes_it(plan: Plan, options: Options) -> None:
    """Every combination has the model's members, types and enums, and no problem of ours."""
    assert faults(ecs.build(plan, options)) == []
    assert ecs.problems(plan, options) == []


def test_enums_are_looked_at() -> None:
    """The walk through the model finds a value that is none of an enum, which botocore lets by."""
    task = ecs.build(plan_of(Kind.SYNC), OPTIONS)
    task["containerDefinitions"][0]["logConfiguration"]["logDriver"] = "stdout"
    assert len(faults(task)) == 1


@pytest.mark.parametrize(("plan", "options"), COMBINATIONS)
def test_fargate_takes_it(plan: Plan, options: Options) -> None:
    """On Fargate no parameter is used that it does not take, tmpfs included."""
    for container in ecs.build(plan, options)["containerDefinitions"]:
        assert not container.keys() & fargate.UNSUPPORTED
        linux = container.get("linuxParameters", {}).keys()
        assert not linux & fargate.UNSUPPORTED_LINUX
        assert ("tmpfs" not in linux) or not options.is_fargate


@pytest.mark.parametrize(("plan", "options"), COMBINATIONS)
def test_containers_share_the_task(plan: Plan, options: Options) -> None:
    """The containers do not reserve more than the task has."""
    task = ecs.build(plan, options)
    for key, keys in {"cpu": ("cpu",), "memory": ("memory", "memoryReservation")}.items():
        shares = [
            next(container[name] for name in keys if name in container)
            for container in task["containerDefinitions"]
        ]
        assert 0 < sum(shares) <= int(task[key])


@settings(deadline=None, max_examples=60)
@given(ecs_cases())
def test_any_reads_back(case: tuple[Plan, Options]) -> None:
    """Whatever is within the limits is taken by the model, and reads back to what it was."""
    plan, options = case
    task = json.loads(ecs.render(plan, options))
    assert ecs.problems(plan, options) == []
    assert faults(task) == []
    assert ecs.read(task) == (plan.workload, plan.health)
    words = task["containerDefinitions"][0]["healthCheck"]["command"]
    assert words == ["CMD", *command.argv(plan.workload, plan.health, plan.inline)]


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """A client of moto's server, asked over HTTP."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "ecs",
        region_name="us-east-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


@pytest.mark.parametrize(("plan", "options"), COMBINATIONS[::3])
def test_registered_and_described(api: Any, plan: Plan, options: Options) -> None:
    """What is registered is described again as it was, and reads back to what it was made of."""
    sent = json.loads(ecs.render(plan, options))
    arn = api.register_task_definition(**sent)["taskDefinition"]["taskDefinitionArn"]
    described = api.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert {key: described[key] for key in sent} == sent
    assert ecs.read(described) == (plan.workload, plan.health)


def test_container() -> None:
    """Everything with a default is written out, secrets are references, and nothing is allowed."""
    assert container_of(plan_of(Kind.SYNC), OPTIONS) == {
        "name": "split-sync",
        "image": "example/split-sync:1",
        "cpu": 256,
        "memory": 512,
        "essential": True,
        "portMappings": [],
        "environment": [
            {"name": "SPLIT_SYNC_ADMIN_HOST", "value": "127.0.0.1"},
            {"name": "SPLIT_SYNC_LOG_LEVEL", "value": "${x}"},
            {"name": "SPLIT_SYNC_REDIS_HOST", "value": "redis.internal"},
        ],
        "secrets": [{"name": "SPLIT_SYNC_APIKEY", "valueFrom": _ARN}],
        "user": "65532:65532",
        "readonlyRootFilesystem": True,
        "linuxParameters": {
            "capabilities": {"add": [], "drop": ["ALL"]},
            "initProcessEnabled": True,
        },
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        "stopTimeout": 45,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "/ecs/split",
                "awslogs-region": "us-east-1",
                "awslogs-stream-prefix": "split-sync",
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
        "healthCheck": {
            "command": ["CMD", "/bin/bash", "-p", "/healthcheck.sh", "--timeout", "4"],
            "interval": 10,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 60,
        },
    }


@pytest.mark.parametrize("kind", Kind)
def test_stop_timeout(kind: Kind) -> None:
    """The stop is longer than the synchronizer's slow shutdown, and Fargate takes it."""
    assert 30 <= WORKLOADS[kind].stop_seconds <= fargate.MAX_TIMEOUT


def test_words_of_the_prose() -> None:
    """Options and values that no enum holds are those that the API reference lists."""
    container = container_of(plan_of(Kind.PROXY), replace(OPTIONS, launch="ec2"))
    linux = container["linuxParameters"]
    log = container["logConfiguration"]["options"]
    assert set(linux["tmpfs"][0]["mountOptions"]) <= listed("Tmpfs", "mountOptions")
    assert set(linux["capabilities"]["drop"]) <= listed("KernelCapabilities", "drop")
    documented = prose("LogConfiguration", "options")
    assert all(f" {name} Required: " in documented for name in log)
    assert f"Valid values: {log['mode']} |" in documented


_TMP_MOUNT = {"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}
_TMPFS = {"containerPath": "/tmp", "size": 128, "mountOptions": ["nosuid", "nodev", "noexec"]}
_EXEC_MOUNTS = [
    {"sourceVolume": "ecs-exec-lib", "containerPath": "/var/lib/amazon", "readOnly": False},
    {"sourceVolume": "ecs-exec-log", "containerPath": "/var/log/amazon", "readOnly": False},
]
_EXEC = {"ecs_exec": True, "task_role": _TASK_ROLE}
ROOTS = [
    pytest.param(Kind.SYNC, {}, True, [], None, id="sync"),
    pytest.param(Kind.PROXY, {}, False, [], None, id="proxy on fargate"),
    pytest.param(Kind.PROXY, {"tmp_volume": True}, True, [_TMP_MOUNT], None, id="volume"),
    pytest.param(Kind.PROXY, {"launch": "ec2"}, True, [], [_TMPFS], id="proxy on ec2"),
    pytest.param(
        Kind.PROXY,
        {"launch": "ec2", "tmp_size": 64},
        True,
        [],
        [_TMPFS | {"size": 64}],
        id="size",
    ),
    pytest.param(Kind.SYNC, _EXEC, True, _EXEC_MOUNTS, None, id="exec"),
    pytest.param(Kind.PROXY, _EXEC, False, [], None, id="exec on a writable root"),
    pytest.param(
        Kind.PROXY,
        _EXEC | {"tmp_volume": True},
        True,
        [_TMP_MOUNT, *_EXEC_MOUNTS],
        None,
        id="exec and volume",
    ),
]


@pytest.mark.parametrize(("kind", "changes", "readonly", "mounts", "tmpfs"), ROOTS)
def test_root(
    kind: Kind, changes: dict[str, Any], *, readonly: bool, mounts: list[Any], tmpfs: Any
) -> None:
    """The root is read-only wherever all that must be written has a place of its own."""
    task = ecs.build(plan_of(kind), replace(OPTIONS, **changes))
    container = task["containerDefinitions"][0]
    assert container["readonlyRootFilesystem"] is readonly
    assert container["mountPoints"] == mounts
    assert container["linuxParameters"].get("tmpfs") == tmpfs
    volumes = [{"name": mount["sourceVolume"], "host": {}} for mount in mounts]
    assert task.get("volumes", []) == volumes


def test_application_waits() -> None:
    """The application starts when the synchronizer is healthy, and has a log of its own."""
    options = replace(OPTIONS, app=Dependent("web", "example/web:1"))
    first, second = ecs.build(plan_of(Kind.SYNC), options)["containerDefinitions"]
    assert second["dependsOn"] == [{"containerName": "split-sync", "condition": "HEALTHY"}]
    assert second["essential"] is True
    assert "healthCheck" not in second
    assert second["logConfiguration"]["options"]["awslogs-stream-prefix"] == "web"
    assert first["startTimeout"] == 105
    assert "startTimeout" not in second


@pytest.mark.parametrize(("launch", "expected"), [("fargate", 120), ("ec2", 345)])
def test_start_timeout(launch: str, expected: int) -> None:
    """The application waits as long as a start may take, and as long as Fargate lets it."""
    health = HealthSpec(timings=Timings(start_period=300))
    options = replace(OPTIONS, launch=launch, app=Dependent("web", "example/web:1"))
    assert container_of(plan_of(Kind.SYNC, health), options)["startTimeout"] == expected
    assert any("345 s" in note for note in ecs.notes(plan_of(Kind.SYNC, health), options)) == (
        launch == "fargate"
    )


def test_bare_health_check_names_the_port() -> None:
    """The bare object has no variables beside it, so it names a port that is not the usual one."""
    check = json.loads(ecs.render_health_check(plan_of(Kind.SYNC, port=3011)))
    assert check["command"][-2:] == ["--port", "3011"]
    assert check.keys() == {"command", *(field.key for field in ECS.fields.values())}


PROBLEMS = [
    pytest.param({}, {"execution_role": ""}, "--execution-role: needed", id="no role"),
    pytest.param({}, {"log_group": ""}, "--log-group: needed", id="no log group"),
    pytest.param({}, {"region": ""}, "--region: needed", id="no region"),
    pytest.param({}, {"execution_role": "exec"}, "'exec' is not the ARN", id="role by name"),
    pytest.param({}, {"task_role": "x"}, "--task-role: 'x' is not", id="task role by name"),
    pytest.param({}, {"region": "useast1"}, "--region: 'useast1'", id="region"),
    pytest.param({}, {"log_group": "a b"}, "--log-group: 'a b'", id="log group"),
    pytest.param({}, {"ecs_exec": True}, "--ecs-exec: needs --task-role", id="exec, no role"),
    pytest.param({"name": "a.b"}, {}, "--name: 'a.b'", id="name"),
    pytest.param({"name": "a" * 256}, {}, "1 to 255", id="long name"),
    pytest.param({}, {"family": "a b"}, "--family: 'a b'", id="family"),
    pytest.param({}, {"app": Dependent("a/b", "x")}, "--app-name: 'a/b'", id="app name"),
    pytest.param({}, {"app": Dependent("split-sync", "x")}, "other container", id="same name"),
    pytest.param(
        {"cpu": Fraction(1, 4), "memory": 700},
        {},
        "--cpu 256 with --memory 700 is no size that Fargate takes (Amazon ECS API reference, "
        "RegisterTaskDefinition); nearest that fits: --cpu 256 --memory 1024",
        id="fargate memory",
    ),
    pytest.param({"cpu": Fraction(1, 3)}, {}, "--cpu 512 --memory 1024", id="part of a unit"),
    pytest.param(
        {"cpu": Fraction(1, 1024)}, {"launch": "ec2"}, "--cpu 2 --memory 512", id="ec2 cpu"
    ),
    pytest.param({"memory": 5}, {"launch": "ec2"}, "--cpu 256 --memory 6", id="ec2 memory"),
    pytest.param(
        {"cpu": Fraction(1, 16)},
        {"launch": "ec2", "app": Dependent("web", "x")},
        "--cpu 128 --memory 512",
        id="ec2 shared cpu",
    ),
    pytest.param(
        {"secrets": {"SPLIT_SYNC_APIKEY": "x:y"}}, {}, "--apikey-secret: 'x:y' is not", id="apikey"
    ),
    pytest.param({"secrets": {"A": "split"}}, {}, "--secret A: 'split' is not the ARN", id="name"),
    pytest.param(
        {"secrets": {"A": "arn:aws:s3:::bucket/key"}}, {}, "--secret A: 'arn:aws:s3", id="no secret"
    ),
    pytest.param(
        {"settings": {"SPLIT_SYNC_APIKEY": "x"}}, {}, "must not stand in plain text", id="plain key"
    ),
    pytest.param(
        {"settings": {"SPLIT_SYNC_ADMIN_TLS_ENABLED": "T"}}, {}, "cannot speak TLS", id="tls"
    ),
]


@pytest.mark.parametrize(("workload", "options", "expected"), PROBLEMS)
def test_problems(workload: dict[str, Any], options: dict[str, Any], expected: str) -> None:
    """What cannot be deployed is told once, with the option, its value and the way out."""
    found = ecs.problems(plan_of(Kind.SYNC, **workload), replace(OPTIONS, **options))
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (HealthSpec(delivery=Delivery.CONFIGMAP), "--script configmap"),
        (HealthSpec(handler=Handler.HTTP), "--handler http"),
    ],
)
def test_checks_of_kubernetes_alone(health: HealthSpec, expected: str) -> None:
    """What exists on Kubernetes alone is refused by name."""
    assert [expected in text for text in ecs.problems(plan_of(Kind.SYNC, health), OPTIONS)] == [
        True
    ]


def test_small_cpu_on_ec2() -> None:
    """A CPU below the least of a task stands with the container alone, and reads back."""
    plan = plan_of(Kind.SYNC, cpu=Fraction(64, 1024))
    options = replace(OPTIONS, launch="ec2")
    assert ecs.problems(plan, options) == []
    task = ecs.build(plan, options)
    assert "cpu" not in task
    assert ecs.read(task) == (plan.workload, plan.health)


_SSM = "arn:aws:ssm:us-east-1:123456789012:parameter/split/apikey"
NOTES = [
    pytest.param(Kind.PROXY, {}, {}, "VOLUME /tmp; if it does, --tmp-volume", id="writable root"),
    pytest.param(Kind.PROXY, {}, {"tmp_volume": True}, "must declare VOLUME /tmp", id="volume"),
    pytest.param(Kind.SYNC, {}, {}, "secretsmanager:GetSecretValue on " + _ARN, id="secret"),
    pytest.param(
        Kind.SYNC, {"secrets": {"A": _SSM}}, {}, "ssm:GetParameters on " + _SSM, id="parameter"
    ),
    pytest.param(Kind.SYNC, {}, _EXEC, "ssmmessages:OpenDataChannel", id="exec role"),
    pytest.param(Kind.SYNC, {}, _EXEC, '--command "/bin/bash"', id="exec shell"),
    pytest.param(Kind.SYNC, {}, {"app": Dependent("web", "x")}, "UNKNOWN", id="application"),
    pytest.param(Kind.SYNC, {}, {}, "/ecs/split must exist", id="log group"),
]


@pytest.mark.parametrize(("kind", "workload", "options", "expected"), NOTES)
def test_notes(
    kind: Kind, workload: dict[str, Any], options: dict[str, Any], expected: str
) -> None:
    """What the user must do besides is told where it is so."""
    found = ecs.notes(plan_of(kind, **workload), replace(OPTIONS, **options))
    assert sum(expected in note for note in found) == 1


def test_no_more_notes_than_needed() -> None:
    """A workload without secrets, options or temporary files has the log group's note alone."""
    assert len(ecs.notes(plan_of(Kind.GENERIC), OPTIONS)) == 1


FOREIGN: list[Any] = [
    {},
    {"containerDefinitions": []},
    {"containerDefinitions": [{"name": "x"}]},
    {"containerDefinitions": [{"healthCheck": {"command": ["CMD-SHELL", "curl -f localhost"]}}]},
    {"containerDefinitions": [{"healthCheck": {"command": ["CMD", "/healthcheck.sh"]}}]},
    {"containerDefinitions": None},
    [],
]


@pytest.mark.parametrize("document", FOREIGN, ids=repr)
def test_foreign_documents(document: Any) -> None:
    """What is not ours is refused with one kind of error."""
    with pytest.raises(SpecError):
        ecs.read(document)
