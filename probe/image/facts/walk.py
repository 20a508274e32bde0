"""The walk that gathers an image's facts: from what it starts to all that this reaches."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime
from posixpath import basename
from posixpath import dirname

from probe.image.elf.reader import is_elf
from probe.image.facts.model import Facts
from probe.image.facts.model import Lack
from probe.image.facts.model import Lookup
from probe.image.facts.model import Role
from probe.image.facts.model import Script
from probe.image.facts.model import Source
from probe.image.facts.model import Start
from probe.image.facts.names import Names
from probe.image.facts.names import Target
from probe.image.facts.packages import Packages
from probe.image.facts.packages import read_packages
from probe.image.facts.positional import chooses
from probe.image.facts.positional import put_before
from probe.image.facts.starts import head_of
from probe.image.facts.starts import runnable_in
from probe.image.facts.starts import starts
from probe.image.loader.closure import closure
from probe.image.shell import SHELLS
from probe.image.shell import Call
from probe.image.shell import Dialect
from probe.image.shell import ScriptError
from probe.image.shell import ScriptFacts
from probe.image.shell import Shebang
from probe.image.shell import Sourced
from probe.image.shell import Unknown
from probe.image.shell import parse_shebang
from probe.image.shell import read_command
from probe.image.shell import read_script
from probe.image.view import Fault
from probe.image.view import View
from probe.image.view import ViewError
from probe.image.view import way

_MAX_SCRIPT = 2**20
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_DROP_IN = re.compile(r"(?<![\w$}.-])(?:/[\w.+-]+)*/[\w+-]+\.d(?=[/\s\"';*]|$)", re.MULTILINE)
"""Folders whose files a script runs one by one, such as /docker-entrypoint.d."""
_ALL_ARGUMENTS = frozenset({'"$@"', "$@", '"${@}"', "${@}"})


def gather(view: View, *, now: datetime, faults: Sequence[Fault] = ()) -> Facts:
    """Read all that the rules need.

    Args:
        view: the image.
        now: what certificates are measured against, with its time zone.
        faults: what reading the image passed over.
    """
    walk = _Walk(view, Names(view), read_packages(view))
    started = tuple(starts(view))
    for start in started:
        walk.start(start)
    walk.run_candidates()
    loaded = closure(view, walk.programs)
    for node in loaded.nodes:
        walk.reached.add(node.path)
        for use in node.uses:
            walk.reach(use.opened)
    return Facts(
        view=view,
        now=now,
        faults=faults,
        starts=started,
        lookups=tuple(walk.lookups),
        scripts=walk.scripts,
        lines=walk.lines,
        programs=walk.programs,
        closure=loaded,
        reached=frozenset(walk.reached),
        packages=walk.packages,
    )


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks for something: the script (or "") and its text, what started it, its arguments."""

    source: Source
    by: str = ""
    dialect: Dialect = Dialect.BASH
    unread: bool = False
    arguments: tuple[str, ...] = ()
    """Empty where they are not known."""
    text: str = ""


@dataclass
class _Walk:
    view: View
    names: Names
    packages: Packages
    lookups: list[Lookup] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    lines: dict[Source, ScriptFacts] = field(default_factory=dict)
    programs: dict[str, Source] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    candidates: set[str] = field(default_factory=set)
    """Directories of what may be run, for a script runs what is only known then."""

    def __post_init__(self) -> None:
        sh = self.names.program("/bin/sh").found
        self.sh = SHELLS.get(basename(_shell_name(sh, "/bin/sh")), Dialect.DASH)

    def start(self, start: Start) -> None:
        first, *rest = start.words
        asker = _Asker(start.source, arguments=tuple(rest))
        found = self.look_up(asker, Role.START, first)
        if found is not None:
            self.run(found, asker, strict=True)
        if start.source is Source.FILE:
            return
        self.lines[start.source] = self.command(start.words, asker)

    def command(self, words: Sequence[str], asker: _Asker) -> ScriptFacts:
        """Follow a command line, whose first word was looked up before."""
        # A shell reads its text by what it is, not by what it is called: sh may be bash.
        name = _shell_name(self.names.program(words[0]).found, words[0])
        dialect = SHELLS.get(basename(name), Dialect.BASH)
        line = read_command((name, *words[1:]), dialect=dialect)
        self.follow(replace(line, calls=line.calls[1:]), replace(asker, dialect=dialect))
        return line

    def follow(self, facts: ScriptFacts, asker: _Asker) -> None:
        """Look up what a script calls and reads."""
        for call in facts.calls:
            found = self.look_up(self.in_file(asker, call.file), Role.COMMAND, call.name, call)
            if found is not None:
                self.run(found, replace(asker, arguments=()))
        for sourced in facts.sourced:
            if sourced.known:
                inner = self.in_file(asker, sourced.file)
                found = self.look_up(inner, Role.SOURCED, sourced.path, sourced)
                if found is not None and sourced.run:
                    self.script(found, asker, asker.dialect)
        for unknown in facts.unknown:
            self.follow_unknown(unknown, asker)

    def follow_unknown(self, unknown: Unknown, asker: _Asker) -> None:
        """Take `exec "$@"` for the words that the config gives; of others all may be run."""
        if asker.source is Source.FILE:
            return
        words = self.handed_on(asker) if unknown.text in _ALL_ARGUMENTS else ()
        if not words:
            named = _DROP_IN.findall(_COMMENT.sub("", asker.text))
            self.candidates |= {*self.names.path, dirname(asker.by) or "/", *named}
            return
        inner = replace(asker, arguments=(), text="")
        found = self.look_up(inner, Role.COMMAND, words[0], unknown)
        if found is not None:
            self.run(found, inner)
            self.command(words, inner)

    def handed_on(self, asker: _Asker) -> tuple[str, ...]:
        """Return what `exec "$@"` runs; () where the script may have made something else of it."""
        first = asker.arguments[0] if asker.arguments else ""
        # A full path is meant as a program; options and words may be put behind one.
        if not first or first.startswith("/") or self.names.program(first).found is not None:
            return asker.arguments
        programs = put_before(asker.text)
        if first in programs:
            return asker.arguments
        if programs:
            there = (name for name in programs if self.names.program(name).found is not None)
            return (next(there, programs[0]), *asker.arguments)
        return () if chooses(asker.text, first) else asker.arguments

    def run_candidates(self) -> None:
        """Count what a script may run as run by the command, where no package answers for it."""
        for entry in runnable_in(self.view, frozenset(self.candidates)):
            packaged = self.packages.owner(entry.path) is not None
            self.run(entry.path, _Asker(Source.FILE if packaged else Source.COMMAND))

    def in_file(self, asker: _Asker, file: str) -> _Asker:
        """Give the sourced file that a call stands in as who asks."""
        return replace(asker, by=self.names.text(file).found or file) if file else asker

    def look_up(
        self, asker: _Asker, role: Role, name: str, at: Call | Sourced | Unknown | None = None
    ) -> str | None:
        sourced = role is Role.SOURCED
        target = self.names.text(name) if sourced else self.names.program(name)
        self.note(asker, role, name, target, at)
        return target.found

    def note(
        self,
        asker: _Asker,
        role: Role,
        name: str,
        target: Target,
        at: Call | Sourced | Unknown | None = None,
    ) -> None:
        if target.found is not None:
            self.reach(target.opened)
        self.lookups.append(
            Lookup(
                name=name,
                role=role,
                by=asker.by,
                source=asker.source,
                found=target.found,
                lack=target.lack,
                line=at.line if at and asker.by else 0,
                guarded=at is not None and at.guarded,
                tolerated=isinstance(at, Call) and at.tolerated,
                unread=asker.unread,
            )
        )

    def reach(self, path: str) -> None:
        if path not in self.reached:
            self.reached.update(entry.path for entry in way(self.view, path) or ())
            self.reached.add(path)

    def run(self, path: str, asker: _Asker, *, strict: bool = False) -> None:
        """Go on through a file that is executed; a shell itself reads one without `#!`."""
        if path in self.programs or path in self.scripts:
            return
        self.reach(path)
        head = head_of(self.view, path)
        if is_elf(head):
            self.programs[path] = asker.source
        elif head.startswith(b"#!"):
            self.script(path, asker)
        elif strict:
            self.note(asker, Role.START, path, Target(path, None, Lack.NO_FORMAT))
        else:
            self.script(path, asker, asker.dialect)

    def script(self, path: str, asker: _Asker, caller: Dialect | None = None) -> None:
        """Read a script; to *caller*, a shell that is told to read it, its `#!` is a comment."""
        if path in self.scripts:
            return
        self.reach(path)
        try:
            data = self.view.read(path, _MAX_SCRIPT)
            shebang = parse_shebang(data)
        except (ScriptError, ViewError) as error:
            self.scripts[path] = Script(path, asker.source, None, None, None, None, str(error))
            return
        # Known from now on: a script whose interpreter is itself would be walked for ever.
        self.scripts[path] = Script(path, asker.source, shebang, None, None, None)
        inner = replace(asker, by=path)
        interpreter = None if shebang is None or caller else self.interpreter(shebang, inner)
        dialect = self.dialect(shebang, interpreter, caller)
        script = replace(self.scripts[path], interpreter=interpreter, dialect=dialect)
        self.scripts[path] = script
        if dialect is None:
            return
        try:
            facts = read_script(data, dialect=dialect, sh=self.sh, load=self.load, path=path)
        except ScriptError as error:
            self.scripts[path] = replace(script, error=str(error))
            return
        self.scripts[path] = replace(script, facts=facts)
        text = data.decode(errors="replace")
        self.follow(facts, replace(inner, dialect=dialect, unread=bool(facts.unread), text=text))

    def interpreter(self, shebang: Shebang, asker: _Asker) -> str | None:
        """Look up what runs a script, and what `env` would look for; return the last file."""
        found = None
        for name in dict.fromkeys((shebang.path, shebang.command[0])):
            found = self.look_up(asker, Role.INTERPRETER, name)
            if found is not None:
                self.run(found, asker)
        return found

    def dialect(
        self, shebang: Shebang | None, interpreter: str | None, caller: Dialect | None
    ) -> Dialect | None:
        if shebang is None or (caller and shebang.dialect is None):
            return caller
        named = shebang.dialect
        return SHELLS.get(basename(_shell_name(interpreter, "")), named) if named else None

    def load(self, name: str) -> bytes | None:
        found = self.names.text(name).found
        try:
            return None if found is None else self.view.read(found, _MAX_SCRIPT)
        except ViewError:
            return None


def _shell_name(found: str | None, otherwise: str) -> str:
    """Return the path of a shell by which its words are known; busybox reads scripts as ash."""
    if found is None:
        return otherwise
    if basename(found).startswith("busybox"):
        return "ash" if basename(otherwise) in {"sh", "ash", ""} else otherwise
    return found if basename(found) in SHELLS else otherwise
