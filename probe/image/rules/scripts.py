"""Scripts: interpreters, the commands that they call, the files that they read, and bash itself."""

import re
from collections.abc import Iterator
from dataclasses import replace
from posixpath import basename

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.model import Lack
from probe.image.facts.model import Lookup
from probe.image.facts.model import Role
from probe.image.facts.model import Source
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.shell import SHELLS
from probe.image.shell import Dialect
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.image.view import ViewError

_BANNER = "@(#)Bash version 5.2.15(1) release GNU\0/dev/tcp/*/*\0"
_RUNS = ImageConfig(entrypoint=("/start.sh",), user="65532:65532")
_SCRIPT = "#!/bin/bash\nexec /app\n"
_SOURCING = "#!/bin/bash\n. /functions.sh\nexec /app\n"
_CONNECTING = "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/80\n"
_GOOD = Sketch({"/start.sh": Text(_SCRIPT), "/bin/bash": static(_BANNER), "/app": static()}, _RUNS)


def _changed(**files: Text) -> Sketch:
    """Return the good image with other files at the root."""
    other = {f"/{name}.sh": file for name, file in files.items()}
    return Sketch({**_GOOD.files, **other}, _RUNS)


def _without(path: str) -> Sketch:
    return Sketch({name: drawn for name, drawn in _GOOD.files.items() if name != path}, _RUNS)


def _place(lookup: Lookup) -> str:
    """Say who asks: the script with its line, or the config."""
    if not lookup.by:
        return f"the image's {lookup.source}"
    return f"line {lookup.line}" if lookup.line else "it"


def _vouched(facts: Facts, lookup: Lookup) -> bool:
    """Tell whether a package answers for what its script lacks.

    Only for a root that names no command of its own: there every script counts, and a packaged one
    has its needs in its package's dependencies, all of which are installed; what it calls beyond
    them it can do without. A file that an installed package lists must be there all the same.
    """
    if lookup.source is not Source.FILE or not facts.packages.owner(lookup.by):
        return False
    named = [lookup.name] if "/" in lookup.name else [f"{place}/{lookup.name}" for place in _PLACES]
    return not any(map(facts.packages.owner, named))


_PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")


def _severity(facts: Facts, lookup: Lookup) -> Severity:
    if _vouched(facts, lookup):
        return Severity.INFO
    soft = lookup.guarded or lookup.tolerated or lookup.unread
    return Severity.WARNING if soft else Severity.ERROR


def _but(lookup: Lookup) -> str:
    if lookup.guarded:
        return "; the script asks for it first"
    if lookup.tolerated:
        return "; the script goes on without it"
    if lookup.unread:
        return "; a part of the script could not be read, so it may be defined there"
    return ""


def _lacking(facts: Facts, role: Role, *lacks: Lack) -> Iterator[Lookup]:
    """Give each lookup of a role that failed so, once for a script and name."""
    seen: set[tuple[str, str]] = set()
    # The gravest first: a call without a guard counts before one with.
    for lookup in sorted(facts.lookups, key=lambda one: (one.guarded, one.tolerated)):
        if lookup.role is role and lookup.lack in lacks and (lookup.by, lookup.name) not in seen:
            seen.add((lookup.by, lookup.name))
            yield lookup


@rule(
    "missing-start",
    Severity.ERROR,
    "the program that the command or the health check begins with is not in the image",
    why="The engine cannot start the container, or the check: exit code 127, which Kubernetes'"
    " probes even pass over in silence.",
    fix="put the program into the image, or name one that is in it; a bare name is looked up in the"
    " config's PATH",
    good=_GOOD,
    bad=_without("/start.sh"),
)
def missing_start(facts: Facts) -> Iterator[Problem]:
    for lookup in _lacking(facts, Role.START, Lack.MISSING, Lack.DANGLING, Lack.NO_FILE):
        start = facts.started(lookup.source)
        if start and start.shell_form and lookup.name == start.words[0]:
            continue  # shell-form-without-shell tells it, with its own way out
        name = lookup.name or "''"
        yield Problem(lookup.name, f"{_place(lookup)} runs {name}, which {lookup.lack}")


@rule(
    "not-executable",
    Severity.ERROR,
    "a file that is to be run has no execute permission, or is no program",
    why="The kernel refuses to run it: permission denied (126), or exec format error.",
    fix="set its mode to 0755 when the image is built (COPY --chmod=0755); a script must begin with"
    " #! and its interpreter's path",
    good=_GOOD,
    bad=_changed(start=Text(_SCRIPT, 0o644)),
)
def not_executable(facts: Facts) -> Iterator[Problem]:
    for role in (Role.START, Role.INTERPRETER, Role.COMMAND):
        for lookup in _lacking(facts, role, Lack.NOT_EXECUTABLE, Lack.NO_FORMAT):
            message = f"{_place(lookup)} runs {lookup.name}, which {lookup.lack}"
            yield Problem(lookup.by or lookup.name, message, severity=_severity(facts, lookup))


@rule(
    "missing-interpreter",
    Severity.ERROR,
    "the interpreter that a script's #! line names is not in the image",
    why="The kernel answers ENOENT: 'no such file or directory' of a script that is there."
    " `#!/usr/bin/env bash` needs env and bash.",
    fix="name an interpreter that is in the image (#!/bin/bash), or put this one there",
    good=_GOOD,
    bad=_changed(start=Text("#!/usr/bin/env bash\nexec /app\n")),
)
def missing_interpreter(facts: Facts) -> Iterator[Problem]:
    for lookup in _lacking(facts, Role.INTERPRETER, Lack.MISSING, Lack.DANGLING, Lack.NO_FILE):
        message = f"its #! line asks for {lookup.name}, which {lookup.lack}"
        yield Problem(lookup.by, message, severity=_severity(facts, lookup))


@rule(
    "missing-command",
    Severity.ERROR,
    "a script calls a command that is not in the image",
    why="The shell says 'command not found' and goes on with status 127, wherever in the script"
    " that is: in a pipe or a substitution it goes on with nothing.",
    fix="put the command into the image, or write the script without it (bash itself can do what"
    " tr, cut, sed and cat do in most scripts)",
    good=_changed(start=Text('#!/bin/bash\nname=${NAME^^}\nexec /app "$name"\n')),
    bad=_changed(start=Text('#!/bin/bash\nname=$(echo "$NAME" | tr a-z A-Z)\nexec /app "$name"\n')),
)
def missing_command(facts: Facts) -> Iterator[Problem]:
    vouched: dict[str, list[str]] = {}
    for lookup in _lacking(facts, Role.COMMAND, Lack.MISSING, Lack.DANGLING, Lack.NO_FILE):
        if _vouched(facts, lookup):
            vouched.setdefault(lookup.by, []).append(lookup.name)
            continue
        message = f"{_place(lookup)} calls {lookup.name}, which {lookup.lack}{_but(lookup)}"
        yield Problem(lookup.by or lookup.name, message, severity=_severity(facts, lookup))
    for path, names in vouched.items():
        message = f"calls {', '.join(names)}, which its package does not depend on"
        yield Problem(path, message, severity=Severity.INFO)


@rule(
    "missing-source",
    Severity.ERROR,
    "a script reads a file (`.`, source, or by a shell of its own) that is not in the image",
    why="dash ends there; bash goes on without the functions and variables of that file.",
    fix="put the file into the image at that path",
    good=_changed(
        start=Text("#!/bin/bash\n. /functions.sh\nexec /app\n"), functions=Text("a=1\n", 0o644)
    ),
    bad=_changed(start=Text(_SOURCING)),
)
def missing_source(facts: Facts) -> Iterator[Problem]:
    meant: dict[tuple[str, int], list[Lookup]] = {}
    for lookup in facts.lookups:
        if lookup.role is Role.SOURCED:
            meant.setdefault((lookup.by, lookup.line), []).append(lookup)
    for lookup in _lacking(facts, Role.SOURCED, *Lack):
        several = meant[lookup.by, lookup.line]
        if len(several) > 1:
            # `. "${folder:-./}functions.sh"` means one of two files: either will do.
            if lookup is not several[0] or any(one.found for one in several):
                continue
            lookup = replace(lookup, guarded=False)  # noqa: PLW2901 - no guard, but a choice
        message = f"{_place(lookup)} reads {lookup.name}, which {lookup.lack}{_but(lookup)}"
        yield Problem(lookup.by or lookup.name, message, severity=_severity(facts, lookup))


@rule(
    "unreadable-script",
    Severity.WARNING,
    "a script, or a part of one, cannot be read",
    why="What it calls is not known: a command that is missing may go unseen.",
    fix="look whether the shell itself takes it (bash -n FILE)",
    good=_GOOD,
    bad=_changed(start=Text("#!/bin/bash\nif true; then )\nfi\n")),
)
def unreadable_script(facts: Facts) -> Iterator[Problem]:
    for path, script in facts.scripts.items():
        severity = Severity.INFO if script.source is Source.FILE else Severity.WARNING
        if script.error:
            yield Problem(path, f"cannot be read as a script: {script.error}", severity=severity)
        elif script.facts and script.facts.unread:
            lines = ", ".join(str(part.line) for part in script.facts.unread[:5])
            yield Problem(path, f"not understood: line {lines}", severity=severity)


@rule(
    "unknown-command",
    Severity.INFO,
    "a script runs a command whose name is only known when it runs",
    why="Nothing can be said of it: look yourself whether the image holds what it may be.",
    fix="nothing, where the image holds it",
    good=_GOOD,
    bad=_changed(start=Text('#!/bin/bash\nexec "$APPLICATION"\n')),
)
def unknown_command(facts: Facts) -> Iterator[Problem]:
    for path, script in facts.scripts.items():
        found = script.facts.unknown if script.facts else ()
        if found and script.source is not Source.FILE:
            texts = "; ".join(f"{one.text} (line {one.line})" for one in found[:5])
            yield Problem(path, f"runs what is only known then: {texts}")


# bash itself ----------------------------------------------------------------------------------

_VERSION = re.compile(rb"@\(#\)Bash version ([0-9]+)\.([0-9]+)\.[0-9]+\(")
_MINIMUM = (4, 3)
_NETWORK = ("/dev/tcp/", "/dev/udp/")
_WITHOUT_NETWORK = {Dialect.DASH, Dialect.ASH}
_BASH_NAMES = {"bash", "bash-static", "sh"}
_MAX_SHELL = 16 * 2**20


def _bashes(facts: Facts) -> Iterator[tuple[str, bytes]]:
    """Give each bash that runs a script or a command line of the image, with its contents."""
    paths = {one.interpreter for one in facts.scripts.values() if one.dialect is Dialect.BASH}
    for lookup in facts.lookups:
        # By either name: /bin/bash may be a link to /opt/bash-5.2, and sh one to bash.
        named = {basename(lookup.name), basename(lookup.found or "")}
        if lookup.role is not Role.SOURCED and named & _BASH_NAMES:
            paths.add(lookup.found)
    for path in sorted(path for path in paths if path):
        try:
            data = facts.view.read(path, _MAX_SHELL)
        except ViewError:
            continue
        if _VERSION.search(data):
            yield path, data


def _uses_network(facts: Facts) -> list[tuple[str, int]]:
    return [(by, one.line) for by, one in facts.redirections() if one.path.startswith(_NETWORK)]


@rule(
    "bash-without-network",
    Severity.ERROR,
    "a script opens /dev/tcp, but this bash was built without network redirections",
    why="bash then looks for a file /dev/tcp/HOST/PORT, which is not there: every check fails.",
    fix="take a bash built with --enable-net-redirections (Debian's, Alpine's and Red Hat's are)",
    good=Sketch({**_GOOD.files, "/start.sh": Text(_CONNECTING)}, _RUNS),
    bad=Sketch(
        {
            "/start.sh": Text(_CONNECTING),
            "/bin/bash": static("@(#)Bash version 5.2.15(1) release GNU\0"),
        },
        _RUNS,
    ),
)
def bash_without_network(facts: Facts) -> Iterator[Problem]:
    uses = _uses_network(facts)
    if not uses:
        return
    by, line = uses[0]
    for path, data in _bashes(facts):
        if b"/dev/tcp/" not in data:
            place = f"{by}, line {line}," if by else "the config"
            yield Problem(path, f"it has no network redirections, and {place} opens /dev/tcp")


@rule(
    "network-without-bash",
    Severity.ERROR,
    "a shell that is not bash is told to open /dev/tcp",
    why="bash alone knows these names: to dash and busybox, which are sh in Debian and Alpine,"
    " /dev/tcp/HOST/PORT is a file that is not there, and the check fails whatever the application"
    " does.",
    fix="have bash run it (#!/bin/bash, or bash -c '...'), or ask by another program",
    good=Sketch({**_GOOD.files, "/start.sh": Text(_CONNECTING)}, _RUNS),
    bad=Sketch(
        {
            **_GOOD.files,
            "/start.sh": Text(_CONNECTING.replace("bash", "dash")),
            "/bin/dash": static(),
        },
        _RUNS,
    ),
)
def network_without_bash(facts: Facts) -> Iterator[Problem]:
    bashes = {path for path, _ in _bashes(facts)}
    told = {one.by for one in facts.lookups if one.role is Role.INTERPRETER and not one.found}
    for by, line in _uses_network(facts):
        script = facts.scripts.get(by)
        if script is None or by in told or script.interpreter in bashes:
            continue
        told.add(by)
        if script.dialect in _WITHOUT_NETWORK:
            shell = script.interpreter or "sh"
            yield Problem(by, f"line {line} opens /dev/tcp, and {shell} runs it, which is no bash")
    yield from _command_line_without_bash(facts, bashes)


def _command_line_without_bash(facts: Facts, bashes: set[str]) -> Iterator[Problem]:
    for source, read in facts.lines.items():
        if not any(one.path.startswith(_NETWORK) for one in read.redirections):
            continue
        asked = [one for one in facts.lookups if one.source is source and not one.by]
        shells = [one for one in asked if basename(one.name) in SHELLS]
        if shells and all(one.found and one.found not in bashes for one in shells):
            shell = shells[-1]
            message = f"the {source} opens /dev/tcp, and {shell.found} runs it, which is no bash"
            yield Problem(shell.name, message)


@rule(
    "bash-too-old",
    Severity.ERROR,
    "healthcheck.sh or entrypoint.sh runs in a bash older than 4.3",
    why="The scripts say `bash too old` and fail.",
    fix="take bash 4.3 or newer",
    good=Sketch({**_GOOD.files, "/start.sh": Text("#!/bin/bash\n# healthcheck 1\n")}, _RUNS),
    bad=Sketch(
        {
            "/start.sh": Text("#!/bin/bash\n# healthcheck 1\n((BASH_VERSINFO[0] >= 4))\n"),
            "/bin/bash": static("@(#)Bash version 4.2.53(1) release GNU\0/dev/tcp/*/*\0"),
        },
        _RUNS,
    ),
)
def bash_too_old(facts: Facts) -> Iterator[Problem]:
    if not any(_ours(facts, path) for path in facts.scripts):
        return
    for path, data in _bashes(facts):
        found = _VERSION.search(data)
        if found and (version := (int(found[1]), int(found[2]))) < _MINIMUM:
            yield Problem(path, f"it is bash {version[0]}.{version[1]}; our scripts need 4.3")


_OURS = re.compile(rb"^# healthcheck [0-9]|^\(\(BASH_VERSINFO", re.MULTILINE)


def _ours(facts: Facts, path: str) -> bool:
    try:
        return bool(_OURS.search(facts.view.part(path, 0, 4096)))
    except ViewError:
        return False


RULES: tuple[Rule, ...] = (
    missing_start,
    not_executable,
    missing_interpreter,
    missing_command,
    missing_source,
    unreadable_script,
    unknown_command,
    bash_without_network,
    network_without_bash,
    bash_too_old,
)
