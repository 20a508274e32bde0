"""The health check as one object of a container: what ECS, CloudFormation and Compose share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probe.manifests.command import to_docker
from probe.manifests.wiring import check
from probe.manifests.wiring.check import Present
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.nodes import get
from probe.manifests.wiring.nodes import plain
from probe.manifests.wiring.request import Request
from probe.manifests.wiring.request import State
from probe.manifests.wiring.request import Wired
from probe.manifests.wiring.tree import Change
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import dotted
from probe.manifests.wiring.tree import mapping
from probe.manifests.wiring.tree import resolved
from probe.manifests.wiring.tree import text_of
from probe.manifests.wiring.tree import title
from probe.platforms.durations import Seconds
from probe.platforms.rows import Platform


@dataclass(frozen=True, slots=True)
class Shape:
    """How a format writes the object: its keys, how times and words look.

    `read` returns None for a value that stands for a time in a way of the format's own (a function,
    a variable) and raises ValueError for one that is wrong. `off` tells whether the object switches
    checks off.
    """

    key: str
    test: str
    keys: dict[str, str]
    platform: Platform
    read: Callable[[str, Any], Seconds | None]
    write: Callable[[str, Seconds], Any] = lambda _name, seconds: seconds
    escape: Callable[[str], str] = str
    unescape: Callable[[str], str] = str
    off: str | None = None


def look(site: Site, shape: Shape) -> Present | None:
    """Return the check of a container, None where it has none. Raises WireError."""
    container = mapping(site.node, site.path)
    here = child(container, shape.key)
    node = value_of(container, shape.key)
    if node is None:
        return None
    line = node.line if here is None else here.line
    if is_function(node):
        return Present(line, f"{shape.key} is made by {function_name(node)}")
    return _read(mapping(node, (*site.path, shape.key)), line, site, shape)


def _read(node: Mapping, line: int, site: Site, shape: Shape) -> Present:
    test_node = value_of(node, shape.test)
    if shape.off and text_of(value_of(node, shape.off)).lower() == "true":
        return Present(line, f"{shape.off}: true")
    if test_node is None:
        return Present(line, f"{shape.key} without {shape.test}")
    raw = _words(test_node)
    call = check.read_test(_undone(raw, shape))
    if call is None:
        return Present(line, check.show(raw))
    call = check.with_escapes(call, raw, shape.escape)
    timings: dict[str, Seconds] = {}
    opaque = set()
    for name, key in shape.keys.items():
        if (value := value_of(node, key)) is None:
            continue
        seconds = _time(name, value, (*site.path, shape.key, key), shape)
        if seconds is None:
            opaque.add(name)
        else:
            timings[name] = seconds
    return Present(line, check.show(raw), call, timings, frozenset(opaque), raw)


def value_of(node: Mapping, key: str) -> Node | None:
    """Return what stands under a key, directly or by a merge key, aliases resolved."""
    found = child(node, key)
    return resolved(_inherited(node, key) if found is None else found)


def _inherited(node: Mapping, key: str) -> Node | None:
    """Return what a merge key brings under a key."""
    merged = get(node, "<<")
    sources = merged.items if isinstance(merged, Sequence) else (merged,)
    for source in sources:
        target = resolved(source)
        if isinstance(target, Mapping) and (found := value_of(target, key)) is not None:
            return found
    return None


def _words(node: Node) -> Any:
    """Return a test as plain words; functions stand as their names."""
    if isinstance(node, Sequence) and not is_function(node):
        return [
            text_of(item) if isinstance(item, Scalar | Alias) else function_name(item)
            for item in node.items
        ]
    return text_of(node) if isinstance(node, Scalar) else function_name(node)


def _undone(raw: Any, shape: Shape) -> Any:
    return [shape.unescape(word) for word in raw] if isinstance(raw, list) else shape.unescape(raw)


def _time(name: str, node: Node, path: tuple[str | int, ...], shape: Shape) -> Seconds | None:
    if is_function(node):
        return None
    try:
        return shape.read(name, plain(node))
    except ValueError as error:
        raise WireError(f"{dotted(path)} is {title(node)}, {error}", node.line) from error


def is_function(node: Node) -> bool:
    """Tell whether a value is made by one of CloudFormation's functions."""
    if node.tag is not None and node.tag.startswith("!") and not node.tag.startswith("!!"):
        return True
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return False
    name = text_of(node.entries[0].key)
    return name in {"Ref", "Condition"} or name.startswith("Fn::")


def function_name(node: Node) -> str:
    """Return the function as it is called: !If, Fn::If."""
    if node.tag is not None:
        return node.tag
    return text_of(node.entries[0].key) if isinstance(node, Mapping) and node.entries else "?"


def judge(site: Site, present: Present | None, shape: Shape) -> Wired:
    """Return what is to be said of a container."""
    if present is None:
        return Wired(site.name, site.line, State.ABSENT, faults=("no health check",))
    if present.call is None:
        return Wired(site.name, present.line, State.FOREIGN, present.shown, ("a foreign check",))
    found = check.faults(present, shape.platform, site.variables)
    return Wired(site.name, present.line, State.OURS, present.shown, tuple(found))


def changes(site: Site, present: Present | None, shape: Shape, request: Request) -> list[Change]:
    """Return what makes the check ours and of today. Raises TimingsError."""
    timings = check.timings(request, shape.platform, present)
    words = check.words(request, present, timings.timeout, timings.own_timeout)
    test = to_docker(check.escaped(words, present, shape.escape, shape.unescape))
    values = {shape.test: test} | {
        key: shape.write(name, getattr(timings, name)) for name, key in shape.keys.items()
    }
    differing = {
        key: value
        for key, value in values.items()
        if present is None or _differs(key, present, shape, value)
    }
    if not differing:
        return []
    if (
        present
        and present.call
        and isinstance(child(mapping(site.node, site.path), shape.key), Mapping)
    ):
        path = (*site.path, shape.key)
        return [Change(site.document, path, key, value) for key, value in differing.items()]
    return [Change(site.document, site.path, shape.key, values)]


def _differs(key: str, present: Present, shape: Shape, value: Any) -> bool:
    if present.call is None:
        return True
    if key == shape.test:
        return bool(present.raw != value)
    name = next(name for name, known in shape.keys.items() if known == key)
    if name in present.opaque:
        return False
    return name not in present.timings or shape.write(name, present.timings[name]) != value
