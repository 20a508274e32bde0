"""What the words of a script may be, as far as it fixes them: quotes, constants, answers.

Values are plain strings in which control characters, which no script may hold, mark what is not
literal: `UNKNOWN` and its neighbours.
"""

import posixpath
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from probe.image.shell.answers import computed
from probe.image.shell.answers import parent
from probe.image.shell.grammar import MAX_DEPTH
from probe.image.shell.grammar import WORD_TYPES
from probe.image.shell.grammar import cut_short
from probe.image.shell.grammar import last
from probe.image.shell.grammar import name_of
from probe.image.shell.grammar import plain
from probe.image.shell.grammar import source
from probe.image.shell.grammar import tree
from probe.image.shell.tables import ASSIGNING
from probe.image.shell.tables import LEAVING
from probe.image.shell.tables import QUESTIONS
from probe.image.shell.tables import words

UNKNOWN: Final = "\0"
"""Stands on both sides of the text of something that has no constant value."""
SPLIT: Final = "\x01"
"""White space that came out of an unquoted expansion: the word ends there."""
FOUND: Final = "\x02"
"""Stands before a value that is the answer of `command -v` and the like: empty where absent."""

MAX_CHOICES: Final = 16
_MAX_VALUE = 16384
_MAX_STEPS = 20_000
OWN_ARGUMENTS: Final = frozenset({'"$@"', "$@", '"${@}"', "$*", '"$*"'})
_OWN_PATH: Final[dict[str, Callable[[str], str]]] = {
    "$0": str,
    "${0}": str,
    "${0%/*}": parent,
    "${0##*/}": posixpath.basename,
    '${0%"${0##*/}"}': lambda path: path[: path.rfind("/") + 1],
}
_FIRST_ARGUMENT = OWN_ARGUMENTS | {'"$1"', "$1", '"${1}"'}


@dataclass(frozen=True, slots=True)
class Word:
    value: str
    text: str
    """As the script writes it."""
    literal: bool = False
    """Of an argv: no shell expands it."""

    @property
    def known(self) -> bool:
        return self.literal or not re.search(r"[\0*?]|^~", self.value)

    @property
    def shown(self) -> str:
        """What a person reads: the value, with what is unknown in it as the script writes it."""
        return self.value.replace(UNKNOWN, "")


def masked(text: str) -> str:
    """Return *text* without the characters that are marks of ours."""
    return re.sub(r"[\0-\x02]", "?", text)


def unknown(node: Node) -> str:
    text = source(node)
    if plain := re.fullmatch(r"\$\{(\w+)\}", text):
        text = f"${plain[1]}"
    return f"{UNKNOWN}{text}{UNKNOWN}"


def _product(parts: Sequence[Sequence[str]]) -> list[str]:
    """Join one choice of each part in every way; beyond the limits only the first choices."""
    found = [""]
    for choices in parts:
        usable = choices if len(found) * len(choices) <= MAX_CHOICES else choices[:1]
        found = [head + tail for head in found for tail in usable]
    return [value[:_MAX_VALUE] for value in found]


_ANSI = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}


def _ansi(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8) & 255) if code.isdigit() else _ANSI.get(code, code)

    return masked(re.sub(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", one, text, flags=re.DOTALL))


_LITERALS: Final[dict[str, Callable[[Node], str]]] = {
    **dict.fromkeys(
        words("word number extglob_pattern test_operator variable_name"),
        lambda node: re.sub(r"\\(\n|.)", lambda found: found[1].strip("\n"), source(node)),
    ),
    "ansi_c_string": lambda node: _ansi(source(node)[2:-1]),
    "raw_string": lambda node: source(node)[1:-1],
    "variable_assignment": lambda _: "",  # NAME= without a value
}


@dataclass(frozen=True, slots=True)
class _Trail:
    """How a value came to be asked for: the variables on the way, and how deep it stands."""

    names: frozenset[str] = frozenset()
    depth: int = 0

    def deeper(self) -> "_Trail":
        return _Trail(self.names, self.depth + 1)

    def through(self, name: str) -> "_Trail":
        return _Trail(self.names | {name}, self.depth)


_START = _Trail()


class Scope:
    """Functions and variables of a script and of the files that it sources."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.functions: dict[str, Node] = {}
        self.variables: dict[str, list[Node | None]] = {}
        self.loops: set[str] = set()
        self.leavers: set[str] = set()
        self.askers: set[str] = set()
        self.forwarders: dict[str, int] = {}
        self.aliases: set[str] = set()
        self.expands_aliases = False
        self._settled: dict[str, list[str]] = {}
        self._known: dict[str, list[str]] = {}
        """Like _settled, but for variables that lead to themselves: as one starts from them."""
        self._cuts = 0
        self._steps = 0

    def inner(self) -> "Scope":
        """Return what a shell that this one starts knows: its variables, not its functions."""
        scope = Scope()
        scope.variables = {name: [*nodes] for name, nodes in self.variables.items()}
        scope.loops = set(self.loops)
        return scope

    def collect(self, root: Node) -> None:
        """Take in what *root* defines, wherever it stands in it."""
        self._settled.clear()
        self._known.clear()
        for node in tree(root):
            if collect := _COLLECT.get(node.type):
                collect(self, node)

    def assignment(self, node: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            return
        appended = any(child.type == "+=" for child in node.children)
        if name.type == "variable_name" and not (appended and source(name) in self.variables):
            self.variables.setdefault(source(name), []).append(
                None if cut_short(node) else value or node  # without a value the empty one
            )

    def loop(self, node: Node) -> None:
        name = node.child_by_field_name("variable")
        if name is not None:
            values: list[Node | None] = list(node.children_by_field_name("value"))
            self.variables.setdefault(source(name), []).extend(values or [None])
            self.loops.add(source(name))

    def command(self, node: Node) -> None:
        name, arguments = name_of(node), node.children_by_field_name("argument")
        texts = [source(word) for word in arguments]
        if name in ASSIGNING:
            self._unsettle(source(word) for word in arguments if word.type == "word")
        elif name == "printf" and texts[:1] == ["-v"]:
            self._unsettle(texts[1:2])
        elif name == "alias":
            self.aliases.update(text.partition("=")[0] for text in texts if "=" in text)
        elif name == "shopt" and "-s" in texts and "expand_aliases" in texts:
            self.expands_aliases = True

    def _unsettle(self, names: Iterable[str]) -> None:
        for variable in filter(str.isidentifier, names):
            self.variables.setdefault(variable, []).append(None)

    def function(self, node: Node) -> None:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is None or body is None:
            return
        self.functions[source(name)] = body
        if self.leaves(body):
            self.leavers.add(source(name))
        commands = list(_own_commands(body))
        if any(_asks_argument(part) for part in commands):
            self.askers.add(source(name))
        shifts = sum(name_of(part) == "shift" for part in commands)
        if shifts <= 1 and any(_forwards(part) for part in commands):
            self.forwarders[source(name)] = shifts

    def leaves(self, node: Node | None) -> bool:
        """Tell whether nothing behind *node* is reached."""
        while node is not None and node.type in {"compound_statement", "redirected_statement"}:
            redirected = node.type == "redirected_statement"
            node = node.child_by_field_name("body") if redirected else last(node)
        if node is None or node.type != "command":
            return False
        name = name_of(node)
        runs = name == "exec" and bool(node.children_by_field_name("argument"))
        return runs or name in LEAVING or name in self.leavers

    def values(self, node: Node, *, quoted: bool = False, trail: _Trail = _START) -> list[str]:
        """Return the strings that a word may be, in marked form: at least one."""
        if trail.depth > MAX_DEPTH:
            self._cuts += 1
            return [unknown(node)]
        trail, kind = trail.deeper(), node.type
        if kind in {"string", "concatenation", "command_name", "translated_string"}:
            return self._pieces(node, trail, quoted=quoted or kind == "string")
        if kind in {"simple_expansion", "expansion"}:
            return self._expansion(node, trail, quoted=quoted)
        if kind == "array":
            return [SPLIT.join(value) for value in self._array(node, trail)]
        if kind == "command_substitution":
            return self._answer(node, trail)
        read = _LITERALS.get(kind, unknown)
        return [read(node)]

    def _pieces(self, node: Node, trail: _Trail, *, quoted: bool) -> list[str]:
        """Return the values of a word of several parts; what lies between them is literal."""
        data, start = node.text or b"", node.start_byte
        partial = node.type != "command_name"
        parts: list[list[str]] = []
        at = 0
        for child in node.named_children:
            if child.type in {"string_content", "comment"}:
                continue
            parts.append([_literal(data[at : child.start_byte - start], quoted=quoted)])
            found = self.values(child, quoted=quoted, trail=trail)
            if partial:  # part of a name: the empty value is what stands before it is set
                found = [value for value in found if value] or found
            parts.append(found)
            at = child.end_byte - start
        parts.append([_literal(data[at:], quoted=quoted)])
        if node.type == "string":
            parts[0] = [value[1:] for value in parts[0]]
            parts[-1] = [value[:-1] for value in parts[-1]]
        return _product(parts)

    def _array(self, node: Node, trail: _Trail) -> list[list[str]]:
        return [[_product([self.values(word, trail=trail)])[0] for word in node.named_children]]

    def _expansion(self, node: Node, trail: _Trail, *, quoted: bool) -> list[str]:
        if self.path and source(node) in _OWN_PATH:
            return [_OWN_PATH[source(node)](self.path)]
        found = re.match(r"\$\{?(\w+)(\[[@*]\])?(:?[-=+])?", source(node))
        text = source(node)
        if found is None or not re.fullmatch(
            r"\$\w+|\$\{\w+(\[[@*]\])?(:?[-=+].*)?\}", text, re.DOTALL
        ):
            return [unknown(node)]
        name, array, operator = found.groups()
        values = self._variable(name, trail)
        if operator:
            default = [child for child in node.named_children if child.type in WORD_TYPES]
            others = self.values(default[-1], quoted=quoted, trail=trail) if default else [""]
            values = (
                ["", *others] if operator[-1] == "+" else [*filter(None, values or ()), *others]
            )
        if not values:
            return [unknown(node)] if values is None else [""]
        if quoted and not array:
            return list(dict.fromkeys(value.replace(SPLIT, " ") for value in values))[:MAX_CHOICES]
        return list(dict.fromkeys(_split(value) for value in values))[:MAX_CHOICES]

    def _variable(self, name: str, trail: _Trail) -> list[str] | None:
        """Return the values of a variable; none where the script never sets it."""
        if name in self._settled:
            return self._settled[name]
        if name in trail.names:
            self._cuts += 1
            return []
        if name not in self.variables:
            return None
        if not trail.names and name in self._known:
            return self._known[name]
        self._steps += 1
        if self._steps > _MAX_STEPS or len(trail.names) > MAX_CHOICES:
            self._cuts += 1
            return None
        cuts, values = self._cuts, self._assigned(name, trail)
        if self._cuts == cuts:
            self._settled[name] = values
        elif not trail.names:
            self._known[name] = values
        return values

    def _assigned(self, name: str, trail: _Trail) -> list[str]:
        values: list[str] = []
        for node in self.variables[name]:
            found = [f"{UNKNOWN}${name}{UNKNOWN}"]
            if node is not None:
                found = self.values(node, quoted=node.type == "string", trail=trail.through(name))
            values.extend(found)
        return list(dict.fromkeys(values))[: 4 * MAX_CHOICES]

    def _answer(self, node: Node, trail: _Trail) -> list[str]:
        """Return X of `$(command -v X)`, parts of known paths; other output is not known."""
        commands = [part for part in tree(node) if part.type == "command"]
        if len(commands) == 1 and name_of(commands[0]) in QUESTIONS:
            asked = self.question(commands[0], trail)
            if len(asked) == 1 and asked[0] and UNKNOWN not in asked[0]:
                return [FOUND + asked[0]]
        answer = computed(node, lambda word: self._constant(word, trail))
        return [unknown(node)] if answer is None else [answer]

    def _constant(self, word: Node, trail: _Trail) -> str | None:
        values = self.values(word, quoted=True, trail=trail)
        single = len(values) == 1 and not re.search(r"[\0-\x02]", values[0])
        return values[0] if single else None

    def question(self, node: Node, trail: _Trail = _START) -> list[str]:
        """Return the names that a command asks for (`command -v a b`), if it is one that asks."""
        name = name_of(node)
        arguments = node.children_by_field_name("argument")
        if name not in QUESTIONS and name not in self.askers:
            return []
        words = [self.values(word, trail=trail)[0] for word in arguments]
        wanted = QUESTIONS.get(name, "")
        options = "".join(word[1:] for word in words if word.startswith("-"))
        if wanted and not any(letter in options for letter in wanted):
            return []
        return [word for word in words if not word.startswith("-")]


_COLLECT: Final[dict[str, Callable[[Scope, Node], None]]] = {
    "variable_assignment": Scope.assignment,
    "for_statement": Scope.loop,
    "command": Scope.command,
    "function_definition": Scope.function,
}


def _own_commands(body: Node) -> Iterator[Node]:
    """Yield the commands of a function's body, not those of functions that it defines."""
    stack = [body]
    while stack:
        found = stack.pop()
        if found.type == "command":
            yield found
        stack += [child for child in found.children if child.type != "function_definition"]


def _literal(data: bytes, *, quoted: bool) -> str:
    if re.search(rb"(?<!\\)\$", data):  # an expansion that the grammar did not see as one
        return f"{UNKNOWN}{plain(data)}{UNKNOWN}"
    pattern = r"\\([$`\"\\\n])" if quoted else r"\\(\n|.)"
    return re.sub(pattern, lambda found: found[1].strip("\n"), plain(data))


def _split(value: str) -> str:
    """Mark white space outside of what is unknown: there an unquoted expansion falls apart."""
    parts = value.split(UNKNOWN)
    parts[::2] = [re.sub(r"[ \t\n]+", SPLIT, part) for part in parts[::2]]
    return UNKNOWN.join(parts)


def _asks_argument(command: Node) -> bool:
    arguments = [source(word) for word in command.children_by_field_name("argument")]
    wanted = QUESTIONS.get(name_of(command))
    if wanted is None or not _FIRST_ARGUMENT.intersection(arguments):
        return False
    return not wanted or any(re.match(rf"-\w*[{wanted}]", word) for word in arguments)


def _forwards(command: Node) -> bool:
    arguments = command.children_by_field_name("argument")
    name = name_of(command)
    if name in {"exec", "command", "eval"} and arguments:
        name = source(arguments[0])
    return name in OWN_ARGUMENTS
