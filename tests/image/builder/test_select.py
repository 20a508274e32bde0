"""What is taken from a root, and why a root or a program is refused."""

import json
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from probe.image.archives.root_view import RootView
from probe.image.builder.errors import BuildError
from probe.image.builder.items import Item
from probe.image.builder.items import Origin
from probe.image.builder.recipe import Recipe
from probe.image.builder.select import Selection
from probe.image.builder.select import read_binary
from probe.image.builder.select import select
from probe.image.source import WholeView
from probe.image.view import Kind
from probe.image.view import way
from probe.manifests.spec import Kind as Program
from tests.support.elf_files import GLIBC_LOADER
from tests.support.elf_files import dlopen_note
from tests.support.elf_files import make
from tests.support.memory_view import MemoryView
from tests.support.memory_view import symlink

SYNC = Recipe(Program.SYNC, "split-sync")
GENERIC = Recipe(Program.GENERIC, "server")


def chosen(root: Path, program: Path | bytes, *includes: str, recipe: Recipe = SYNC) -> Selection:
    data = program if isinstance(program, bytes) else program.read_bytes()
    with RootView(str(root), ["/etc/ld.so.conf.d"]) as view:
        return select(view, read_binary("BIN", data), recipe, includes)


def items(selection: Selection) -> dict[str, Item]:
    return {item.path: item for item in selection.items}


def library_folder(root: Path) -> Path:
    return next(root.glob("usr/lib/*-linux-gnu*"))


# Links on the way --------------------------------------------------------------------------

TREE = MemoryView(
    {
        "/usr/bin/bash": b"",
        "/bin": symlink("usr/bin"),
        "/usr/bin/sh": symlink("bash"),
        "/usr/lib64/ld.so": symlink("/lib/ld.so"),
        "/lib": symlink("usr/lib"),
        "/usr/lib/ld.so": symlink("ld-2.so"),
        "/usr/lib/ld-2.so": b"",
        "/up": symlink("usr/lib64/../../usr/lib"),
        "/loop": symlink("loop"),
    }
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/bin/sh", ["/bin", "/usr/bin/sh", "/usr/bin/bash"], id="links on the way"),
        pytest.param("/usr/lib64/ld.so",
                     ["/usr/lib64/ld.so", "/lib", "/usr/lib/ld.so", "/usr/lib/ld-2.so"],
                     id="an absolute link starts anew"),
        pytest.param("/up/./ld-2.so", ["/up", "/usr/lib/ld-2.so"], id="up and down"),
        pytest.param("/usr/bin/", ["/usr/bin"], id="a directory"),
        pytest.param("/", ["/"], id="the root"),
        pytest.param("/loop", None, id="a loop"),
        pytest.param("/usr/bin/bash/x", None, id="a file is no directory"),
        pytest.param("/bin/none", None, id="nothing"),
    ],
)  # fmt: skip
def test_way(path: str, expected: list[str] | None) -> None:
    """A look-up needs every link that it meets: each is given, and where they lead."""
    found = way(WholeView(TREE), path)
    assert (None if found is None else [entry.path for entry in found]) == expected


# What is taken ------------------------------------------------------------------------------


def test_program_and_its_libraries(root: Path, program: Path) -> None:
    """Bash and libc at their places, with the links that loaders and scripts go by."""
    found = items(chosen(root, program))
    files = {path for path, item in found.items() if item.kind is Kind.FILE}
    folder = f"/{library_folder(root).relative_to(root)}"
    assert {"/usr/bin/bash", "/usr/bin/split-sync", f"{folder}/libc.so.6"} <= files
    assert len(files) == 7  # and libtinfo, the loader, os-release, the bundle
    assert found["/bin"].target == "usr/bin"
    assert found["/usr/bin/split-sync"].origin is Origin.APPLICATION
    assert found["/usr/bin/split-sync"].mode == 0o755
    assert found[f"{folder}/libtinfo.so.6"].kind is Kind.SYMLINK


def test_no_cache_of_the_root_is_trusted(root: Path, program: Path) -> None:
    """The image has no ld.so.cache: what only that would find is linked where loaders look."""
    folder = library_folder(root)
    (root / "opt/lib").mkdir(parents=True)
    shutil.copy(folder / "libc.so.6", root / "opt/lib/libq.so.6")
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
    (root / "etc/ld.so.conf.d/opt.conf").write_text("/opt/lib\n")
    data = program.read_bytes().replace(b"libc.so.6\0", b"libq.so.6\0")
    found = items(chosen(root, data))
    assert found["/opt/lib/libq.so.6"].kind is Kind.FILE
    assert found[f"/{folder.relative_to(root)}/libq.so.6"].target == "/opt/lib/libq.so.6"


@pytest.mark.parametrize("name", ["nsswitch.conf", "ld.so.preload"])
def test_the_roots_own_settings_do_not_count(root: Path, program: Path, name: str) -> None:
    """What the build machine preloads or looks names up with is not the image's."""
    before = items(chosen(root, program))
    (root / "etc" / name).write_text("hosts: files odd\n" if "nss" in name else "/lib/odd.so\n")
    assert items(chosen(root, program)) == before


NOTED = [
    pytest.param("suggested", False, id="what a program can do without"),
    pytest.param("required", True, id="what it says that it needs"),
]


@pytest.mark.parametrize(("priority", "refused"), NOTED)
def test_libraries_that_are_loaded_later(root: Path, priority: str, *, refused: bool) -> None:
    """Of those in a program's note only the required ones must be in the root."""
    notes = dlopen_note(json.dumps([{"soname": ["libgone.so.1"], "priority": priority}]))
    data = make("libc.so.6", interpreter=GLIBC_LOADER, notes=notes)
    with pytest.raises(BuildError, match="libgone") if refused else nullcontext():
        chosen(root, data)


def test_include_a_file_by_a_link(root: Path, program: Path) -> None:
    """The link, what it leads to, and a program's libraries come along; no setuid bit does."""
    folder = library_folder(root)
    tool = program.read_bytes().replace(b"libc.so.6\0", b"libq.so.6\0")
    shutil.copy(folder / "libc.so.6", folder / "libq.so.6")
    (root / "usr/sbin/tool-1").write_bytes(tool)
    (root / "usr/sbin/tool-1").chmod(0o4755)
    (root / "usr/bin/tool").symlink_to("../sbin/tool-1")
    found = items(chosen(root, program, "/bin/tool"))
    assert found["/usr/bin/tool"].target == "../sbin/tool-1"
    assert found["/usr/sbin/tool-1"].mode == 0o755
    assert f"/{folder.relative_to(root)}/libq.so.6" in found


def test_include_a_folder(root: Path, program: Path) -> None:
    """All below it, empty folders too; links with the files they lead to; no FIFO."""
    top = root / "opt/data"
    (top / "empty").mkdir(parents=True)
    (top / "a").write_text("a")
    (top / "out").symlink_to("/opt/outside")
    (root / "opt/outside").write_text("o")
    (top / "nowhere").symlink_to("/none")
    (top / "folder").symlink_to("/usr/share")
    os.mkfifo(top / "pipe")
    found = chosen(root, program, "/opt/data")
    taken = {path for path in items(found) if path.startswith("/opt/")}
    assert taken == {
        "/opt/data", "/opt/data/a", "/opt/data/empty", "/opt/data/out", "/opt/data/nowhere",
        "/opt/data/folder", "/opt/outside",
    }  # fmt: skip
    assert [note.partition(":")[0] for note in found.notes] == [
        "/opt/data/folder", "/opt/data/nowhere", "/opt/data/pipe",
        "/etc/ssl/certs/ca-certificates.crt",
    ]  # fmt: skip


def test_with_sh(root: Path, program: Path) -> None:
    """`sh` is bash beside it."""
    recipe = Recipe(Program.SYNC, "split-sync", with_sh=True)
    assert items(chosen(root, program, recipe=recipe))["/usr/bin/sh"].target == "bash"


# Certificates -------------------------------------------------------------------------------

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def shared(root: Path) -> list[Path]:
    return sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))


def write_bundle(root: Path, *texts: str) -> None:
    (root / BUNDLE[1:]).parent.mkdir(parents=True)
    (root / BUNDLE[1:]).write_text("".join(texts))


def test_the_roots_bundle(root: Path, program: Path) -> None:
    """The bundle that update-ca-certificates made is taken as it is."""
    first, *_ = shared(root)
    write_bundle(root, first.read_text())
    found = chosen(root, program)
    assert items(found)[BUNDLE].data == first.read_bytes()
    assert (found.notes, found.borrowed) == ((), {BUNDLE: "ca-certificates"})


def test_a_bundle_with_the_administrators_own(root: Path, program: Path) -> None:
    """A certificate that the package does not have is told: it will be trusted in the image."""
    first, *_ = shared(root)
    own = first.read_text()
    lines = own.splitlines(keepends=True)
    other = lines[0] + lines[2] + lines[1] + "".join(lines[3:])
    write_bundle(root, own, other)
    assert chosen(root, program).notes == (
        f"{BUNDLE}: certificates of the root's own, not of the package ca-certificates: 1",
    )


def test_a_bundle_made_of_certificates(root: Path, program: Path) -> None:
    """Without one it is made of the package's, less those that the configuration deselects."""
    first, *rest = shared(root)
    (root / "etc/ca-certificates.conf").write_text(f"!mozilla/{first.name}\n")
    found = items(chosen(root, program))[BUNDLE].data
    assert found == b"".join(path.read_bytes().rstrip() + b"\n" for path in rest)


def test_no_certificates(root: Path, program: Path) -> None:
    """The synchronizers speak TLS and are refused without any; any other program is not."""
    shutil.rmtree(root / "usr/share/ca-certificates")
    with pytest.raises(BuildError, match=f"{BUNDLE}: not in the root: apt-get install ca-cert"):
        chosen(root, program)
    assert BUNDLE not in items(chosen(root, program, recipe=GENERIC))


# What is refused ----------------------------------------------------------------------------


def patched(program: Path, old: bytes, new: bytes) -> bytes:
    data = program.read_bytes()
    assert old in data
    return data.replace(old, new)


def machine(program: Path, number: int) -> bytes:
    data = bytearray(program.read_bytes())
    data[18:20] = number.to_bytes(2, "little")
    return bytes(data)


def test_a_root_of_another_architecture(root: Path, program: Path) -> None:
    """A program for arm64 and a root for amd64 are told with both names."""
    with pytest.raises(BuildError, match=r"the root is for amd64 .*, BIN for arm64: give a root"):
        chosen(root, machine(program, 183))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(b"libc.so.6\0", b"libq.so.6\0", r"missing library: libq.so.6 is in no",
                     id="library"),
        pytest.param(b"ld-linux-x86-64.so.2\0", b"ld-linux-x86-65.so.2\0", "missing interpreter",
                     id="loader"),
        pytest.param(b"\0GLIBC_2.34\0", b"\0GLIBC_9.34\0", r"needs GLIBC_9.34.*newer root",
                     id="too old a libc"),
    ],
)  # fmt: skip
def test_what_would_not_load(root: Path, program: Path, old: bytes, new: bytes, said: str) -> None:
    """What the loader would say is said before there is an image."""
    with pytest.raises(BuildError, match=f"/usr/bin/split-sync: .*{said}"):
        chosen(root, patched(program, old, new))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"#!/bin/sh\n", "BIN: a script, not a program", id="script"),
        pytest.param(b"MZ", "BIN: not an ELF program", id="another format"),
        pytest.param(b"", "BIN: not an ELF program", id="empty"),
        pytest.param(b"\x7fELF\x02\x01\x01", "BIN: ", id="truncated"),
    ],
)
def test_no_program(data: bytes, said: str) -> None:
    """Only what Linux loads is taken."""
    with pytest.raises(BuildError, match=said):
        read_binary("BIN", data)


def test_a_library_is_no_program(root: Path) -> None:
    """A shared library has the form of a program and does not run."""
    data = next(root.glob("usr/lib/*/libtinfo.so.6")).read_bytes()
    with pytest.raises(BuildError, match="no program"):
        read_binary("BIN", data)


def test_a_machine_without_a_name(program: Path) -> None:
    """An image must say which machine it is for."""
    with pytest.raises(BuildError, match="no word for"):
        read_binary("BIN", machine(program, 999))


@pytest.mark.parametrize(
    ("include", "said"),
    [
        pytest.param("usr/bin", "beginning with /", id="relative"),
        pytest.param("/none", "/none: not in the root", id="missing"),
        pytest.param("/", "--include /: name", id="everything"),
        pytest.param("/pipe", "/pipe: neither file, folder nor link", id="a FIFO"),
    ],
)
def test_includes_refused(root: Path, program: Path, include: str, said: str) -> None:
    """An include is a place in the root."""
    os.mkfifo(root / "pipe")
    with pytest.raises(BuildError, match=said):
        chosen(root, program, include)


def test_no_bash(root: Path, program: Path) -> None:
    """Without bash there is no health check."""
    (root / "usr/bin/bash").unlink()
    with pytest.raises(BuildError, match="/bin/bash: not in the root: apt-get install bash"):
        chosen(root, program)


def test_a_name_that_is_taken(root: Path, program: Path) -> None:
    """The program does not take the place of a file that the image needs."""
    with pytest.raises(BuildError, match="/usr/bin/bash: the root's own file has"):
        chosen(root, program, recipe=Recipe(Program.GENERIC, "bash"))
