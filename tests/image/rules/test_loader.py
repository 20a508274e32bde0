"""Findings about loaders where more than one program, or none for sure, is concerned."""

from dataclasses import replace

import pytest

from probe.image.rules.loader import RULES
from probe.image.rules.loader import missing_preload
from probe.image.sketch import Program
from probe.image.sketch import library
from probe.image.view import ImageConfig
from tests.image.rules.judging import judge
from tests.image.rules.judging import places

FILES = {
    "/app": Program(),
    "/check": Program(),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/opt/lib/a.so": library("a.so"),
}
CONFIG = ImageConfig(entrypoint=("/app",), healthcheck={"Test": ["CMD", "/check"]}, user="1")
PRELOADS = [
    pytest.param("/opt/lib/a.so", [], id="there"),
    pytest.param("/opt/lib/b.so", [("warning", "/opt/lib/b.so")], id="gone"),
    pytest.param("/opt/lib/a.so:/opt/lib/b.so", [("warning", "/opt/lib/b.so")], id="the second"),
    pytest.param("libb.so", [("warning", "")], id="a bare name"),
]


@pytest.mark.parametrize(("value", "expected"), PRELOADS)
def test_preload(value: str, expected: list[tuple[str, str]]) -> None:
    """A library is told once, however many programs it is to be loaded into."""
    config = replace(CONFIG, env={"LD_PRELOAD": value})
    assert places(missing_preload, FILES, config) == expected


def test_what_searched_in_vain_is_told() -> None:
    """The message has the way that leads to the file, and where it was looked for."""
    files = {**FILES, "/opt/lib/a.so": library("a.so", "libgone.so.3"), "/app": Program(("a.so",))}
    config = replace(CONFIG, env={"LD_LIBRARY_PATH": "/opt/lib"})
    (found,) = [one for rule in RULES for one in judge(rule, files, config)]
    assert (found.code, found.path) == ("missing-library", "/opt/lib/a.so")
    assert "loaded by /app > /opt/lib/a.so" in found.message
    assert "searched: /opt/lib, " in found.message
