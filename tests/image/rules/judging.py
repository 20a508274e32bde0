"""Judge an image that a test draws by one rule."""

from collections.abc import Mapping

from probe.findings import Finding
from probe.image.rules.rule import Rule
from probe.image.sketch import Drawn
from probe.image.sketch import Sketch
from probe.image.view import ImageConfig
from tests.support.sketches import facts_of


def judge(
    rule: Rule, files: Mapping[str, Drawn], config: ImageConfig | None = None
) -> list[Finding]:
    return rule.findings(facts_of(Sketch(files, config)))


def places(
    rule: Rule, files: Mapping[str, Drawn], config: ImageConfig | None = None
) -> list[tuple[str, str]]:
    """Return severity and path of what the rule finds."""
    return [(str(one.severity), one.path) for one in judge(rule, files, config)]
