"""Files held against dpkg's sums, and what scanners read in the image."""

import hashlib
from pathlib import Path

import pytest

from probe.image.archives.root_view import RootView
from probe.image.builder.dpkg import read_sums
from probe.image.builder.errors import BuildError
from probe.image.builder.items import Item
from probe.image.builder.items import Origin
from probe.image.builder.items import file
from probe.image.builder.packages import Attributed
from probe.image.builder.packages import attribute
from probe.image.builder.recipe import Recipe
from probe.image.builder.select import read_binary
from probe.image.builder.select import select
from probe.image.source import WholeView
from probe.image.view import Entry
from probe.image.view import Kind
from probe.manifests.spec import Kind as Program
from tests.support.memory_view import MemoryView
from tests.support.memory_view import symlink

RECORDS = "/var/lib/dpkg/status.d"


def built(root: Path, program: Path, *includes: str) -> Attributed:
    recipe = Recipe(Program.SYNC, "split-sync")
    with RootView(str(root)) as view:
        binary = read_binary("BIN", program.read_bytes())
        found = select(view, binary, recipe, includes)
        return attribute(view, found.items, found.borrowed, binary.architecture)


def items(found: Attributed) -> dict[str, Item]:
    return {item.path: item for item in found.items}


def test_packages_taken_and_only_those(root: Path, program: Path) -> None:
    """A record for each package that gave a file, its paragraph as dpkg has it."""
    found = built(root, program)
    names = [one.name for one in found.packages]
    assert names == ["base-files", "bash", "ca-certificates", "libc6", "libtinfo6"]
    records = {path for path in items(found) if path.startswith(RECORDS)}
    assert records == {f"{RECORDS}/{name}{end}" for name in names for end in ("", ".md5sums")}
    status = (root / "var/lib/dpkg/status").read_text()
    for name in names:
        assert items(found)[f"{RECORDS}/{name}"].data.decode() in status


def test_sums_of_what_is_there(root: Path, program: Path) -> None:
    """Each sum is of a file in the image, and each file of a package has one."""
    found = items(built(root, program))
    listed: dict[str, str] = {}
    for path, item in found.items():
        if path.endswith(".md5sums"):
            listed |= read_sums(item.data.decode())
    owned = {path for path, item in found.items() if item.package and item.kind is Kind.FILE}
    assert set(listed) == owned
    for path, digest in listed.items():
        assert hashlib.md5(found[path].data).hexdigest() == digest


def test_copyright_files(root: Path, program: Path) -> None:
    """A copyright file that is a link comes as the file that it leads to; a missing one is told."""
    docs = root / "usr/share/doc"
    text = (docs / "libtinfo6/copyright").read_bytes()
    (docs / "libtinfo6").rename(docs / "ncurses")
    (docs / "libtinfo6").symlink_to("ncurses")
    (docs / "bash/copyright").unlink()
    found = built(root, program)
    copied = items(found)["/usr/share/doc/libtinfo6/copyright"]
    assert (copied.kind, copied.data) == (Kind.FILE, text)
    assert "/usr/share/doc/bash/copyright: not in the root, so not in the image" in found.notes


@pytest.mark.parametrize("name", ["usr/bin/bash", "usr/share/doc/bash/copyright"])
def test_a_file_that_was_changed(root: Path, program: Path, name: str) -> None:
    """A file that is not as its package has it is refused, with the way to have it again."""
    with (root / name).open("ab") as changed:
        changed.write(b"\n")
    with pytest.raises(
        BuildError, match=f"/{name}: not as bash .*apt-get install --reinstall bash"
    ):
        built(root, program)


def test_every_changed_file_is_told(root: Path, program: Path) -> None:
    """All faults at a time, not the first alone."""
    for name in ("usr/bin/bash", "usr/lib/os-release"):
        with (root / name).open("ab") as changed:
            changed.write(b"\n")
    with pytest.raises(BuildError) as caught:
        built(root, program)
    assert len(caught.value.problems) == 2


def test_a_file_of_no_package(root: Path, program: Path) -> None:
    """What nobody vouches for is told."""
    (root / "opt").mkdir()
    (root / "opt/tool").write_text("x")
    assert "/opt/tool: of no Debian package, not checked" in built(root, program, "/opt").notes


SUM = hashlib.md5(b"right").hexdigest()
VIEW: dict[str, bytes | Entry] = {
    "/var/lib/dpkg/status": (
        b"Package: a\nStatus: install ok installed\nVersion: 1\nConffiles:\n /etc/a.conf 0\n\n"
        b"Package: b\nStatus: install ok installed\nVersion: 1\n"
    ),
    "/var/lib/dpkg/info/a.list": b"/lib\n/etc/a.conf\n/usr/both\n/usr/unsummed\n",
    "/var/lib/dpkg/info/b.list": b"/lib\n/usr/both\n",
    "/var/lib/dpkg/info/a.md5sums": b"0" * 32 + b"  usr/both\n",
    "/var/lib/dpkg/info/b.md5sums": f"{SUM}  usr/both\n".encode(),
    "/lib": symlink("usr/lib"),
}


def attributed(path: str, data: bytes) -> Attributed:
    item = Item(path, Kind.FILE if data else Kind.SYMLINK, 0o644, Origin.ROOT, data)
    return attribute(WholeView(MemoryView(VIEW)), [item], {}, "amd64")


@pytest.mark.parametrize(
    ("path", "data", "package", "note"),
    [
        pytest.param("/etc/a.conf", b"edited", "a", "", id="conffiles are the administrator's"),
        pytest.param("/usr/both", b"right", "b", "", id="the package whose sum it has"),
        pytest.param("/usr/unsummed", b"x", "a", "has no sum for it", id="no sum"),
        pytest.param("/lib", b"", "", "", id="a link that many have as a directory"),
    ],
)
def test_whose(path: str, data: bytes, package: str, note: str) -> None:
    """A file is checked where there is something to check it against."""
    found = attributed(path, data)
    assert items(found)[path].package == package
    assert note in "".join(one for one in found.notes if one.startswith(f"{path}: ")) or not note


def test_no_dpkg() -> None:
    """A root of another distribution is taken as it is, and told to be unchecked."""
    item = file("/bin/x", b"")
    found = attribute(WholeView(MemoryView({"/bin/x": b""})), [item], {}, "amd64")
    assert (found.items, found.packages) == ((item,), ())
    assert found.notes == (
        "the root has no dpkg: its files are not checked, and no package is recorded",
    )
