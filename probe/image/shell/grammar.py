"""The tree of a script by tree-sitter's grammar, mended where the grammar stumbles.

What it cannot take is blanked or replaced byte for byte, so that every offset and line stays.
"""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import tree_sitter_bash
from tree_sitter import Language
from tree_sitter import Node
from tree_sitter import Parser

from probe.image.shell.facts import ScriptError
from probe.image.shell.tables import KEYWORDS
from probe.image.shell.tables import Dialect
from probe.image.shell.tables import words

MAX_NODES: Final = 400_000
"""Of the grammar's tree: what a text of 1 MiB has where it is no attack."""
MAX_DEPTH: Final = 80
"""Commands inside commands; below what Python's own stack allows."""

_LANGUAGE = Language(tree_sitter_bash.language())
_COPROC = re.compile(
    rb"coproc(?:[ \t]+[A-Za-z_]\w*(?=[ \t]+(?:[{(]|(?:case|for|if|select|until|while)\b|\[\[)))?"
)
_BRACED = re.compile(rb"\{[A-Za-z_]\w*\}(?=[<>])")
_PART = rb"""(?:[^\s()`$|#;'"]|'[^'\n]*'|"[^"$`\n]*")"""
_REPAIRS: Final = (
    # a brace right behind a loop
    (re.compile(rb"\b(done|esac|fi) (?=\})"), rb"\1;"),
    # for NAME do, without `in` or `;`
    (re.compile(rb"(?<=\bfor )(\w+) (?=\s*do\b)"), rb"\1;"),
    # patterns: ?(x) *(x) +(x) @(x) !(x), and those of a case
    (re.compile(rb"(?<![$\s])[?*+!@]\([^()$`\n]*\)|(?<=\s)[?*+@]\([^()$`\n]*\)"), b""),
    (re.compile(rb"[?*+!@]\([^()`\n]*\)"), b""),
    (re.compile(rb"(?:(?<=\bin\n)|(?<=;;\n)|(?<=\| \\\n))\s*" + _PART + rb"+(?=\s*[|)])"), b""),
    # a pipe or list that goes on behind a backslash, which it need not
    (re.compile(rb"(?<=[|&])([ \t]*)\\(?=\n)"), rb"\1 "),
    # escapes, a lone dollar, tilde or slash
    (re.compile(rb"(?<=\s)\\[()](?=\s)"), b"  "),
    (re.compile(rb"(?<=[-=\w])\\'(?=\$\()"), b""),
    (re.compile(rb"\\['\"()]"), b""),
    (re.compile(rb"(?<=\\\$)\{"), b""),
    (re.compile(rb"\$(?=[\s)\\])"), b""),
    (re.compile(rb"(?<=[\s{,-])~(?=[\s/])"), b""),
    (re.compile(rb"(?<=\w)/(?=/?`)"), b""),
    (re.compile(rb"\\;"), b""),
    (re.compile(rb"<>(?=[ \t]*[\w\"$/&])"), rb"< "),
    # a subshell in a subshell, not arithmetic
    (re.compile(rb"[ \t]\(\((?=[a-z])(?![^\n]*\)\))"), b"( ("),
)
"""Texts that the grammar stumbles over, none of which can name a command, and what stands instead.

With "" all of it becomes letters; what stands instead is as long. Tried only on a text that has
errors, and kept only where there are fewer then.
"""
_BACKQUOTED = re.compile(r"(?<!\\)`((?:[^`\\]|\\.)*)`", re.DOTALL)


def backquoted(text: str) -> Iterator[tuple[int, str]]:
    """Yield where backquotes open in *text*, and the script between them."""
    for found in _BACKQUOTED.finditer(text):
        yield found.start(), re.sub(r"\\([$`\\])", r"\1", found[1])


def substituted(text: str) -> Iterator[tuple[int, str]]:
    """Yield where `$(` opens in *text*, and the script up to its bracket; not of arithmetic."""
    at = 0
    while (at := text.find("$(", at)) >= 0:
        if text.startswith("$((", at):
            at += 3
            continue
        depth, end = 1, at + 2
        while end < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if not depth:
            yield at, text[at + 2 : end - 1]
        at = end


def is_arithmetic(text: str) -> bool:
    """Tell whether `$((...))` is what it looks like, and not subshells in a substitution."""
    if not (text.startswith("$((") and text.endswith("))")):
        return False
    depth = 0
    for letter in text[3:-2]:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Parsed:
    root: Node
    both_ways: frozenset[int]
    """Where a `<` stands that was `<>`."""


def parse(text: bytes, dialect: Dialect) -> Parsed:
    """Parse *text*, again while there is something to blank that the grammar cannot take.

    Blanks keep every offset and line. The body of a coproc is then a plain command.
    """
    text = _BRACED.sub(lambda found: b" " * len(found[0]), _plain(text))
    both_ways: set[int] = set()
    for _ in range(8):
        root = Parser(_LANGUAGE).parse(text).root_node
        if root.descendant_count > MAX_NODES:
            raise ScriptError(f"more than {MAX_NODES} words")
        spans = list(_unreadable(root, text, dialect))
        if not spans:
            break
        both_ways.update(start - 1 for start, end in spans if text[start:end] == b">")
        text = blanked(text, spans)
    if root.has_error and (repaired := _repaired(text)) != text:
        root = Parser(_LANGUAGE).parse(repaired).root_node
    return Parsed(root, frozenset(both_ways))


def _repaired(text: bytes) -> bytes:
    """Return *text* with what keeps the grammar from reading it replaced, byte for byte."""
    best, errors = text, _errors(text)
    for tried in (*((repair,) for repair in (*_REPAIRS, *_REPAIRS)), _REPAIRS):
        if not errors:
            break
        changed = best
        for pattern, new in tried:
            changed = pattern.sub(_replacing(new), changed)
        if changed != best and (count := _errors(changed)) < errors:
            best, errors = changed, count
    return best


def _replacing(new: bytes) -> Callable[[re.Match[bytes]], bytes]:
    def replaced(found: re.Match[bytes]) -> bytes:
        return found.expand(new) if new else re.sub(rb"[^\n]", b"x", found[0])

    return replaced


def _errors(text: bytes) -> int:
    """Return how many bytes the grammar did not take, and how many it missed."""
    root = Parser(_LANGUAGE).parse(text).root_node
    if not root.has_error:
        return 0
    bad = [node for node in tree(root) if node.type == "ERROR" or node.is_missing]
    return sum(1 + node.end_byte - node.start_byte for node in bad)


def _plain(text: bytes) -> bytes:
    """Mask what is not UTF-8 as `?`, a pattern, so that no name is made of it; and our marks.

    Each byte above ASCII becomes two letters below U+0100: the grammar's scanner gives what it
    reads to isalpha(), which looks beyond its table for larger ones, and may crash.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        text = re.sub(rb"[\x80-\xff]", b"?", text)
    text = re.sub(rb"[\0-\x02]", b"?", text)
    return text if text.isascii() else _HIGH.sub(lambda found: _LETTERS[found[0]], text)


def plain(data: bytes) -> str:
    """Return the text of bytes of the tree, as the script has it."""
    if not data.isascii():
        data = _PAIR.sub(lambda found: bytes([(found[1][0] & 15) << 4 | found[2][0] & 15]), data)
    return data.decode(errors="replace")


_HIGH = re.compile(rb"[\x80-\xff]")
_LETTERS: Final = {
    bytes([byte]): f"{chr(0xC0 | byte >> 4)}{chr(0xE0 | byte & 15)}".encode()
    for byte in range(0x80, 0x100)
}
_PAIR = re.compile(rb"\xc3([\x88-\x8f])\xc3([\xa0-\xaf])")


def _unreadable(root: Node, text: bytes, dialect: Dialect) -> Iterator[tuple[int, int]]:
    for node in tree(root):
        if node.type == "ERROR" and node.text == b"<" and text.startswith(b">", node.end_byte):
            yield node.end_byte, node.end_byte + 1
        elif node.type == "ERROR" and node.text == b">" and text.endswith(b"<", 0, node.start_byte):
            yield node.start_byte, node.end_byte
        elif node.type == "word" and text.startswith(b"\n\\", node.start_byte):
            # a backslash that begins a line, taken for one more word of the line before
            yield node.start_byte + 1, node.start_byte + 2
        elif (node.type == "command_name" and source(node) in KEYWORDS[dialect]) or (
            node.text == b"coproc" and node.parent is not None and node.parent.type == "ERROR"
        ):
            yield from _misread_keyword(node, text)


def _misread_keyword(node: Node, text: bytes) -> Iterator[tuple[int, int]]:
    """Yield what is in the way: `coproc` with its name; `a=` and newline, which takes the `if`.

    A `!` before `{`, `if` or a loop goes as well: what is asked there is then taken for granted.
    """
    if node.text == b"coproc":
        found = _COPROC.match(text, node.start_byte)
        yield node.start_byte, found.end() if found else node.end_byte
        return
    command = node.parent
    for child in command.children if command else ():
        if child.type == "variable_assignment":
            yield child.start_byte, child.end_byte
    negated = command.parent if command else None
    if negated is not None and negated.type == "negated_command":
        yield negated.start_byte, negated.start_byte + 1


def blanked(text: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    changed = bytearray(text)
    for start, end in spans:
        changed[start:end] = b" " * (end - start)
    return bytes(changed)


def tree(node: Node) -> Iterator[Node]:
    """Yield *node* and all below it, in the order of the text; a loop, since lists lean deep."""
    stack = [node]
    while stack:
        yield (found := stack.pop())
        stack.extend(reversed(found.children))


def source(node: Node) -> str:
    return plain(node.text or b"")


def name_of(command: Node) -> str:
    name = command.child_by_field_name("name")
    return source(name) if name else ""


def torn(command: Node) -> bool:
    """Tell whether the grammar cut `a=$b/$1` after `$b/` and took the rest for a command."""
    name = command.child_by_field_name("name")
    if name is None or name.start_byte == command.start_byte:
        return False
    at = name.start_byte - command.start_byte
    return not re.match(rb"[\s;&|()<>]", (command.text or b"")[at - 1 : at])


def cut_short(assignment: Node) -> bool:
    command = assignment.parent
    return command is not None and command.type == "command" and torn(command)


def last(node: Node) -> Node | None:
    found = [child for child in node.named_children if child.type != "comment"]
    return found[-1] if found else None


def spine(node: Node) -> tuple[Node, list[tuple[str, Node]]]:
    """Return `a && b || c`, a tree that leans left, as a and [("&&", b), ("||", c)]."""
    steps: list[tuple[str, Node]] = []
    while node.type == "list":
        first, last = node.named_children[0], node.named_children[-1]
        operator = next((c.type for c in node.children if c.type in {"&&", "||"}), "&&")
        steps.append((operator, last))
        node = first
    return node, steps[::-1]


def branches(node: Node) -> tuple[list[Node], list[Node], list[Node]]:
    """Return condition, body and further clauses of an if or elif."""
    parts: tuple[list[Node], list[Node], list[Node]] = ([], [], [])
    at = 0
    for child in node.children:
        if child.type == "then":
            at = 1
        elif child.type in {"elif_clause", "else_clause"}:
            parts[2].append(child)
        elif child.is_named and child.type != "comment":
            parts[at].append(child)
    return parts


WORD_TYPES = words(
    "ansi_c_string brace_expression command_substitution concatenation expansion extglob_pattern"
    " number raw_string regex simple_expansion string translated_string word arithmetic_expansion"
    " process_substitution test_operator"
)


def test_words(node: Node) -> list[Node]:
    """Return words and operators of `[ ... ]` in order, without the grammar's nesting."""
    found: list[Node] = []
    stack = list(reversed(node.children))
    while stack:
        child = stack.pop()
        if child.type in WORD_TYPES or not child.children:
            found.append(child)
        else:
            stack.extend(reversed(child.children))
    return [child for child in found if child.type not in {"[", "]", "[[", "]]"}]
