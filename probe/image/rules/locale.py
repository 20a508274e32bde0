"""Time zone and locale: what the environment names, and the image may not have."""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from posixpath import basename
from posixpath import join

from probe.findings import Severity
from probe.image.elf.reader import Libc
from probe.image.facts.model import Facts
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.shell.tables import words
from probe.image.sketch import Drawn
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError

_CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532")
_FILES: Mapping[str, Drawn] = {
    "/app": static(),
    "/usr/share/zoneinfo/Europe/Paris": Text("TZif2", 0o644),
}


def _drawn(**env: str) -> Sketch:
    return Sketch(_FILES, replace(_CONFIG, env=env))


# tzset(3): a name of a file, or a rule such as CET-1CEST,M3.5.0,M10.5.0/3.
_RULE = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]+>)[+-]?[0-9].*")
_UTC = frozenset({"UTC", "GMT", "Etc/UTC", "Etc/GMT", "UCT", "Zulu", "Universal"})
_FOLDER = "/usr/share/zoneinfo"
# Python's tzdata, Ruby's and others bring zones in a folder of that name; Java in this file.
_OTHERS = ("/tzdb.dat",)


@rule(
    "time-zone-missing",
    Severity.WARNING,
    "TZ names a time zone that is not in the image",
    why="What does not carry its own zones takes UTC without a word: logs and schedules are hours"
    " off.",
    fix="copy that file of /usr/share/zoneinfo into the image (package tzdata), or set TZ=UTC",
    good=_drawn(TZ="Europe/Paris"),
    bad=_drawn(TZ="Europe/Berlin"),
)
def time_zone_missing(facts: Facts) -> Iterator[Problem]:
    zone = facts.environment.get("TZ", "").removeprefix(":")
    if not zone or zone in _UTC or _RULE.fullmatch(zone):
        return
    path = join(facts.environment.get("TZDIR") or _FOLDER, zone)
    if facts.view.resolve(path) is None and not _has_zone(facts, zone):
        yield Problem(path, f"TZ={zone} names it, and it is not there: the time is UTC's")


def _has_zone(facts: Facts, zone: str) -> bool:
    ends = (f"/zoneinfo/{zone}", *_OTHERS)
    view = facts.view
    return any(one.path.endswith(ends) and view.resolve(one.path) for one in view.entries())


_BASH: Mapping[str, Drawn] = {
    "/app": static(),
    "/bin/bash": Program(("libc.so.6",)),
    "/start.sh": Text("#!/bin/bash\nexec /app\n"),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/lib/x86_64-linux-gnu/libc.so.6": library("libc.so.6"),
    "/usr/lib/locale/C.utf8/LC_CTYPE": Text("", 0o644),
}


def _by_bash(**env: str) -> Sketch:
    return Sketch(_BASH, replace(_CONFIG, entrypoint=("/start.sh",), env=env))


_LOCALES = "/usr/lib/locale"
_ARCHIVE = "locale-archive"
_MAX_ARCHIVE = 32 * 2**20
_CATEGORIES = sorted(
    words("""
LC_ADDRESS LC_COLLATE LC_CTYPE LC_IDENTIFICATION LC_MEASUREMENT LC_MESSAGES LC_MONETARY LC_NAME
LC_NUMERIC LC_PAPER LC_TELEPHONE LC_TIME
""")
)
_LOUD = frozenset({"bash", "perl", "man", "locale"})


@rule(
    "locale-missing",
    Severity.WARNING,
    "LANG or LC_* names a locale that is not in the image",
    why="glibc falls back to C; bash and perl complain on stderr at every start, before a script's"
    " first line.",
    fix="set LC_ALL=C, which needs no file, or put the locale into the image: Debian's libc-bin has"
    " C.UTF-8",
    good=_by_bash(LANG="C.UTF-8"),
    bad=_by_bash(LANG="en_US.UTF-8"),
)
def locale_missing(facts: Facts) -> Iterator[Problem]:
    # musl has its locales built in, and a program without a libc of its own asks for none.
    if not any(node.elf.libc is Libc.GLIBC for node in facts.closure.nodes):
        return
    loud = any(basename(path) in _LOUD for path in facts.programs)
    for variable, name in _named(facts.environment):
        if not _has_locale(facts, name):
            yield Problem(
                join(_LOCALES, _normal(name)),
                f"{variable}={name} names a locale that is not there: C is used",
                "",
                Severity.WARNING if loud else Severity.INFO,
            )


def _named(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give the variables that count: LC_ALL over LC_*, and those over LANG (locale(7))."""
    names = ("LC_ALL",) if environment.get("LC_ALL") else (*_CATEGORIES, "LANG")
    told = set()
    for variable in names:
        name = environment.get(variable, "")
        if name not in {"", "C", "POSIX"} and name not in told:
            told.add(name)
            yield variable, name


def _normal(name: str) -> str:
    """Return a locale's name as its directory has it: en_US.UTF-8 is en_US.utf8.

    After glibc's intl/l10nflist.c _nl_normalize_codeset.
    """
    base, dot, rest = name.partition(".")
    codeset, at, modifier = rest.partition("@")
    plain = "".join(letter for letter in codeset.lower() if letter.isalnum())
    iso = "iso" if plain.isdecimal() else ""
    return f"{base}{dot}{iso}{plain}{at}{modifier}"


def _has_locale(facts: Facts, name: str) -> bool:
    if "/" in name:
        return facts.view.resolve(name) is not None
    folders = [*facts.environment.get("LOCPATH", "").split(":"), _LOCALES]
    names = {name, _normal(name)}
    for folder in filter(None, folders):
        for one in names:
            entry = facts.view.resolve(join(folder, one))
            if entry is not None and entry.kind is Kind.DIRECTORY:
                return True
    return _in_archive(facts, names)


def _in_archive(facts: Facts, names: set[str]) -> bool:
    """Tell whether the archive has one of the names; one that is too large may have them all."""
    path = join(_LOCALES, _ARCHIVE)
    if facts.view.resolve(path) is None:
        return False
    try:
        data = facts.view.read(path, _MAX_ARCHIVE)
    except ViewError:
        return True
    return any(b"\0" + name.encode(errors="surrogateescape") + b"\0" in data for name in names)


RULES: tuple[Rule, ...] = (time_zone_missing, locale_missing)
