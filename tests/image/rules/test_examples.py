"""Every rule against its own two examples, which are what `--explain` shows."""

import re

import pytest

from probe.findings import Severity
from probe.image.audit import explain
from probe.image.rules import RULES
from probe.image.rules.rule import Rule
from tests.support.sketches import facts_of

GRAVEST_FIRST = list(Severity)
ROWS = [pytest.param(rule, id=code) for code, rule in RULES.items()]


@pytest.mark.parametrize("rule", ROWS)
def test_bad_example(rule: Rule) -> None:
    """The bad example is found, no graver than the rule is listed."""
    found = {finding.severity for finding in rule.findings(facts_of(rule.bad))}
    assert found
    assert found <= set(GRAVEST_FIRST[GRAVEST_FIRST.index(rule.severity) :])


@pytest.mark.parametrize("rule", ROWS)
def test_good_example(rule: Rule) -> None:
    """The good example is not found, by no rule as an error."""
    facts = facts_of(rule.good)
    assert rule.findings(facts) == []
    errors = [one for other in RULES.values() for one in other.findings(facts)]
    assert [one for one in errors if one.severity is Severity.ERROR] == []


@pytest.mark.parametrize("rule", ROWS)
def test_words(rule: Rule) -> None:
    """A code is a slug, the sentences are sentences, and both examples are told apart."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.code)
    assert not rule.title.endswith(".")
    assert not rule.fix.endswith(".")
    assert rule.why.endswith(".")
    text = explain(rule)
    assert text.index("Bad:") < text.index("Good:")
    assert rule.good != rule.bad
