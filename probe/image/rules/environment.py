"""What an image's config says to all of its processes: their environment, and the open ports."""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Drawn
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import library
from probe.image.view import ImageConfig

_FILES: Mapping[str, Drawn] = {
    "/app": Program(),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/lib/jemalloc.so": library("jemalloc.so"),
}
_CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532")


def _drawn(**env: str) -> Sketch:
    return Sketch(_FILES, replace(_CONFIG, env=env))


@rule(
    "path-relative",
    Severity.WARNING,
    "PATH is empty, or has a part that is no absolute directory",
    why="Such a part, an empty one too, means wherever the process stands: another file of a"
    " command's name may be run from there.",
    fix="name absolute directories alone, without a colon at either end",
    good=_drawn(PATH="/usr/bin:/bin"),
    bad=_drawn(PATH="/usr/bin:"),
)
def path_relative(facts: Facts) -> Iterator[Problem]:
    path = facts.environment.get("PATH")
    if path is None:
        return
    if not path:
        yield Problem("", "PATH is set and empty: commands are found nowhere by their names")
    elif parts := [part for part in path.split(":") if not part.startswith("/")]:
        shown = ", ".join(repr(part) if part else "an empty part" for part in dict.fromkeys(parts))
        yield Problem("", f"PATH={path} has {shown}: the working directory, or below it")


@rule(
    "library-path-missing",
    Severity.INFO,
    "LD_LIBRARY_PATH names a directory that is not there",
    why="Every start of a program looks there in vain.",
    fix="leave the directory out, unless drivers are mounted there",
    good=_drawn(LD_LIBRARY_PATH="/lib"),
    bad=_drawn(LD_LIBRARY_PATH="/usr/local/cuda"),
)
def library_path_missing(facts: Facts) -> Iterator[Problem]:
    if not any(node.elf.interpreter for node in facts.closure.nodes):
        return
    for folder in facts.environment.get("LD_LIBRARY_PATH", "").split(":"):
        # $LIB and the like vary with the machine.
        if folder.startswith("/") and "$" not in folder and facts.view.resolve(folder) is None:
            yield Problem(folder, "LD_LIBRARY_PATH names it, and it is not in the image")


_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(?:tcp|udp|sctp))?")
_LAST_PORT = 65535


@rule(
    "expose-malformed",
    Severity.WARNING,
    "an exposed port is none",
    why="Engines that publish ports by it (docker run -P) and tools that read it stumble there.",
    fix="write it as EXPOSE 3010 or EXPOSE 3010/tcp",
    good=Sketch(_FILES, replace(_CONFIG, exposed=("3010/tcp",))),
    bad=Sketch(_FILES, replace(_CONFIG, exposed=("http",))),
)
def expose_malformed(facts: Facts) -> Iterator[Problem]:
    for port in facts.config.exposed if facts.config else ():
        found = _PORT.fullmatch(port)
        numbers = [int(number) for number in found.groups() if number] if found else []
        if not numbers or not all(1 <= number <= _LAST_PORT for number in numbers):
            yield Problem("", f"EXPOSE {port} is no port and protocol")


RULES: tuple[Rule, ...] = (path_relative, library_path_missing, expose_malformed)
