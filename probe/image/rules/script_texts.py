"""Scripts and programs whose text is at fault whatever it says: its line ends, or none at all."""

from collections.abc import Iterator
from posixpath import dirname

from probe.findings import Severity
from probe.image.facts.model import DEFAULT_PATH
from probe.image.facts.model import Facts
from probe.image.facts.model import Source
from probe.image.facts.names import EXECUTABLE
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError

_MAX_LOOKED_AT = 2**16
_RUNS = ImageConfig(
    entrypoint=("/app",),
    user="65532:65532",
    healthcheck={"Test": ["CMD", "/bin/bash", "-p", "/check.sh"]},
)
_SCRIPT = "#!/bin/bash\nexit 0\n"


def _drawn(check: str) -> Sketch:
    return Sketch({"/app": static(), "/bin/bash": static(), "/check.sh": Text(check)}, _RUNS)


@rule(
    "script-line-ends",
    Severity.ERROR,
    "a script's lines end as Windows' do (CR LF)",
    why="The shell takes the CR for a part of the last word: `exec /app` looks for a file /app^M,"
    " `then` is no keyword any more, and after #! it belongs to the interpreter's name.",
    fix="convert it (sed -i 's/\\r$//' FILE), and keep it so: `*.sh text eol=lf` in .gitattributes",
    good=_drawn(_SCRIPT),
    bad=_drawn(_SCRIPT.replace("\n", "\r\n")),
)
def script_line_ends(facts: Facts) -> Iterator[Problem]:
    for path, script in facts.scripts.items():
        data = _head(facts, path) if script.dialect or not script.interpreter else b""
        ends, windows = data.count(b"\n"), data.count(b"\r\n")
        # A here-document may hold some.
        if windows and 2 * windows >= ends:
            yield Problem(path, f"{windows} of its lines end in CR LF")


def _head(facts: Facts, path: str) -> bytes:
    try:
        return facts.view.part(path, 0, _MAX_LOOKED_AT)
    except ViewError:
        return b""


@rule(
    "empty-program",
    Severity.ERROR,
    "a script or program that is run is an empty file",
    why="A shell takes it for a script that does nothing and succeeds: as a health check it says"
    " that all is well, for ever.",
    fix="copy the file anew; a failed download or a redirection of the build leaves such",
    good=_drawn(_SCRIPT),
    bad=_drawn(""),
)
def empty_program(facts: Facts) -> Iterator[Problem]:
    for path in sorted({*facts.scripts, *_empty_in_path(facts)}):
        entry = facts.view.resolve(path)
        if entry is not None and not entry.size:
            script = facts.scripts.get(path)
            checks = script is not None and script.source is Source.HEALTHCHECK
            yield Problem(path, "is empty" + (": the health check always succeeds" * checks))


def _empty_in_path(facts: Facts) -> Iterator[str]:
    """Give the empty commands of a root without a config, where each of them counts."""
    if facts.config is not None:
        return
    places = (facts.view.resolve(place) for place in DEFAULT_PATH.split(":"))
    folders = {place.path for place in places if place is not None}
    for entry in facts.view.entries():
        is_command = entry.kind is Kind.FILE and entry.mode & EXECUTABLE
        if is_command and not entry.size and dirname(entry.path) in folders:
            yield entry.path


RULES: tuple[Rule, ...] = (script_line_ends, empty_program)
