"""Task definitions in CloudFormation templates, JSON and YAML with its short tags."""

from collections.abc import Iterator
from typing import Any

from probe.manifests.wiring.healthcheck import Shape
from probe.manifests.wiring.healthcheck import function_name
from probe.manifests.wiring.healthcheck import is_function
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.tree import Path
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import dotted
from probe.manifests.wiring.tree import mapping
from probe.manifests.wiring.tree import sequence
from probe.manifests.wiring.tree import text_of
from probe.platforms.durations import Seconds
from probe.platforms.rows import ECS

TASK = "AWS::ECS::TaskDefinition"


def _whole_number(_name: str, value: Any) -> Seconds | None:
    """Return seconds; CloudFormation takes a number in a string too. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a whole number of seconds")  # noqa: TRY004 # one error for a value
    return value


SHAPE = Shape(
    "HealthCheck",
    "Command",
    {
        "interval": "Interval",
        "timeout": "Timeout",
        "retries": "Retries",
        "start_period": "StartPeriod",
    },
    ECS,
    _whole_number,
)


def sites(documents: list[Any]) -> Iterator[Site]:
    """Walk the containers of all task definitions. Raises WireError for a wrong type."""
    root = mapping(documents[0].node, ())
    resources = child(root, "Resources")
    if resources is None:
        return
    for entry in mapping(resources, ("Resources",)).entries:
        path = ("Resources", text_of(entry.key))
        if path[1].startswith("Fn::"):
            yield from _blocked(entry.value, path, path[1])
        elif isinstance(entry.value, Mapping) and text_of(child(entry.value, "Type")) == TASK:
            yield from _of_task(entry.value, path)


def _of_task(resource: Mapping, path: Path) -> Iterator[Site]:
    group = path
    node: Node = resource
    for key in ("Properties", "ContainerDefinitions"):
        found = child(mapping(node, path), key)
        if found is None:
            return
        node, path = found, (*path, key)
        if is_function(node):
            yield from _blocked(node, path, function_name(node), group)
            return
    for number, item in enumerate(sequence(node, path).items):
        place = (*path, number)
        if is_function(item):
            yield from _blocked(item, place, function_name(item), group)
        else:
            yield _site(mapping(item, place), place, group)


def _site(node: Mapping, path: Path, group: Path, blocked: str | None = None) -> Site:
    name, image = text_of(child(node, "Name")), text_of(child(node, "Image"))
    return Site(0, path, node, name, image, _variables(node), group, blocked)


def _variables(node: Mapping) -> dict[str, str]:
    found = child(node, "Environment")
    pairs = found.items if isinstance(found, Sequence) and not is_function(found) else ()
    return {
        text_of(child(pair, "Name")): text_of(child(pair, "Value"))
        for pair in pairs
        if isinstance(pair, Mapping) and not is_function(pair)
    }


def _blocked(node: Node, path: Path, function: str, group: Path = ()) -> Iterator[Site]:
    """Walk the containers that a function chooses: which of them there will be is not ours."""
    if isinstance(node, Alias):
        return
    if isinstance(node, Mapping) and child(node, "Name") and child(node, "Image"):
        reason = f"{dotted(path)} is chosen by {function}, which is left to you"
        yield _site(node, path, group, reason)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield from _blocked(entry.value, path, function, group)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _blocked(item, path, function, group)
