"""The image itself: what of it could not be read as an engine would read it."""

from collections.abc import Iterator

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Sketch
from probe.image.sketch import Text

_GOOD = Sketch({"/etc/hostname": Text("a\n", 0o644)})

_MAY_READ = "audit the root as a user who may read it, or the image's archive in its place"


@rule(
    "entry-passed-over",
    Severity.WARNING,
    "an entry of an archive was passed over",
    why="It names a place outside the root, or one that cannot be made: engines refuse it, pass it"
    " over too, or differ from each other.",
    fix="build the layer anew, with names below the root only",
    good=_GOOD,
    bad=Sketch({**_GOOD.files, "../outside": Text("")}),
)
def entry_passed_over(facts: Facts) -> Iterator[Problem]:
    for fault in facts.faults:
        yield Problem(fault.path, fault.reason, _MAY_READ if "denied" in fault.reason else "")


RULES: tuple[Rule, ...] = (entry_passed_over,)
