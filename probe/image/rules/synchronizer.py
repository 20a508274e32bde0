"""Our own entrypoint: what it will look for when it runs, which no script names outright."""

from collections.abc import Iterator

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.names import Names
from probe.image.facts.trust import FILES
from probe.image.rules.certificates import EXAMPLE_PEM
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.image.view import join
from probe.image.view import parent_of

_PROGRAMS = ("split-sync", "split-proxy")
_FUNCTIONS = frozenset({"choose_kind", "find_program", "prepare"})
"""What shell/functions.sh defines: by these the entrypoint is known."""
_CONFIG = ImageConfig(entrypoint=("/entrypoint.sh",), user="65532:65532")
_BAD = Sketch(
    {
        "/entrypoint.sh": Text('#!/bin/bash\n. /functions.sh\nprepare "$@"\nexec "$program"\n'),
        "/functions.sh": Text("choose_kind() { :; }\nfind_program() { :; }\nprepare() { :; }\n"),
        "/bin/bash": static(),
    },
    _CONFIG,
)


@rule(
    "synchronizer-missing",
    Severity.ERROR,
    "the entrypoint finds neither split-sync nor split-proxy",
    why="It looks beside itself, in / and in PATH, and ends with exit code 127.",
    fix="put the binary into /usr/bin, or build the image with probe image build --binary",
    good=Sketch(
        {**_BAD.files, "/usr/bin/split-sync": static(), FILES[0]: Text(EXAMPLE_PEM, 0o644)}, _CONFIG
    ),
    bad=_BAD,
)
def synchronizer_missing(facts: Facts) -> Iterator[Problem]:
    names = Names(facts.view)
    for path, script in facts.scripts.items():
        if script.facts is None or not script.facts.functions >= _FUNCTIONS:
            continue
        places = (parent_of(path), "/", *names.path)
        found = [join(place, name) for name in _PROGRAMS for place in places]
        if not any(facts.view.resolve(one) for one in found):
            yield Problem(path, "it looks for split-sync or split-proxy, and neither is there")


RULES: tuple[Rule, ...] = (synchronizer_missing,)
