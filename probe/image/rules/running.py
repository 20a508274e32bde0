"""How an image is started and stopped: its command, PID 1, the directories it works in."""

import re
import shlex
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from posixpath import basename
from posixpath import join

from probe.findings import Severity
from probe.image.facts.model import DEFAULT_PATH
from probe.image.facts.model import Facts
from probe.image.facts.model import Role
from probe.image.facts.model import Source
from probe.image.facts.trust import FILES
from probe.image.facts.users import EXECUTE
from probe.image.facts.users import READ
from probe.image.facts.users import WRITE
from probe.image.facts.users import barrier
from probe.image.rules.certificates import EXAMPLE_PEM
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.rules.user import known_user
from probe.image.shell import BUILTINS
from probe.image.shell import SHELLS
from probe.image.shell import Dialect
from probe.image.shell import ScriptFacts
from probe.image.shell.tables import words
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError

_MAX_SCRIPT = 2**20
_SHOWN = 80
_FILES: Mapping[str, Drawn] = {
    "/app": static(),
    "/bin/bash": static("/dev/tcp/"),
    "/bin/dash": static(),
}
_CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532")


def _drawn(config: ImageConfig = _CONFIG, **files: Drawn) -> Sketch:
    named = {"/" + name.replace("_sh", ".sh"): drawn for name, drawn in files.items()}
    return Sketch({**_FILES, **named}, config)


@rule(
    "no-command",
    Severity.WARNING,
    "the image starts nothing",
    why="It has neither ENTRYPOINT nor CMD: without a command of its own a container is refused.",
    fix='add CMD ["/path/of/the/program"]; an image that others build upon may go without',
    good=_drawn(),
    bad=_drawn(replace(_CONFIG, entrypoint=())),
)
def no_command(facts: Facts) -> Iterator[Problem]:
    if facts.config is not None and facts.started(Source.COMMAND) is None:
        yield Problem("", "the config has neither Entrypoint nor Cmd")


# PID 1 ----------------------------------------------------------------------------------------

_COMMENT = re.compile(r"(?m)(?:^|\s)#.*$")
# With one of these the shell gives its place away, or answers signals itself.
_AWARE = re.compile(r"\b(?:exec|trap)\b")
_BEYOND = re.compile(r"[\\`\n(){}<>&$]")
_OPERATORS = frozenset({";", "&&", "||", "|"})


@dataclass(frozen=True, slots=True)
class _Shell:
    """A shell that is PID 1: `path` of its script, or "" with `text` from its command line."""

    path: str
    text: str
    dialect: Dialect
    facts: ScriptFacts


@rule(
    "pid-one-is-a-shell",
    Severity.WARNING,
    "PID 1 is a shell that waits for the application",
    why="The kernel keeps SIGTERM from a PID 1 that has no handler for it, and a shell passes no"
    " signal on: `docker stop` waits ten seconds and kills the application.",
    fix='end the script with `exec`, as in exec /app "$@", or write the command in exec form',
    good=_drawn(
        replace(_CONFIG, entrypoint=("/start.sh",)), start_sh=Text("#!/bin/bash\nexec /app\n")
    ),
    bad=_drawn(replace(_CONFIG, entrypoint=("/start.sh",)), start_sh=Text("#!/bin/bash\n/app\n")),
)
def pid_one_is_a_shell(facts: Facts) -> Iterator[Problem]:
    shell = _first_shell(facts)
    if shell is None or not _waits(shell, facts):
        return
    if shell.path:
        yield Problem(shell.path, "it runs its commands without exec and stays PID 1")
    else:
        yield Problem("", f"the shell of the command line stays PID 1: {shell.text[:_SHOWN]}")


def _first_shell(facts: Facts) -> _Shell | None:
    """Return the shell that the command starts; None for another program, or what is unclear."""
    start, line = facts.started(Source.COMMAND), facts.lines.get(Source.COMMAND)
    found = _start_of(facts)
    if start is None or line is None or found is None:
        return None
    if found in facts.scripts:
        return _script(facts, found)
    dialect = _dialect(found, start.words[0])
    if dialect is None:
        return None
    options = [word for word in start.words[1:] if re.fullmatch(r"-[a-z]*c", word)]
    if options:
        at = start.words.index(options[0]) + 1
        # What stands before the option is options too, and the text is there.
        return _Shell("", start.words[at], dialect, _inner(line)) if at < len(start.words) else None
    files = [word for word in start.words[1:] if not word.startswith("-")]
    entry = facts.view.resolve(join("/", _workdir(facts), files[0])) if files else None
    return _script(facts, entry.path) if entry else None


def _script(facts: Facts, path: str) -> _Shell | None:
    script = facts.scripts.get(path)
    if script is None or script.facts is None or script.dialect is None:
        return None
    text = _text(facts, path)
    return None if text is None else _Shell(path, text, script.dialect, script.facts)


def _inner(line: ScriptFacts) -> ScriptFacts:
    """Leave out the shell itself, which is the command line's first call."""
    return replace(line, calls=line.calls[1:])


def _start_of(facts: Facts) -> str | None:
    return next(
        (
            lookup.found
            for lookup in facts.lookups
            if lookup.source is Source.COMMAND and lookup.role is Role.START
        ),
        None,
    )


def _dialect(found: str, name: str) -> Dialect | None:
    """Return what a shell is; None for other programs, and for an sh that may be any."""
    if basename(found).startswith("busybox"):
        return Dialect.ASH if basename(name) in {"sh", "ash"} else None
    return None if basename(found) == "sh" else SHELLS.get(basename(found))


def _text(facts: Facts, path: str) -> str | None:
    try:
        return facts.view.read(path, _MAX_SCRIPT).decode(errors="replace")
    except ViewError:
        return None


def _waits(shell: _Shell, facts: Facts) -> bool:
    """Tell whether it is certain that the shell runs a command, and stays while that runs."""
    read = shell.facts
    if read.unread or not (read.calls or read.unknown or any(one.run for one in read.sourced)):
        return False
    texts = [shell.text]
    for sourced in read.sourced:
        text = _text(facts, join("/", _workdir(facts), sourced.path)) if sourced.known else None
        if text is None:
            return False
        texts.append(text)
    if any(_AWARE.search(_COMMENT.sub("", text)) for text in texts):
        return False
    return bool(shell.path) or _keeps_its_place(shell.text, shell.dialect)


def _keeps_its_place(text: str, dialect: Dialect) -> bool:
    """Tell whether `sh -c TEXT` stays: bash and busybox exec a last simple command, dash does not.

    Seen with bash 5.2, busybox 1.35 and dash 0.5.12; a test asks the machine's own.
    """
    if dialect is Dialect.DASH:
        return True
    if _BEYOND.search(text.replace("&&", ";")):
        return False
    tokens = _tokens(text)
    last = max((at for at, token in enumerate(tokens) if token in _OPERATORS), default=None)
    if last is None or last + 1 == len(tokens):
        return False
    return tokens[last] == "|" or tokens[last + 1] in BUILTINS[dialect]


def _tokens(text: str) -> list[str]:
    """Split a line into words, quotes kept, and operators; [] where a quote has no end."""
    try:
        return list(shlex.shlex(text, posix=False, punctuation_chars=";&|"))
    except ValueError:
        return []


# Directories ----------------------------------------------------------------------------------


def _workdir(facts: Facts) -> str:
    return facts.config.workdir if facts.config else ""


@rule(
    "workdir-unusable",
    Severity.ERROR,
    "the working directory is none that a process can start in",
    why="The engine enters it before it starts the command, and refuses the container where it"
    " cannot.",
    fix="make the directory in the image and name it by its absolute path",
    good=_drawn(replace(_CONFIG, workdir="/data"), data=Folder()),
    bad=_drawn(replace(_CONFIG, workdir="/app")),
)
def workdir_unusable(facts: Facts) -> Iterator[Problem]:
    path = _workdir(facts)
    if not path:
        return
    entry = facts.view.resolve(path)
    user = known_user(facts)
    if not path.startswith("/"):
        yield Problem("", f"WORKDIR {path} is not absolute, which runc refuses")
    elif entry is None:
        message = "WORKDIR is not in the image: the engine makes it, empty and root's own"
        yield Problem(path, message, "", Severity.WARNING)
    elif entry.kind is not Kind.DIRECTORY:
        yield Problem(path, f"WORKDIR leads to a {entry.kind}")
    elif user and barrier(facts.view, user, path, EXECUTE):
        yield Problem(path, f"user {user.uid} may not enter WORKDIR (mode {entry.mode:04o})")


@rule(
    "volume-unusable",
    Severity.ERROR,
    "a volume is declared where none can be, or where the user cannot write",
    why="Docker refuses a container whose volume lies over a file; a new volume gets owner and mode"
    " of the image's directory, root's where there is none.",
    fix="make the directory in the image, owned by the image's user, and name it by its absolute"
    " path",
    good=_drawn(replace(_CONFIG, volumes=("/data",)), data=Folder(uid=65532)),
    bad=_drawn(replace(_CONFIG, volumes=("/data",)), data=Text("")),
)
def volume_unusable(facts: Facts) -> Iterator[Problem]:
    user = known_user(facts)
    for path in facts.config.volumes if facts.config else ():
        entry = facts.view.resolve(path)
        if not path.startswith("/"):
            yield Problem("", f"VOLUME {path} is not absolute", "", Severity.WARNING)
        elif entry is not None and entry.kind is not Kind.DIRECTORY:
            yield Problem(path, f"VOLUME lies over a {entry.kind}")
        elif user and user.uid and entry is None:
            message = f"VOLUME is not in the image: user {user.uid} cannot write there"
            yield Problem(path, message, "", Severity.WARNING)
        elif user and entry and barrier(facts.view, user, path, WRITE | EXECUTE):
            message = (
                f"user {user.uid} cannot write to the VOLUME ({_owner(entry.mode, entry.uid)})"
            )
            yield Problem(path, message, "", Severity.WARNING)


def _owner(mode: int, uid: int) -> str:
    return f"mode {mode:04o}, owner {uid}"


_PROXY = replace(_CONFIG, entrypoint=("/split-proxy",), volumes=("/tmp",))  # noqa: S108


@rule(
    "temporary-directory-missing",
    Severity.ERROR,
    "split-proxy has no temporary directory that it can write to",
    why="It keeps its data in a file there, $TMPDIR or else /tmp, and exits with code 4 where it"
    " cannot make one.",
    fix="make /tmp in the image with mode 1777 and declare it: VOLUME /tmp",
    good=Sketch(
        {
            "/split-proxy": static(),
            "/tmp": Folder(0o1777),  # noqa: S108
            FILES[0]: Text(EXAMPLE_PEM, 0o644),
        },
        _PROXY,
    ),
    bad=Sketch({"/split-proxy": static()}, _PROXY),
)
def temporary_directory_missing(facts: Facts) -> Iterator[Problem]:
    user = known_user(facts)
    if facts.config is None or user is None or not _is_proxy(facts):
        return
    path = facts.environment.get("TMPDIR") or "/tmp"  # noqa: S108
    entry = facts.view.resolve(join("/", _workdir(facts), path))
    if entry is None or entry.kind is not Kind.DIRECTORY:
        yield Problem(path, f"split-proxy writes to {path}, which is no directory in the image")
    elif barrier(facts.view, user, entry.path, READ | WRITE | EXECUTE):
        owner = _owner(entry.mode, entry.uid)
        yield Problem(path, f"user {user.uid} cannot write to {path} ({owner})")
    elif not any(_lies_in(path, volume) for volume in facts.config.volumes):
        yield Problem(
            path,
            "it is no VOLUME: on a read-only root split-proxy exits with code 4",
            f"declare VOLUME {path}, or mount a tmpfs there wherever the root is read-only",
            Severity.WARNING,
        )


def _lies_in(path: str, volume: str) -> bool:
    return f"{path}/".startswith(volume.rstrip("/") + "/")


def _is_proxy(facts: Facts) -> bool:
    """Tell whether the command is split-proxy, or our entrypoint with that beside it."""
    asked = [lookup.name for lookup in facts.lookups if lookup.source is Source.COMMAND]
    if any(basename(name) == "split-proxy" for name in asked):
        return True
    kind = facts.environment.get("PROBE_KIND")
    ours = _start_of(facts) in facts.scripts and any(
        basename(name) == "functions.sh" for name in asked
    )
    return ours and kind != "sync" and _holds(facts, "split-proxy")


def _holds(facts: Facts, name: str) -> bool:
    folders = ["", *facts.environment.get("PATH", DEFAULT_PATH).split(":")]
    return any(facts.view.resolve(join("/", folder, name)) for folder in folders)


# Signals --------------------------------------------------------------------------------------

_SIGNALS = words("""
ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP
SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX
""")
"""Names that Docker knows: moby/sys signal_linux.go."""
_REAL_TIME = re.compile(r"RTMIN\+([1-9]|1[0-5])|RTMAX-([1-9]|1[0-4])")
_DEADLY = {"KILL": "kills the application at once", "9": "kills the application at once"}
_FREEZING = {"STOP": "freezes the application", "19": "freezes the application"}
_LAST_SIGNAL = 64


@rule(
    "stop-signal",
    Severity.WARNING,
    "the stop signal does not let the application end by itself",
    why="`docker stop` sends it and waits; with a wrong one the application is killed in the midst"
    " of its work.",
    fix="leave STOPSIGNAL out: SIGTERM is what the application and Docker agree on",
    good=_drawn(replace(_CONFIG, stop_signal="SIGTERM")),
    bad=_drawn(replace(_CONFIG, stop_signal="SIGKILL")),
)
def stop_signal(facts: Facts) -> Iterator[Problem]:
    given = facts.config.stop_signal if facts.config else ""
    if not given:
        return
    name = given.upper().removeprefix("SIG")
    if what := (_DEADLY | _FREEZING).get(name):
        yield Problem("", f"STOPSIGNAL {given} {what}")
    elif not (_is_signal_number(name) or name in _SIGNALS or _REAL_TIME.fullmatch(name)):
        yield Problem("", f"STOPSIGNAL {given} is no signal: the application is killed instead")


def _is_signal_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,2}", text) is not None and 0 < int(text) <= _LAST_SIGNAL


RULES: tuple[Rule, ...] = (
    no_command,
    pid_one_is_a_shell,
    workdir_unusable,
    volume_unusable,
    temporary_directory_missing,
    stop_signal,
)
