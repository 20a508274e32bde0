"""What the image weighs, and what of that nothing was seen to use."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.model import Source
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.rules.wording import megabytes
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind

_LARGEST = 10
_LEAST = 50_000
"""Bytes: what would read as 0.0 MB is not told, unless it is all that there is."""
_NO_PACKAGE = "no package"
_RUNS_APP = ImageConfig(entrypoint=("/app",), user="65532:65532")


def _files(facts: Facts) -> list[Entry]:
    return [entry for entry in facts.view.entries() if entry.kind is Kind.FILE]


def _ranked(sizes: Iterable[tuple[str, int]]) -> str:
    """Return the largest as `NAME SIZE, ...`; equal ones by name, so that the text is the same."""
    largest = sorted(sizes, key=lambda one: (-one[1], one[0]))[:_LARGEST]
    told = [one for one in largest if one[1] >= _LEAST] or largest[:1]
    return ", ".join(f"{name} {megabytes(size)}" for name, size in told)


def _by_package(facts: Facts, files: Iterable[Entry]) -> str:
    """Return `; by package: ...`, or nothing where no package is known."""
    if not facts.packages.by_name:
        return ""
    sizes: Counter[str] = Counter()
    for entry in files:
        sizes[facts.packages.owner(entry.path) or _NO_PACKAGE] += entry.size
    return f"; by package: {_ranked(sizes.items())}"


@rule(
    "image-size",
    Severity.INFO,
    "what the image weighs, by file and by package",
    why="What is large is where to begin. Names of one file (hard links) count each.",
    fix="see unreached-files for what may go",
    good=Sketch({}),
    bad=Sketch({"/app": static("x" * 1000)}, _RUNS_APP),
)
def image_size(facts: Facts) -> Iterator[Problem]:
    files = _files(facts)
    if not files:
        return
    total = sum(entry.size for entry in files)
    largest = _ranked((entry.path, entry.size) for entry in files)
    yield Problem(
        "",
        f"{megabytes(total)} in {len(files)} files; largest: {largest}{_by_package(facts, files)}",
    )


_READ_BY_NAME = (
    "/etc/",
    "/usr/share/ca-certificates/",
    "/usr/share/zoneinfo/",
    "/usr/lib/locale/",
    "/var/lib/dpkg/",
    "/lib/apk/db/",
    "/usr/lib/apk/db/",
    "/usr/share/doc/",
    "/usr/lib/os-release",
)
"""What libraries open by a name of their own, and what scanners and licences need."""


@rule(
    "unreached-files",
    Severity.INFO,
    "files that neither command nor health check was seen to lead to",
    why="A smaller image is pulled faster and gives scanners and intruders less. Data that a"
    " program opens by name, such as the modules of Python, is not seen and counts here.",
    fix="leave out what the application does not need; try without before shipping",
    good=Sketch({"/app": static()}, _RUNS_APP),
    bad=Sketch({"/app": static(), "/usr/share/man/app.1": Text("manual\n", 0o644)}, _RUNS_APP),
)
def unreached_files(facts: Facts) -> Iterator[Problem]:
    if facts.started(Source.COMMAND) is None:
        return
    files = _files(facts)
    unreached = [
        entry
        for entry in files
        if entry.path not in facts.reached and not entry.path.startswith(_READ_BY_NAME)
    ]
    if unreached:
        size = sum(entry.size for entry in unreached)
        largest = _ranked((entry.path, entry.size) for entry in unreached)
        yield Problem(
            "",
            f"nothing was seen to open {len(unreached)} of {len(files)} files ({megabytes(size)});"
            f" largest: {largest}{_by_package(facts, unreached)}",
        )


RULES: tuple[Rule, ...] = (image_size, unreached_files)
