"""Proof that an edit did what it was to do and nothing else."""

from typing import Any

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import plain
from probe.manifests.wiring.tree import REMOVE
from probe.manifests.wiring.tree import Change
from probe.manifests.wiring.tree import Parse
from probe.manifests.wiring.tree import ThroughAliasError
from probe.manifests.wiring.tree import follow


def changed_line(documents: list[Any], change: Change) -> int:
    """Return the line of the place that a change is for."""
    node = documents[change.document].node
    return 1 if node is None else follow(node, change.path or ()).line


def verify_rest(before: str, after: str, parse: Parse, changes: list[Change], line: int) -> None:
    """Compare a text with what its changes make of the values in the old one.

    A change that shows in a second place went through an anchor: raises ThroughAliasError, and
    WireError for anything else that differs.
    """
    expected = [_values(document.node) for document in parse(before)]
    for change in changes:
        if change.path is None:
            expected.append(change.value)
        else:
            _change(_at(expected[change.document], change.path), change)
    found = [_values(document.node) for document in parse(after)]
    if found == expected:
        return
    if "&" in before:
        raise ThroughAliasError(
            "what is to be changed has an anchor (&) through which others have it too", line
        )
    raise WireError("more than the check would change", line)


def _values(node: Any) -> Any:
    return None if node is None else _apart(plain(node))


def _apart(value: Any) -> Any:
    """Copy values so that what aliases share is no longer the same object."""
    if isinstance(value, dict):
        return {key: _apart(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_apart(item) for item in value]
    return value


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _change(parent: Any, change: Change) -> None:
    if change.key is None:
        parent.append(change.value)
    elif change.value is REMOVE:
        del parent[change.key]
    else:
        parent[change.key] = change.value
