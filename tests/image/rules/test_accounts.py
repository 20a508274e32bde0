"""Rules of the small tables of /etc."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.rules import accounts as rules
from probe.image.rules.rule import Rule
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.sketch import static
from tests.image.rules.judging import judge
from tests.image.rules.judging import places

PASSWD, GROUP, NSSWITCH = "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"
GLIBC: dict[str, Drawn] = {
    "/app": Program(("libc.so.6",)),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/lib/x86_64-linux-gnu/libc.so.6": library("libc.so.6"),
}
MUSL: dict[str, Drawn] = {
    "/app": Program(interpreter="/lib/ld-musl-x86_64.so.1"),
    "/lib/ld-musl-x86_64.so.1": library("libc.musl-x86_64.so.1"),
}

LINES = [
    pytest.param(PASSWD, "root:x:0:0:root:/root:/bin/bash\n", None, id="good"),
    pytest.param(PASSWD, "root:x:0:0:root:/root:/bin/bash", None, id="no newline at the end"),
    pytest.param(PASSWD, "\n# of ours\n+::::::\n-bad\n", None, id="no rows"),
    pytest.param(PASSWD, "root:x:0:0:root:/root\n", "line 1: 6 fields where 7", id="too few"),
    pytest.param(PASSWD, "a:x:1:1::/:/sh:x\n", "line 1: 8 fields where 7", id="too many"),
    pytest.param(PASSWD, "\n:x:0:0::/:/sh\n", "line 2: no name", id="no name"),
    pytest.param(PASSWD, "app:x:app:0::/:/sh\n", "'app' is no number", id="uid in words"),
    pytest.param(PASSWD, "app:x:-1:0::/:/sh\n", "'-1' is no number", id="negative"),
    pytest.param(GROUP, "app:x:1000:a,b\n", None, id="good group"),
    pytest.param(GROUP, "app:x:1000\n", "line 1: 3 fields where 4", id="group without members"),
]


@pytest.mark.parametrize(("path", "text", "said"), LINES)
def test_lines(path: str, text: str, said: str | None) -> None:
    """Seven fields in passwd, four in group, the third a number; comments and NIS are no rows."""
    found = judge(rules.account_line_malformed, {path: Text(text)})
    assert [one.path for one in found] == [path] * (said is not None)
    assert said is None or said in found[0].message


CASES = [
    pytest.param(
        rules.account_twice, {PASSWD: Text("a:x:1:1::/:/\nb:x:1:1::/:/\n")}, [], id="one uid twice"
    ),
    pytest.param(
        rules.account_twice,
        {PASSWD: Text("a:x:1:1::/:/\na:x:2:1::/:/\na:x:3:1::/:/\n")},
        [("warning", PASSWD)] * 2,
        id="a name three times",
    ),
    pytest.param(rules.passwd_missing, {"/app": static()}, [("info", PASSWD)], id="no passwd"),
    pytest.param(rules.passwd_missing, {"/etc/motd": Text("")}, [], id="nothing to run"),
    pytest.param(
        rules.passwd_missing,
        {"/app": static(), PASSWD: Link("../usr/etc/passwd")},
        [("warning", PASSWD)],
        id="passwd dangles",
    ),
    pytest.param(rules.nsswitch_missing, GLIBC, [("info", NSSWITCH)], id="glibc"),
    pytest.param(rules.nsswitch_missing, MUSL, [], id="musl reads no nsswitch.conf"),
    pytest.param(rules.nsswitch_missing, {"/app": static()}, [], id="static"),
    pytest.param(
        rules.hosts_lookup_partial,
        {**GLIBC, NSSWITCH: Text("hosts: files # dns\n")},
        [("warning", NSSWITCH)],
        id="dns in a comment",
    ),
    pytest.param(
        rules.hosts_lookup_partial,
        {**GLIBC, NSSWITCH: Text("hosts: files resolve [!UNAVAIL=return]\n")},
        [],
        id="systemd's resolve",
    ),
    pytest.param(
        rules.hosts_lookup_partial, {**GLIBC, NSSWITCH: Text("passwd: files\n")}, [], id="default"
    ),
    pytest.param(
        rules.hosts_lookup_partial, {**MUSL, NSSWITCH: Text("hosts: dns\n")}, [], id="musl"
    ),
    pytest.param(
        rules.mount_point_not_a_file,
        {"/etc/resolv.conf": Link("../run/systemd/resolve/stub-resolv.conf")},
        [("info", "/etc/resolv.conf")],
        id="systemd's link",
    ),
    pytest.param(
        rules.mount_point_not_a_file,
        {"/etc/resolv.conf": Link("/run/dns"), "/run/dns": Folder()},
        [("warning", "/etc/resolv.conf")],
        id="link to a directory",
    ),
    pytest.param(
        rules.localtime_dangling,
        {"/etc/localtime": Link("/usr/share/zoneinfo/Etc/UTC")},
        [],
        id="UTC is what comes of it",
    ),
    pytest.param(rules.localtime_dangling, {}, [], id="no localtime"),
]


@pytest.mark.parametrize(("rule", "files", "expected"), CASES)
def test_cases(rule: Rule, files: Mapping[str, Drawn], expected: list[tuple[str, str]]) -> None:
    """Each fault once, and nothing where what is absent does no harm."""
    assert places(rule, files) == expected


def test_not_utf8() -> None:
    """A table in another encoding is judged like any other."""
    assert places(rules.account_line_malformed, {PASSWD: Text("\xe9:x:1:1::/:/\x85\n")}) == []


@given(st.text(max_size=200), st.sampled_from([PASSWD, GROUP, NSSWITCH]))
def test_any_text(text: str, path: str) -> None:
    """Whatever stands in a table, there are findings or none, and no traceback."""
    for rule in rules.RULES:
        judge(rule, {**GLIBC, path: Text(text)})
