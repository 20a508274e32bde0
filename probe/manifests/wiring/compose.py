"""Services of Compose files."""

from collections.abc import Iterator
from typing import Any

from probe.manifests.command import double_dollars
from probe.manifests.command import undouble_dollars
from probe.manifests.wiring.healthcheck import Shape
from probe.manifests.wiring.healthcheck import value_of
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import mapping
from probe.manifests.wiring.tree import text_of
from probe.platforms.durations import Seconds
from probe.platforms.durations import go_duration
from probe.platforms.durations import parse_go_duration
from probe.platforms.rows import COMPOSE
from probe.platforms.rows import TIMING_NAMES


def _read(name: str, value: Any) -> Seconds | None:
    """Return seconds, or a count; None for a variable. Raises ValueError."""
    if isinstance(value, str) and "$" in value:
        return None
    if name == "retries":
        if isinstance(value, bool) or not str(value).isdigit():
            raise ValueError("not a whole number")
        return int(value)
    if not isinstance(value, str):
        raise ValueError("not a duration with its unit, such as 10s")  # noqa: TRY004 # as above
    try:
        return parse_go_duration(value)
    except ValueError:
        raise ValueError("not a duration with its unit, such as 10s or 1m30s") from None


def _write(name: str, value: Seconds) -> str | int:
    return int(value) if name == "retries" else go_duration(value)


SHAPE = Shape(
    "healthcheck",
    "test",
    {name: COMPOSE.fields[name].key for name in TIMING_NAMES},
    COMPOSE,
    _read,
    _write,
    double_dollars,
    undouble_dollars,
    off="disable",
)


def sites(documents: list[Any]) -> Iterator[Site]:
    """Walk the services. Raises WireError for a wrong type, with its place."""
    for number, document in enumerate(documents):
        root = mapping(document.node, ())
        services = child(root, "services")
        if services is None:
            continue
        for entry in mapping(services, ("services",)).entries:
            yield _site(number, text_of(entry.key), entry.value)


def _site(document: int, name: str, node: Node) -> Site:
    path = ("services", name)
    if isinstance(node, Alias):
        reason = f"services.{name} is the alias *{node.name}, which serves others too"
        return Site(document, path, node, name, blocked=reason)
    if isinstance(node, Scalar) and node.value is None:  # another file, or extends, fills it
        return Site(document, path, node, name, blocked=f"services.{name} is empty")
    service = mapping(node, path)
    image = text_of(value_of(service, "image"))
    return Site(document, path, service, name, image, _variables(value_of(service, "environment")))


def _variables(node: Node | None) -> dict[str, str]:
    if isinstance(node, Mapping):
        return {text_of(entry.key): text_of(entry.value) for entry in node.entries}
    if isinstance(node, Sequence):
        pairs = (text_of(item).partition("=") for item in node.items)
        return {name: value for name, _, value in pairs}
    return {}
