"""The command lines that the words of one command may become, once they are expanded."""

import posixpath
from itertools import cycle
from typing import Final

from tree_sitter import Node

from probe.image.shell.grammar import source
from probe.image.shell.tables import SHELLS
from probe.image.shell.words import MAX_CHOICES
from probe.image.shell.words import SPLIT
from probe.image.shell.words import Scope
from probe.image.shell.words import Word
from probe.image.shell.words import unknown
from probe.image.shell.wrappers import WRAPPERS

_EXPANSIONS: Final = frozenset({"simple_expansion", "expansion", "command_name"})


def command_lines(command: Node, scope: Scope) -> list[list[Word]]:
    """Return one line for each choice that the values of its variables leave."""
    text, start = command.text or b"", command.start_byte
    name = command.child_by_field_name("name")
    nodes = [*([name] if name else []), *command.children_by_field_name("argument")]
    found: list[list[Word]] = [[]]
    for before, node in zip([None, *nodes], nodes, strict=False):
        gap = text[before.end_byte - start : node.start_byte - start] if before else b""
        choices = [_split(value, node) for value in scope.values(node)]
        if before is None:
            choices = _telling(choices)
        if len(found) * len(choices) > MAX_CHOICES:
            choices = [[Word(unknown(node), source(node))]]
        if len(choices) > 1:
            found = [[*line] for line in found for _ in choices]
        for line, tail in zip(found, cycle(choices), strict=False):
            _extend(line, tail, glued=gap == b"\\\n")
    return found


def _split(value: str, node: Node) -> list[Word]:
    text = source(node)
    parts = value.split(SPLIT)
    if len(parts) == 1:
        return [Word(value, text)] if value or node.type not in _EXPANSIONS else []
    return [Word(part, text) for part in parts if part]


def _telling(choices: list[list[Word]]) -> list[list[Word]]:
    """Leave out the empty value that a name has before it is set, but not that of `$SUDO cmd`."""
    full = [words for words in choices if words]
    names = {posixpath.basename(words[0].value) for words in full}
    wraps = any(name in WRAPPERS or name in SHELLS for name in names)
    return choices if wraps or not full else full


def _extend(line: list[Word], tail: list[Word], *, glued: bool) -> None:
    """Add words to a line; behind a backslash and newline alone the word before goes on."""
    if glued and line and tail:
        line[-1] = Word(line[-1].value + tail[0].value, line[-1].text + tail[0].text)
        tail = tail[1:]
    line += tail
