"""A CloudFormation template: ECS's task definition and the service that runs it.

The names are the API's with a capital first; the keys of a log driver's options stay as they are
(AWS::ECS::TaskDefinition LogConfiguration).
"""

from collections.abc import Callable
from typing import Any

from probe.manifests import ecs
from probe.manifests import emit
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload

Document = dict[str, Any]
Options = ecs.Options

_TASK = "AWS::ECS::TaskDefinition"
_KEPT = "options"  # its keys belong to the log driver
# CloudFormation replaces these wherever they stand, and has no escape for them.
_DYNAMIC = "{{resolve:"

_HEADER = """\
Deploy with: aws cloudformation deploy --template-file THIS --stack-name NAME
  --parameter-overrides Cluster=... Subnets=... SecurityGroups=..."""


def render(plan: Plan, options: Options) -> str:
    return emit.to_yaml(build(plan, options), header=_HEADER)


def build(plan: Plan, options: Options) -> Document:
    """Return the template."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{plan.workload.name} on Amazon ECS, with its health check",
        "Parameters": {
            "Cluster": _parameter("String", "Name or ARN of the ECS cluster"),
            "Subnets": _parameter("List<AWS::EC2::Subnet::Id>", "Subnets of the tasks"),
            "SecurityGroups": _parameter(
                "List<AWS::EC2::SecurityGroup::Id>", "Security groups of the tasks"
            ),
        },
        "Resources": {
            "TaskDefinition": {"Type": _TASK, "Properties": _capitalised(ecs.build(plan, options))},
            "Service": {"Type": "AWS::ECS::Service", "Properties": _service(plan, options)},
        },
        "Outputs": {
            "TaskDefinitionArn": {
                "Description": "ARN of the task definition, with its revision",
                "Value": {"Ref": "TaskDefinition"},
            },
            "ServiceName": {
                "Description": "Name of the service",
                "Value": {"Fn::GetAtt": ["Service", "Name"]},
            },
        },
    }


def _parameter(kind: str, description: str) -> Document:
    return {"Type": kind, "Description": description}


def _service(plan: Plan, options: Options) -> Document:
    """Return a service that rolls back where new tasks do not become healthy."""
    return {
        "Cluster": {"Ref": "Cluster"},
        "TaskDefinition": {"Ref": "TaskDefinition"},
        "DesiredCount": 1,
        "LaunchType": options.launch_type,
        "DeploymentConfiguration": {
            "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
            "MinimumHealthyPercent": 100,
            "MaximumPercent": 200,
        },
        "HealthCheckGracePeriodSeconds": round(plan.health.timings.start_period),
        **({"EnableExecuteCommand": True} if options.ecs_exec else {}),
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "AssignPublicIp": "DISABLED",
                "SecurityGroups": {"Ref": "SecurityGroups"},
                "Subnets": {"Ref": "Subnets"},
            }
        },
    }


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why it cannot be deployed."""
    plain = plan.workload.settings
    return [
        *ecs.problems(plan, options),
        *(
            f"--env {name}: CloudFormation would replace {_DYNAMIC}...}}}} in its value"
            for name, value in sorted(plain.items())
            if _DYNAMIC in value
        ),
    ]


def notes(plan: Plan, options: Options) -> list[str]:
    return ecs.notes(plan, options)


def read(document: Document) -> tuple[Workload, HealthSpec]:
    """Return what a template of ours was made of. Raises SpecError where it is not ours."""
    try:
        resources = document["Resources"].values()
        tasks = [_uncapitalised(row["Properties"]) for row in resources if row["Type"] == _TASK]
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError([f"not a template of ours: {error!r}"]) from error
    if not tasks:
        raise SpecError([f"no resource is of type {_TASK}"])
    return ecs.read(tasks[0])


def _capitalised(value: Any) -> Any:
    return _renamed(value, str.upper)


def _uncapitalised(value: Any) -> Any:
    return _renamed(value, str.lower)


def _renamed(value: Any, case: Callable[[str], str]) -> Any:
    """Return a document with the first letter of each key in another case, but for options."""
    if isinstance(value, list):
        return [_renamed(item, case) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        case(key[0]) + key[1:]: item if key.lower() == _KEPT else _renamed(item, case)
        for key, item in value.items()
    }
