"""What is told of a script: its interpreter, what it calls, reads and opens. Values only."""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from probe.image.shell.tables import SHELLS
from probe.image.shell.tables import Dialect

MAX_SHEBANG: Final = 255
"""BINPRM_BUF_SIZE of Linux 5.1 and later, less the closing NUL."""


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
        if posixpath.basename(self.path) != "env":
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
        if posixpath.basename(name) == "busybox" and rest:
            return Dialect.ASH if rest[0].split()[:1] in (["sh"], ["ash"]) else None
        return SHELLS.get(posixpath.basename(name))


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
    shell: tuple[str, ...] = ()
    """Where run is true the shell and its options: ("bash", "-p") keeps what a `#!` would."""


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
    functions: frozenset[str] = frozenset()


Load = Callable[[str], bytes | None]
"""Gives the bytes of a sourced file by its name as written; None where there is no such file."""


def parse_shebang(data: bytes) -> Shebang | None:
    """Return what the kernel makes of the first line, or None when there is no `#!`."""
    if not data.startswith(b"#!"):
        return None
    line = data[2:MAX_SHEBANG].partition(b"\n")[0].strip(b" \t")
    path, _, argument = line.replace(b"\t", b" ").partition(b" ")
    if not path or b"\0" in line:
        raise ScriptError("the #! line names no interpreter")
    return Shebang(decoded(path), decoded(argument.strip()) or None)


def decoded(data: bytes) -> str:
    return data.decode(errors="replace")
