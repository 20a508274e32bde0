"""The HEALTHCHECK of a Dockerfile's stage: the last stage unless another is named."""

import json
import re
import shlex
from typing import NamedTuple

from probe.manifests.wiring import check
from probe.manifests.wiring.check import Present
from probe.manifests.wiring.dockerfile_text import HealthCheck
from probe.manifests.wiring.dockerfile_text import Instruction
from probe.manifests.wiring.dockerfile_text import Stage
from probe.manifests.wiring.dockerfile_text import healthcheck
from probe.manifests.wiring.dockerfile_text import scan
from probe.manifests.wiring.dockerfile_text import set_healthcheck
from probe.manifests.wiring.dockerfile_text import stages
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.request import Request
from probe.manifests.wiring.request import State
from probe.manifests.wiring.request import Wired
from probe.manifests.wiring.splice import Edit
from probe.manifests.wiring.splice import apply
from probe.platforms.durations import Seconds
from probe.platforms.durations import go_duration
from probe.platforms.durations import parse_go_duration
from probe.platforms.rows import DOCKER

_FLAGS = {
    "interval": "interval",
    "timeout": "timeout",
    "start_period": "start-period",
    "retries": "retries",
}
# Parser directives stand above everything else; a backtick is for Windows' paths.
_BACKTICK = re.compile(
    r"\ufeff?(?:[ \t]*#[ \t]*\w+[ \t]*=.*\n)*?[ \t]*#[ \t]*escape[ \t]*=[ \t]*`", re.IGNORECASE
)
_EXEC = re.compile(r"(?im)^(?![ \t]*#)[^\n\[]*?\bCMD[ \t]+(?=\[)")


class _Place(NamedTuple):
    """The stage whose image is checked, the one whose HEALTHCHECK counts in it, and what it is."""

    stage: Stage
    owner: Stage
    instruction: Instruction | None
    present: Present | None
    variables: dict[str, str]

    @property
    def name(self) -> str:
        return self.stage.name or "the last stage"

    @property
    def line(self) -> int:
        return (self.instruction or self.stage.instructions[0]).line


def look(text: str, request: Request) -> _Place:
    """Find the stage and its HEALTHCHECK. Raises WireError."""
    found = stages(scan(text))
    stage = _chosen(found, request.container)
    line_of_descent = _ancestors(stage, found)
    owner = next((one for one in line_of_descent if one.last("HEALTHCHECK")), stage)
    instruction = owner.last("HEALTHCHECK")
    variables: dict[str, str] = {}
    for one in reversed(line_of_descent):
        variables |= _variables(one)
    present = None if instruction is None else _present(instruction)
    return _Place(stage, owner, instruction, present, variables)


def _chosen(found: list[Stage], name: str | None) -> Stage:
    if name is None:
        return found[-1]
    chosen = [stage for stage in found if (stage.name or "").lower() == name.lower()]
    if not chosen:
        names = ", ".join(stage.name for stage in found if stage.name) or "none with a name"
        line = found[-1].instructions[0].line
        raise WireError(f"no stage {name!r}; there are: {names}", line)
    return chosen[-1]


def _ancestors(stage: Stage, found: list[Stage]) -> list[Stage]:
    """Return a stage and the stages of this file that it is built from, the nearest first."""
    line = [stage]
    while True:
        earlier = found[: found.index(line[-1])]
        base = _base(line[-1])
        parent = [one for one in earlier if one.name and one.name.lower() == base]
        if not parent:
            return line
        line.append(parent[-1])


def _base(stage: Stage) -> str:
    first = stage.instructions[0]
    words = [word for word in first.body.split() if not word.startswith("--")]
    return words[0].lower() if first.name == "FROM" and words else ""


def _variables(stage: Stage) -> dict[str, str]:
    found: dict[str, str] = {}
    for instruction in stage.instructions:
        if instruction.name != "ENV":
            continue
        try:
            words = shlex.split(instruction.body)
        except ValueError:
            continue
        if words and "=" not in words[0]:
            found[words[0]] = " ".join(words[1:])
        else:
            found |= {name: value for name, _, value in (word.partition("=") for word in words)}
    return found


def _present(instruction: Instruction) -> Present:
    written = healthcheck(instruction)
    line = instruction.line
    if written.form == "none":
        return Present(line, "NONE")
    test: object = written.script if written.form == "shell" else ["CMD", *written.words]
    call = check.read_test(test)
    shown = check.show(written.script if written.form == "shell" else list(written.words))
    if call is None:
        return Present(line, shown)
    timings, opaque = _timings(written, line)
    return Present(line, shown, call, timings, opaque, list(written.words))


def _timings(written: HealthCheck, line: int) -> tuple[dict[str, Seconds], frozenset[str]]:
    """Return the flags in seconds; no start period means 0, as generated files have it."""
    timings: dict[str, Seconds] = {"start_period": 0}
    opaque = set()
    for name, flag in _FLAGS.items():
        text = written.options.get(flag)
        if text is None:
            continue
        if "$" in text:
            opaque.add(name)
            timings.pop(name, None)
            continue
        try:
            timings[name] = int(text) if name == "retries" else parse_go_duration(text)
        except ValueError:
            raise WireError(f"HEALTHCHECK --{flag}={text} is no valid value", line) from None
    return timings, frozenset(opaque)


def judge(place: _Place) -> Wired:
    """Return what is to be said of the stage."""
    present = place.present
    if present is None:
        return Wired(place.name, place.line, State.ABSENT, faults=("no HEALTHCHECK",))
    if present.call is None:
        return Wired(place.name, present.line, State.FOREIGN, present.shown, ("a foreign check",))
    faults = check.faults(present, DOCKER, place.variables)
    return Wired(place.name, present.line, State.OURS, present.shown, tuple(faults))


def change(text: str, place: _Place, request: Request) -> str:
    """Return the text with our HEALTHCHECK of today. Raises TimingsError."""
    present = place.present
    timings = check.timings(request, DOCKER, present)
    words = check.words(request, present, timings.timeout, timings.own_timeout)
    opaque = present.opaque if present is not None else frozenset()
    flags = {
        flag: str(int(value)) if name == "retries" else go_duration(value)
        for name, flag in _FLAGS.items()
        if name not in opaque and ((value := getattr(timings, name)) or name != "start_period")
    }
    if present is None or present.call is None or place.instruction is None:
        wanted = HealthCheck(flags, "exec", tuple(words))
        return _proved(text, _whole(text, place.stage, flags, words), place.stage, wanted)
    old = healthcheck(place.instruction)
    wanted = HealthCheck(_merged(old.options, flags), "exec", tuple(words))
    if _same(old, wanted):
        return text
    edited = _within(text, place.instruction, old, wanted)
    after = stages(scan(edited))[_number(text, place.owner)].last("HEALTHCHECK")
    if after is not None and _same(healthcheck(after), wanted):
        return edited
    whole = _whole(text, place.owner, wanted.options, words)
    return _proved(text, whole, place.owner, wanted)


def _proved(before: str, after: str, stage: Stage, wanted: HealthCheck) -> str:
    """Return the text when it reads as it should. Raises WireError where a loose end took it in."""
    number = _number(before, stage)
    old, new = stages(scan(before)), stages(scan(after))
    found = new[number].last("HEALTHCHECK")
    others = [[_others(stage) for stage in read] for read in (old, new)]
    if found is None or not _same(healthcheck(found), wanted) or others[0] != others[1]:
        raise WireError(
            "HEALTHCHECK cannot stand behind the last instruction, which does not end",
            stage.instructions[-1].line,
        )
    return after


def _others(stage: Stage) -> list[tuple[str, str]]:
    checks = {"HEALTHCHECK"}
    return [(one.name, one.body) for one in stage.instructions if one.name not in checks]


def _number(text: str, stage: Stage) -> int:
    starts = [one.instructions[0].start for one in stages(scan(text))]
    return starts.index(stage.instructions[0].start)


def _merged(old: dict[str, str], flags: dict[str, str]) -> dict[str, str]:
    """Keep the user's spelling of a value that is the same: 1m for 60s."""
    kept = {
        flag: old[flag] if flag in old and _equal(flag, old[flag], value) else value
        for flag, value in flags.items()
    }
    return {
        **{flag: value for flag, value in old.items() if flag not in _FLAGS.values()},
        **kept,
    } | {flag: value for flag, value in old.items() if "$" in value or _is_zero(flag, value)}


def _is_zero(flag: str, value: str) -> bool:
    return flag == "start-period" and _equal(flag, value, "0s")


def _equal(flag: str, one: str, other: str) -> bool:
    if flag == "retries":
        return one == other
    try:
        return parse_go_duration(one) == parse_go_duration(other)
    except ValueError:
        return False


def _same(one: HealthCheck, other: HealthCheck) -> bool:
    return (one.options, one.form, one.words) == (other.options, other.form, other.words)


def _within(text: str, instruction: Instruction, old: HealthCheck, wanted: HealthCheck) -> str:
    """Change flags and words where they stand, so that what is beside them stays."""
    source = text[instruction.start : instruction.end]
    missing = ""
    if old.words != wanted.words and (found := _EXEC.search(source)):
        source = source[: found.end()] + json.dumps(list(wanted.words), ensure_ascii=False)
    for flag, value in wanted.options.items():
        if flag not in old.options:
            missing += f" --{flag}={value}"
        elif old.options[flag] != value:
            source = source.replace(f"--{flag}={old.options[flag]}", f"--{flag}={value}", 1)
    name = len("HEALTHCHECK")
    source = source[:name] + missing + source[name:]
    return apply(text, [Edit(instruction.start, instruction.end, source)])


def _whole(text: str, stage: Stage, flags: dict[str, str], words: list[str]) -> str:
    escape = "`" if _BACKTICK.match(text) else "\\"
    shown = " ".join(f"--{flag}={value}" for flag, value in flags.items())
    lines = f"HEALTHCHECK {shown} {escape}\n  CMD {json.dumps(words, ensure_ascii=False)}\n"
    return apply(text, [set_healthcheck(text, stage, lines)])
