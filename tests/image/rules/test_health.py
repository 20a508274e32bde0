"""Health checks of images' configs: which run, which never do, and how they are timed."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.rules.health import RULES
from probe.image.rules.health_script import RULES as SCRIPT_RULES
from probe.image.sketch import Drawn
from probe.image.sketch import Link
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.support.sketches import facts_of
from tests.support.sketches import told

CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532", format="docker")
FILES: Mapping[str, Drawn] = {"/app": static(), "/check": static()}
SH: Mapping[str, Drawn] = {**FILES, "/bin/dash": static(), "/bin/sh": Link("dash")}
S = 10**9


def check(*test: str, **more: object) -> ImageConfig:
    return replace(CONFIG, healthcheck={"Test": list(test), **more})


CASES = [
    pytest.param(FILES, check("CMD", "/check"), [], id="exec form with Docker's timings"),
    pytest.param(FILES, None, [], id="a root without a config"),
    pytest.param(FILES, CONFIG, ["warning health-check-missing"], id="no check"),
    pytest.param(
        FILES, replace(CONFIG, format="oci"), ["info health-check-missing"], id="OCI has no place"
    ),
    pytest.param(FILES, replace(CONFIG, entrypoint=()), [], id="a base image"),
    pytest.param(
        FILES,
        replace(CONFIG, healthcheck={"Interval": S}),
        ["warning health-check-missing"],
        id="timings without a Test",
    ),
    pytest.param(FILES, check("NONE"), ["info health-check-disabled"], id="NONE"),
    pytest.param(FILES, check("NONE", "x"), ["warning health-check-malformed"], id="NONE and more"),
    pytest.param(FILES, check("CMD"), ["error health-check-malformed"], id="CMD alone"),
    pytest.param(FILES, check("CMD", ""), ["error health-check-malformed"], id="CMD of nothing"),
    pytest.param(FILES, check("/check"), ["error health-check-malformed"], id="no kind"),
    pytest.param(FILES, check("cmd", "/check"), ["error health-check-malformed"], id="lower case"),
    pytest.param(
        FILES,
        check("CMD-SHELL, curl -f http://localhost || exit 1"),
        ["error health-check-malformed"],
        id="the console's comma form",
    ),
    pytest.param(
        FILES,
        replace(CONFIG, healthcheck={"Test": "CMD /check"}),
        ["error health-check-malformed"],
        id="a text for a list",
    ),
    pytest.param(SH, check("CMD-SHELL", " "), ["error health-check-malformed"], id="an empty text"),
    pytest.param(
        SH,
        check("CMD-SHELL", "/check", "--port", "1"),
        ["warning health-check-malformed"],
        id="words behind the text",
    ),
    pytest.param(SH, check("CMD-SHELL", "/check || exit 1"), [], id="shell form with sh"),
    pytest.param(
        FILES,
        check("CMD-SHELL", "/check || exit 1"),
        ["error shell-form-without-shell /bin/sh"],
        id="shell form without sh",
    ),
    pytest.param(
        {**FILES, "/bin/sh": Link("bash")},
        check("CMD-SHELL", "/check"),
        ["error shell-form-without-shell /bin/sh"],
        id="sh a link to nothing",
    ),
    pytest.param(
        {**FILES, "/bin/bash": static()},
        replace(check("CMD-SHELL", "/check"), shell=("/bin/bash", "-c")),
        ["error shell-form-without-shell /bin/sh"],
        id="SHELL does not count for the check",
    ),
    pytest.param(
        FILES,
        replace(check("CMD", "/check"), entrypoint=("/bin/sh", "-c", "/app")),
        ["error shell-form-without-shell /bin/sh"],
        id="the command in shell form",
    ),
    pytest.param(
        FILES,
        check("CMD", "/check", "||", "exit", "1"),
        ["warning health-check-operators"],
        id="operators in exec form",
    ),
    pytest.param(FILES, check("CMD", "/check", "-x", "a|b"), [], id="operators inside a word"),
    pytest.param(
        FILES,
        check("CMD", "/check", Interval=5 * S),
        ["warning health-check-timings"],
        id="Docker's own timeout above the interval",
    ),
    pytest.param(FILES, check("CMD", "/check", Interval=5 * S, Timeout=5 * S), [], id="both equal"),
    pytest.param(
        FILES, check("CMD", "/check", Interval=0, Timeout=0, Retries=0), [], id="0 is the default"
    ),
    pytest.param(
        FILES, check("CMD", "/check", Timeout=5), ["error health-check-timings"], id="5 ns"
    ),
    pytest.param(
        FILES,
        check("CMD", "/check", Retries=-1),
        ["warning health-check-timings"],
        id="negative retries",
    ),
    pytest.param(
        FILES,
        check("CMD", "/check", Interval="10s"),
        ["error health-check-timings"],
        id="a duration as text",
    ),
    pytest.param(
        FILES,
        check("CMD", "/check", StartInterval=S),
        ["info health-check-timings"],
        id="start interval without a start period",
    ),
]


@pytest.mark.parametrize(("files", "config", "expected"), CASES)
def test_health_checks(
    files: Mapping[str, Drawn], config: ImageConfig | None, expected: list[str]
) -> None:
    """Each check is told once, with its severity, and a good one is not."""
    assert told(RULES, Sketch(files, config)) == expected


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(["CMD", "CMD-SHELL", "NONE", "bash", "-p", "-c", "/healthcheck.sh", "'"])
TESTS = st.lists(WORDS | SCALARS, max_size=6) | SCALARS | st.dictionaries(st.text(), SCALARS)
KEYS = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")


@given(test=TESTS, timings=st.dictionaries(st.sampled_from(KEYS), SCALARS))
def test_whatever_the_config_holds(test: object, timings: dict[str, object]) -> None:
    """A config is another's JSON: what has no sense there is told or passed over, never raised."""
    config = replace(CONFIG, healthcheck={"Test": test, **timings})
    facts = facts_of(Sketch({**SH, "/healthcheck.sh": Text("# healthcheck 9\n")}, config))
    for rule in (*RULES, *SCRIPT_RULES):
        for finding in rule.findings(facts):
            assert len(finding.message) < 250
