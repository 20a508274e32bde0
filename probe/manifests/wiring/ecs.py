"""Task definitions of Amazon ECS: what register takes, what describe gives, the bare list."""

from collections.abc import Iterator
from typing import Any

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.healthcheck import Shape
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.nodes import plain
from probe.manifests.wiring.tree import REMOVE
from probe.manifests.wiring.tree import Change
from probe.manifests.wiring.tree import Path
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import descend
from probe.manifests.wiring.tree import items
from probe.manifests.wiring.tree import mapping
from probe.manifests.wiring.tree import text_of
from probe.manifests.wiring.tree import variables_of
from probe.platforms.durations import Seconds
from probe.platforms.rows import ECS
from probe.platforms.rows import TIMING_NAMES

# DescribeTaskDefinition's answer has these, RegisterTaskDefinition's input has not.
DESCRIBED_ONLY = (
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
)


def whole_number(_name: str, value: Any) -> Seconds | None:
    """Return a number of seconds as the document has it. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a whole number of seconds")  # noqa: TRY004 # one error for a value
    return value


SHAPE = Shape(
    "healthCheck",
    "command",
    {name: ECS.fields[name].key for name in TIMING_NAMES},
    ECS,
    whole_number,
)


def wrapper(node: Node) -> Path:
    """Return the path to the task definition: describe wraps it."""
    if isinstance(node, Mapping) and child(node, "containerDefinitions") is None:
        return ("taskDefinition",) if child(node, "taskDefinition") is not None else ()
    return ()


def sites(documents: list[Any]) -> Iterator[Site]:
    """Walk the containers. Raises WireError for a wrong type, with its place."""
    for number, document in enumerate(documents):
        node = document.node
        path: Path = ()
        if not isinstance(node, Sequence):
            path = (*wrapper(node), "containerDefinitions")
            node = descend(node, path)
        for place, item in items(node, path):
            yield _site(number, place, mapping(item, place))


def _site(document: int, path: Path, node: Mapping) -> Site:
    name, image = text_of(child(node, "name")), text_of(child(node, "image"))
    return Site(document, path, node, name, image, variables_of(node, path, "environment"))


def for_register(documents: list[Any]) -> list[Change]:
    """Return what makes describe's answer an input of register, the wrapper left to `unwrap`."""
    root = mapping(documents[0].node, ())
    path = wrapper(root)
    task = mapping(root if not path else _must(child(root, "taskDefinition"), root), path)
    found = [Change(0, path, key, REMOVE) for key in DESCRIBED_ONLY if child_or_null(task, key)]
    tags = child(root, "tags") if path else None
    if isinstance(tags, Sequence) and tags.items and child(task, "tags") is None:
        found.append(Change(0, path, "tags", plain(tags)))
    return found


def child_or_null(node: Mapping, key: str) -> bool:
    return any(text_of(entry.key) == key for entry in node.entries)


def _must(node: Node | None, parent: Node) -> Node:
    if node is None:
        raise WireError("no task definition", parent.line)
    return node


def unwrap(text: str, documents: list[Any]) -> str:
    """Return the task definition out of describe's answer, moved to the left margin."""
    root = documents[0].node
    path = wrapper(root)
    if not path:
        return text
    node = _must(descend(root, path), root)
    lines = text[node.start : node.end].splitlines(keepends=True)
    margin = len(lines[-1]) - len(lines[-1].lstrip(" \t")) if len(lines) > 1 else 0
    indent = lines[-1][:margin]
    moved = [line.removeprefix(indent) for line in lines]
    end = "\r\n" if "\r\n" in text else "\n"
    return "".join(moved) + (end if text.endswith("\n") else "")
