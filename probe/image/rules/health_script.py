"""Our own healthcheck.sh as an image's health check: how it is called, and what it then says."""

import re
import shlex
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from posixpath import basename
from posixpath import join

from probe.contract.inputs import find_inputs
from probe.contract.inputs import make_target
from probe.contract.target import TLS
from probe.contract.target import InvalidInputError
from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.model import Role
from probe.image.facts.model import Source
from probe.image.facts.model import Start
from probe.image.rules.health import health_check_of
from probe.image.rules.health import seconds_of
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.shell import SHELLS
from probe.image.shell import Dialect
from probe.image.shell import ScriptError
from probe.image.shell import parse_shebang
from probe.image.sketch import Drawn
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.image.view import ViewError
from probe.platforms.durations import go_duration
from probe.platforms.rows import DOCKER

VERSION = "0.1.0"
"""The version of the script in this package; a test holds it to that."""

_MARK = re.compile(r"^# healthcheck ([0-9]\S*)$", re.MULTILINE)
_HEAD = 512
_OPTIONS = ("--host", "--port", "--path", "--timeout", "--expect")
_SWITCHES = {"--tls": ("tls", "1"), "--no-tls": ("tls", "0"), "--log": None}
_PLAIN = re.compile(r"[\w\s./:=,@%+'\"-]*")
_EXIT_ONE = re.compile(r"\s*\|\|\s*exit(\s+1)?\s*;?\s*$")
_CALL = ("CMD", "/bin/bash", "-p", "/healthcheck.sh")


@dataclass(frozen=True, slots=True)
class Call:
    """How the check calls our script. `path` is "" for its text behind `bash -c`.

    shell: the file that runs it, links followed; privileged: whether that has its -p.
    """

    path: str
    version: str
    shell: str
    privileged: bool
    options: tuple[str, ...]


def call_of(facts: Facts) -> Call | None:
    """Return how the health check calls healthcheck.sh; None where it is another check."""
    start = facts.started(Source.HEALTHCHECK)
    words = _words(start) if start else []
    if not words:
        return None
    if basename(words[0]) in SHELLS:
        return _by_shell(facts, words)
    path = _found(facts, words[0])
    text = _head(facts, path)
    if (mark := _MARK.search(text)) is None:
        return None
    try:
        shebang = parse_shebang(text.encode())
    except ScriptError:
        return None
    program, *arguments = shebang.command if shebang else ("",)
    return Call(path, mark[1], _resolved(facts, program), _has_p(arguments), tuple(words[1:]))


def _words(start: Start) -> list[str]:
    """Return the program and its arguments; [] for a shell's text that is more than one command."""
    if not start.shell_form:
        return list(start.words)
    text = _EXIT_ONE.sub("", start.words[-1])
    try:
        words = shlex.split(text) if _PLAIN.fullmatch(text) else []
    except ValueError:
        return []
    return words[1:] if words[:1] == ["exec"] else words


def _by_shell(facts: Facts, words: Sequence[str]) -> Call | None:
    """Read `bash [OPTION...] FILE ARGUMENT...` and `bash -c TEXT NAME ARGUMENT...`."""
    program, *rest = words
    flags = []
    while rest and rest[0].startswith("-"):
        flags.append(rest.pop(0))
    if not rest:
        return None
    inline = any("c" in flag for flag in flags if not flag.startswith("--"))
    path = "" if inline else join(_workdir(facts), rest[0])
    mark = _MARK.search(rest[0] if inline else _head(facts, path))
    if mark is None:
        return None
    options = rest[2:] if inline else rest[1:]
    return Call(path, mark[1], _found(facts, program), _has_p(flags), tuple(options))


def _has_p(flags: Sequence[str]) -> bool:
    return any("p" in flag for flag in flags if re.fullmatch(r"-\w+", flag))


def _workdir(facts: Facts) -> str:
    return join("/", facts.config.workdir if facts.config else "")


def _found(facts: Facts, name: str) -> str:
    """Return the file that a program's name leads to, or the name."""
    for lookup in facts.lookups:
        if lookup.name == name and lookup.role in {Role.START, Role.COMMAND} and lookup.found:
            return lookup.found
    return name


def _resolved(facts: Facts, path: str) -> str:
    entry = facts.view.resolve(path) if path else None
    return entry.path if entry else path


def _head(facts: Facts, path: str) -> str:
    try:
        return facts.view.part(path, 0, _HEAD).decode(errors="replace")
    except ViewError:
        return ""


# Examples -------------------------------------------------------------------------------------

_SCRIPT = Text(f"#!/bin/bash -p\n# healthcheck {VERSION}\n")
_FILES: Mapping[str, Drawn] = {
    "/app": static(),
    "/bin/bash": static("/dev/tcp/"),
    "/healthcheck.sh": _SCRIPT,
}
_CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532", format="docker")


def _drawn(
    *test: str,
    env: Mapping[str, str] | None = None,
    files: Mapping[str, Drawn] = _FILES,
) -> Sketch:
    check = {"Test": list(test), "Interval": 10 * 10**9, "Timeout": 5 * 10**9}
    return Sketch(files, replace(_CONFIG, env=env or {}, healthcheck=check))


_GOOD = _drawn(*_CALL, "--timeout", "4")


@rule(
    "health-check-not-by-bash",
    Severity.ERROR,
    "healthcheck.sh is run by a shell that is not bash",
    why="It opens its connection by bash's /dev/tcp, which dash and busybox do not have: the check"
    " fails whatever the application does.",
    fix='call it as ["CMD", "/bin/bash", "-p", "/healthcheck.sh"]',
    good=_GOOD,
    bad=_drawn("CMD", "/bin/dash", "/healthcheck.sh", files={**_FILES, "/bin/dash": static()}),
)
def health_check_not_by_bash(facts: Facts) -> Iterator[Problem]:
    call = call_of(facts)
    if call is None:
        return
    # Where sh is a file of its own its name does not tell what it is.
    dialect = SHELLS.get(basename(call.shell))
    busybox = basename(call.shell).startswith("busybox")
    if busybox or (dialect not in {None, Dialect.BASH} and basename(call.shell) != "sh"):
        yield Problem(call.path, f"the health check runs it by {call.shell}")


@rule(
    "health-check-without-p",
    Severity.WARNING,
    "healthcheck.sh is called without bash's -p",
    why="Without -p bash takes functions, options and start-up files from the environment: in 13 of"
    " 52 odd environments that changed the verdict.",
    fix='call it as ["CMD", "/bin/bash", "-p", "/healthcheck.sh"], or directly: its #! has the -p',
    good=_GOOD,
    bad=_drawn("CMD", "/bin/bash", "/healthcheck.sh"),
)
def health_check_without_p(facts: Facts) -> Iterator[Problem]:
    call = call_of(facts)
    if call is not None and not call.privileged:
        yield Problem(call.path, "the health check runs it by bash without -p")


@rule(
    "health-check-outdated",
    Severity.WARNING,
    "healthcheck.sh is of another version than this program",
    why="What an older copy decides and prints may differ from what `probe check` says.",
    fix="copy the one that `probe script` prints",
    good=_GOOD,
    bad=_drawn(
        *_CALL, files={**_FILES, "/healthcheck.sh": Text("#!/bin/bash -p\n# healthcheck 0.0.1\n")}
    ),
)
def health_check_outdated(facts: Facts) -> Iterator[Problem]:
    call = call_of(facts)
    if call is not None and call.version != VERSION:
        yield Problem(call.path, f"it is version {call.version}; this program brings {VERSION}")


@rule(
    "health-check-refused",
    Severity.ERROR,
    "healthcheck.sh refuses what it is told to ask",
    why="It says `unhealthy: usage` or `unhealthy: tls` at every check, whatever the application"
    " does.",
    fix="correct the option, or the variable where it comes from; what is valid stands in"
    " `healthcheck.sh --help` and its README",
    good=_GOOD,
    bad=_drawn(*_CALL, env={"SPLIT_SYNC_ADMIN_PORT": "03010"}),
)
def health_check_refused(facts: Facts) -> Iterator[Problem]:
    call = call_of(facts)
    if call is None:
        return
    options, unknown = _read(call.options)
    found = find_inputs(options, facts.environment)
    try:
        target = make_target(found, TLS())
    except InvalidInputError as error:
        value, origin = found[error.name]
        yield Problem(call.path, f"{error.name} {value!r} (from {origin}) is not valid")
        return
    if unknown:
        yield Problem(call.path, f"there is no option {unknown[0]!r}")
    elif target.tls is not None:
        yield Problem(
            call.path,
            f"TLS is asked for by {found['tls'][1]}, which the script cannot speak",
            "serve the admin port without TLS on loopback, or check from another container with"
            " `probe check --tls`",
        )


@rule(
    "health-check-killed-early",
    Severity.WARNING,
    "healthcheck.sh waits as long as Docker lets it, or longer",
    why="Docker kills what is late: the reason is lost, and before 20.10.18 the process stayed.",
    fix="set --timeout a second below HEALTHCHECK's own --timeout",
    good=_GOOD,
    bad=_drawn(*_CALL, "--timeout", "10"),
)
def health_check_killed_early(facts: Facts) -> Iterator[Problem]:
    call = call_of(facts)
    if call is None:
        return
    value, origin = find_inputs(_read(call.options)[0], facts.environment)["timeout"]
    limit = seconds_of(health_check_of(facts), "Timeout", DOCKER.timeout.default)
    try:
        own = float(value.removesuffix("s"))
    except ValueError:
        return  # health-check-refused
    if own >= limit:
        yield Problem(
            call.path,
            f"its own timeout is {value.removesuffix('s')} s (from {origin}),"
            f" Docker's {go_duration(limit)}",
        )


@rule(
    "health-check-port",
    Severity.WARNING,
    "healthcheck.sh asks another port than the application is told to open",
    why="Nothing listens there, and the container never gets healthy.",
    fix="leave the port out: the script follows the application's own variable",
    good=_drawn(*_CALL, env={"SPLIT_SYNC_ADMIN_PORT": "3011"}),
    bad=_drawn(*_CALL, "--port", "3010", env={"SPLIT_SYNC_ADMIN_PORT": "3011"}),
)
def health_check_port(facts: Facts) -> Iterator[Problem]:
    call = call_of(facts)
    if call is None:
        return
    port, origin = find_inputs(_read(call.options)[0], facts.environment)["port"]
    names = ("SPLIT_SYNC_ADMIN_PORT", "SPLIT_PROXY_ADMIN_PORT")
    told = {name: value for name in names if (value := facts.environment.get(name, "")).isdigit()}
    if told and port not in told.values():
        name, value = next(iter(told.items()))
        yield Problem(call.path, f"it asks port {port} (from {origin}), {name} is {value}")


def _read(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Take the script's arguments apart: options by name, and words that it does not know."""
    values: dict[str, str] = {}
    unknown = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _OPTIONS:
            values[name[2:]] = value if equals else next(rest, "")
        elif word not in _SWITCHES:
            unknown.append(word)
        elif switch := _SWITCHES[word]:
            values[switch[0]] = switch[1]
    return values, unknown


RULES: tuple[Rule, ...] = (
    health_check_not_by_bash,
    health_check_without_p,
    health_check_outdated,
    health_check_refused,
    health_check_killed_early,
    health_check_port,
)
