"""The health check of an image's config: whether there is one, and whether it can run.

What its program, interpreter and commands lack is told with those of the command. What Docker
does was seen on 20.10 and read in moby daemon/health.go.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.model import Source
from probe.image.facts.model import Start
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Drawn
from probe.image.sketch import Sketch
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.platforms.durations import Seconds
from probe.platforms.durations import go_duration
from probe.platforms.rows import DOCKER

_KINDS = ("CMD", "CMD-SHELL", "NONE")
_SHELL = "/bin/sh"
_EXEC_FORM = 'HEALTHCHECK CMD ["/bin/bash", "-p", "/healthcheck.sh"]'
_OPERATORS = frozenset({"||", "&&", "2>&1", "1>&2", ">/dev/null", "2>/dev/null", "&>/dev/null"})
_NANOSECONDS = 10**9
_SHOWN = 60

_FILES: Mapping[str, Drawn] = {"/app": static(), "/check": static()}
_CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532", format="docker")


def _drawn(*test: str, files: Mapping[str, Drawn] = _FILES, **timings: int) -> Sketch:
    """Draw an image whose health check has this Test and these timings in seconds."""
    nanoseconds = {key: value * _NANOSECONDS for key, value in timings.items() if key != "Retries"}
    return Sketch(files, replace(_CONFIG, healthcheck={"Test": list(test), **nanoseconds}))


_GOOD = _drawn("CMD", "/check", Interval=10, Timeout=5)


def health_check_of(facts: Facts) -> Mapping[str, object]:
    """Return Docker's health check as the config has it; empty where there is none."""
    return (facts.config.healthcheck if facts.config else None) or {}


def seconds_of(check: Mapping[str, object], key: str, default: Seconds) -> Seconds:
    """Return a time of the health check in seconds; 0 means Docker's default, as absence does."""
    value = check.get(key)
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value / _NANOSECONDS if whole and isinstance(value, int) else default


def _words(check: Mapping[str, object]) -> list[str] | None:
    """Return Test's words, [] where it is absent; None where it is no list of texts."""
    test = check.get("Test") or []
    if isinstance(test, (list, tuple)) and all(isinstance(word, str) for word in test):
        return list(test)
    return None


@rule(
    "health-check-missing",
    Severity.WARNING,
    "the image has no health check",
    why="Docker, Compose and Swarm then take the container for well as long as its process lives.",
    fix=f"add one to the Dockerfile: {_EXEC_FORM}",
    good=_GOOD,
    bad=Sketch(_FILES, _CONFIG),
)
def health_check_missing(facts: Facts) -> Iterator[Problem]:
    config, check = facts.config, health_check_of(facts)
    if config is None or facts.started(Source.COMMAND) is None or check.get("Test"):
        return
    if config.format == "oci":
        yield Problem(
            "",
            "an image in OCI format cannot hold a health check: the platform must bring it",
            "write it into the platform's own file with `probe generate` or `probe wire`,"
            " or build the image in Docker's format",
            Severity.INFO,
        )
    elif check:
        yield Problem("", "the health check has timings but no Test: no check ever runs")
    else:
        yield Problem("", "the config has no Healthcheck: no check ever runs")


@rule(
    "health-check-disabled",
    Severity.INFO,
    "the image switches its health check off",
    why="Test is NONE, which also switches off what the base image brought.",
    fix=f"where that is not meant, give the image a check: {_EXEC_FORM}",
    good=_GOOD,
    bad=_drawn("NONE"),
)
def health_check_disabled(facts: Facts) -> Iterator[Problem]:
    if _words(health_check_of(facts)) == ["NONE"]:
        yield Problem("", "HEALTHCHECK NONE: no check ever runs")


@rule(
    "health-check-malformed",
    Severity.ERROR,
    "the health check is not of a form that Docker runs",
    why="Docker runs no check where Test does not begin with CMD or CMD-SHELL, and tells it in the"
    " daemon's log alone: the container stays without a state.",
    fix=f"write it in exec form: {_EXEC_FORM}",
    good=_GOOD,
    bad=_drawn("CMD-SHELL, /check || exit 1"),
)
def health_check_malformed(facts: Facts) -> Iterator[Problem]:
    check = health_check_of(facts)
    words = _words(check)
    if words is None:
        yield Problem("", f"Test is no list of words: {_short(check.get('Test'))}")
    elif words:
        yield from _malformed(words)


def _short(value: object) -> str:
    """Return what the config holds as a message can show it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _malformed(words: Sequence[str]) -> Iterator[Problem]:
    kind, *rest = words
    if kind not in _KINDS:
        yield Problem(
            "", f"Test begins with {_short(kind)}, not with CMD or CMD-SHELL: no check runs"
        )
    elif kind == "NONE" and rest:
        yield Problem("", "Test has words behind NONE, which are ignored", "", Severity.WARNING)
    elif kind == "CMD" and not (rest and rest[0]):
        # Seen: dockerd 20.10 panics at the first check (moby 14efa29c44 ended that).
        yield Problem("", "Test has no program behind CMD, at which Docker before 2026 crashes")
    elif kind == "CMD-SHELL" and not (rest and rest[0].strip()):
        yield Problem("", "Test has no command behind CMD-SHELL: the check checks nothing")
    elif kind == "CMD-SHELL" and len(rest) > 1:
        # Seen: ["CMD-SHELL", "exit", "3"] is healthy.
        lost = " ".join(rest[1:])
        yield Problem(
            "",
            f"the shell runs the first word behind CMD-SHELL alone, {_short(rest[0])}; not run:"
            f" {_short(lost)}",
            "put the whole command into one text",
            Severity.WARNING,
        )


@rule(
    "health-check-operators",
    Severity.WARNING,
    "the health check has a shell's operators where no shell reads them",
    why="In exec form each word is an argument: `||` and `exit` go to the program as they stand.",
    fix="leave them out: Docker takes every exit code but 0 for unhealthy",
    good=_GOOD,
    bad=_drawn("CMD", "/check", "||", "exit", "1"),
)
def health_check_operators(facts: Facts) -> Iterator[Problem]:
    words = _words(health_check_of(facts)) or []
    if words[:1] == ["CMD"] and (found := [word for word in words[1:] if word in _OPERATORS]):
        yield Problem("", f"{' '.join(found)} is an argument of {words[1]} here")


@rule(
    "shell-form-without-shell",
    Severity.ERROR,
    "a command in shell form, and no shell to run it",
    why="Docker runs CMD-SHELL, and CMD or ENTRYPOINT written as text, by /bin/sh -c;"
    " without that file nothing starts.",
    fix=f"use the exec form, such as {_EXEC_FORM}, or put a /bin/sh into the image",
    good=_drawn("CMD-SHELL", "/check", files={**_FILES, "/bin/sh": static()}),
    bad=_drawn("CMD-SHELL", "/check"),
)
def shell_form_without_shell(facts: Facts) -> Iterator[Problem]:
    for start in facts.starts:
        if start.shell_form and (shell := _missing_shell(facts, start)):
            yield Problem(shell, f"the {start.source} is in shell form and {shell} is not there")


def _missing_shell(facts: Facts, start: Start) -> str | None:
    """Return the shell that is looked for in vain.

    For a check that is /bin/sh whatever SHELL said: Docker 20.10 does not take SHELL over from the
    image (seen; merge() in daemon/commit.go leaves it out), and podman knows no other.
    """
    shell = _SHELL if start.source is Source.HEALTHCHECK else start.words[0]
    return shell if facts.view.resolve(shell) is None else None


@rule(
    "health-check-timings",
    Severity.ERROR,
    "the timings of the health check do not fit Docker or each other",
    why="Docker waits the interval after the end of a check: a check that may take longer than the"
    " interval stretches it, and a hung application is found late.",
    fix="keep the timeout below the interval, such as --interval=10s --timeout=5s",
    good=_GOOD,
    bad=_drawn("CMD", "/check", Interval=5, Timeout=-1),
)
def health_check_timings(facts: Facts) -> Iterator[Problem]:
    check = health_check_of(facts)
    words = _words(check)
    if not words or words[0] == "NONE":
        return
    unfit = list(_unfit(check))
    yield from unfit
    interval = seconds_of(check, "Interval", DOCKER.interval.default)
    timeout = seconds_of(check, "Timeout", DOCKER.timeout.default)
    if not unfit and timeout > interval:
        given = "" if check.get("Timeout") else ", Docker's default,"
        yield Problem(
            "",
            f"the timeout of {go_duration(timeout)}{given} is above the interval of"
            f" {go_duration(interval)}",
            "",
            Severity.WARNING,
        )
    if check.get("StartInterval") and not check.get("StartPeriod"):
        yield Problem(
            "",
            "StartInterval without StartPeriod has no effect",
            "set --start-period, the time in which failures do not count",
            Severity.INFO,
        )


def _unfit(check: Mapping[str, object]) -> Iterator[Problem]:
    """Tell numbers that Docker's API refuses; an image's own it takes as they are (seen)."""
    for key in ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"):
        value = check.get(key, 0)
        least = 0 if key == "Retries" else DOCKER.timeout.minimum * _NANOSECONDS
        if not isinstance(value, int) or isinstance(value, bool):
            yield Problem(
                "", f"{key} is {_short(value)}, not a whole number: Docker cannot read it"
            )
        elif value and value < least:
            unit = "" if key == "Retries" else " ns"
            follows = ": no check ends within it" if key == "Timeout" else ""
            yield Problem(
                "",
                f"{key} is {_short(value)}{unit}, which is too little{follows}",
                "the config counts nanoseconds: 10 s are 10000000000",
                Severity.ERROR if key == "Timeout" else Severity.WARNING,
            )


RULES: tuple[Rule, ...] = (
    health_check_missing,
    health_check_disabled,
    health_check_malformed,
    health_check_operators,
    shell_form_without_shell,
    health_check_timings,
)
