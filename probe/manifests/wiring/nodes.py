"""Documents as trees of nodes that know where they stand in their text."""

from bisect import bisect_left
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from probe.manifests.wiring.errors import WireError

_MERGE = "<<"
MAX_DEPTH = 200
"""Levels of nesting that are read: more than any document has, less than Python's stack."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value and its span: offsets in the text, the end exclusive, comments left out.

    `line` counts from 1. `flow` says that it is written in brackets, as all of JSON is. `tag` is a
    tag of the document's own, such as CloudFormation's !Ref.
    """

    start: int
    end: int
    line: int
    flow: bool = False
    tag: str | None = None
    anchor: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scalar(Node):
    """A single value, resolved: text, number, truth value or None."""

    value: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sequence(Node):
    """A list."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key and its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True, eq=False)
class Mapping(Node):
    """A mapping, its entries in the order of the text."""

    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Alias(Node):
    """A reference to a node that stands elsewhere: what it shows cannot be edited here."""

    name: str = ""
    target: Node | None = None


@dataclass(frozen=True, slots=True)
class Tagged:
    """A plain value with a tag that we do not interpret."""

    tag: str
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One document of a text; `node` is None where it is empty."""

    node: Node | None
    start: int
    end: int


def line_finder(text: str) -> Callable[[int], int]:
    """Return what tells the line of an offset: counted as editors count, by line feeds."""
    breaks = [offset for offset, character in enumerate(text) if character == "\n"]
    return lambda offset: bisect_left(breaks, offset) + 1


def get(mapping: Mapping, key: str) -> Node | None:
    """Return what stands under a key of the mapping's own, merged ones left out."""
    return next((entry.value for entry in mapping.entries if entry.key.value == key), None)


def plain(node: Node | None) -> Any:
    """Return plain Python: aliases followed, merge keys applied, tags kept as Tagged."""
    if node is None:
        return None
    if isinstance(node, Alias):
        return plain(node.target)
    value: Any
    if isinstance(node, Mapping):
        value = _plain_mapping(node)
    elif isinstance(node, Sequence):
        value = [plain(item) for item in node.items]
    else:
        assert isinstance(node, Scalar)
        value = node.value
    return value if node.tag is None else Tagged(node.tag, value)


def _plain_mapping(mapping: Mapping) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    own: dict[Any, Any] = {}
    for entry in mapping.entries:
        if entry.key.value == _MERGE:
            for source in _sources(entry.value):
                merged = plain(source) | merged
        else:
            own[entry.key.value] = plain(entry.value)
    return merged | own


def _sources(node: Node) -> Iterator[Node]:
    """Yield what a merge key names: one mapping or several, the first wins (YAML merge key)."""
    target = node.target if isinstance(node, Alias) else node
    for source in target.items if isinstance(target, Sequence) else [target]:
        if not isinstance(plain(source), dict):
            raise WireError("<< needs a mapping", node.line)
        assert source is not None
        yield source
