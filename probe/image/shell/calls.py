"""Who answers to the first word of a command line, and what that runs in turn.

A name is a function, a keyword, a builtin or a file in PATH, in this order; wrappers (env, xargs),
builtins that run (exec, eval) and shells with -c lead on to further command lines and scripts.
"""

import posixpath
import re
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from enum import Flag
from enum import auto
from itertools import pairwise
from typing import Final
from typing import Protocol

from tree_sitter import Node

from probe.image.shell.facts import Call
from probe.image.shell.facts import Redirection
from probe.image.shell.facts import ScriptError
from probe.image.shell.facts import Sourced
from probe.image.shell.facts import Unknown
from probe.image.shell.facts import Unread
from probe.image.shell.grammar import MAX_DEPTH
from probe.image.shell.tables import BUILTINS
from probe.image.shell.tables import KEYWORDS
from probe.image.shell.tables import SHELLS
from probe.image.shell.tables import Dialect
from probe.image.shell.words import FOUND
from probe.image.shell.words import OWN_ARGUMENTS
from probe.image.shell.words import Scope
from probe.image.shell.words import Word
from probe.image.shell.wrappers import BUILTIN_WRAPPERS
from probe.image.shell.wrappers import CHROOT
from probe.image.shell.wrappers import WRAPPERS
from probe.image.shell.wrappers import shell_payload


class Lookup(Flag):
    """Who may answer to a name: `env` never runs a function, `command` does not either."""

    FUNCTION = auto()
    BUILTIN = auto()
    EXTERNAL = auto()
    ALL = FUNCTION | BUILTIN | EXTERNAL


_AFTER: Final = {
    "builtin": Lookup.BUILTIN,
    "command": Lookup.BUILTIN | Lookup.EXTERNAL,
    "exec": Lookup.EXTERNAL,
    "time": Lookup.ALL,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reader is, and what holds there."""

    file: str = ""
    line: int = 1
    guards: frozenset[str] = frozenset()
    tolerated: bool = False
    via: tuple[str, ...] = ()
    function: str = ""
    depth: int = 0
    both_ways: frozenset[int] = frozenset()

    def of(self, node: Node) -> int:
        return self.line + node.start_point[0]

    def knowing(self, names: frozenset[str]) -> "Place":
        return replace(self, guards=self.guards | names) if names else self


@dataclass(slots=True)
class Found:
    calls: list[Call] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    sourced: list[Sourced] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


class ReadString(Protocol):
    """Reads a string that is a script: this shell itself, or one of *dialect* of its own."""

    def __call__(
        self, script: str, place: Place, via: str, *, dialect: Dialect | None = None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Calls:
    """Takes command lines apart and notes what they call."""

    dialect: Dialect
    sh: Dialect
    scope: Scope
    found: Found
    string: ReadString

    def choose(self, lines: Sequence[Sequence[Word]], place: Place, *, looped: bool) -> None:
        """Take each line that a command may become; what only some of them call is guarded."""
        if len(lines) > 1:  # an empty value leaves the options behind it
            lines = [line for line in lines if line and not line[0].value.startswith("-")]
        if not lines:
            return
        if len(lines) == 1:
            self.dispatch(lines[0], place, Lookup.ALL)
            return
        calls, sourced = self.found.calls, self.found.sourced
        results: list[list[Call]] = []
        before, files = len(calls), len(sourced)
        for line in lines:
            self.dispatch(line, place, Lookup.ALL)
            results.append(calls[before:])
            del calls[before:]
        for result in results:
            for call in result:
                sure = looped or all(call in other for other in results)
                calls.append(call if sure else replace(call, guarded=True))
        if len(set(sourced[files:])) > 1 and not looped:
            sourced[files:] = [replace(file, guarded=True) for file in sourced[files:]]

    def dispatch(self, words: Sequence[Word], place: Place, lookup: Lookup) -> None:
        """Find who answers to the first word, and what it runs in turn."""
        if place.depth > MAX_DEPTH:
            raise ScriptError(f"line {place.line}: nested too deep")
        if not words or not words[0].value:
            return
        place = replace(place, depth=place.depth + 1)
        head, rest = words[0], words[1:]
        name = head.value.replace(FOUND, "")
        if not head.known:
            self._unknown_call(head, place)
        elif Lookup.FUNCTION in lookup and self._is_own(head, name, place):
            self._own(name, rest, place)
        elif Lookup.BUILTIN in lookup and name in BUILTINS[self.dialect]:
            self._builtin(name, rest, place)
        elif Lookup.EXTERNAL in lookup:
            self.call(Word(name, head.text), place)
            program = posixpath.basename(name)
            self._external(program, rest, through(place, program))

    def _is_own(self, head: Word, name: str, place: Place) -> bool:
        """Tell whether the script itself or the language answers, before any program."""
        return (
            name in self.scope.functions
            or name in KEYWORDS[self.dialect]
            or self._is_alias(head, place)
        )

    def _own(self, name: str, rest: Sequence[Word], place: Place) -> None:
        """Follow `time` and functions that run their arguments; what an alias is was read."""
        if name in self.scope.functions:
            if name in self.scope.forwarders:
                forwarded = rest[self.scope.forwarders[name] :]
                self.dispatch(forwarded, through(place, name), Lookup.ALL)
        elif name == "time" and name in KEYWORDS[self.dialect]:
            self._wrapped("time", rest, place, Lookup.ALL)
        elif name in KEYWORDS[self.dialect]:
            self.found.unread.append(Unread(name, place.line, place.file))

    def _is_alias(self, head: Word, place: Place) -> bool:
        """Tell whether an alias answers: bash has them in scripts only where it is told so.

        Quotes keep the shell from looking, and an alias is not looked up in its own text.
        """
        looked_up = self.dialect is not Dialect.BASH or self.scope.expands_aliases
        return (
            looked_up
            and head.text in self.scope.aliases
            and head.text == head.value
            and place.via[-1:] != ("alias",)
        )

    def call(self, word: Word, place: Place) -> None:
        name = word.value
        self.found.calls.append(
            Call(name, place.line, name in place.guards, place.tolerated, place.via, place.file)
        )

    def _unknown_call(self, head: Word, place: Place) -> None:
        if re.fullmatch(r'"?\$\{?[?#!$-]\}?"?', head.text):
            return  # a number: the grammar has taken arithmetic, as `$((! $?))`, for a command
        if head.text in OWN_ARGUMENTS and place.function in self.scope.forwarders:
            return  # known at each place that calls the function
        guarded = head.value.replace(FOUND, "") in place.guards
        self.found.unknown.append(
            Unknown(head.shown[:200], place.line, guarded, place.via, place.file)
        )

    def _builtin(self, name: str, words: Sequence[Word], place: Place) -> None:
        if name in {".", "source"} and words:
            self._source(words[0], place)
        elif name == "eval":
            self.string(" ".join(word.shown for word in words), place, "eval")
        elif name == "trap":
            action = [word for word in words if word.value != "--"]
            if len(action) > 1 and not action[0].value.startswith("-"):
                self.string(action[0].shown, place, "trap")
        elif name == "alias":
            for word in words:
                self.string(word.shown.partition("=")[2], place, "alias")
        elif name in BUILTIN_WRAPPERS:
            self._wrapped(name, words, place, _AFTER[name])

    def _wrapped(self, name: str, words: Sequence[Word], place: Place, lookup: Lookup) -> None:
        payload = BUILTIN_WRAPPERS[name].payload([word.value for word in words])
        if payload.first is not None:
            self.dispatch(words[payload.first :], through(place, name), lookup)

    def _external(self, name: str, words: Sequence[Word], place: Place) -> None:
        """Follow a program that runs another one; *place* already leads through it."""
        if name in SHELLS:
            self._shell(name, words, place)
            return
        if special := _SPECIAL.get(name):
            special(self, words, place)
            return
        if (wrapper := WRAPPERS.get(name)) is None:
            return
        payload = wrapper.payload([word.value for word in words])
        if payload.script:
            self._payload_script(name, words, payload.script, place)
        elif payload.first is not None:
            self.dispatch(words[payload.first :], place, Lookup.EXTERNAL)
        elif wrapper.default:
            self.call(Word(wrapper.default, wrapper.default), place)

    def _shell(self, name: str, words: Sequence[Word], place: Place) -> None:
        """Read the string that a shell is given with -c, or note the file that it reads."""
        payload = shell_payload([word.value for word in words])
        dialect = self.sh if name == "sh" else SHELLS[name]
        if payload.script:
            self.string(words[payload.script[0]].shown, place, "", dialect=dialect)
        elif payload.first is not None:
            shell = (name, *(word.shown for word in words[: payload.first]))
            self._source(words[payload.first], place, shell=shell)

    def _payload_script(
        self, name: str, words: Sequence[Word], script: tuple[int, int], place: Place
    ) -> None:
        index, cut = script
        word = replace(words[index], value=words[index].value[cut:])
        if name == "env":  # -S: words, not a script
            split = [replace(word, value=part) for part in word.value.split()]
            line = [*split, *words[index + 1 :]]
            payload = WRAPPERS[name].payload([part.value for part in line])
            if payload.first is not None:
                self.dispatch(line[payload.first :], place, Lookup.EXTERNAL)
        else:
            self.string(word.shown, place, "", dialect=self.sh)

    def _source(self, word: Word, place: Place, *, shell: tuple[str, ...] = ()) -> None:
        path = word.shown.replace(FOUND, "")
        guarded = word.value in place.guards
        self.found.sourced.append(
            Sourced(path, place.line, word.known, guarded, bool(shell), place.file, shell)
        )

    def busybox(self, words: Sequence[Word], place: Place) -> None:
        """Its applets are no files, but those that are shells read scripts."""
        if words and words[0].value in {"sh", "ash"}:
            self._shell("ash", words[1:], place)

    def chroot(self, words: Sequence[Word], place: Place) -> None:
        """What runs in another root is not a file of this one."""
        payload = CHROOT.payload([word.value for word in words])
        if payload.first is not None:
            self._unknown_call(words[payload.first], place)

    def find(self, words: Sequence[Word], place: Place) -> None:
        for at, word in enumerate(words):
            if word.value in {"-exec", "-execdir", "-ok", "-okdir"}:
                self.dispatch(words[at + 1 :], place, Lookup.EXTERNAL)

    def start_stop_daemon(self, words: Sequence[Word], place: Place) -> None:
        options = {word.value: after for word, after in pairwise(words)}
        names = {word.value for word in words}
        for option in ("--startas", "-a", "--exec", "-x"):
            if option in options and names & {"--start", "-S"}:
                self.dispatch([options[option]], place, Lookup.EXTERNAL)
                return

    def flock(self, words: Sequence[Word], place: Place) -> None:
        payload = WRAPPERS["flock"].payload([word.value for word in words])
        line = words[payload.first :] if payload.first is not None else []
        if line and line[0].value in {"-c", "--command"}:
            self.string(line[1].shown if len(line) > 1 else "", place, "sh", dialect=self.sh)
        else:
            self.dispatch(line, place, Lookup.EXTERNAL)


def through(place: Place, name: str) -> Place:
    return replace(place, via=(*place.via, name))


_SPECIAL: Final[dict[str, Callable[[Calls, Sequence[Word], Place], None]]] = {
    "busybox": Calls.busybox,
    "chroot": Calls.chroot,
    "find": Calls.find,
    "flock": Calls.flock,
    "start-stop-daemon": Calls.start_stop_daemon,
}
