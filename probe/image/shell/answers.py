"""What `$(...)` gives where it only takes a path apart: how scripts find what lies beside them."""

import posixpath
from collections.abc import Callable
from collections.abc import Sequence
from typing import Final

from tree_sitter import Node

from probe.image.shell.grammar import name_of
from probe.image.shell.grammar import source
from probe.image.shell.grammar import spine

Constant = Callable[[Node], str | None]
"""Gives the one value that a word has; None where there is none, or several."""


def computed(substitution: Node, constant: Constant) -> str | None:
    """Return the output of `dirname X`, `basename X` and `cd X && pwd`; else None."""
    inside = [node for node in substitution.named_children if node.type != "comment"]
    if len(inside) != 1:
        return None
    first, steps = spine(inside[0])
    commands = [_command(first), *(_command(node) for operator, node in steps)]
    operands = [_operands(node) for node in commands if node is not None]
    names = [name_of(node) for node in commands if node is not None]
    if names == ["cd", "pwd"] and steps[0][0] == "&&" and len(operands[0]) == 1:
        path = constant(operands[0][0])
        return posixpath.normpath(path) if path and path.startswith("/") else None
    if len(names) == 1 and names[0] in _OF_PATHS and len(operands[0]) == 1:
        path = constant(operands[0][0])
        return _OF_PATHS[names[0]](path) if path else None
    return None


def _command(node: Node) -> Node | None:
    if node.type == "redirected_statement":
        node = node.child_by_field_name("body") or node
    return node if node.type == "command" else None


def _operands(command: Node) -> Sequence[Node]:
    words = command.children_by_field_name("argument")
    return [word for word in words if source(word) not in {"--", "-P", "-L"}]


def parent(path: str) -> str:
    """Return what dirname prints."""
    return posixpath.dirname(path.rstrip("/")) or ("/" if path.startswith("/") else ".")


_OF_PATHS: Final[dict[str, Callable[[str], str]]] = {
    "basename": lambda path: posixpath.basename(path.rstrip("/")),
    "dirname": parent,
}
