"""The audit: an image's facts, judged by every rule."""

from collections.abc import Sequence
from datetime import datetime

from probe.findings import Finding
from probe.findings import ordered
from probe.image.facts.walk import gather
from probe.image.rules import RULES
from probe.image.rules.rule import Rule
from probe.image.sketch import render
from probe.image.view import Fault
from probe.image.view import View


def audit(view: View, *, now: datetime, faults: Sequence[Fault] = ()) -> list[Finding]:
    """Return what is wrong with an image, the gravest first.

    Args:
        view: the image; nothing of it is run.
        now: what certificates are measured against, with its time zone.
        faults: what reading the image passed over.
    """
    facts = gather(view, now=now, faults=faults)
    return ordered(finding for rule in RULES.values() for finding in rule.findings(facts))


def explain(rule: Rule) -> str:
    """Return what `--explain CODE` prints."""
    return (
        f"{rule.code} ({rule.severity}): {rule.title}.\n\n"
        f"Why: {rule.why}\n"
        f"Fix: {rule.fix}.\n\n"
        f"Bad:\n{_indented(render(rule.bad))}\n"
        f"Good:\n{_indented(render(rule.good))}"
    )


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
