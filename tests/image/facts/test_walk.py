"""What the walk reaches: from the command through scripts to what these run in turn."""

from collections.abc import Mapping

import pytest

from probe.image.facts.model import Role
from probe.image.sketch import Drawn
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.support.sketches import facts_of

BASE: Mapping[str, Drawn] = {"/bin/sh": static(), "/usr/bin/app": static()}
CONFIG = ImageConfig(entrypoint=("/start.sh",), cmd=("app", "-x"), user="1")


def script(text: str) -> Text:
    return Text(f"#!/bin/sh\n{text}\n")


def lacking(files: Mapping[str, Drawn], config: ImageConfig | None = CONFIG) -> list[str]:
    """Return what is asked for in vain, as `script: name`."""
    facts = facts_of(Sketch({**BASE, **files}, config))
    return sorted(f"{one.by}: {one.name}" for one in facts.lookups if one.found is None)


DROP_IN = script('for f in /docker-entrypoint.d/*; do "$f"; done\nexec "$@"')
CASES: list[object] = [
    pytest.param({"/start.sh": script('exec "$@"')}, [], id="what is handed on"),
    pytest.param({"/start.sh": script("exec gone")}, ["/start.sh: gone"], id="another program"),
    pytest.param(
        {"/start.sh": script("/two.sh"), "/two.sh": script("gone")},
        ["/two.sh: gone"],
        id="a script",
    ),
    pytest.param(
        {"/start.sh": script(". /two.sh"), "/two.sh": Text("gone\n", 0o644)},
        ["/two.sh: gone"],
        id="what it reads",
    ),
    pytest.param(
        {"/start.sh": DROP_IN, "/docker-entrypoint.d/10-a.sh": script("gone")},
        ["/docker-entrypoint.d/10-a.sh: gone"],
        id="a drop-in folder",
    ),
    pytest.param(
        {
            "/start.sh": script('# see /etc/other.d\n"$program"'),
            "/etc/other.d/a.sh": script("gone"),
        },
        [],
        id="a folder in a comment",
    ),
    pytest.param(
        {"/start.sh": script('exec "$program"'), "/usr/bin/own": script("gone")},
        ["/usr/bin/own: gone"],
        id="what is only known then may be any program in PATH",
    ),
    pytest.param({"/start.sh": Text("#!/start.sh\n")}, [], id="its own interpreter"),
]


@pytest.mark.parametrize(("files", "expected"), CASES)
def test_reached(files: Mapping[str, Drawn], expected: list[str]) -> None:
    """Whatever is run in the end is looked at, and what is not, is not."""
    assert lacking(files) == expected


def test_root_without_a_config() -> None:
    """Every program and script stands for itself, but for the package manager's own."""
    files = {
        "/opt/a.sh": script("gone"),
        "/var/lib/dpkg/info/a.postinst": script("gone"),
        "/usr/share/doc/a/example": script("gone"),
        "/opt/data": Text("gone\n", 0o644),
    }
    assert lacking(files, None) == ["/opt/a.sh: gone"]


def test_nothing_named_counts_as_no_config() -> None:
    """A base image that names neither command nor check is looked at as a whole."""
    assert lacking({"/opt/a.sh": script("gone")}, ImageConfig()) == ["/opt/a.sh: gone"]


def test_links_on_the_way_are_reached() -> None:
    """What is opened by a link needs the link as well."""
    facts = facts_of(Sketch({**BASE, "/start.sh": script("app")}, CONFIG))
    assert {"/start.sh", "/bin/sh", "/usr/bin/app"} <= facts.reached
    assert [one.role for one in facts.lookups if one.name == "/bin/sh"] == [Role.INTERPRETER]
