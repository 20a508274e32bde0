"""CloudFormation templates: cfn-lint has nothing against them, and they read back."""

from dataclasses import replace
from typing import Any

import pytest
from cfnlint import api
from cfnlint.config import ManualArgs
from cfnlint.core import get_rules
from hypothesis import given
from hypothesis import settings
from ruamel.yaml import YAML

from probe.manifests import cloudformation
from probe.manifests import ecs
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


# Loading them takes half a second, so they are loaded once.
_RULES = get_rules([], [], ["E", "W", "I"])
_REGION = ManualArgs(regions=["us-east-1"])


def _lint(text: str) -> list[str]:
    return [str(match) for match in api.lint(text, rules=_RULES, config=_REGION)]


@pytest.mark.parametrize(("plan", "options"), COMBINATIONS)
def test_lint_finds_nothing(plan: Plan, options: Options) -> None:
    """The vendor's linter has nothing to say about any combination."""
    assert _lint(cloudformation.render(plan, options)) == []


def test_lint_looks() -> None:
    """The linter finds a size that Fargate does not have and a property that does not exist."""
    text = cloudformation.render(plan_of(Kind.SYNC), OPTIONS)
    assert _lint(text.replace('Memory: "512"', 'Memory: "700"'))
    assert _lint(text.replace("HealthCheck:", "Healthcheck:"))


def _parsed(text: str, version: tuple[int, int]) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


def _api_names(value: Any) -> Any:
    """Turn a template's names into the API's: an independent reading of AWS's convention."""
    if isinstance(value, list):
        return [_api_names(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key[0].lower() + key[1:]: item if key == "Options" else _api_names(item)
        for key, item in value.items()
    }


@settings(deadline=None, max_examples=40)
@given(ecs_cases())
def test_any_reads_back(case: tuple[Plan, Options]) -> None:
    """Whatever ECS takes stands in the template as in its API, whichever YAML reads it."""
    plan, options = case
    text = cloudformation.render(plan, options)
    template = _parsed(text, (1, 2))
    assert _parsed(text, (1, 1)) == template == cloudformation.build(plan, options)
    assert _lint(text) == []
    assert cloudformation.read(template) == (plan.workload, plan.health)
    task = _api_names(template["Resources"]["TaskDefinition"]["Properties"])
    assert task == ecs.build(plan, options)
    assert faults(task) == []


def test_service() -> None:
    """The service rolls back, replaces after it has the new task, and waits for the start."""
    health = HealthSpec(timings=Timings(start_period=90))
    service = cloudformation.build(plan_of(Kind.SYNC, health), OPTIONS)["Resources"]["Service"]
    assert service["Properties"] == {
        "Cluster": {"Ref": "Cluster"},
        "TaskDefinition": {"Ref": "TaskDefinition"},
        "DesiredCount": 1,
        "LaunchType": "FARGATE",
        "DeploymentConfiguration": {
            "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
            "MinimumHealthyPercent": 100,
            "MaximumPercent": 200,
        },
        "HealthCheckGracePeriodSeconds": 90,
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "AssignPublicIp": "DISABLED",
                "SecurityGroups": {"Ref": "SecurityGroups"},
                "Subnets": {"Ref": "Subnets"},
            }
        },
    }


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"launch": "ec2"}, "LaunchType", "EC2"),
        ({"ecs_exec": True, "task_role": _ROLE}, "EnableExecuteCommand", True),
    ],
)
def test_service_follows_the_options(changes: dict[str, Any], key: str, expected: object) -> None:
    """What runs the tasks and whether one may look inside is the service's too."""
    template = cloudformation.build(plan_of(Kind.SYNC), replace(OPTIONS, **changes))
    assert template["Resources"]["Service"]["Properties"][key] == expected


def test_dynamic_references_are_refused() -> None:
    """CloudFormation replaces a dynamic reference in any text and has no escape for it."""
    plan = plan_of(Kind.SYNC, settings={"SPLIT_SYNC_REDIS_HOST": "{{resolve:ssm:/x}}"})
    assert ["SPLIT_SYNC_REDIS_HOST" in text for text in cloudformation.problems(plan, OPTIONS)] == [
        True
    ]


def test_problems_and_notes_are_those_of_ecs() -> None:
    """A template is refused where its task would be, and tells what its task would."""
    plan, options = plan_of(Kind.PROXY, memory=700), OPTIONS
    assert cloudformation.problems(plan, options) == ecs.problems(plan, options) != []
    assert cloudformation.notes(plan, options) == ecs.notes(plan, options) != []


FOREIGN: list[Any] = [
    {},
    [],
    {"Resources": {}},
    {"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {}}}},
    {"Resources": {"A": {"Type": "AWS::ECS::TaskDefinition", "Properties": {}}}},
    {"Resources": {"A": {"Type": "AWS::ECS::TaskDefinition", "Properties": {1: 2}}}},
]


@pytest.mark.parametrize("document", FOREIGN, ids=repr)
def test_foreign_documents(document: Any) -> None:
    """What is not ours is refused with one kind of error."""
    with pytest.raises(SpecError):
        cloudformation.read(document)
