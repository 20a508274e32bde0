"""Terraform's JSON syntax: its templates give back what was meant, and plans stay empty."""

import json
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings

from probe.manifests import command
from probe.manifests import ecs
from probe.manifests import terraform
from probe.manifests.ecs import Options
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.platforms.timings import Timings
from tests.manifests.strategies import ecs_cases
from tests.manifests.test_ecs import COMBINATIONS
from tests.manifests.test_ecs import OPTIONS
from tests.manifests.test_ecs import plan_of
from tests.support.ecs_model import faults

_ROLE = "arn:aws:iam::123456789012:role/task"


def _evaluated(template: str) -> str:
    """Read a template as Terraform does, character by character; it must hold no sequence.

    HCL's specification, "Template Literals": `$${` and `%%{` stand for `${` and `%{`. Terraform
    also normalises what it reads (NFC).
    """
    found, rest = "", template
    while rest:
        assert not rest.startswith(("${", "%{")), rest
        taken = 3 if rest.startswith(("$${", "%%{")) else 1
        found += rest[:taken][-2:]
        rest = rest[taken:]
    return unicodedata.normalize("NFC", found)


def _task(document: Any) -> dict[str, Any]:
    """Return the definition as the provider sends it to the API."""
    block = document["resource"]["aws_ecs_task_definition"]["this"]
    platform = block["runtime_platform"]
    present = {
        "family": block["family"],
        "taskRoleArn": block.get("task_role_arn"),
        "executionRoleArn": block["execution_role_arn"],
        "networkMode": block["network_mode"],
        "requiresCompatibilities": block["requires_compatibilities"],
        "cpu": block.get("cpu"),
        "memory": block["memory"],
        "volumes": [{"name": row["name"], "host": {}} for row in block.get("volume", [])],
        "runtimePlatform": {
            "cpuArchitecture": platform["cpu_architecture"],
            "operatingSystemFamily": platform["operating_system_family"],
        },
        "containerDefinitions": json.loads(_evaluated(block["container_definitions"])),
    }
    return {key: value for key, value in present.items() if value}


@settings(deadline=None, max_examples=60)
@given(ecs_cases())
def test_any_reads_back(case: tuple[Plan, Options]) -> None:
    """Whatever ECS takes comes out of Terraform's templates as it was, and reads back."""
    plan, options = case
    document = json.loads(terraform.render(plan, options))
    assert terraform.read(document) == (plan.workload, plan.health)
    task = _task(document)
    assert faults(task) == []
    expected = ecs.build(plan, options)
    for container in expected["containerDefinitions"]:
        if not container.get("healthCheck", {}).get("startPeriod", True):
            del container["healthCheck"]["startPeriod"]
    assert task == expected
    words = task["containerDefinitions"][0]["healthCheck"]["command"]
    assert words == ["CMD", *command.argv(plan.workload, plan.health, plan.inline)]


@pytest.mark.parametrize(
    "value", ["${HOME}", "$${HOME}", "$$${x}", "%{if x}", "%%{x}", "$%{x}", "a\\${b}", "e\u0301"]
)
def test_odd_values(value: str) -> None:
    """A variable's value reaches the container as it was given."""
    plan = plan_of(Kind.GENERIC, settings={"A": value})
    container = _task(terraform.build(plan, OPTIONS))["containerDefinitions"][0]
    assert container["environment"] == [{"name": "A", "value": value}]


def _levelled(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container as the provider compares it: what it levels out itself left out.

    terraform-provider-aws, internal/service/ecs/container_definitions.go.
    """
    return {key: value for key, value in container.items() if value != []}


def _stored(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container as the API is known to describe it: with the defaults it fills in."""
    ports = [{"protocol": "tcp", "hostPort": 0} | row for row in container["portMappings"]]
    check = container.get("healthCheck")
    timings = {"interval": 30, "timeout": 5, "retries": 3}
    stored = {
        "cpu": 0,
        "environment": [],
        "essential": True,
        "mountPoints": [],
        "systemControls": [],
        "volumesFrom": [],
        **container,
        "portMappings": ports,
    }
    if "linuxParameters" in container:
        linux = container["linuxParameters"]
        added = {"add": [], "drop": []} | linux["capabilities"]
        stored["linuxParameters"] = linux | {"capabilities": added}
    return stored | ({"healthCheck": timings | check} if check else {})


@pytest.mark.parametrize(("plan", "options"), COMBINATIONS)
def test_no_perpetual_diff(plan: Plan, options: Options) -> None:
    """Nothing is left to the defaults that the API writes into what it describes."""
    for container in _task(terraform.build(plan, options))["containerDefinitions"]:
        assert _levelled(_stored(container)) == _levelled(container)
        names = [row["name"] for row in container["environment"]]
        assert names == sorted(names)


def test_start_period_of_zero() -> None:
    """A start period of 0 is the default, and stands nowhere."""
    plan = plan_of(Kind.SYNC, HealthSpec(timings=Timings(start_period=0)))
    document = terraform.build(plan, OPTIONS)
    assert "startPeriod" not in _task(document)["containerDefinitions"][0]["healthCheck"]
    assert terraform.read(document) == (plan.workload, plan.health)


def test_service() -> None:
    """The service rolls back, replaces after it has the new task, and waits for the start."""
    options = replace(OPTIONS, launch="ec2", ecs_exec=True, task_role=_ROLE)
    health = HealthSpec(timings=Timings(start_period=90))
    document = terraform.build(plan_of(Kind.SYNC, health), options)
    assert document["resource"]["aws_ecs_service"]["this"] == {
        "name": "split-sync",
        "cluster": "${var.cluster}",
        "task_definition": "${aws_ecs_task_definition.this.arn}",
        "desired_count": 1,
        "launch_type": "EC2",
        "deployment_circuit_breaker": {"enable": True, "rollback": True},
        "deployment_minimum_healthy_percent": 100,
        "deployment_maximum_percent": 200,
        "health_check_grace_period_seconds": 90,
        "enable_execute_command": True,
        "network_configuration": {
            "subnets": "${var.subnets}",
            "security_groups": "${var.security_groups}",
            "assign_public_ip": False,
        },
    }
    assert document["variable"].keys() == {"cluster", "subnets", "security_groups"}


def test_problems_and_notes_are_those_of_ecs() -> None:
    """A configuration is refused where its task would be, and tells what its task would."""
    plan, options = plan_of(Kind.PROXY, memory=700), OPTIONS
    assert terraform.problems(plan, options) == ecs.problems(plan, options) != []
    assert terraform.notes(plan, options) == ecs.notes(plan, options) != []


FOREIGN: list[Any] = [
    {},
    [],
    {"resource": {}},
    {"resource": {"aws_ecs_task_definition": {}}},
    {"resource": {"aws_ecs_task_definition": {"x": {"container_definitions": "${local.x}"}}}},
    {"resource": {"aws_ecs_task_definition": {"x": {"container_definitions": "[]"}}}},
]


@pytest.mark.parametrize("document", FOREIGN, ids=repr)
def test_foreign_documents(document: Any) -> None:
    """What is not ours is refused with one kind of error."""
    with pytest.raises(SpecError):
        terraform.read(document)
