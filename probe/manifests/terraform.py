"""Terraform's JSON syntax: ECS's task definition and the service that runs it.

Strings are templates there, so `${` and `%{` are escaped. `container_definitions` is a JSON text
that the AWS provider compares with what the API returns: what it does not level out itself
(internal/service/ecs/container_definitions.go) must stand as the API returns it, else every plan
makes a new revision.
"""

import json
from typing import Any

from probe.manifests import command
from probe.manifests import ecs
from probe.manifests import emit
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload

Document = dict[str, Any]
Options = ecs.Options

_TASK = "aws_ecs_task_definition"
_SERVICE = "aws_ecs_service"
_LABEL = "this"
_VARIABLES = {
    "cluster": ("string", "Name or ARN of the ECS cluster"),
    "subnets": ("list(string)", "Subnets of the tasks"),
    "security_groups": ("list(string)", "Security groups of the tasks"),
}


def render(plan: Plan, options: Options) -> str:
    return emit.to_json(build(plan, options))


def build(plan: Plan, options: Options) -> Document:
    """Return the configuration."""
    return {
        "terraform": {
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": ">= 5.0"}}
        },
        "variable": {
            name: {"type": kind, "description": description}
            for name, (kind, description) in _VARIABLES.items()
        },
        "resource": {
            _TASK: {_LABEL: _task_definition(ecs.build(plan, options))},
            _SERVICE: {_LABEL: _service(plan, options)},
        },
        "output": {
            "task_definition_arn": {
                "description": "ARN of the task definition, with its revision",
                "value": _reference(f"{_TASK}.{_LABEL}.arn"),
            },
            "service_name": {
                "description": "Name of the service",
                "value": _reference(f"{_SERVICE}.{_LABEL}.name"),
            },
        },
    }


def _reference(expression: str) -> str:
    return f"${{{expression}}}"


def _task_definition(task: Document) -> Document:
    platform = task["runtimePlatform"]
    named = {
        "family": task["family"],
        "task_role_arn": task.get("taskRoleArn"),
        "execution_role_arn": task["executionRoleArn"],
        "network_mode": task["networkMode"],
        "requires_compatibilities": task["requiresCompatibilities"],
        "cpu": task.get("cpu"),
        "memory": task["memory"],
        "runtime_platform": {
            "cpu_architecture": platform["cpuArchitecture"],
            "operating_system_family": platform["operatingSystemFamily"],
        },
        "volume": [{"name": volume["name"]} for volume in task.get("volumes", [])],
    }
    present = {key: _escaped(value) for key, value in named.items() if value}
    return {**present, "container_definitions": _containers(task["containerDefinitions"])}


def _containers(containers: list[Document]) -> str:
    """Return the definitions as a JSON text, escaped.

    In ASCII, because Terraform normalises Unicode (NFC), which would change a variable's value.
    """
    text = json.dumps([_settled(container) for container in containers])
    return command.escape_terraform(text)


def _settled(container: Document) -> Document:
    """Leave a start period of 0 out: the API is not known to return it, and it is the default."""
    check = container.get("healthCheck")
    if check is None or check["startPeriod"]:
        return container
    kept = {key: value for key, value in check.items() if key != "startPeriod"}
    return {**container, "healthCheck": kept}


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return command.escape_terraform(value) if isinstance(value, str) else value


def _service(plan: Plan, options: Options) -> Document:
    """Return a service that rolls back where new tasks do not become healthy."""
    return {
        "name": plan.workload.name,
        "cluster": _reference("var.cluster"),
        "task_definition": _reference(f"{_TASK}.{_LABEL}.arn"),
        "desired_count": 1,
        "launch_type": options.launch_type,
        "deployment_circuit_breaker": {"enable": True, "rollback": True},
        "deployment_minimum_healthy_percent": 100,
        "deployment_maximum_percent": 200,
        "health_check_grace_period_seconds": round(plan.health.timings.start_period),
        "enable_execute_command": options.ecs_exec,
        "network_configuration": {
            "subnets": _reference("var.subnets"),
            "security_groups": _reference("var.security_groups"),
            "assign_public_ip": False,
        },
    }


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why it cannot be deployed."""
    return ecs.problems(plan, options)


def notes(plan: Plan, options: Options) -> list[str]:
    return ecs.notes(plan, options)


def read(document: Document) -> tuple[Workload, HealthSpec]:
    """Return what a configuration of ours was made of. Raises SpecError where it is not ours."""
    try:
        task = next(iter(document["resource"][_TASK].values()))
        containers = json.loads(command.unescape_terraform(task["container_definitions"]))
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise SpecError([f"not a configuration of ours: {error!r}"]) from error
    sizes = {key: task[key] for key in ("cpu", "memory") if key in task}
    return ecs.read({"containerDefinitions": containers, **sizes})
