"""Rules of how the tree is put together."""

from collections.abc import Mapping

import pytest

from probe.image.rules import layout as rules
from probe.image.rules.rule import Rule
from probe.image.sketch import Device
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.image.rules.judging import places

FILE = Text("")
ALPINE: dict[str, Drawn] = {
    "/bin/busybox": static(),
    "/bin/sh": Link("/bin/busybox"),
    "/lib/libc.musl-x86_64.so.1": FILE,
    "/usr/bin/env": Link("/bin/busybox"),
    "/usr/lib/libz.so.1": FILE,
    "/lib64": Link("lib"),
}
MERGED: dict[str, Drawn] = {
    **{f"/{name}": Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")},
    "/usr/bin/app": static(),
    "/usr/lib/liba.so": FILE,
}

CASES = [
    pytest.param(rules.usr_merge_split, MERGED, [], id="merged"),
    pytest.param(rules.usr_merge_split, ALPINE, [], id="never merged"),
    pytest.param(
        rules.usr_merge_split,
        {**MERGED, "/lib": Folder(), "/lib/liba.so": FILE},
        [("warning", "/lib")],
        id="one split",
    ),
    pytest.param(
        rules.usr_merge_split,
        {**MERGED, "/bin": Link("/usr/bin"), "/lib": Folder(), "/lib/liba.so": FILE},
        [("warning", "/lib")],
        id="absolute links",
    ),
    pytest.param(rules.usr_merge_split, {**MERGED, "/lib32": Folder()}, [], id="empty"),
    pytest.param(
        rules.usr_merge_split,
        {"/bin": Link("usr/bin"), "/usr/bin/a": FILE, "/lib64/ld.so": FILE},
        [],
        id="only one of the two",
    ),
    pytest.param(rules.dangling_link, ALPINE, [], id="links that lead somewhere"),
    pytest.param(
        rules.dangling_link,
        {"/usr/lib/x86_64-linux-gnu/libssl.so.3": Link("libssl.so.3.0.1")},
        [("warning", "/usr/lib/x86_64-linux-gnu/libssl.so.3")],
        id="library",
    ),
    pytest.param(
        rules.dangling_link,
        {**MERGED, "/vmlinuz": Link("boot/vmlinuz")},
        [],
        id="nobody looks in the root",
    ),
    pytest.param(
        rules.dangling_link, {"/usr/bin/a": Link("b"), "/usr/bin/b": Link("a")},
        [("warning", "/usr/bin/a"), ("warning", "/usr/bin/b")], id="loop"
    ),
    pytest.param(
        rules.dangling_link,
        {"/usr/share/man/man1/awk.1.gz": Link("/etc/alternatives/awk.1.gz")},
        [],
        id="manual of a slim image",
    ),
    pytest.param(
        rules.dangling_link, {"/usr/lib/libx.so": Link("/run/opengl/libx.so")}, [], id="at run time"
    ),
    pytest.param(
        rules.link_to_host,
        {"/etc/app.conf": Link("/home/me/app/app.conf")},
        [("warning", "/etc/app.conf")],
        id="a home",
    ),
    pytest.param(
        rules.link_to_host,
        {"/etc/app.conf": Link("/home/me/app.conf"), "/home/me/app.conf": FILE},
        [],
        id="a home of the image",
    ),
    pytest.param(
        rules.link_to_host,
        {"/app/a": Link("../../../etc/a"), "/etc/a": FILE},
        [],
        id="climbs too far and arrives",
    ),
    pytest.param(
        rules.link_to_host,
        {"/opt/a": Link("../../../../data/a")},
        [("warning", "/opt/a")],
        id="climbs above the root",
    ),
    pytest.param(rules.link_to_host, {"/opt/a": Link("../gone")}, [], id="plainly dangling"),
    pytest.param(
        rules.device_node,
        {"/a": Device(), "/b": Device(), "/dev/c": Device()},
        [("warning", "/a")],
        id="devices",
    ),
    pytest.param(rules.device_node, {"/dev/c": Device(), "/a": FILE}, [], id="devices in /dev"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "files", "expected"), CASES)
def test_cases(rule: Rule, files: Mapping[str, Drawn], expected: list[tuple[str, str]]) -> None:
    """Only what is certainly at fault is told; trees that were never merged are as good."""
    assert places(rule, files) == expected


def test_path_of_the_config() -> None:
    """Links are looked at where this image's own PATH leads."""
    files: dict[str, Drawn] = {"/app": static(), "/opt/bin/tool": Link("gone")}
    config = ImageConfig(entrypoint=("/app",), env={"PATH": "/opt/bin"})
    assert places(rules.dangling_link, files, config) == [("warning", "/opt/bin/tool")]
    assert places(rules.dangling_link, files, ImageConfig(entrypoint=("/app",))) == []


def test_one_fault_one_rule() -> None:
    """A library that is a link to a builder's directory is told once."""
    files = {"/usr/lib/liba.so": Link("/home/me/liba.so")}
    assert places(rules.dangling_link, files) == []
    assert places(rules.link_to_host, files) == [("warning", "/usr/lib/liba.so")]
