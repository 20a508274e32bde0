"""What a rule is: a code, its reason, its way out, the check, and an example of each kind."""

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass

from probe.findings import Finding
from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Problem:
    """One place where a rule does not hold: what is wrong there, and what comes of it.

    `fix` and `severity` are the rule's own where they are not given.
    """

    path: str
    message: str
    fix: str = ""
    severity: Severity | None = None


Check = Callable[[Facts], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`severity` is the gravest that the rule gives; `title` is one sentence without full stop."""

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
    good: Sketch
    bad: Sketch
    check: Check

    def findings(self, facts: Facts) -> list[Finding]:
        return [
            Finding(
                self.code,
                problem.severity or self.severity,
                problem.path,
                problem.message,
                problem.fix or self.fix,
                self.why,
            )
            for problem in self.check(facts)
        ]


def rule(  # noqa: PLR0913 - a row of the table
    code: str,
    severity: Severity,
    title: str,
    *,
    why: str,
    fix: str,
    good: Sketch,
    bad: Sketch,
) -> Callable[[Check], Rule]:
    """Make a rule of the function under it.

    @rule("missing-library", Severity.ERROR, "a program needs a library that is not there", ...)
    def missing_library(facts: Facts) -> Iterator[Problem]: ...
    """

    def make(check: Check) -> Rule:
        return Rule(code, severity, title, why, fix, good, bad, check)

    return make
