"""Which commands run another command that they are given, and where it stands in their line.

Options: the manual pages of Debian 12; those of gosu, su-exec, tini, dumb-init, catatonit, runit
and s6 from their own documentation.
"""

import re
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from probe.image.shell.tables import words


@dataclass(frozen=True, slots=True)
class Payload:
    """What a wrapper runs: words from index *first* on, or the script that word *script* holds."""

    first: int | None = None
    script: tuple[int, int] | None = None
    """Index of a word, and how many of its first characters are the option's own."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How a command line finds the command that it runs in turn.

    values, long_values: options that take the next word; scripts: those whose value is a shell
    script; split: those whose value is a command line; stops: those that make it run nothing;
    needs: without one of these no word is a command; operands: words of its own before the
    command; assignments: whether NAME=VALUE may stand before it; default: what runs without any.
    """

    values: str = ""
    long_values: frozenset[str] = frozenset()
    scripts: frozenset[str] = frozenset()
    stops: str = ""
    needs: str = ""
    operands: int = 0
    assignments: bool = False
    default: str = ""

    def payload(self, line: Sequence[str]) -> Payload:
        """Find what *line*, the words behind the wrapper's name, make it run."""
        at, seen, free, ended = 0, "", self.operands, False
        while at < len(line):
            word = line[at]
            if not ended and word == "--":
                ended = True
            elif not ended and word.startswith("-") and (len(word) > 1 or self.assignments):
                option = self._option(line, at)
                if option.script:
                    return option.payload
                if option.stops:
                    return Payload()
                seen += option.letters
                at += option.skip
            elif not (self.assignments and _is_assignment(word)):
                if not free:
                    return Payload(at) if self._runs(seen) else self._late_script(line, at)
                free, ended = free - 1, True
            at += 1
        return Payload()

    def _runs(self, seen: str) -> bool:
        return not self.needs or any(letter in seen for letter in self.needs)

    def _late_script(self, line: Sequence[str], at: int) -> Payload:
        """Return the script of `su USER -c SCRIPT`, whose options may stand behind the name."""
        for index in range(at, len(line)):
            option = self._option(line, index) if line[index].startswith("-") else _Option()
            if option.script:
                return option.payload
        return Payload()

    def _option(self, line: Sequence[str], at: int) -> "_Option":
        word = line[at]
        if word.startswith("--"):
            return self._long(word, at, len(line))
        for index, letter in enumerate(word[1:], 1):
            inside = index + 1 < len(word)
            if letter in self.stops:
                return _Option(stops=True)
            if letter in self.scripts:
                return _script(at, index + 1 if inside and self.assignments else 0, len(line))
            if letter in self.values:
                return _Option(letters=word[1 : index + 1], skip=0 if inside else 1)
        return _Option(letters=word[1:])

    def _long(self, word: str, at: int, count: int) -> "_Option":
        name, equals, _ = word[2:].partition("=")
        if name in self.scripts:
            return _script(at, len(name) + 3 if equals else 0, count)
        return _Option(skip=1 if name in self.long_values and not equals else 0)


@dataclass(frozen=True, slots=True)
class _Option:
    letters: str = ""
    skip: int = 0
    stops: bool = False
    script: bool = False
    payload: Payload = Payload()


def _script(at: int, cut: int, count: int) -> _Option:
    if cut:
        return _Option(script=True, payload=Payload(script=(at, cut)))
    return _Option(script=True, payload=Payload(script=(at + 1, 0) if at + 1 < count else None))


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


_PLAIN = Wrapper()
_ONE = Wrapper(operands=1)

WRAPPERS: Final[Mapping[str, Wrapper]] = {
    **dict.fromkeys(words("catchsegv dbus-run-session eatmydata linux32 linux64"), _PLAIN),
    **dict.fromkeys(words("nohup setsid s6-setsid with-contenv justc-envdir"), _PLAIN),
    **dict.fromkeys(words("gosu setarch setuidgid envdir envuidgid su-exec"), _ONE),
    **dict.fromkeys(words("s6-setuidgid s6-envuidgid s6-envdir"), _ONE),
    **dict.fromkeys(words("tini tini-static docker-init"), Wrapper(values="pe", stops="h")),
    "catatonit": Wrapper(stops="PVh"),
    "chpst": Wrapper(values="uUb/CenlLmdopfctrs"),
    "chrt": Wrapper(values="TPD", stops="mp", operands=1),
    "doas": Wrapper(values="Cu", stops="Ls"),
    "dumb-init": Wrapper(values="r", long_values=words("rewrite"), stops="hV"),
    "env": Wrapper(
        values="uC",
        long_values=words("chdir unset"),
        scripts=frozenset({"S", "split-string"}),
        assignments=True,
    ),
    "fakeroot": Wrapper(values="lsib", long_values=words("lib faked")),
    "flock": Wrapper(values="wE", long_values=words("timeout conflict-exit-code"), operands=1),
    "ionice": Wrapper(values="cn", long_values=words("class classdata"), stops="pPu"),
    "nice": Wrapper(values="n", long_values=words("adjustment")),
    "nsenter": Wrapper(values="tSG", long_values=words("target setuid setgid")),
    "prlimit": Wrapper(stops="p"),
    "runuser": Wrapper(
        values="ugGsw",
        long_values=words("user group supp-group shell whitelist-environment"),
        scripts=frozenset({"c", "command", "session-command"}),
        needs="u",
    ),
    "s6-applyuidgid": Wrapper(values="ugG"),
    "s6-notifyoncheck": Wrapper(values="sTtwnc3"),
    "s6-setlock": Wrapper(values="td", operands=1),
    "s6-softlimit": Wrapper(values="acdflmoprst"),
    "script": Wrapper(values="EIOBTmo", scripts=frozenset({"c", "command"}), needs="\0"),
    "setpriv": Wrapper(
        long_values=words(
            "reuid regid ruid euid rgid egid groups inh-caps ambient-caps bounding-set securebits"
            " pdeathsig selinux-label apparmor-profile"
        ),
        stops="dhV",
    ),
    "sg": Wrapper(scripts=frozenset("c"), needs="\0"),
    "stdbuf": Wrapper(values="ioe", long_values=words("input output error")),
    "strace": Wrapper(values="aeEIoOpPsSuUbX"),
    "su": Wrapper(
        values="gGsw",
        long_values=words("group supp-group shell whitelist-environment"),
        scripts=frozenset({"c", "command", "session-command"}),
        needs="\0",
    ),
    "sudo": Wrapper(
        values="CDghpRrtTuU",
        long_values=words("user group host prompt chdir chroot role type close-from other-user"),
        stops="lvkKeV",
        assignments=True,
    ),
    "taskset": Wrapper(stops="p", operands=1),
    "time": Wrapper(values="fo", long_values=words("format output")),
    "timeout": Wrapper(values="ks", long_values=words("kill-after signal"), operands=1),
    "unshare": Wrapper(
        values="SGRwl",
        long_values=words(
            "setuid setgid root wd map-user map-users map-group map-groups monotonic boottime"
            " propagation setgroups load-interp"
        ),
    ),
    "xargs": Wrapper(
        values="adEILnPs",
        long_values=words(
            "arg-file delimiter max-args max-chars max-procs max-lines process-slot-var"
        ),
        default="echo",
    ),
}
"""By the name's last part. What has a form of its own stands in `calls`; shells below."""

CHROOT: Final = Wrapper(long_values=words("groups userspec"), operands=1)

BUILTIN_WRAPPERS: Final[Mapping[str, Wrapper]] = {
    "builtin": _PLAIN,
    "command": Wrapper(stops="vV"),
    "exec": Wrapper(values="a"),
    "time": _PLAIN,
}

_LONG_SHELL_VALUES = frozenset({"--init-file", "--rcfile"})


def shell_payload(line: Sequence[str]) -> Payload:
    """Find what a shell reads: with -c, wherever it stands among the options, the first operand.

    Each o or O takes one more word, as in `bash -euxo pipefail -c STRING`. With -s, or without
    an operand, the script comes from stdin.
    """
    letters, at = "", 0
    while at < len(line) and re.match(r"[-+].|-$", line[at]):
        word, at = line[at], at + 1
        if word in {"-", "--"}:
            break
        if word.startswith("--"):
            at += word in _LONG_SHELL_VALUES
            continue
        letters += word[1:] if word.startswith("-") else ""
        at += len(re.findall("[oO]", word))
    if at >= len(line):
        return Payload()
    if "c" in letters:
        return Payload(script=(at, 0))
    return Payload() if "s" in letters else Payload(at)
