"""Which words a shell knows by itself, and which of them matter to a reader of scripts.

Builtins: `compgen -b` of bash 5.2, the manual and builtins.def of dash 0.5.12, and `help` of
busybox 1.35 without its applets (whether a busybox runs those by itself, without a link in PATH,
was chosen when it was compiled).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Dialect(StrEnum):
    """Whose words count. What `/bin/sh` is, only the image knows; DASH is the strictest guess."""

    BASH = "bash"
    DASH = "dash"
    ASH = "ash"


SHELLS: Final[Mapping[str, Dialect]] = {
    "ash": Dialect.ASH,
    "bash": Dialect.BASH,
    "bash-static": Dialect.BASH,
    "dash": Dialect.DASH,
    "rbash": Dialect.BASH,
    "sh": Dialect.DASH,
}
"""Names of interpreters whose scripts can be read; ksh, zsh and fish have words of their own."""


def words(text: str) -> frozenset[str]:
    """Return the words of *text*: a table of some dozen is best read as lines of words."""
    return frozenset(text.split())


_POSIX = words("""
. : [ alias bg break cd command continue echo eval exec exit export false fg getopts hash jobs kill
local printf pwd read readonly return set shift test times trap true type ulimit umask unalias unset
wait
""")

BUILTINS: Final[Mapping[Dialect, frozenset[str]]] = {
    Dialect.BASH: _POSIX
    | words("bind builtin caller compgen complete compopt declare dirs disown enable fc help")
    | words("history let logout mapfile popd pushd readarray shopt source suspend typeset"),
    Dialect.DASH: _POSIX | {"chdir"},
    Dialect.ASH: _POSIX | words("[[ chdir help history let source"),
}

_KEYWORDS = words("! { } case do done elif else esac fi for if in then until while")

KEYWORDS: Final[Mapping[Dialect, frozenset[str]]] = {
    Dialect.BASH: _KEYWORDS | words("[[ ]] coproc function select time"),
    Dialect.DASH: _KEYWORDS,
    Dialect.ASH: _KEYWORDS | words("[[ ]] function"),
}

QUESTIONS: Final[Mapping[str, str]] = {
    "command": "vV",
    "hash": "",
    "type": "",
    "which": "",
    "whence": "",
}
"""Commands that ask whether others are there; for `command`, one of these options makes it so."""

FILE_TESTS: Final = frozenset({"-e", "-f", "-r", "-s", "-x"})
"""Operators of test that a missing program fails."""

LEAVING: Final = frozenset({"break", "continue", "exit", "logout", "return"})
"""Commands after which the next line is not reached."""

ASSIGNING: Final = frozenset({"getopts", "mapfile", "read", "readarray"})
"""Commands that set the variables which their words name, to what cannot be known."""
