"""Places in a document: finding them, reading what stands there, changing them one at a time."""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import NamedTuple

from probe.manifests.wiring import splice
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.nodes import get
from probe.manifests.wiring.nodes import plain

Step = str | int
Path = tuple[Step, ...]
Parse = Callable[[str], list[Any]]
REMOVE = object()
_TITLES: dict[type[Node], str] = {
    Mapping: "a mapping",
    Sequence: "a list",
    Scalar: "a single value",
}


class ThroughAliasError(WireError):
    """What is to be changed stands elsewhere, and for others too."""


@dataclass(frozen=True, slots=True)
class Site:
    """A container: where it stands, and what of it matters to a check.

    `group` names the workload, of which it is one container. `name` is the value as written, where
    a function makes it. `blocked` says why nothing can be changed there.
    """

    document: int
    path: Path
    node: Node
    name: str
    image: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    group: Path = ()
    blocked: str | None = None

    @property
    def line(self) -> int:
        return self.node.line

    @property
    def title(self) -> str:
        return dotted(self.path)


class Change(NamedTuple):
    """Set a key of the mapping at a path; without a key, append to the list there.

    `path` None appends a document.
    """

    document: int
    path: Path | None
    key: str | None
    value: Any


def dotted(path: Path) -> str:
    """Return a path as people write it: spec.containers[0].image."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def mapping(node: Node, path: Path) -> Mapping:
    """Return the mapping at a place, or raise WireError."""
    _must_be(node, path, Mapping)
    assert isinstance(node, Mapping)
    return node


def sequence(node: Node, path: Path) -> Sequence:
    """Return the list at a place, or raise WireError."""
    _must_be(node, path, Sequence)
    assert isinstance(node, Sequence)
    return node


def _must_be(node: Node, path: Path, kind: type[Node]) -> None:
    if isinstance(node, Alias):
        raise ThroughAliasError(
            f"{dotted(path)} is the alias *{node.name}: what it stands for serves others too",
            node.line,
        )
    if not isinstance(node, kind):
        where = dotted(path) or "the document"
        raise WireError(f"{where} is {title(node)}, not {_TITLES[kind]}", node.line)


def title(node: Node) -> str:
    """Return what a node is, in words."""
    value = plain(node) if isinstance(node, Scalar) else None
    if isinstance(node, Scalar):
        return {str: "a string", bool: "true or false", type(None): "empty"}.get(
            type(value), "a number"
        )
    return _TITLES.get(type(node), "an alias")


def child(parent: Mapping, key: str) -> Node | None:
    """Return what stands under a key; None where there is nothing, or an empty value."""
    found = get(parent, key)
    if isinstance(found, Scalar) and found.value is None:
        return None
    return found


def descend(node: Node, path: Path, base: Path = ()) -> Node | None:
    """Follow keys down through mappings; None where one is missing."""
    for step in path:
        found = child(mapping(node, base), str(step))
        if found is None:
            return None
        node, base = found, (*base, step)
    return node


def items(node: Node | None, path: Path) -> Iterator[tuple[Path, Node]]:
    """Walk the items of a list that may be missing."""
    if node is not None:
        for number, item in enumerate(sequence(node, path).items):
            yield (*path, number), item


def resolved(node: Node | None) -> Node | None:
    """Follow aliases to what they stand for."""
    while isinstance(node, Alias):
        node = node.target
    return node


def text_of(node: Node | None) -> str:
    """Return a scalar as text, whatever tag it has; of anything else the first scalar within."""
    while node is not None:
        if isinstance(node, Alias):
            node = node.target
        elif isinstance(node, Scalar):
            return "" if node.value is None else str(node.value)
        elif isinstance(node, Sequence):
            node = node.items[0] if node.items else None
        elif isinstance(node, Mapping):
            node = node.entries[0].value if node.entries else None
        else:
            break
    return ""


def follow(node: Node, path: Path) -> Node:
    """Return what stands at a path that was found before. Raises WireError where it is gone."""
    for step in path:
        found: Node | None = None
        if isinstance(step, int) and isinstance(node, Sequence) and step < len(node.items):
            found = node.items[step]
        elif isinstance(step, str) and isinstance(node, Mapping):
            found = get(node, step)
        if found is None:
            raise WireError(f"{dotted(path)} is not written as a place of its own", node.line)
        node = found
    return node


def append_to(document: int, parent: Mapping, path: Path, key: str, value: Any) -> Change:
    """Return the change that appends to the list under a key, or begins it."""
    if isinstance(child(parent, key), Sequence):
        return Change(document, (*path, key), None, value)
    return Change(document, path, key, [value])


def variables_of(container: Mapping, path: Path, key: str) -> dict[str, str]:
    """Return a container's variables, where they are a list of names and values."""
    return {
        text_of(child(pair, "name")): text_of(child(pair, "value"))
        for _, pair in items(resolved(child(container, key)), (*path, key))
        if isinstance(pair, Mapping)
    }


def rewrite(text: str, changes: list[Change], parse: Parse) -> str:
    """Make changes one after another, each in the text that the one before it left."""
    for change in changes:
        text = splice.apply(text, [_edit(text, change, parse)])
    return text


def _edit(text: str, change: Change, parse: Parse) -> splice.Edit:
    if change.path is None:
        return splice.append_document(text, change.value)
    node = follow(parse(text)[change.document].node, change.path)
    if change.key is None:
        return splice.append_item(text, sequence(node, change.path), change.value)
    parent = mapping(node, change.path)
    if change.value is REMOVE:
        return splice.remove_key(text, parent, change.key)
    return splice.set_key(text, parent, change.key, change.value)
