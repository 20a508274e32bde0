"""Time zones and locales that the environment names."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from probe.image.rules.locale import RULES
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.support.sketches import told

CONFIG = ImageConfig(entrypoint=("/app",), user="1")
ZONES = "/usr/share/zoneinfo"
GO: Mapping[str, Drawn] = {
    "/app": static(),
    f"{ZONES}/Europe/Paris": Text("TZif2"),
    f"{ZONES}/Poland": Link("Europe/Warsaw"),
}
MISSING = "warning time-zone-missing "

TIME_ZONES = [
    pytest.param({}, [], id="no TZ"),
    pytest.param({"TZ": ""}, [], id="empty is UTC"),
    pytest.param({"TZ": "UTC"}, [], id="UTC"),
    pytest.param({"TZ": "Etc/UTC"}, [], id="UTC by its long name"),
    pytest.param({"TZ": "Europe/Paris"}, [], id="a zone"),
    pytest.param({"TZ": ":Europe/Paris"}, [], id="with a colon"),
    pytest.param({"TZ": f"{ZONES}/Europe/Paris"}, [], id="by its path"),
    pytest.param({"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}, [], id="a POSIX rule"),
    pytest.param({"TZ": "<+03>-3"}, [], id="a rule without letters"),
    pytest.param({"TZ": "Europe/Berlin"}, [f"{MISSING}{ZONES}/Europe/Berlin"], id="missing"),
    pytest.param({"TZ": "Poland"}, [f"{MISSING}{ZONES}/Poland"], id="a link to nothing"),
    pytest.param(
        {"TZ": "Asia/Tokyo", "TZDIR": "/zones"}, [f"{MISSING}/zones/Asia/Tokyo"], id="TZDIR"
    ),
]


@pytest.mark.parametrize(("env", "expected"), TIME_ZONES)
def test_time_zones(env: dict[str, str], expected: list[str]) -> None:
    assert told(RULES, Sketch(GO, replace(CONFIG, env=env))) == expected


@pytest.mark.parametrize("path", ["/py/tzdata/zoneinfo/Europe/Berlin", "/java/lib/tzdb.dat"])
def test_zones_of_a_languages_own(path: str) -> None:
    """Python and Java look in their own: nothing is certain then, and nothing is said."""
    config = replace(CONFIG, env={"TZ": "Europe/Berlin"})
    assert told(RULES, Sketch({**GO, path: Text("")}, config)) == []


LIBC: Mapping[str, Drawn] = {
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/lib64/libc.so.6": library("libc.so.6"),
    "/usr/lib/locale/C.utf8": Folder(),
}
BASH: Mapping[str, Drawn] = {
    **LIBC,
    "/bin/bash": Program(("libc.so.6",)),
    "/app": Text("#!/bin/bash\n:\n"),
}
BUILT: Mapping[str, Drawn] = {**LIBC, "/app": Program(("libc.so.6",))}
MUSL: Mapping[str, Drawn] = {
    "/lib/ld-musl-x86_64.so.1": library("libc.musl-x86_64.so.1"),
    "/app": Program(interpreter="/lib/ld-musl-x86_64.so.1"),
}
ARCHIVE: Mapping[str, Drawn] = {
    **BASH,
    "/usr/lib/locale/locale-archive": Text("\0C.utf8\0de_DE.utf8\0", 0o644),
}


def lacks(name: str, severity: str = "warning") -> list[str]:
    return [f"{severity} locale-missing /usr/lib/locale/{name}"]


LOCALES = [
    pytest.param(BASH, {}, [], id="none named"),
    pytest.param(BASH, {"LC_ALL": "C"}, [], id="C"),
    pytest.param(BASH, {"LANG": "POSIX"}, [], id="POSIX"),
    pytest.param(BASH, {"LANG": "C.UTF-8"}, [], id="C.UTF-8 that is there"),
    pytest.param(BASH, {"LANG": "C.utf8"}, [], id="by its directory's name"),
    pytest.param(BASH, {"LANG": "en_US.UTF-8"}, lacks("en_US.utf8"), id="missing"),
    pytest.param(BASH, {"LC_ALL": "de_DE"}, lacks("de_DE"), id="without a codeset"),
    pytest.param(BASH, {"LANG": "de_DE.8859-1@euro"}, lacks("de_DE.iso88591@euro"), id="8859"),
    pytest.param(BASH, {"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, [], id="LC_ALL wins"),
    pytest.param(BASH, {"LC_TIME": "xx", "LANG": "C.UTF-8"}, lacks("xx"), id="one category"),
    pytest.param(BASH, {"LC_TIME": "xx", "LANG": "xx"}, lacks("xx"), id="told once"),
    pytest.param(ARCHIVE, {"LANG": "de_DE.UTF-8"}, [], id="in the archive"),
    pytest.param(ARCHIVE, {"LANG": "de_AT.UTF-8"}, lacks("de_AT.utf8"), id="not in the archive"),
    pytest.param(BUILT, {"LANG": "xx"}, lacks("xx", "info"), id="no bash to complain"),
    pytest.param(MUSL, {"LANG": "xx"}, [], id="musl"),
    pytest.param(GO, {"LANG": "xx"}, [], id="static"),
]


@pytest.mark.parametrize(("files", "env", "expected"), LOCALES)
def test_locales(files: Mapping[str, Drawn], env: dict[str, str], expected: list[str]) -> None:
    assert told(RULES, Sketch(files, replace(CONFIG, env=env))) == expected
