"""Dockerfiles as instructions with their place in the text.

Rules: BuildKit's parser (frontend/dockerfile/parser) and the Dockerfile reference: the escape
directive, continuations, comment lines within them, here-documents.
"""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.splice import Edit

_DIRECTIVE = re.compile(r"\s*#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*\Z")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_COMMENT = re.compile(r"\s*#")
_NAME = re.compile(r"\s*([A-Za-z]+)(?:\s+|\Z)")
# A here-document is a word of its own: `$((1<<N))`, `"<<N"` and `<<<` are none.
_WORD = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+""")
_HERE = re.compile(r"[0-9]*<<(-?)([^<]+)")
_QUOTING = re.compile(r"""\\(.)|['"]""")
_HERE_IN = frozenset({"RUN", "COPY", "ADD"})
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
_INSTRUCTIONS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
     "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction from its first byte to the end of its last line, the break left out.

    `name` is in capitals; `body` is what follows it, continuations joined and comments left out.
    """

    name: str
    start: int
    end: int
    line: int
    body: str
    dangling: bool = False
    """Whether the text ends within a continuation, so that what is appended would belong to it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What follows a FROM, itself included; a fragment without one is a stage without a name."""

    name: str | None
    instructions: tuple[Instruction, ...]

    def last(self, name: str) -> Instruction | None:
        """Return the last instruction of that name: the one that counts."""
        found = [item for item in self.instructions if item.name == name]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A HEALTHCHECK taken apart; `form` is exec, shell or none."""

    options: dict[str, str] = field(default_factory=dict)
    form: str = "none"
    words: tuple[str, ...] = ()
    script: str = ""


class _Lines:
    """The lines of a text, one after another, with their places."""

    def __init__(self, text: str) -> None:
        self.lines = re.findall(r"[^\n]*\n|[^\n]+", text)
        self.number = 0
        self.start = 0

    def take(self) -> tuple[str, int, int]:
        """Return the next line without its break, its start, and its end without the break."""
        line = self.lines[self.number]
        bare = line.rstrip("\r\n")
        start = self.start
        self.number += 1
        self.start += len(line)
        return bare, start, start + len(bare)

    def __bool__(self) -> bool:
        return self.number < len(self.lines)


def scan(text: str) -> list[Instruction]:
    """Return the instructions. Raises WireError where the text is no Dockerfile."""
    start = 1 if text.startswith("\ufeff") else 0
    lines = _Lines(text[start:])
    lines.start = start
    escape = _escape(lines.lines)
    found = list(_instructions(lines, escape))
    if not found:
        raise WireError("the file is empty")
    return found


def _escape(lines: list[str]) -> str:
    """Return what continues a line: the directive counts only above everything else."""
    for line in lines:
        directive = _DIRECTIVE.match(line)
        if directive is None or directive[1].lower() not in _DIRECTIVES:
            break
        if directive[1].lower() == "escape":
            if directive[2] not in {"\\", "`"}:
                raise WireError(f"escape directive {directive[2]!r}")
            return directive[2]
    return "\\"


def _instructions(lines: _Lines, escape: str) -> Iterator[Instruction]:
    while lines:
        number = lines.number + 1
        line, start, end = lines.take()
        if not line.strip() or _COMMENT.match(line):
            continue
        start += len(line) - len(line.lstrip())
        body, end, dangling = _join(lines, line, end, escape)
        name = _NAME.match(body)
        if name is None or name[1].upper() not in _INSTRUCTIONS:
            raise WireError(f"no Dockerfile instruction: {line.strip()[:40]!r}", number)
        rest = body[name.end() :].strip()
        end = _here_documents(lines, _here_words(name[1].upper(), rest), end, number)
        yield Instruction(name[1].upper(), start, end, number, rest, dangling)


def _join(lines: _Lines, line: str, end: int, escape: str) -> tuple[str, int, bool]:
    """Join continued lines; comments and empty lines between them do not count.

    Return also where they end, and whether the last of them is continued by nothing.
    """
    mark = re.escape(escape)
    continued = re.compile(rf"(?<!{mark}){mark}[ \t]*\Z")  # a doubled one is the character itself
    parts = []
    dangling = False
    while continued.search(line):
        parts.append(continued.sub("", line))
        line = ""
        while lines:
            line, _, after = lines.take()
            if line.strip() and not _COMMENT.match(line):
                end = after
                break
            line = ""
        dangling = not line
    return "".join([*parts, line]), end, dangling


def _here_words(name: str, body: str) -> list[tuple[str, str]]:
    """Return the here-documents of an instruction: the dash and the word that ends each."""
    if name == "ONBUILD" and (inner := _NAME.match(body)):
        return _here_words(inner[1].upper(), body[inner.end() :])
    if name not in _HERE_IN or "<<" not in body or _exec_form(body) is not None:
        return []
    if _WORD.sub("", body).strip():  # an open quote: BuildKit sees no here-document then
        return []
    found = [_HERE.fullmatch(word) for word in _WORD.findall(body)]
    return [(here[1], _QUOTING.sub(r"\1", here[2])) for here in found if here]


def _here_documents(lines: _Lines, words: list[tuple[str, str]], end: int, number: int) -> int:
    for dash, word in words:
        while True:
            if not lines:
                raise WireError(f"the here-document {word} has no end", number)
            line, _, end = lines.take()
            if (line.lstrip("\t") if dash else line) == word:
                break
    return end


def stages(instructions: list[Instruction]) -> list[Stage]:
    """Split at each FROM. Raises WireError where something but ARG stands before the first.

    A text that holds nothing but HEALTHCHECK, with ENV and the like, is a fragment: one stage.
    """
    froms = [n for n, item in enumerate(instructions) if item.name == "FROM"]
    if not froms:
        if not any(item.name == "HEALTHCHECK" for item in instructions):
            raise WireError("no FROM, and no HEALTHCHECK")
        return [Stage(None, tuple(instructions))]
    for item in instructions[: froms[0]]:
        if item.name != "ARG":
            raise WireError(f"{item.name} before the first FROM", item.line)
    bounds = [*froms, len(instructions)]
    return [
        Stage(_stage_name(instructions[start]), tuple(instructions[start:end]))
        for start, end in itertools.pairwise(bounds)
    ]


def _stage_name(instruction: Instruction) -> str | None:
    found = re.search(r"\s[Aa][Ss]\s+(\S+)\s*\Z", instruction.body)
    return found[1] if found else None


def healthcheck(instruction: Instruction) -> HealthCheck:
    """Take a HEALTHCHECK apart. Raises WireError where BuildKit would refuse it."""
    options: dict[str, str] = {}
    rest = instruction.body
    while flag := _FLAG.match(rest):
        options[flag[1]] = flag[2] or ""
        rest = rest[flag.end() :]
    kind, *others = rest.split(maxsplit=1) or [""]
    arguments = others[0].strip() if others else ""
    if kind.upper() == "NONE" and not arguments:
        return HealthCheck(options)
    if kind.upper() != "CMD" or not arguments:
        raise WireError(f"HEALTHCHECK {kind}: neither CMD nor NONE", instruction.line)
    words = _exec_form(arguments)
    if words is None:
        return HealthCheck(options, "shell", script=arguments)
    return HealthCheck(options, "exec", words)


def _exec_form(text: str) -> tuple[str, ...] | None:
    """Return the words of a JSON array; anything else goes to the shell, as BuildKit has it."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return tuple(words)
    return None


def set_healthcheck(text: str, stage: Stage, lines: str) -> Edit:
    """Put *lines* in the place of the stage's HEALTHCHECK, or behind its last instruction.

    Raises WireError where that is continued by nothing.
    """
    first = text.find("\n")
    ends = "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"
    added = lines.rstrip("\n").replace("\n", ends)
    if found := stage.last("HEALTHCHECK"):
        return Edit(found.start, found.end, added)
    last = stage.instructions[-1]
    if last.dangling:
        raise WireError("the last instruction does not end: nothing can stand behind it", last.line)
    # hadolint up to 2.15 cannot read an instruction right behind a here-document.
    gap = ends if _here_words(last.name, last.body) else ""
    return Edit(last.end, last.end, ends + gap + added)
