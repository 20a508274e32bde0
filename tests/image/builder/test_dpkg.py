"""dpkg's records: which packages there are, whose a file is, which sum it should have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.builder.dpkg import Database
from probe.image.builder.dpkg import Diversion
from probe.image.builder.dpkg import read_diversions
from probe.image.builder.dpkg import read_status
from probe.image.builder.dpkg import read_sums
from probe.image.source import WholeView
from probe.image.view import Entry
from tests.support.memory_view import MemoryView
from tests.support.memory_view import symlink

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Multi-Arch: foreign
Version: 5.2.15-2+b7
Conffiles:
 /etc/bash.bashrc 3af5a8b6
 /etc/skel/.bashrc ee35a240 obsolete
Description: GNU Bourne Again SHell
 Bash is an sh-compatible shell.
 .
 Package: not-a-field

Package: libc6
Status: hold ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
SUM = "0123456789abcdef0123456789abcdef"


def test_status() -> None:
    """Installed packages alone; what may be there for several architectures has it in its stem."""
    bash, libc = read_status(STATUS)
    assert (bash.stem, bash.version, bash.architecture) == ("bash", "5.2.15-2+b7", "amd64")
    assert bash.conffiles == {"/etc/bash.bashrc", "/etc/skel/.bashrc"}
    assert bash.paragraph == STATUS.split("\n\n", maxsplit=1)[0]
    assert (libc.stem, libc.conffiles) == ("libc6:amd64", frozenset())


@given(st.text())
def test_status_of_anything(text: str) -> None:
    """No text is an error, and none makes a package without a name."""
    assert all(package.name for package in read_status(text))


@given(st.text())
def test_status_of_anything_behind_a_package(text: str) -> None:
    """What stands in a paragraph of its own does not change the one before."""
    assert read_status(STATUS + "\n" + text)[:2] == read_status(STATUS)


def test_sums() -> None:
    """Two spaces, then a path without the slash; other lines are none."""
    assert read_sums(f"{SUM}  bin/a b\nx  y\n{SUM} bin/c\n") == {"/bin/a b": SUM}


def test_diversions() -> None:
    """Three lines each; half a one at the end is none."""
    assert read_diversions("/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n") == (
        Diversion("/bin/sh", "/bin/sh.distrib", "dash"),
    )


def database(files: dict[str, bytes | Entry], diversions: bytes = b"") -> Database:
    info = "/var/lib/dpkg/info"
    own: dict[str, bytes | Entry] = {
        "/var/lib/dpkg/status": STATUS.encode(),
        "/var/lib/dpkg/diversions": diversions,
        f"{info}/bash.list": b"/.\n/bin\n/bin/bash\n/bin/sh\n",
        f"{info}/bash.md5sums": f"{SUM}  bin/bash\n".encode(),
        f"{info}/libc6:amd64.list": b"/usr/lib/libc.so.6\n/bin/sh\n",
    }
    return Database(WholeView(MemoryView(own | files)))


MERGED: dict[str, bytes | Entry] = {"/bin": symlink("usr/bin"), "/usr/bin/bash": b""}
SPLIT: dict[str, bytes | Entry] = {"/bin/bash": b"", "/usr/bin/env": b""}


@pytest.mark.parametrize(
    ("files", "path", "packages"),
    [
        pytest.param(MERGED, "/usr/bin/bash", ["bash"], id="listed as /bin, stands in /usr/bin"),
        pytest.param(SPLIT, "/bin/bash", ["bash"], id="a root with /bin of its own"),
        pytest.param(SPLIT, "/usr/bin/bash", [], id="another file there"),
        pytest.param(MERGED, "/usr/lib/libc.so.6", ["libc6:amd64"], id="by its stem"),
        pytest.param(MERGED, "/usr/bin/sh", ["bash", "libc6:amd64"], id="two packages"),
        pytest.param(MERGED, "/opt/x", [], id="nobody's"),
    ],
)
def test_claims(files: dict[str, bytes | Entry], path: str, packages: list[str]) -> None:
    """A file is that package's which lists it, under either name of a merged-/usr."""
    found = database(files).claims([path])[path]
    assert [claim.package.stem for claim in found] == packages


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        pytest.param("/usr/bin/sh", [("libc6:amd64", "/bin/sh")], id="its own"),
        pytest.param("/usr/bin/sh.distrib", [("bash", "/bin/sh")], id="the one moved away"),
    ],
)
def test_diverted(path: str, claims: list[tuple[str, str]]) -> None:
    """Of a diverted file the one that diverts has its place, the others have the new name."""
    found = database(MERGED, b"/bin/sh\n/bin/sh.distrib\nlibc6\n").claims([path])[path]
    assert [(claim.package.stem, claim.name) for claim in found] == claims


def test_digest() -> None:
    """A sum is looked for under the name that the package has for the file."""
    known = database(MERGED)
    (claim,) = known.claims(["/usr/bin/bash"])["/usr/bin/bash"]
    assert known.digest(claim) == SUM
    (claim,) = known.claims(["/usr/lib/libc.so.6"])["/usr/lib/libc.so.6"]
    assert known.digest(claim) is None


def test_no_dpkg() -> None:
    """A root without records has no packages."""
    assert not Database(WholeView(MemoryView({"/bin/sh": b""}))).packages
