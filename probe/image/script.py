"""What one shell script needs: its interpreter, the commands that it runs, the files it reads.

The grammar is tree-sitter's; who answers to a name (function, builtin, file in PATH) is decided
here, with the tables of the shell in question. Words are followed as far as the script fixes
them: quotes, variables that get constants, strings that are scripts (eval, trap, `sh -c`), and
commands that run others (env, xargs). What is only known when it runs is reported as unknown,
with its text; nothing is guessed. Values are plain strings in which control characters, which no
script may hold, mark what is not literal: see `_UNKNOWN` and its neighbours.
"""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from enum import Flag
from enum import auto
from itertools import cycle
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final
from typing import TypeVar

import tree_sitter_bash
from tree_sitter import Language
from tree_sitter import Node
from tree_sitter import Parser

from probe.image.shell_tables import ASSIGNING
from probe.image.shell_tables import BUILTIN_WRAPPERS
from probe.image.shell_tables import BUILTINS
from probe.image.shell_tables import FILE_TESTS
from probe.image.shell_tables import KEYWORDS
from probe.image.shell_tables import LEAVING
from probe.image.shell_tables import QUESTIONS
from probe.image.shell_tables import SHELLS
from probe.image.shell_tables import WRAPPERS
from probe.image.shell_tables import Dialect
from probe.image.shell_tables import words

MAX_BYTES: Final = 2**20
"""Text that is read of a script; libtool, the largest in Debian, has 350 KB."""
_MAX_SHEBANG = 255
"""BINPRM_BUF_SIZE of Linux 5.1 and later, less the closing NUL."""
_MAX_DEPTH = 80
"""Commands inside commands; below what Python's own stack allows."""
_MAX_NODES = 400_000
"""Of the grammar's tree: what a text of 1 MiB has where it is no attack."""
_MAX_CHOICES = 16
_MAX_VALUE = 16384
_MAX_STEPS = 20_000
_MAX_FILES = 32
_MAX_STRINGS = 10_000
"""Strings read as scripts: each may hold several that hold several."""

_UNKNOWN = "\0"
"""Stands on both sides of the text of something that has no constant value."""
_SPLIT = "\x01"
"""White space that came out of an unquoted expansion: the word ends there."""
_FOUND = "\x02"
"""Stands before a value that is the answer of `command -v` and the like: empty where absent."""

_Fact = TypeVar("_Fact")
_Pair = tuple[frozenset[str], frozenset[str]]
_NOTHING: frozenset[str] = frozenset()
_NO_ANSWER: _Pair = (_NOTHING, _NOTHING)


class ScriptError(ValueError):
    """The bytes are not a shell script that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Shebang:
    """The `#!` line: what the kernel runs, and the one argument that it makes of the rest."""

    path: str
    argument: str | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """Return the words that run at last, behind `env`, whose -S splits its argument."""
        if self.argument is None:
            return (self.path,)
        if PurePosixPath(self.path).name != "env":
            return (self.path, self.argument)
        rest = re.match(r"(?:-[vi]*S|--split-string[= ])\s*(.*)", self.argument, re.DOTALL)
        words = rest[1].split() if rest else [self.argument]
        while words and re.match(r"-|\w+=", words[0]):
            del words[0]
        return tuple(words) or (self.path,)

    @property
    def dialect(self) -> Dialect | None:
        """Return the language of the script; None where it is not one of the shells we know."""
        name, *rest = self.command
        if PurePosixPath(name).name == "busybox" and rest:
            return Dialect.ASH if rest[0].split()[:1] in (["sh"], ["ash"]) else None
        return SHELLS.get(PurePosixPath(name).name)


@dataclass(frozen=True, slots=True)
class Call:
    """A command that is no function, builtin or keyword. Lines count from 1.

    guarded: reached only where the script has asked for it, or one of several values of a
    variable. tolerated: its failure is answered by `|| true`. via: what runs it, outermost first,
    such as ("sudo", "env") or ("trap",). file: the sourced file it stands in, or "".
    """

    name: str
    line: int
    guarded: bool = False
    tolerated: bool = False
    via: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A command whose name is only known when it runs; text is as far as it is known.

    What is not stands in it as the script writes it: `$1`, `$dir/run`, `$(pick)`.
    """

    text: str
    line: int
    guarded: bool = False
    via: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Sourced:
    """A file that is read as a script: by `.` or, where run is true, by a shell of its own."""

    path: str
    line: int
    known: bool = True
    """Whether path is the file; otherwise it is the text of it, such as `$lib/x.sh`."""
    guarded: bool = False
    run: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class Redirection:
    """A file that a redirection opens; known as in Sourced (`/dev/tcp/$host/80` is not)."""

    path: str
    operator: str
    line: int
    known: bool = True
    file: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that the grammar did not take; what is around it was read."""

    text: str
    line: int
    file: str = ""


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """All of one script. A dialect of None: another language, and nothing but the `#!` was read."""

    shebang: Shebang | None
    dialect: Dialect | None
    calls: tuple[Call, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    sourced: tuple[Sourced, ...] = ()
    redirections: tuple[Redirection, ...] = ()
    unread: tuple[Unread, ...] = ()
    functions: frozenset[str] = _NOTHING


Load = Callable[[str], bytes | None]
"""Gives the bytes of a sourced file by its name as written; None where there is no such file."""


def parse_shebang(data: bytes) -> Shebang | None:
    """Return what the kernel makes of the first line, or None when there is no `#!`."""
    if not data.startswith(b"#!"):
        return None
    line = data[2:_MAX_SHEBANG].partition(b"\n")[0].strip(b" \t")
    path, _, argument = line.replace(b"\t", b" ").partition(b" ")
    if not path or b"\0" in line:
        raise ScriptError("the #! line names no interpreter")
    return Shebang(_decode(path), _decode(argument.strip()) or None)


def read_script(
    data: bytes, *, dialect: Dialect | None = None, load: Load | None = None
) -> ScriptFacts:
    """Return the facts of a script; *dialect* overrides what its `#!` says (what sh is).

    Without `#!` and *dialect* it counts as sh, as the shells and execvp have it. With *load* the
    files that it sources are read as well: their functions, variables and calls.

    Raises:
        ScriptError: binary, larger than MAX_BYTES, or nested too deep.
    """
    shebang = parse_shebang(data)
    if dialect is None:
        dialect = shebang.dialect if shebang else Dialect.DASH
    if dialect is None:
        return ScriptFacts(shebang, None)
    reader = _Reader(dialect, load or (lambda _: None))
    reader.read(_text_of(data))
    return reader.facts(shebang)


def _decode(data: bytes) -> str:
    return data.decode(errors="replace")


def _text_of(data: bytes) -> bytes:
    """Return the part of the file that a shell reads as text.

    bash looks for a NUL in the first line and takes the file for a program where it finds one; a
    later NUL begins what a self-extracting script carries behind its text.
    """
    head, found, _ = data[: MAX_BYTES + 1].partition(b"\0")
    if found and (b"\n" not in head or data.startswith(b"\x7fELF")):
        raise ScriptError("not a script: a NUL byte in the first line")
    if len(head) > MAX_BYTES:
        raise ScriptError(f"more than {MAX_BYTES} bytes of script")
    return head[: head.rfind(b"\n") + 1] if found else head


# -- Grammar -------------------------------------------------------------------------------------

_LANGUAGE = Language(tree_sitter_bash.language())
_COPROC = re.compile(
    rb"coproc(?:[ \t]+[A-Za-z_]\w*(?=[ \t]+(?:[{(]|(?:case|for|if|select|until|while)\b|\[\[)))?"
)
_BRACED = re.compile(rb"\{[A-Za-z_]\w*\}(?=[<>])")
_PART = rb"""(?:[^\s()`$|#;'"]|'[^'\n]*'|"[^"$`\n]*")"""
_REPAIRS: Final = (
    # for NAME do, without `in` or `;`
    (re.compile(rb"(?<=\bfor )(\w+) (?=\s*do\b)"), rb"\1;"),
    # patterns: ?(x) *(x) +(x) @(x) !(x), and those of a case
    (re.compile(rb"(?<![$\s])[?*+!@]\([^()$`\n]*\)|(?<=\s)[?*+@]\([^()$`\n]*\)"), b""),
    (re.compile(rb"[?*+!@]\((?:[^()`\n]|\$\{?\w+)*\)"), b""),
    (re.compile(rb"(?:(?<=\bin\n)|(?<=;;\n)|(?<=\| \\\n))\s*" + _PART + rb"+(?=\s*[|)])"), b""),
    # escapes, a lone dollar, tilde or slash
    (re.compile(rb"(?<=\s)\\[()](?=\s)"), b"  "),
    (re.compile(rb"(?<=[-=\w])\\'(?=\$\()"), b""),
    (re.compile(rb"\\['\"()]"), b""),
    (re.compile(rb"(?<=\\\$)\{"), b""),
    (re.compile(rb"\$(?=[\s)\\])"), b""),
    (re.compile(rb"(?<=[\s-])~(?=[\s/])"), b""),
    (re.compile(rb"(?<=\w)/(?=/?`)"), b""),
    # a subshell in a subshell, not arithmetic
    (re.compile(rb"[ \t]\(\((?=[a-z])"), b"( ("),
)
"""Texts that the grammar stumbles over, none of which can name a command, and what stands instead.

With "" all of it becomes letters; what stands instead is as long. Tried only on a text that has
errors, and kept only where there are fewer then.
"""
_BACKQUOTED = re.compile(r"(?<!\\)`((?:[^`\\]|\\.)*)`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Parsed:
    root: Node
    both_ways: frozenset[int]
    """Where a `<` stands that was `<>`."""


def _parse(text: bytes, dialect: Dialect) -> _Parsed:
    """Parse *text* twice or more, blanking what the grammar cannot take: `coproc` and `<>`.

    Blanks keep every offset and line. The body of a coproc is then a plain command.
    """
    text = _BRACED.sub(lambda found: b" " * len(found[0]), _plain(text))
    both_ways: set[int] = set()
    for _ in range(8):
        root = Parser(_LANGUAGE).parse(text).root_node
        if root.descendant_count > _MAX_NODES:
            raise ScriptError(f"more than {_MAX_NODES} words")
        spans = list(_unreadable(root, text, dialect))
        if not spans:
            break
        both_ways.update(start - 1 for start, end in spans if text[start:end] == b">")
        text = _blanked(text, spans)
    if root.has_error and (repaired := _repaired(text)) != text:
        root = Parser(_LANGUAGE).parse(repaired).root_node
    return _Parsed(root, frozenset(both_ways))


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
    bad = [node for node in _tree(root) if node.type == "ERROR" or node.is_missing]
    return sum(1 + node.end_byte - node.start_byte for node in bad)


def _plain(text: bytes) -> bytes:
    """Mask what is not UTF-8 as `?`, a pattern, so that no name is made of it; and our marks."""
    try:
        text.decode()
    except UnicodeDecodeError:
        text = re.sub(rb"[\x80-\xff]", b"?", text)
    return re.sub(rb"[\0-\x02]", b"?", text)


def _unreadable(root: Node, text: bytes, dialect: Dialect) -> Iterator[tuple[int, int]]:
    for node in _tree(root):
        if node.type == "ERROR" and node.text == b"<" and text.startswith(b">", node.end_byte):
            yield node.end_byte, node.end_byte + 1
        elif node.type == "ERROR" and node.text == b">" and text.endswith(b"<", 0, node.start_byte):
            yield node.start_byte, node.end_byte
        elif (node.type == "command_name" and _source(node) in KEYWORDS[dialect]) or (
            node.text == b"coproc" and node.parent is not None and node.parent.type == "ERROR"
        ):
            yield from _misread_keyword(node, text)


def _misread_keyword(node: Node, text: bytes) -> Iterator[tuple[int, int]]:
    """Yield what is in the way: `coproc` with its name; `a=` and newline, which takes the `if`."""
    if node.text == b"coproc":
        found = _COPROC.match(text, node.start_byte)
        yield node.start_byte, found.end() if found else node.end_byte
    elif node.parent is not None:
        for child in node.parent.children:
            if child.type == "variable_assignment":
                yield child.start_byte, child.end_byte


def _blanked(text: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    changed = bytearray(text)
    for start, end in spans:
        changed[start:end] = b" " * (end - start)
    return bytes(changed)


def _tree(node: Node) -> Iterator[Node]:
    """Yield *node* and all below it, in the order of the text."""
    stack = [node]
    while stack:
        yield (found := stack.pop())
        stack.extend(reversed(found.children))


def _source(node: Node) -> str:
    return _decode(node.text or b"")


def _name_of(command: Node) -> str:
    name = command.child_by_field_name("name")
    return _source(name) if name else ""


def _torn(command: Node) -> bool:
    """Tell whether the grammar cut `a=$b/$1` after `$b/` and took the rest for a command."""
    name = command.child_by_field_name("name")
    if name is None or name.start_byte == command.start_byte:
        return False
    at = name.start_byte - command.start_byte
    return not re.match(rb"[\s;&|()<>]", (command.text or b"")[at - 1 : at])


def _cut_short(assignment: Node) -> bool:
    command = assignment.parent
    return command is not None and command.type == "command" and _torn(command)


def _last(node: Node) -> Node | None:
    found = [child for child in node.named_children if child.type != "comment"]
    return found[-1] if found else None


def _spine(node: Node) -> tuple[Node, list[tuple[str, Node]]]:
    """Return `a && b || c`, a tree that leans left, as a and [("&&", b), ("||", c)]."""
    steps: list[tuple[str, Node]] = []
    while node.type == "list":
        first, last = node.named_children[0], node.named_children[-1]
        operator = next((c.type for c in node.children if c.type in {"&&", "||"}), "&&")
        steps.append((operator, last))
        node = first
    return node, steps[::-1]


def _branches(node: Node) -> tuple[list[Node], list[Node], list[Node]]:
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


_WORDS = words(
    "ansi_c_string brace_expression command_substitution concatenation expansion extglob_pattern"
    " number raw_string regex simple_expansion string translated_string word arithmetic_expansion"
    " process_substitution test_operator"
)


def _test_words(node: Node) -> list[Node]:
    """Return words and operators of `[ ... ]` in order, without the grammar's nesting."""
    found: list[Node] = []
    stack = list(reversed(node.children))
    while stack:
        child = stack.pop()
        if child.type in _WORDS or not child.children:
            found.append(child)
        else:
            stack.extend(reversed(child.children))
    return [child for child in found if child.type not in {"[", "]", "[[", "]]"}]


# -- Words ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    value: str
    text: str
    """As the script writes it."""

    @property
    def known(self) -> bool:
        return not re.search(r"[\0*?]|^~", self.value)

    @property
    def shown(self) -> str:
        """What a person reads: the value, with what is unknown in it as the script writes it."""
        return self.value.replace(_UNKNOWN, "")


def _unknown(node: Node) -> str:
    text = _source(node)
    if plain := re.fullmatch(r"\$\{(\w+)\}", text):
        text = f"${plain[1]}"
    return f"{_UNKNOWN}{text}{_UNKNOWN}"


def _product(parts: Sequence[Sequence[str]]) -> list[str]:
    """Join one choice of each part in every way; beyond the limits only the first choices."""
    found = [""]
    for choices in parts:
        usable = choices if len(found) * len(choices) <= _MAX_CHOICES else choices[:1]
        found = [head + tail for head in found for tail in usable]
    return [value[:_MAX_VALUE] for value in found]


_ANSI = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}


def _ansi(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8) & 255) if code.isdigit() else _ANSI.get(code, code)

    plain = re.sub(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", one, text, flags=re.DOTALL)
    return re.sub(r"[\0-\x02]", "?", plain)


_LITERALS: Final[dict[str, Callable[[Node], str]]] = {
    **dict.fromkeys(
        words("word number extglob_pattern test_operator variable_name"),
        lambda node: re.sub(r"\\(\n|.)", lambda found: found[1].strip("\n"), _source(node)),
    ),
    "ansi_c_string": lambda node: _ansi(_source(node)[2:-1]),
    "raw_string": lambda node: _source(node)[1:-1],
    "variable_assignment": lambda _: "",  # NAME= without a value
}


class _Scope:
    """Functions and variables of a script and of the files that it sources."""

    def __init__(self) -> None:
        self.functions: dict[str, Node] = {}
        self.variables: dict[str, list[Node | None]] = {}
        self.loops: set[str] = set()
        self.leavers: set[str] = set()
        self.askers: set[str] = set()
        self.forwarders: dict[str, int] = {}
        self._known: dict[str, list[str]] = {}
        self._steps = 0

    def collect(self, root: Node) -> None:
        """Take in what *root* defines, wherever it stands in it."""
        self._known.clear()
        for node in _tree(root):
            if collect := _COLLECT.get(node.type):
                collect(self, node)

    def assignment(self, node: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            return
        appended = any(child.type == "+=" for child in node.children)
        if name.type == "variable_name" and not (appended and _source(name) in self.variables):
            self.variables.setdefault(_source(name), []).append(
                None if _cut_short(node) else value or node  # without a value the empty one
            )

    def loop(self, node: Node) -> None:
        name = node.child_by_field_name("variable")
        if name is not None:
            values: list[Node | None] = list(node.children_by_field_name("value"))
            self.variables.setdefault(_source(name), []).extend(values or [None])
            self.loops.add(_source(name))

    def command(self, node: Node) -> None:
        name, arguments = _name_of(node), node.children_by_field_name("argument")
        if name in ASSIGNING:
            names = [_source(word) for word in arguments if word.type == "word"]
        elif name == "printf" and len(arguments) > 1 and _source(arguments[0]) == "-v":
            names = [_source(arguments[1])]
        else:
            return
        for variable in filter(str.isidentifier, names):
            self.variables.setdefault(variable, []).append(None)

    def function(self, node: Node) -> None:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is None or body is None:
            return
        self.functions[_source(name)] = body
        if self.leaves(body):
            self.leavers.add(_source(name))
        commands = [part for part in _tree(body) if part.type == "command"]
        if any(_asks_argument(part) for part in commands):
            self.askers.add(_source(name))
        shifts = sum(_name_of(part) == "shift" for part in commands)
        if shifts <= 1 and any(_forwards(part) for part in commands):
            self.forwarders[_source(name)] = shifts

    def leaves(self, node: Node | None) -> bool:
        """Tell whether nothing behind *node* is reached."""
        while node is not None and node.type in {"compound_statement", "redirected_statement"}:
            redirected = node.type == "redirected_statement"
            node = node.child_by_field_name("body") if redirected else _last(node)
        if node is None or node.type != "command":
            return False
        name = _name_of(node)
        runs = name == "exec" and bool(node.children_by_field_name("argument"))
        return runs or name in LEAVING or name in self.leavers

    def values(
        self, node: Node, *, quoted: bool = False, seen: frozenset[str] = _NOTHING
    ) -> list[str]:
        """Return the strings that a word may be, in marked form."""
        kind = node.type
        if kind in {"string", "concatenation", "command_name", "translated_string"}:
            return self._pieces(node, seen, quoted=quoted or kind == "string")
        if kind in {"simple_expansion", "expansion"}:
            return self._expansion(node, seen, quoted=quoted)
        if kind == "array":
            return [_SPLIT.join(value) for value in self._array(node, seen)]
        if kind == "command_substitution":
            return self._answer(node)
        read = _LITERALS.get(kind, _unknown)
        return [read(node)]

    def _pieces(self, node: Node, seen: frozenset[str], *, quoted: bool) -> list[str]:
        """Return the values of a word of several parts; what lies between them is literal."""
        data, start = node.text or b"", node.start_byte
        partial = node.type != "command_name"
        parts: list[list[str]] = []
        at = 0
        for child in node.named_children:
            if child.type in {"string_content", "comment"}:
                continue
            parts.append([_literal(data[at : child.start_byte - start], quoted=quoted)])
            found = self.values(child, quoted=quoted, seen=seen)
            if partial:  # part of a name: the empty value is what stands before it is set
                found = [value for value in found if value] or found
            parts.append(found)
            at = child.end_byte - start
        parts.append([_literal(data[at:], quoted=quoted)])
        if node.type == "string":
            parts[0] = [value[1:] for value in parts[0]]
            parts[-1] = [value[:-1] for value in parts[-1]]
        return _product(parts)

    def _array(self, node: Node, seen: frozenset[str]) -> list[list[str]]:
        return [[_product([self.values(word, seen=seen)])[0] for word in node.named_children]]

    def _expansion(self, node: Node, seen: frozenset[str], *, quoted: bool) -> list[str]:
        found = re.match(r"\$\{?(\w+)(\[[@*]\])?(:?[-=+])?", _source(node))
        text = _source(node)
        if found is None or not re.fullmatch(
            r"\$\w+|\$\{\w+(\[[@*]\])?(:?[-=+].*)?\}", text, re.DOTALL
        ):
            return [_unknown(node)]
        name, array, operator = found.groups()
        values = self._variable(name, seen)
        if operator:
            default = [child for child in node.named_children if child.type in _WORDS]
            others = self.values(default[-1], quoted=quoted, seen=seen) if default else [""]
            values = (
                ["", *others] if operator[-1] == "+" else [*filter(None, values or ()), *others]
            )
        if not values:
            return [_unknown(node)] if values is None else [""]
        if quoted and not array:
            return list(dict.fromkeys(value.replace(_SPLIT, " ") for value in values))[
                :_MAX_CHOICES
            ]
        return list(dict.fromkeys(_split(value) for value in values))[:_MAX_CHOICES]

    def _variable(self, name: str, seen: frozenset[str]) -> list[str] | None:
        """Return the values of a variable; none where the script never sets it."""
        if name in seen:
            return []
        if name not in self.variables or len(seen) > _MAX_CHOICES:
            return None
        if not seen and name in self._known:
            return self._known[name]
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return None
        values: list[str] = []
        for node in self.variables[name]:
            found = [f"{_UNKNOWN}${name}{_UNKNOWN}"]
            if node is not None:
                found = self.values(node, quoted=node.type == "string", seen=seen | {name})
            values.extend(found)
        values = list(dict.fromkeys(values))[: 4 * _MAX_CHOICES]
        if not seen:
            self._known[name] = values
        return values

    def _answer(self, node: Node) -> list[str]:
        """Return X of `$(command -v X)`; the output of anything else is not known."""
        commands = [part for part in _tree(node) if part.type == "command"]
        if len(commands) == 1 and _name_of(commands[0]) in QUESTIONS:
            asked = [word for word in self.question(commands[0]) if _UNKNOWN not in word]
            if len(asked) == 1:
                return [_FOUND + asked[0]]
        return [_unknown(node)]

    def question(self, node: Node) -> list[str]:
        """Return the names that a command asks for (`command -v a b`), if it is one that asks."""
        name = _name_of(node)
        arguments = node.children_by_field_name("argument")
        if name not in QUESTIONS and name not in self.askers:
            return []
        words = [self.values(word)[0] for word in arguments]
        wanted = QUESTIONS.get(name, "")
        options = "".join(word[1:] for word in words if word.startswith("-"))
        if wanted and not any(letter in options for letter in wanted):
            return []
        return [word for word in words if not word.startswith("-")]


_COLLECT: Final[dict[str, Callable[[_Scope, Node], None]]] = {
    "variable_assignment": _Scope.assignment,
    "for_statement": _Scope.loop,
    "command": _Scope.command,
    "function_definition": _Scope.function,
}


def _literal(data: bytes, *, quoted: bool) -> str:
    if re.search(rb"(?<!\\)\$", data):  # an expansion that the grammar did not see as one
        return f"{_UNKNOWN}{_decode(data)}{_UNKNOWN}"
    pattern = r"\\([$`\"\\\n])" if quoted else r"\\(\n|.)"
    return re.sub(pattern, lambda found: found[1].strip("\n"), _decode(data))


def _split(value: str) -> str:
    """Mark white space outside of what is unknown: there an unquoted expansion falls apart."""
    parts = value.split(_UNKNOWN)
    parts[::2] = [re.sub(r"[ \t\n]+", _SPLIT, part) for part in parts[::2]]
    return _UNKNOWN.join(parts)


_OWN_ARGUMENTS = frozenset({'"$@"', "$@", '"${@}"', "$*", '"$*"'})
_FIRST_ARGUMENT = _OWN_ARGUMENTS | {'"$1"', "$1", '"${1}"'}


def _asks_argument(command: Node) -> bool:
    arguments = [_source(word) for word in command.children_by_field_name("argument")]
    wanted = QUESTIONS.get(_name_of(command))
    if wanted is None or not _FIRST_ARGUMENT.intersection(arguments):
        return False
    return not wanted or any(re.match(rf"-\w*[{wanted}]", word) for word in arguments)


def _forwards(command: Node) -> bool:
    arguments = command.children_by_field_name("argument")
    name = _name_of(command)
    if name in {"exec", "command", "eval"} and arguments:
        name = _source(arguments[0])
    return name in _OWN_ARGUMENTS


# -- Reading -------------------------------------------------------------------------------------


class _Lookup(Flag):
    """Who may answer to a name: `env` never runs a function, `command` does not either."""

    FUNCTION = auto()
    BUILTIN = auto()
    EXTERNAL = auto()
    ALL = FUNCTION | BUILTIN | EXTERNAL


_AFTER: Final = {
    "builtin": _Lookup.BUILTIN,
    "command": _Lookup.BUILTIN | _Lookup.EXTERNAL,
    "exec": _Lookup.EXTERNAL,
    "time": _Lookup.ALL,
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the reader is, and what holds there."""

    file: str = ""
    line: int = 1
    guards: frozenset[str] = _NOTHING
    tolerated: bool = False
    via: tuple[str, ...] = ()
    function: str = ""
    depth: int = 0
    both_ways: frozenset[int] = frozenset()

    def of(self, node: Node) -> int:
        return self.line + node.start_point[0]

    def knowing(self, names: frozenset[str]) -> "_Place":
        return replace(self, guards=self.guards | names) if names else self


@dataclass(slots=True)
class _Found:
    calls: list[Call] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    sourced: list[Sourced] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


@dataclass(slots=True)
class _Budget:
    strings: int = _MAX_STRINGS


class _Reader:
    def __init__(self, dialect: Dialect, load: Load) -> None:
        self.dialect, self.load = dialect, load
        self.scope = _Scope()
        self.found = _Found()
        self.budget = _Budget()
        self.files: set[str] = set()

    def facts(self, shebang: Shebang | None) -> ScriptFacts:
        found = self.found
        return ScriptFacts(
            shebang,
            self.dialect,
            _unique(found.calls),
            _unique(found.unknown),
            _unique(found.sourced),
            _unique(found.redirections),
            _unique(found.unread),
            frozenset(self.scope.functions),
        )

    def read(self, text: bytes) -> None:
        """Read a script, and before its commands are judged all that it sources."""
        for parsed, file in list(self._files(text)):
            place = _Place(file=file, both_ways=parsed.both_ways)
            self._note_unread(parsed.root, place)
            self.visit(parsed.root, place)

    def _files(self, text: bytes) -> Iterator[tuple[_Parsed, str]]:
        waiting = [("", text)]
        for file, content in waiting:
            parsed = _parse(content, self.dialect)
            self.scope.collect(parsed.root)
            yield parsed, file
            for path in self._sources(parsed.root):
                if path in self.files or len(self.files) >= _MAX_FILES:
                    continue
                self.files.add(path)
                if (data := self.load(path)) is not None:
                    waiting.append((path, _text_of(data)))

    def _sources(self, root: Node) -> Iterator[str]:
        for node in _tree(root):
            if node.type == "command" and _name_of(node) in {".", "source"}:
                arguments = node.children_by_field_name("argument")
                for value in self.scope.values(arguments[0]) if arguments else ():
                    if _UNKNOWN not in value:
                        yield value.replace(_FOUND, "")

    def _note_unread(self, root: Node, place: _Place) -> None:
        for node in _tree(root) if root.has_error else ():
            if node.is_missing or node.type == "ERROR":
                text = _source(node)[:80] or f"no {node.type}"
                self.found.unread.append(Unread(text, place.of(node), place.file))

    def _nested(self, script: str, place: _Place, via: str) -> None:
        """Read a string that is a script; its lines count on from where it stands."""
        self.budget.strings -= 1
        if self.budget.strings < 0:
            raise ScriptError(f"line {place.line}: more than {_MAX_STRINGS} strings of script")
        parsed = _parse(script.encode(errors="replace"), self.dialect)
        self.scope.collect(parsed.root)
        place = replace(place, via=(*place.via, via) if via else place.via)
        self._note_unread(parsed.root, place)
        self.visit(parsed.root, replace(place, both_ways=parsed.both_ways, depth=place.depth + 4))

    # What stands where

    def visit(self, node: Node, place: _Place) -> None:
        if place.depth > _MAX_DEPTH:
            raise ScriptError(f"line {place.of(node)}: nested too deep")
        if handle := _HANDLERS.get(node.type):
            handle(self, node, replace(place, depth=place.depth + 1))
        else:
            self.inside(node, place)

    def inside(self, node: Node, place: _Place) -> None:
        """Visit what counts below *node*; expressions, however deep, take no stack."""
        stack = list(reversed(node.children))
        while stack:
            child = stack.pop()
            if child.type in _HANDLERS:
                self.visit(child, place)
            elif child.type in {"word", "regex", "string_content"}:
                self._backquotes(child, _source(child), place)
            else:
                stack.extend(reversed(child.children))

    def sequence(self, node: Node, place: _Place) -> None:
        self.each(node.children, place)

    def each(self, nodes: Iterable[Node], place: _Place) -> None:
        for node in nodes:
            self.visit(node, place)
            place = place.knowing(self._established(node))

    def chain(self, node: Node, place: _Place) -> None:
        first, steps = _spine(node)
        positive, negative = self._asks(first)
        following = [*steps, ("", first)]
        self.visit(first, _tolerating(place, following[0]))
        for step, after in pairwise(following):
            operator, part = step
            known = positive if operator == "&&" else negative
            self.visit(part, _tolerating(place.knowing(known), after))
            positive, negative = _joined((positive, negative), operator, self._asks(part))

    def conditional(self, node: Node, place: _Place) -> None:
        condition, body, clauses = _branches(node)
        self.each(condition, place)
        positive, negative = self._asks(condition[-1]) if condition else _NO_ANSWER
        self.each(body, place.knowing(positive))
        for clause in clauses:
            place = place.knowing(negative)
            self.visit(clause, place)
            if clause.type == "elif_clause":
                conditions = _branches(clause)[0]
                negative = self._asks(conditions[-1])[1] if conditions else _NOTHING

    def repetition(self, node: Node, place: _Place) -> None:
        conditions = [it for it in node.children_by_field_name("condition") if it.is_named]
        positive, negative = self._asks(conditions[-1]) if conditions else _NO_ANSWER
        known = negative if node.children[0].type == "until" else positive
        for child in node.children:
            self.visit(child, place.knowing(known) if child.type == "do_group" else place)

    def function(self, node: Node, place: _Place) -> None:
        name = node.child_by_field_name("name")
        self.inside(node, replace(place, function=_source(name) if name else "", tolerated=False))

    def heredoc(self, node: Node, place: _Place) -> None:
        """Visit the substitutions of a here-document; the grammar does not see backquotes in it."""
        self.inside(node, place)
        start = node.parent and next(
            (child for child in node.parent.children if child.type == "heredoc_start"), None
        )
        if start is None or re.search(r"['\"\\]", _source(start)):
            return
        spans = [(c.start_byte, c.end_byte) for c in node.children if "substitution" in c.type]
        begin = node.start_byte
        body = _blanked(node.text or b"", [(a - begin, b - begin) for a, b in spans])
        self._backquotes(node, _decode(body), place)

    def _backquotes(self, node: Node, text: str, place: _Place) -> None:
        """Read what stands in backquotes where the grammar took them for plain text."""
        for found in _BACKQUOTED.finditer(text):
            line = place.of(node) + text.count("\n", 0, found.start())
            self._nested(_unescaped(found[1]), replace(place, line=line), "")

    def substitution(self, node: Node, place: _Place) -> None:
        """Visit `$(...)`, and the text of backquotes, where a backslash means another level."""
        text = _source(node)
        if text.startswith("`") and "\\" in text:
            self._nested(_unescaped(text[1:-1]), replace(place, line=place.of(node)), "")
        else:
            self.sequence(node, place)

    def redirect(self, node: Node, place: _Place) -> None:
        self.inside(node, place)
        target = node.child_by_field_name("destination")
        token = next((child for child in node.children if not child.is_named), None)
        if target is None or token is None or target.type == "process_substitution":
            return
        operator = "<>" if token.start_byte in place.both_ways else token.type
        for value in self.scope.values(target):
            if "&" in operator and re.fullmatch(r"[0-9]*-?", value):
                continue
            word = _Word(value.replace(_FOUND, ""), _source(target))
            self.found.redirections.append(
                Redirection(word.shown, operator, place.of(node), word.known, place.file)
            )

    def declaration(self, node: Node, place: _Place) -> None:
        """`declare`, `typeset` and the like have a node of their own; not every shell has them."""
        self.inside(node, place)
        self._word_of_shell(_source(node.children[0]), node, place)

    def test(self, node: Node, place: _Place) -> None:
        self.inside(node, place)
        self._word_of_shell(_source(node.children[0]), node, place)

    def _word_of_shell(self, name: str, node: Node, place: _Place) -> None:
        own = BUILTINS[self.dialect] | KEYWORDS[self.dialect] | self.scope.functions.keys()
        if name not in own and name in BUILTINS[Dialect.BASH] | KEYWORDS[Dialect.BASH]:
            self._call(_Word(name, name), replace(place, line=place.of(node)))

    # What is asked

    def _asks(self, node: Node) -> _Pair:
        """Return the commands that are there if *node* succeeds, and those if it fails."""
        if node.type == "list":
            first, steps = _spine(node)
            answer = self._asks(first)
            for operator, part in steps:
                answer = _joined(answer, operator, self._asks(part))
            return answer
        if node.type in _TRANSPARENT:
            inner = node.child_by_field_name("body") or _last(node)
            answer = self._asks(inner) if inner is not None else _NO_ANSWER
            return answer[::-1] if node.type == "negated_command" else answer
        return self._asks_itself(node)

    def _asks_itself(self, node: Node) -> _Pair:
        if node.type == "variable_assignment":
            value = node.child_by_field_name("value")
            found = self.scope.values(value) if value else []
            return _names(word for word in found if word.startswith(_FOUND)), _NOTHING
        if node.type == "test_command":
            return self._tested(_test_words(node))
        if node.type == "command" and _name_of(node) == "test":
            return self._tested(node.children_by_field_name("argument"))
        if node.type == "command":
            return _names(self.scope.question(node)), _NOTHING
        return _NO_ANSWER

    def _tested(self, nodes: Sequence[Node]) -> _Pair:
        """Return what `[ -x A -a ! -e B ]` asks; nothing where one of several would do."""
        texts = [_source(node) for node in nodes]
        if {"-o", "||"}.intersection(texts):
            return _NO_ANSWER
        parts: list[list[Node]] = [[]]
        for node, text in zip(nodes, texts, strict=True):
            if text in {"-a", "&&"}:
                parts.append([])
            else:
                parts[-1].append(node)
        answers = [self._tested_part(part) for part in parts]
        positive = _NOTHING.union(*(answer[0] for answer in answers))
        return positive, answers[0][1] if len(answers) == 1 else _NOTHING

    def _tested_part(self, part: list[Node]) -> _Pair:
        if part and _source(part[0]) == "!":
            return self._tested_part(part[1:])[::-1]
        if len(part) not in {1, 2}:
            return _NO_ANSWER
        operator = _source(part[0]) if part[1:] else "-n"
        if operator not in FILE_TESTS | {"-n", "-z"}:
            return _NO_ANSWER
        values = self.scope.values(part[-1])
        if operator in FILE_TESTS:
            return _names(values), _NOTHING
        found = _names(value for value in values if value.startswith(_FOUND))
        return (_NOTHING, found) if operator == "-z" else (found, _NOTHING)

    def _established(self, node: Node) -> frozenset[str]:
        """Return the commands that are there where what follows *node* is reached."""
        if node.type == "redirected_statement":
            body = node.child_by_field_name("body")
            return self._established(body) if body else _NOTHING
        if node.type == "list":
            first, steps = _spine(node)
            answer = self._asks(first)
            for operator, part in steps[:-1]:
                answer = _joined(answer, operator, self._asks(part))
            operator, last = steps[-1] if steps else ("", node)
            if steps and self.scope.leaves(last):
                return answer[0] if operator == "||" else answer[1]
        if node.type == "if_statement":
            condition, then, clauses = _branches(node)
            if condition and then and not clauses and self.scope.leaves(then[-1]):
                return self._asks(condition[-1])[1]
        return _NOTHING

    # What is called

    def command(self, node: Node, place: _Place) -> None:
        self.inside(node, place)
        name = node.child_by_field_name("name")
        if name is None or _torn(node):
            return
        here = replace(place, line=place.of(name))
        words = [name, *node.children_by_field_name("argument")]
        looped = any(
            part.type == "variable_name" and _source(part) in self.scope.loops
            for part in _tree(name)
        )
        self._choose(self._lines(words, node), here, looped=looped)

    def _lines(self, nodes: list[Node], command: Node) -> list[list[_Word]]:
        """Return the command lines that the words of one command may become."""
        source, start = command.text or b"", command.start_byte
        found: list[list[_Word]] = [[]]
        for before, node in zip([None, *nodes], nodes, strict=False):
            gap = source[before.end_byte - start : node.start_byte - start] if before else b""
            choices = [self._split(value, node) for value in self.scope.values(node)]
            if before is None:
                choices = _telling(choices)
            if len(found) * len(choices) > _MAX_CHOICES:
                choices = [[_Word(_unknown(node), _source(node))]]
            glued = gap == b"\\\n"
            if len(choices) > 1:
                found = [[*line] for line in found for _ in choices]
            for line, tail in zip(found, cycle(choices), strict=False):
                _extend(line, tail, glued=glued)
        return found

    def _split(self, value: str, node: Node) -> list[_Word]:
        text = _source(node)
        parts = value.split(_SPLIT)
        if len(parts) == 1:
            return [_Word(value, text)] if value or node.type not in _EXPANSIONS else []
        return [_Word(part, text) for part in parts if part]

    def _choose(self, lines: list[list[_Word]], place: _Place, *, looped: bool) -> None:
        """Take each line that a command may become; what only some of them call is guarded."""
        if len(lines) > 1:  # an empty value leaves the options behind it
            lines = [line for line in lines if line and not line[0].value.startswith("-")]
        if not lines:
            return
        if len(lines) == 1:
            self._dispatch(lines[0], place, _Lookup.ALL)
            return
        outer, results = self.found, []
        for line in lines:
            self.found = _Found()
            self._dispatch(line, place, _Lookup.ALL)
            results.append(self.found)
        self.found = outer
        for result in results:
            for call in result.calls:
                sure = looped or all(call in other.calls for other in results)
                outer.calls.append(call if sure else replace(call, guarded=True))
            outer.unknown += result.unknown
            outer.sourced += result.sourced
            outer.redirections += result.redirections
            outer.unread += result.unread

    def _dispatch(self, words: list[_Word], place: _Place, lookup: _Lookup) -> None:
        """Find who answers to the first word, and what it runs in turn."""
        if place.depth > _MAX_DEPTH:
            raise ScriptError(f"line {place.line}: nested too deep")
        if not words or not words[0].value:
            return
        place = replace(place, depth=place.depth + 1)
        head, rest = words[0], words[1:]
        name = head.value.replace(_FOUND, "")
        if not head.known:
            self._unknown_call(head, place)
        elif _Lookup.FUNCTION in lookup and name in self.scope.functions:
            if name in self.scope.forwarders:
                forwarded = rest[self.scope.forwarders[name] :]
                self._dispatch(forwarded, _through(place, name), _Lookup.ALL)
        elif _Lookup.FUNCTION in lookup and name in KEYWORDS[self.dialect]:
            if name == "time":
                self._wrapped("time", rest, place, _Lookup.ALL)
            else:
                self.found.unread.append(Unread(name, place.line, place.file))
        elif _Lookup.BUILTIN in lookup and name in BUILTINS[self.dialect]:
            self._builtin(name, rest, place)
        elif _Lookup.EXTERNAL in lookup:
            self._call(_Word(name, head.text), place)
            self._external(PurePosixPath(name).name, rest, place)

    def _call(self, word: _Word, place: _Place) -> None:
        name = word.value
        self.found.calls.append(
            Call(name, place.line, name in place.guards, place.tolerated, place.via, place.file)
        )

    def _unknown_call(self, head: _Word, place: _Place) -> None:
        if re.fullmatch(r'"?\$\{?[?#!$-]\}?"?', head.text):
            return  # a number: the grammar has taken arithmetic, as `$((! $?))`, for a command
        if head.text in _OWN_ARGUMENTS and place.function in self.scope.forwarders:
            return  # known at each place that calls the function
        guarded = head.value.replace(_FOUND, "") in place.guards
        self.found.unknown.append(
            Unknown(head.shown[:200], place.line, guarded, place.via, place.file)
        )

    def _builtin(self, name: str, words: list[_Word], place: _Place) -> None:
        if name in {".", "source"} and words:
            self._source(words[0], place, run=False)
        elif name == "eval":
            self.script(" ".join(word.shown for word in words), place, "eval")
        elif name == "trap":
            action = [word for word in words if word.value != "--"]
            if len(action) > 1 and not action[0].value.startswith("-"):
                self.script(action[0].shown, place, "trap")
        elif name == "alias":
            for word in words:
                self.script(word.shown.partition("=")[2], place, "alias")
        elif name in BUILTIN_WRAPPERS:
            self._wrapped(name, words, place, _AFTER[name])

    def _wrapped(self, name: str, words: list[_Word], place: _Place, lookup: _Lookup) -> None:
        payload = BUILTIN_WRAPPERS[name].payload([word.value for word in words])
        if payload.first is not None:
            self._dispatch(words[payload.first :], _through(place, name), lookup)

    def _external(self, name: str, words: list[_Word], place: _Place) -> None:
        if special := _SPECIAL.get(name):
            special(self, words, _through(place, name))
            return
        wrapper = WRAPPERS.get(name)
        if wrapper is None:
            return
        payload = wrapper.payload([word.value for word in words])
        if payload.script:
            index, cut = payload.script
            self._payload_script(name, words, index, cut, place)
        elif payload.first is not None and name in SHELLS:
            self._source(words[payload.first], place, run=True)
        elif payload.first is not None:
            self._dispatch(words[payload.first :], _through(place, name), _Lookup.EXTERNAL)
        elif wrapper.default:
            self._call(_Word(wrapper.default, wrapper.default), _through(place, name))

    def _payload_script(
        self, name: str, words: list[_Word], index: int, cut: int, place: _Place
    ) -> None:
        word = words[index]
        script = _Word(word.value[cut:], word.text)
        if name == "env":
            split = [_Word(part, word.text) for part in script.value.split()]
            line = split + words[index + 1 :]
            payload = WRAPPERS[name].payload([part.value for part in line])
            if payload.first is not None:
                self._dispatch(line[payload.first :], _through(place, name), _Lookup.EXTERNAL)
            return
        _Inner(self, SHELLS.get(name, self.dialect)).read_string(script.shown, place, name)

    def _source(self, word: _Word, place: _Place, *, run: bool) -> None:
        path = word.shown.replace(_FOUND, "")
        guarded = word.value in place.guards
        self.found.sourced.append(Sourced(path, place.line, word.known, guarded, run, place.file))

    def script(self, script: str, place: _Place, via: str) -> None:
        if script.strip():
            self._nested(script.replace(_SPLIT, " "), place, via)

    def find(self, words: list[_Word], place: _Place) -> None:
        for at, word in enumerate(words):
            if word.value in {"-exec", "-execdir", "-ok", "-okdir"}:
                self._dispatch(words[at + 1 :], place, _Lookup.EXTERNAL)

    def start_stop_daemon(self, words: list[_Word], place: _Place) -> None:
        options = {word.value: after for word, after in pairwise(words)}
        names = {word.value for word in words}
        for option in ("--startas", "-a", "--exec", "-x"):
            if option in options and names & {"--start", "-S"}:
                self._dispatch([options[option]], place, _Lookup.EXTERNAL)
                return

    def flock(self, words: list[_Word], place: _Place) -> None:
        payload = WRAPPERS["flock"].payload([word.value for word in words])
        line = words[payload.first :] if payload.first is not None else []
        if line and line[0].value in {"-c", "--command"}:
            self.script(line[1].shown if len(line) > 1 else "", place, "sh")
        else:
            self._dispatch(line, place, _Lookup.EXTERNAL)


class _Inner:
    """A shell of its own inside a script: no functions of the script, but its variables."""

    def __init__(self, outer: _Reader, dialect: Dialect) -> None:
        self.reader = _Reader(dialect, outer.load)
        self.reader.scope.variables = dict(outer.scope.variables)
        self.reader.scope.loops = set(outer.scope.loops)
        self.reader.found, self.reader.budget = outer.found, outer.budget

    def read_string(self, script: str, place: _Place, via: str) -> None:
        self.reader.script(script, replace(place, function=""), via)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([$`\\])", r"\1", text)


def _through(place: _Place, name: str) -> _Place:
    return replace(place, via=(*place.via, name))


def _tolerating(place: _Place, following: tuple[str, Node]) -> _Place:
    """Mark *place* where `|| true` or `|| :` follows."""
    operator, node = following
    caught = operator == "||" and node.type == "command" and _name_of(node) in {":", "true"}
    return replace(place, tolerated=True) if caught else place


def _joined(first: _Pair, operator: str, second: _Pair) -> _Pair:
    """Return what `first && second` or `first || second` answers."""
    if operator == "&&":
        return first[0] | second[0], first[1] & second[1]
    return first[0] & second[0], first[1] | second[1]


def _names(values: Iterable[str]) -> frozenset[str]:
    """Return the names asked for; who asks for a path may call it by its last part as well."""
    found = [value.replace(_FOUND, "") for value in values]
    parts = [PurePosixPath(value).name for value in found if _UNKNOWN not in value]
    return frozenset(filter(None, [*found, *parts]))


def _telling(choices: list[list[_Word]]) -> list[list[_Word]]:
    """Leave out the empty value that a name has before it is set, but not that of `$SUDO cmd`."""
    full = [words for words in choices if words]
    wraps = any(PurePosixPath(words[0].value).name in WRAPPERS for words in full)
    return choices if wraps or not full else full


def _extend(line: list[_Word], tail: list[_Word], *, glued: bool) -> None:
    """Add words to a line; behind a backslash and newline alone the word before goes on."""
    if glued and line and tail:
        line[-1] = _Word(line[-1].value + tail[0].value, line[-1].text + tail[0].text)
        tail = tail[1:]
    line += tail


def _unique(items: Iterable[_Fact]) -> tuple[_Fact, ...]:
    return tuple(dict.fromkeys(items))


_TRANSPARENT = frozenset(
    {"compound_statement", "negated_command", "redirected_statement", "subshell"}
)
_EXPANSIONS = frozenset({"simple_expansion", "expansion", "command_name"})

_Handler = Callable[[_Reader, Node, _Place], None]
_HANDLERS: Final[dict[str, _Handler]] = {
    **dict.fromkeys(
        words(
            "program compound_statement do_group subshell case_item else_clause ERROR"
            " process_substitution redirected_statement pipeline"
            " negated_command"
        ),
        _Reader.sequence,
    ),
    "command": _Reader.command,
    "command_substitution": _Reader.substitution,
    "declaration_command": _Reader.declaration,
    "elif_clause": _Reader.conditional,
    "file_redirect": _Reader.redirect,
    "function_definition": _Reader.function,
    "heredoc_body": _Reader.heredoc,
    "if_statement": _Reader.conditional,
    "list": _Reader.chain,
    "test_command": _Reader.test,
    "while_statement": _Reader.repetition,
}
_SPECIAL: Final[dict[str, Callable[[_Reader, list[_Word], _Place], None]]] = {
    "find": _Reader.find,
    "flock": _Reader.flock,
    "start-stop-daemon": _Reader.start_stop_daemon,
}
