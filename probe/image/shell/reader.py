"""The walk over a script's tree: what stands where, what holds there, and what is read with it.

The grammar is tree-sitter's. Words are followed as far as the script fixes them: quotes, variables
that get constants, strings that are scripts (eval, trap, `sh -c`), and commands that run others
(env, xargs). What is only known when it runs is reported as unknown, with its text; nothing is
guessed.
"""

import posixpath
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from itertools import pairwise
from typing import Final
from typing import TypeVar

from tree_sitter import Node

from probe.image.shell.calls import Calls
from probe.image.shell.calls import Found
from probe.image.shell.calls import Lookup
from probe.image.shell.calls import Place
from probe.image.shell.facts import Load
from probe.image.shell.facts import Redirection
from probe.image.shell.facts import ScriptError
from probe.image.shell.facts import ScriptFacts
from probe.image.shell.facts import Shebang
from probe.image.shell.facts import Unread
from probe.image.shell.facts import parse_shebang
from probe.image.shell.grammar import MAX_DEPTH
from probe.image.shell.grammar import Parsed
from probe.image.shell.grammar import backquoted
from probe.image.shell.grammar import blanked
from probe.image.shell.grammar import branches
from probe.image.shell.grammar import is_arithmetic
from probe.image.shell.grammar import name_of
from probe.image.shell.grammar import parse
from probe.image.shell.grammar import plain
from probe.image.shell.grammar import source
from probe.image.shell.grammar import spine
from probe.image.shell.grammar import substituted
from probe.image.shell.grammar import torn
from probe.image.shell.grammar import tree
from probe.image.shell.guards import NO_ANSWER
from probe.image.shell.guards import NOTHING
from probe.image.shell.guards import Guards
from probe.image.shell.guards import joined
from probe.image.shell.lines import command_lines
from probe.image.shell.tables import BUILTINS
from probe.image.shell.tables import KEYWORDS
from probe.image.shell.tables import Dialect
from probe.image.shell.tables import words
from probe.image.shell.words import FOUND
from probe.image.shell.words import SPLIT
from probe.image.shell.words import UNKNOWN
from probe.image.shell.words import Scope
from probe.image.shell.words import Word
from probe.image.shell.words import masked

MAX_BYTES: Final = 2**20
"""Text that is read of a script; libtool, the largest in Debian, has 350 KB."""
_MAX_FILES = 32
_MAX_STRINGS = 10_000
"""Strings read as scripts: each may hold several that hold several."""

_BASH_SOURCE = re.compile(rb"(\$\{?)BASH_SOURCE\b(?:\[0\])?")

_Fact = TypeVar("_Fact")


def read_script(
    data: bytes,
    *,
    dialect: Dialect | None = None,
    sh: Dialect = Dialect.DASH,
    load: Load | None = None,
    path: str = "",
) -> ScriptFacts:
    """Return the facts of a script, whose language its `#!` names unless *dialect* does.

    *sh* is the shell that the image has as `sh`: the language of `#!/bin/sh`, of `sh -c`, and of
    a script without `#!`, as the shells and execvp have it. With *load* the files that it sources
    are read as well: their functions, variables and calls. *path* is where it lies, for what it
    finds by `$0`, as in `. "$(dirname "$0")/lib.sh"`; without it such names are unknown.

    Raises:
        ScriptError: binary, larger than MAX_BYTES, or nested too deep.
    """
    shebang = parse_shebang(data)
    if dialect is None:
        dialect = _language(shebang, sh)
    if dialect is None:
        return ScriptFacts(shebang, None)
    reader = Reader(dialect, sh, load or (lambda _: None), Scope(path))
    reader.read(_text_of(data))
    return reader.facts(shebang)


def read_command(
    line: Sequence[str], *, dialect: Dialect = Dialect.DASH, load: Load | None = None
) -> ScriptFacts:
    """Return the facts of an argv, such as an image's ENTRYPOINT with its CMD, on line 1.

    No shell reads it: its first word is a program even where a shell has a builtin or a keyword
    of that name. What it runs in turn is followed as in a script (`tini -- CMD`, `sh -c STRING`);
    `bash FILE` is in `sourced`. *dialect* is the shell that the image has as `sh`.

    Raises:
        ScriptError: a string that is a script is nested too deep.
    """
    reader = Reader(dialect, dialect, load or (lambda _: None))
    argv = [Word(masked(word), word, literal=True) for word in line]
    reader.calls.dispatch(argv, Place(), Lookup.EXTERNAL)
    return reader.facts(None)


def _language(shebang: Shebang | None, sh: Dialect) -> Dialect | None:
    is_sh = shebang is None or posixpath.basename(shebang.command[0]) == "sh"
    return sh if shebang is None or is_sh else shebang.dialect


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


@dataclass(slots=True)
class _Budget:
    strings: int = _MAX_STRINGS


@dataclass(slots=True)
class Reader:
    """One shell: what it knows, and what it was found to call."""

    dialect: Dialect
    sh: Dialect
    load: Load
    scope: Scope = field(default_factory=Scope)
    found: Found = field(default_factory=Found)
    budget: _Budget = field(default_factory=_Budget)
    files: set[str] = field(default_factory=set)
    guards: Guards = field(init=False)
    calls: Calls = field(init=False)

    def __post_init__(self) -> None:
        self.guards = Guards(self.scope)
        self.calls = Calls(self.dialect, self.sh, self.scope, self.found, self.string)

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
            place = Place(file=file, both_ways=parsed.both_ways)
            self._note_unread(parsed.root, place)
            self.visit(parsed.root, place)

    def _files(self, text: bytes) -> Iterator[tuple[Parsed, str]]:
        # bash gives a script that is run, not sourced, its own path by two names
        waiting = [("", _BASH_SOURCE.sub(rb"\g<1>0", text) if self.scope.path else text)]
        for file, content in waiting:
            parsed = parse(content, self.dialect)
            self.scope.collect(parsed.root)
            yield parsed, file
            for path in self._sources(parsed.root):
                if path in self.files or len(self.files) >= _MAX_FILES:
                    continue
                self.files.add(path)
                if (data := self.load(path)) is not None:
                    waiting.append((path, _text_of(data)))

    def _sources(self, root: Node) -> Iterator[str]:
        for node in tree(root):
            if node.type == "command" and name_of(node) in {".", "source"}:
                arguments = node.children_by_field_name("argument")
                for value in self.scope.values(arguments[0]) if arguments else ():
                    if UNKNOWN not in value:
                        yield value.replace(FOUND, "")

    def _note_unread(self, root: Node, place: Place) -> None:
        for node in tree(root) if root.has_error else ():
            if node.is_missing or node.type == "ERROR":
                text = source(node)[:80] or f"no {node.type}"
                self.found.unread.append(Unread(text, place.of(node), place.file))

    def string(
        self, script: str, place: Place, via: str, *, dialect: Dialect | None = None
    ) -> None:
        """Read a string that is a script; its lines count on from where it stands.

        With *dialect* a shell of its own does: without the functions, but with the variables.
        """
        reader = self if dialect is None else self._inner(dialect)
        if dialect is not None:
            place = replace(place, function="")
        if script.strip():
            reader.nested(script.replace(SPLIT, " "), place, via)

    def _inner(self, dialect: Dialect) -> "Reader":
        return Reader(
            dialect,
            self.sh,
            self.load,
            scope=self.scope.inner(),
            found=self.found,
            budget=self.budget,
        )

    def nested(self, script: str, place: Place, via: str) -> None:
        self.budget.strings -= 1
        if self.budget.strings < 0:
            raise ScriptError(f"line {place.line}: more than {_MAX_STRINGS} strings of script")
        parsed = parse(script.encode(errors="replace"), self.dialect)
        self.scope.collect(parsed.root)
        place = replace(place, via=(*place.via, via) if via else place.via)
        self._note_unread(parsed.root, place)
        self.visit(parsed.root, replace(place, both_ways=parsed.both_ways, depth=place.depth + 4))

    # What stands where

    def visit(self, node: Node, place: Place) -> None:
        if place.depth > MAX_DEPTH:
            raise ScriptError(f"line {place.of(node)}: nested too deep")
        if handle := _HANDLERS.get(node.type):
            handle(self, node, replace(place, depth=place.depth + 1))
        else:
            self.inside(node, place)

    def inside(self, node: Node, place: Place) -> None:
        """Visit what counts below *node*; expressions, however deep, take no stack."""
        stack = list(reversed(node.children))
        while stack:
            child = stack.pop()
            if child.type in _HANDLERS:
                self.visit(child, place)
            elif child.type in {"word", "regex", "string_content"}:
                text = source(child)
                self._hidden(child, text, backquoted(text), place)
                if child.type == "regex":  # as in ${x%$(a)}
                    self._hidden(child, text, substituted(text), place)
            else:
                stack.extend(reversed(child.children))

    def sequence(self, node: Node, place: Place) -> None:
        self.each(node.children, place)

    def each(self, nodes: Iterable[Node], place: Place) -> None:
        for node in nodes:
            self.visit(node, place)
            place = place.knowing(self.guards.established(node))

    def chain(self, node: Node, place: Place) -> None:
        first, steps = spine(node)
        positive, negative = self.guards.asks(first)
        following = [*steps, ("", first)]
        self.visit(first, _tolerating(place, following[0]))
        for step, after in pairwise(following):
            operator, part = step
            known = positive if operator == "&&" else negative
            self.visit(part, _tolerating(place.knowing(known), after))
            positive, negative = joined((positive, negative), operator, self.guards.asks(part))

    def conditional(self, node: Node, place: Place) -> None:
        condition, body, clauses = branches(node)
        self.each(condition, place)
        positive, negative = self.guards.asks(condition[-1]) if condition else NO_ANSWER
        self.each(body, place.knowing(positive))
        for clause in clauses:
            place = place.knowing(negative)
            self.visit(clause, place)
            if clause.type == "elif_clause":
                conditions = branches(clause)[0]
                negative = self.guards.asks(conditions[-1])[1] if conditions else NOTHING

    def repetition(self, node: Node, place: Place) -> None:
        conditions = [it for it in node.children_by_field_name("condition") if it.is_named]
        positive, negative = self.guards.asks(conditions[-1]) if conditions else NO_ANSWER
        known = negative if node.children[0].type == "until" else positive
        for child in node.children:
            self.visit(child, place.knowing(known) if child.type == "do_group" else place)

    def function(self, node: Node, place: Place) -> None:
        name = node.child_by_field_name("name")
        self.inside(node, replace(place, function=source(name) if name else "", tolerated=False))

    def heredoc(self, node: Node, place: Place) -> None:
        """Visit the substitutions of a here-document; the grammar does not see backquotes in it."""
        self.inside(node, place)
        start = node.parent and next(
            (child for child in node.parent.children if child.type == "heredoc_start"), None
        )
        if start is None or re.search(r"['\"\\]", source(start)):
            return
        spans = [(c.start_byte, c.end_byte) for c in node.children if "substitution" in c.type]
        begin = node.start_byte
        body = blanked(node.text or b"", [(a - begin, b - begin) for a, b in spans])
        text = plain(body)
        self._hidden(node, text, backquoted(text), place)

    def _hidden(
        self, node: Node, text: str, scripts: Iterable[tuple[int, str]], place: Place
    ) -> None:
        """Read what is substituted where the grammar took it for plain text."""
        for start, script in scripts:
            line = place.of(node) + text.count("\n", 0, start)
            self.nested(script, replace(place, line=line), "")

    def substitution(self, node: Node, place: Place) -> None:
        """Visit `$(...)`, and the text of backquotes, where a backslash means another level."""
        text = source(node)
        if text.startswith("`") and "\\" in text:
            self._hidden(node, text, backquoted(text), place)
        elif is_arithmetic(text):  # in here-documents and patterns the grammar sees a subshell
            self._hidden(node, text, substituted(text), place)
        else:
            self.sequence(node, place)

    def redirect(self, node: Node, place: Place) -> None:
        self.inside(node, place)
        target = node.child_by_field_name("destination")
        token = next((child for child in node.children if not child.is_named), None)
        if target is None or token is None or target.type == "process_substitution":
            return
        operator = "<>" if token.start_byte in place.both_ways else token.type
        for value in self.scope.values(target):
            if "&" in operator and re.fullmatch(r"[0-9]*-?", value):
                continue
            word = Word(value.replace(FOUND, ""), source(target))
            self.found.redirections.append(
                Redirection(word.shown, operator, place.of(node), word.known, place.file)
            )

    def declaration(self, node: Node, place: Place) -> None:
        """`declare`, `typeset` and the like have a node of their own; not every shell has them."""
        self.inside(node, place)
        self._word_of_shell(source(node.children[0]), node, place)

    def test(self, node: Node, place: Place) -> None:
        self.inside(node, place)
        self._word_of_shell(source(node.children[0]), node, place)

    def command(self, node: Node, place: Place) -> None:
        self.inside(node, place)
        name = node.child_by_field_name("name")
        if name is None or torn(node):
            return
        here = replace(place, line=place.of(name))
        looped = any(
            part.type == "variable_name" and source(part) in self.scope.loops for part in tree(name)
        )
        self.calls.choose(command_lines(node, self.scope), here, looped=looped)

    def _word_of_shell(self, name: str, node: Node, place: Place) -> None:
        own = BUILTINS[self.dialect] | KEYWORDS[self.dialect] | self.scope.functions.keys()
        if name not in own and name in BUILTINS[Dialect.BASH] | KEYWORDS[Dialect.BASH]:
            self.calls.call(Word(name, name), replace(place, line=place.of(node)))


def _tolerating(place: Place, following: tuple[str, Node]) -> Place:
    """Mark *place* where `|| true` or `|| :` follows."""
    operator, node = following
    caught = operator == "||" and node.type == "command" and name_of(node) in {":", "true"}
    return replace(place, tolerated=True) if caught else place


def _unique(items: Iterable[_Fact]) -> tuple[_Fact, ...]:
    return tuple(dict.fromkeys(items))


_Handler = Callable[[Reader, Node, Place], None]
_HANDLERS: Final[dict[str, _Handler]] = {
    **dict.fromkeys(
        words(
            "program compound_statement do_group subshell case_item else_clause ERROR"
            " process_substitution redirected_statement pipeline"
            " negated_command"
        ),
        Reader.sequence,
    ),
    "command": Reader.command,
    "command_substitution": Reader.substitution,
    "declaration_command": Reader.declaration,
    "elif_clause": Reader.conditional,
    "file_redirect": Reader.redirect,
    "function_definition": Reader.function,
    "heredoc_body": Reader.heredoc,
    "if_statement": Reader.conditional,
    "list": Reader.chain,
    "test_command": Reader.test,
    "while_statement": Reader.repetition,
}
