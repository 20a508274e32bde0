"""Amazon ECS's API as botocore describes it: shapes, enums, and the prose that holds the limits."""

import html
import re
from collections.abc import Iterator
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

MODEL = ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")
_REGISTER = MODEL.operation_model("RegisterTaskDefinition").input_shape


def prose(shape: str, member: str) -> str:
    """Return what the model says of a member, without its markup."""
    documentation = MODEL.shape_for(shape).members[member].documentation
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", documentation)))


def listed(shape: str, member: str) -> set[str]:
    """Return the values that the prose lists after `Valid values:`."""
    _, _, values = prose(shape, member).partition("Valid values:")
    return set(re.findall(r'"([^"]+)"', values))


def faults(task: dict[str, Any]) -> list[str]:
    """Return what botocore's validator and the model's enums have against a task definition."""
    report = ParamValidator().validate(task, _REGISTER)
    return [report.generate_report()] * report.has_errors() + list(_strays(_REGISTER, task, "."))


def _strays(shape: Any, value: Any, place: str) -> Iterator[str]:
    """Yield the strings that are none of their shape's enum."""
    if shape.type_name == "structure":
        for key, item in value.items():
            yield from _strays(shape.members[key], item, f"{place}.{key}")
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from _strays(shape.member, item, f"{place}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{place}: {value!r} is none of {shape.enum}"
