"""What a condition establishes: the commands that are there because the script has asked."""

import posixpath
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Final

from tree_sitter import Node

from probe.image.shell.grammar import MAX_DEPTH
from probe.image.shell.grammar import branches
from probe.image.shell.grammar import last
from probe.image.shell.grammar import name_of
from probe.image.shell.grammar import source
from probe.image.shell.grammar import spine
from probe.image.shell.grammar import test_words
from probe.image.shell.tables import FILE_TESTS
from probe.image.shell.tables import words
from probe.image.shell.words import FOUND
from probe.image.shell.words import UNKNOWN
from probe.image.shell.words import Scope

Pair = tuple[frozenset[str], frozenset[str]]
"""The commands that are there if something succeeds, and those that are if it fails."""
NOTHING: Final[frozenset[str]] = frozenset()
NO_ANSWER: Final[Pair] = (NOTHING, NOTHING)
_TRANSPARENT = words("compound_statement negated_command redirected_statement subshell")


class Guards:
    """Reads conditions, with the variables and functions of the script."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def asks(self, node: Node, depth: int = 0) -> Pair:
        """Return the commands that are there if *node* succeeds, and those if it fails."""
        if depth > MAX_DEPTH:
            return NO_ANSWER
        if node.type == "list":
            first, steps = spine(node)
            answer = self.asks(first, depth + 1)
            for operator, part in steps:
                answer = joined(answer, operator, self.asks(part, depth + 1))
            return answer
        if node.type in _TRANSPARENT:
            inner = node.child_by_field_name("body") or last(node)
            answer = self.asks(inner, depth + 1) if inner is not None else NO_ANSWER
            return answer[::-1] if node.type == "negated_command" else answer
        return self._asks_itself(node)

    def _asks_itself(self, node: Node) -> Pair:
        if node.type == "variable_assignment":
            value = node.child_by_field_name("value")
            found = self.scope.values(value) if value else []
            return names(word for word in found if word.startswith(FOUND)), NOTHING
        if node.type == "test_command":
            return self._tested(test_words(node))
        if node.type == "command" and name_of(node) == "test":
            return self._tested(node.children_by_field_name("argument"))
        if node.type == "command":
            return names(self.scope.question(node)), NOTHING
        return NO_ANSWER

    def _tested(self, nodes: Sequence[Node]) -> Pair:
        """Return what `[ -x A -a ! -e B ]` asks; nothing where one of several would do."""
        texts = [source(node) for node in nodes]
        if {"-o", "||"}.intersection(texts):
            return NO_ANSWER
        parts: list[list[Node]] = [[]]
        for node, text in zip(nodes, texts, strict=True):
            if text in {"-a", "&&"}:
                parts.append([])
            else:
                parts[-1].append(node)
        answers = [self._tested_part(part) for part in parts]
        positive = NOTHING.union(*(answer[0] for answer in answers))
        return positive, answers[0][1] if len(answers) == 1 else NOTHING

    def _tested_part(self, part: list[Node]) -> Pair:
        signs = next((at for at, node in enumerate(part) if source(node) != "!"), len(part))
        answer = self._tested_operand(part[signs:])
        return answer[::-1] if signs % 2 else answer

    def _tested_operand(self, part: list[Node]) -> Pair:
        if len(part) not in {1, 2}:
            return NO_ANSWER
        operator = source(part[0]) if part[1:] else "-n"
        if operator not in FILE_TESTS | {"-n", "-z"}:
            return NO_ANSWER
        values = self.scope.values(part[-1])
        if operator in FILE_TESTS:
            return names(values), NOTHING
        found = names(value for value in values if value.startswith(FOUND))
        return (NOTHING, found) if operator == "-z" else (found, NOTHING)

    def established(self, node: Node) -> frozenset[str]:
        """Return the commands that are there where what follows *node* is reached."""
        while node.type == "redirected_statement":
            if (body := node.child_by_field_name("body")) is None:
                return NOTHING
            node = body
        if node.type == "list":
            first, steps = spine(node)
            answer = self.asks(first)
            for operator, part in steps[:-1]:
                answer = joined(answer, operator, self.asks(part))
            operator, end = steps[-1] if steps else ("", node)
            if steps and self.scope.leaves(end):
                return answer[0] if operator == "||" else answer[1]
        if node.type == "if_statement":
            condition, then, clauses = branches(node)
            if condition and then and not clauses and self.scope.leaves(then[-1]):
                return self.asks(condition[-1])[1]
        return NOTHING


def joined(first: Pair, operator: str, second: Pair) -> Pair:
    """Return what `first && second` or `first || second` answers."""
    if operator == "&&":
        return first[0] | second[0], first[1] & second[1]
    return first[0] & second[0], first[1] | second[1]


def names(values: Iterable[str]) -> frozenset[str]:
    """Return the names asked for; who asks for a path may call it by its last part as well."""
    found = [value.replace(FOUND, "") for value in values]
    parts = [posixpath.basename(value) for value in found if UNKNOWN not in value]
    return frozenset(filter(None, [*found, *parts]))
