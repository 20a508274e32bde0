"""Who owns which file, as dpkg and apk have written it down."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.facts.packages import Package
from probe.image.facts.packages import read_packages
from tests.support.components import missing
from tests.support.memory_view import MemoryView

STATUS = b"""\
Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9
Description: C library
 Package: not a field, but a line of the description

Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2

Package: gone
Status: deinstall ok config-files
Version: 1

Package: never
Status: unknown ok not-installed
"""
DPKG = {
    "/var/lib/dpkg/status": STATUS,
    "/var/lib/dpkg/info/libc6:amd64.list": b"/.\n/lib\n/lib/x86_64-linux-gnu/libc.so.6\n",
    "/var/lib/dpkg/info/bash.md5sums": b"0123  bin/bash\n4567  usr/share/doc/a b\n",
    "/var/lib/dpkg/info/gone.list": b"/usr/bin/gone\n",
}
DISTROLESS = {
    "/var/lib/dpkg/status.d/base": b"Package: base-files\nVersion: 12\nArchitecture: amd64\n",
    "/var/lib/dpkg/status.d/base.md5sums": b"0123  ./etc/issue\n4567  usr/lib/os-release\n",
}
APK = {
    "/lib/apk/db/installed": (
        b"C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n"
        b"R:libc.so\n\nP:busybox\nV:1.36\nF:\nR:init\nF:bin\nR:busybox\n"
    )
}

OWNERS = [
    pytest.param(DPKG, "/lib/x86_64-linux-gnu/libc.so.6", "libc6", id="list"),
    pytest.param(DPKG, "/usr/lib/x86_64-linux-gnu/libc.so.6", "libc6", id="usr-merged"),
    pytest.param(DPKG, "/usr/bin/bash", "bash", id="sums, usr-merged"),
    pytest.param(DPKG, "/usr/share/doc/a b", "bash", id="a blank in the name"),
    pytest.param(DPKG, "/usr/bin/gone", None, id="removed"),
    pytest.param(DPKG, "/usr/local/bin/app", None, id="nobody's"),
    pytest.param(DISTROLESS, "/etc/issue", "base-files", id="status.d"),
    pytest.param(DISTROLESS, "/usr/lib/os-release", "base-files", id="status.d, usr"),
    pytest.param(APK, "/lib/ld-musl-x86_64.so.1", "musl", id="apk"),
    pytest.param(APK, "/usr/bin/busybox", "busybox", id="apk, second package"),
    pytest.param(APK, "/init", "busybox", id="apk, root"),
    pytest.param({}, "/bin/sh", None, id="no database"),
]


@pytest.mark.parametrize(("files", "path", "owner"), OWNERS)
def test_owner(files: Mapping[str, bytes], path: str, owner: str | None) -> None:
    """A path belongs to the package that lists it, below /usr or not."""
    assert read_packages(MemoryView(files)).owner(path) == owner


PACKAGES = [
    pytest.param(
        DPKG,
        [Package("libc6", "2.36-9", "amd64"), Package("bash", "5.2.15-2", "amd64")],
        id="installed ones alone",
    ),
    pytest.param(DISTROLESS, [Package("base-files", "12", "amd64")], id="status.d"),
    pytest.param(
        APK, [Package("musl", "1.2.5-r0", "x86_64"), Package("busybox", "1.36")], id="apk"
    ),
]


@pytest.mark.parametrize(("files", "expected"), PACKAGES)
def test_packages(files: Mapping[str, bytes], expected: list[Package]) -> None:
    """Names, versions and architectures are as written."""
    assert list(read_packages(MemoryView(files)).by_name.values()) == expected


@given(st.binary(max_size=300), st.sampled_from([*DPKG, *DISTROLESS, *APK]))
def test_any_bytes(data: bytes, path: str) -> None:
    """Whatever stands in a database, it is read as far as it goes."""
    read_packages(MemoryView({**DPKG, **DISTROLESS, **APK, path: data})).owner("/etc/issue")


@pytest.mark.real
def test_same_as_dpkg() -> None:
    """Of this machine every package is known, and files have the owner that dpkg names."""
    if shutil.which("dpkg-query") is None:
        missing("no dpkg", "run on Debian")
    query = ("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Version}\n")
    told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
    installed = {
        line.removeprefix("installed ") for line in told.splitlines() if line.startswith("inst")
    }
    database = Path("/var/lib/dpkg")
    files = [database / "status", *(database / "info").iterdir()]
    packages = read_packages(MemoryView({str(path): path.read_bytes() for path in files}))
    assert {f"{one.name} {one.version}" for one in packages.by_name.values()} == installed
    for path in (
        "/bin/bash",
        "/usr/bin/env",
        "/etc/debian_version",
        "/lib/x86_64-linux-gnu/libm.so.6",
    ):
        search = ("dpkg-query", "--search", path)
        owner = subprocess.run(
            search, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        assert packages.owner(path) == owner.partition(":")[0]
