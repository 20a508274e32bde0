"""Our check in a container: read there, judged, and brought up to date."""

import re
import shlex
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import NamedTuple

from probe.manifests.command import SCRIPT_PATH
from probe.manifests.command import Command
from probe.manifests.command import call
from probe.manifests.command import read_argv
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import Delivery
from probe.manifests.wiring.request import Request
from probe.platforms.durations import Seconds
from probe.platforms.rows import Platform
from probe.platforms.timings import Given
from probe.platforms.timings import Timings
from probe.platforms.timings import TimingsError
from probe.platforms.timings import fit
from probe.platforms.timings import fits
from probe.synchronizer.settings import PREFIXES
from probe.synchronizer.settings import TRUE

DEFAULT_DEADLINE = 3
"""What the probe takes without --timeout, in seconds."""

_BASH = re.compile(r"(.*/)?bash")
_WITH_VALUE = frozenset({"--host", "--port", "--path", "--timeout", "--expect"})
# What a shell hands on as it stands: such a line can be read without knowing the shell.
_SIMPLE = re.compile(r"[A-Za-z0-9_ ./=:,@%+-]+")
_EXIT = re.compile(r"\s*\|\|\s*exit\s+1\s*$")


class Call(NamedTuple):
    """Our check as it stands: its words, taken apart, and what is wrong with how it is called."""

    words: list[str]
    command: Command
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """A check in a container. `call` is None where it is not ours.

    `timings` has what is written as a number, in seconds; `opaque` names what is written in another
    way (a CloudFormation function, a Compose variable) and stays untouched. `raw` is the test as
    it stands, escapes and all; `delay` is Kubernetes' initialDelaySeconds.
    """

    line: int
    shown: str
    call: Call | None = None
    timings: Mapping[str, Seconds] = field(default_factory=dict)
    opaque: frozenset[str] = frozenset()
    raw: Any = None
    delay: Seconds = 0


def read_test(test: object) -> Call | None:
    """Take apart a `test` of Docker's, its escapes undone; None where it is not our check.

    Ours in a form that never runs, or that needs a shell, is still ours, with that as its fault.
    """
    if isinstance(test, str):
        return _through_shell(test)
    if not isinstance(test, list) or not all(isinstance(word, str) for word in test):
        return None
    match test:
        case ["CMD", *words]:
            return read_words(words)
        case ["CMD-SHELL", line]:
            return _through_shell(line)
    return read_words(test, ("it does not begin with CMD, so it never runs",))


def read_words(words: list[str], faults: tuple[str, ...] = ()) -> Call | None:
    """Take apart a program and its arguments; None where it is not our check."""
    command = read_argv(words)
    return None if command is None else Call(words, command, faults)


def _through_shell(line: str) -> Call | None:
    bare = _EXIT.sub("", line)
    if not _SIMPLE.fullmatch(bare):
        return None
    return read_words(shlex.split(bare), ("it goes through a shell, which the image may not have",))


def show(test: object) -> str:
    """Return a foreign check as one line of at most a hundred characters."""
    words = test if isinstance(test, list) else [test]
    text = " ".join(" ".join(str(word) for word in words).split())
    return text if len(text) <= 100 else text[:97] + "..."  # noqa: PLR2004 # a line to read


def faults(present: Present, platform: Platform, variables: Mapping[str, str]) -> list[str]:
    """Return why a check of ours does not do: its form, limits, a deadline too late."""
    assert present.call is not None
    fields = platform.fields
    found = list(present.call.faults)
    found += [
        f"{fields[name].key} {value} is not within {fields[name].minimum} and "
        f"{fields[name].maximum}"
        for name, value in present.timings.items()
        if not fits(value, fields[name])
    ]
    return found + _late(present, platform, variables)


def _late(present: Present, platform: Platform, variables: Mapping[str, str]) -> list[str]:
    key = platform.timeout.key
    if "timeout" in present.opaque:
        return [f"{key} is no plain number, so the probe's deadline cannot be compared with it"]
    assert present.call is not None
    platforms = present.timings.get("timeout", platform.timeout.default)
    own = deadline(present.call.command, variables)
    if own is None:
        return ["its --timeout is no number of seconds"]
    if own < platforms:
        return []
    return [f"its own deadline of {_seconds(own)} is not below {key}, {_seconds(platforms)}"]


def _seconds(value: Seconds) -> str:
    return f"{int(value) if float(value).is_integer() else value} s"


def deadline(command: Command, variables: Mapping[str, str]) -> Seconds | None:
    """Return after how many seconds the probe ends by itself; None where that cannot be read."""
    if any(word.partition("=")[0] == "--timeout" for word in command.options):
        return command.own_timeout
    text = variables.get("HEALTHCHECK_TIMEOUT", "")
    try:
        return float(text.removesuffix("s")) if text else DEFAULT_DEADLINE
    except ValueError:
        return None


def timings(request: Request, platform: Platform, present: Present | None) -> Timings:
    """Return the timings: as asked, else as they are where that is within limits, else chosen.

    Raises TimingsError where what was asked does not fit.
    """
    kept = {} if present is None or present.call is None else dict(present.timings)
    kept = {name: value for name, value in kept.items() if fits(value, platform.fields[name])}
    given = request.given
    if given == Given():
        try:
            return fit(Given(**kept), platform)  # type: ignore[arg-type] # retries are whole
        except TimingsError:  # each within limits, but not with each other: the user's choice
            return Timings(**asdict(fit(Given(), platform)) | kept)
    if given.detect_within is not None:
        kept = {name: value for name, value in kept.items() if name == "start_period"}
    if given.start_within is not None:
        kept.pop("start_period", None)
    asked = {name: value for name, value in given._asdict().items() if value is not None}
    return fit(Given(**kept | asked), platform)


def words(request: Request, present: Present | None, timeout: Seconds, own: Seconds) -> list[str]:
    """Return the program and its arguments; *timeout* is the platform's, *own* fits below it.

    What a user added to our command stays, a deadline that is below the platform's too.
    """
    if present is None or present.call is None:
        return [*call(request.delivery or Delivery.IMAGE, request.inline), *_options(request, own)]
    command = present.call.command
    was = command.own_timeout
    asked = request.given.timeout is not None or request.given.detect_within is not None
    if was is not None and 0 < was < timeout and not asked:
        own = was
    options = list(command.options)
    for name, value in _wanted(request, own):
        options = _with_option(options, name, value)
    return [*_call(request, present.call), *options]


def _wanted(request: Request, own: Seconds) -> list[tuple[str, str | None]]:
    """Return the options that are to stand there, with None as the value of a flag."""
    asked: list[tuple[str, str | None]] = [("--timeout", f"{own}")]
    given = {name: getattr(request, name) for name in ("port", "path", "expect")}
    asked += [(f"--{name}", f"{value}") for name, value in given.items() if value is not None]
    return [*asked, ("--log", None)] if request.log else asked


def _options(request: Request, own: Seconds) -> list[str]:
    defaults = {"--path": HEALTH_PATH, "--expect": "200"}
    return [
        word
        for name, value in _wanted(request, own)
        if value is None or value != defaults.get(name)
        for word in ((name,) if value is None else (name, value))
    ]


def _with_option(options: list[str], name: str, value: str | None) -> list[str]:
    """Return options with one set to a value: in its place where it stands, else at the end."""
    if value is None:
        return options if name in options else [*options, name]
    result: list[str] = []
    rest = iter(options)
    there = False
    for word in rest:
        key, equals, old = word.partition("=")
        taken = [word]
        if key in _WITH_VALUE and not equals:
            old = next(rest, "")
            taken.append(old)
        if key != name:
            result += taken
        elif not there:  # the last of several wins in the probe; one is enough
            there = True
            same = old.removesuffix("s") == value
            result += taken if same else [f"{key}={value}"] if equals else [key, value]
    return (
        result
        if there
        else [*([name, value] if name == "--timeout" else []), *result]
        + ([] if name == "--timeout" else [name, value])
    )


def _call(request: Request, present: Call) -> list[str]:
    """Return how the script is called: as it is, `-p` before it, the inline text of today."""
    old, command = present.words, present.command
    bash = [old[0] if _BASH.fullmatch(old[0]) else "/bin/bash", "-p"]
    delivery = request.delivery or command.delivery
    if delivery is Delivery.INLINE:
        fresh = call(delivery, request.inline)
        return [*bash, *fresh[2:]]
    path = next((word for word in old if word.endswith("healthcheck.sh")), SCRIPT_PATH)
    if command.script is not None or delivery is Delivery.CONFIGMAP:
        path = SCRIPT_PATH
    return [*bash, path]


def with_escapes(call: Call, raw: Any, escape: Callable[[str], str]) -> Call:
    """Find fault with an inline text that stands in the file without the format's escapes."""
    script = call.command.script
    if script is None or escape(script) in raw:
        return call
    return call._replace(faults=(*call.faults, "the `$` in its text are not doubled"))


def escaped(
    words: list[str],
    present: Present | None,
    escape: Callable[[str], str],
    unescape: Callable[[str], str],
) -> list[str]:
    """Escape words for the format; what a user wrote (a variable for a port) stays as it is."""
    raw = present.raw if present is not None and isinstance(present.raw, list) else []
    known = {unescape(word): word for word in raw}
    return [escape(word) if "\n" in word else known.get(word, escape(word)) for word in words]


def speaks_tls(variables: Mapping[str, str]) -> str | None:
    """Return the variable that makes the admin port speak TLS, if any."""
    names = [f"{prefix}ADMIN_TLS_ENABLED" for prefix in PREFIXES.values()]
    return next((name for name in names if variables.get(name) in TRUE), None)
