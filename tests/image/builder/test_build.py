"""An image as it is written: the same from the same inputs, whole or not at all."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe.findings import Finding
from probe.findings import Severity
from probe.image.archives import Image
from probe.image.archives import open_image
from probe.image.builder import Built
from probe.image.builder import Format
from probe.image.builder import Recipe
from probe.image.builder import RefusedError
from probe.image.builder import Request
from probe.image.builder import Sources
from probe.image.builder import build
from probe.image.builder.errors import BuildError
from probe.image.loader.closure import closure
from probe.image.view import Entry
from probe.image.view import Kind
from probe.manifests.spec import Kind as Program

SOURCES = {field.name for field in fields(Sources)}
SYNC = Recipe(Program.SYNC, "split-sync", tag="example/split-sync:1", epoch=7)
PROXY = Recipe(Program.PROXY, "split-proxy")


def passing(_: Image) -> list[Finding]:
    return []


@dataclass(frozen=True)
class Builder:
    """Builds from one root and one program."""

    root: Path
    program: Path
    folder: Path

    def request(self, output: str = "out.tar", **wishes: Any) -> Request:
        named = {name: wishes.pop(name) for name in SOURCES & wishes.keys()}
        sources = replace(Sources(str(self.program), str(self.root)), **named)
        return replace(Request(sources, str(self.folder / output), SYNC), **wishes)

    def __call__(self, output: str = "out.tar", **wishes: Any) -> Path:
        build(self.request(output, **wishes), judge=passing)
        return self.folder / output


@pytest.fixture
def make(pristine: Path, program: Path, tmp_path: Path) -> Builder:
    folder = tmp_path / "made"
    folder.mkdir()
    return Builder(pristine, program, folder)


def tree(path: Path) -> list[tuple[Entry, bytes]]:
    with open_image(str(path)) as image:
        return [
            (entry, image.read(entry.path) if entry.kind is Kind.FILE else b"")
            for entry in image.entries()
        ]


# The same ----------------------------------------------------------------------------------

ANOTHER = """
import sys
from probe.image.builder import Format, Recipe, Request, Sources, build
from probe.manifests.spec import Kind
program, root, output, form = sys.argv[1:]
recipe = Recipe(Kind.SYNC, "split-sync", tag="example/split-sync:1", epoch=7)
request = Request(Sources(program, root), output, recipe, Format(form))
print(build(request, judge=lambda _: []).digest)
"""


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_reproducible(make: Builder, tmp_path: Path, form: str) -> None:
    """Another folder, umask, time zone, locale, hash seed, file time and mode: the same bytes."""
    here = make(format=Format(form))
    other = tmp_path / "elsewhere"
    other.mkdir()
    program = other / "split-sync"
    shutil.copyfile(make.program, program)
    program.chmod(0o600)
    os.utime(program, (1, 1))
    environment = os.environ | {
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "3",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    subprocess.run(
        [sys.executable, "-c", ANOTHER, program, make.root, "there.tar", form],
        cwd=other, env=environment, umask=0o077, check=True, timeout=60,
    )  # fmt: skip
    assert (other / "there.tar").read_bytes() == here.read_bytes()


def test_time_and_name_are_inputs(make: Builder) -> None:
    """Another SOURCE_DATE_EPOCH gives another image."""
    first = build(make.request("a.tar"), judge=passing)
    second = build(make.request("b.tar", recipe=replace(SYNC, epoch=8)), judge=passing)
    assert first.digest != second.digest


# The formats --------------------------------------------------------------------------------


def test_formats_hold_the_same(make: Builder) -> None:
    """docker-archive, OCI tar and folder, compressed or not, and a plain folder: one tree."""
    docker = tree(make("d.tar"))
    assert tree(make("o.tar", format=Format.OCI)) == docker
    assert tree(make("layout", format=Format.OCI)) == docker
    assert tree(make("plain", format=Format.OCI, compress=False)) == docker
    plain = tree(make("dir", format=Format.DIR))
    owner = plain[0][0].uid
    assert [(replace(entry, uid=0, gid=0), data) for entry, data in plain] == docker
    assert {entry.uid for entry, _ in plain} == {owner}


def content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    with file:
        return file.read()


def test_docker_archive(make: Builder) -> None:
    """The digest is that of the configuration: the image ID that engines show."""
    built = build(make.request(), judge=passing)
    with tarfile.open(make.folder / "out.tar") as archive:
        (manifest,) = json.loads(content(archive, "manifest.json"))
        config = content(archive, manifest["Config"])
        layer = content(archive, manifest["Layers"][0])
    assert manifest["RepoTags"] == ["example/split-sync:1"]
    assert built.digest == f"sha256:{hashlib.sha256(config).hexdigest()}"
    assert json.loads(config)["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(layer).hexdigest()}"
    ]
    assert built.size == len(layer)


def test_oci_layout(make: Builder) -> None:
    """The digest is the manifest's; the health check has no place, which is told with a way out."""
    built = build(make.request("layout", format=Format.OCI), judge=passing)
    folder = make.folder / "layout"
    (described,) = json.loads((folder / "index.json").read_text())["manifests"]
    assert described["digest"] == built.digest
    assert described["annotations"] == {"org.opencontainers.image.ref.name": "example/split-sync:1"}
    manifest = json.loads((folder / "blobs/sha256" / built.digest[7:]).read_text())
    (layer,) = manifest["layers"]
    packed = (folder / "blobs/sha256" / layer["digest"][7:]).read_bytes()
    assert (layer["size"], len(gzip.decompress(packed))) == (len(packed), built.size)
    assert any("--format docker" in note for note in built.notes)
    config = json.loads((folder / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    assert "Healthcheck" not in config["config"]


def test_folder(make: Builder) -> None:
    """Modes whatever the umask, times fixed, the proxy's /tmp open to all."""
    before = os.umask(0o077)
    try:
        folder = make("dir", format=Format.DIR, recipe=PROXY)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o7777 == 0o755
    assert (folder / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (folder / "healthcheck.sh").stat().st_mode & 0o7777 == 0o755
    assert {path.lstat().st_mtime for path in (folder, *folder.rglob("*"))} == {0}
    assert (folder / "usr/bin/split-proxy").read_bytes() == make.program.read_bytes()


def test_closure_of_what_is_written(make: Builder) -> None:
    """Both programs find all that they need in the image alone."""
    with open_image(str(make())) as image:
        found = closure(image, ["/bin/bash", "/usr/bin/split-sync"])
    assert found.faults == ()


def test_size(make: Builder) -> None:
    """Without the program, whose certificates are few here, the image is 4.2 MB at most."""
    assert build(make.request(), judge=passing).root_size <= 4_200_000


def test_root_from_an_image(make: Builder) -> None:
    """A root may be an archive: what is taken is the same."""
    archive = make.folder / "root.tar"
    with tarfile.open(archive, "w") as to:
        to.add(make.root, ".")
    from_folder = build(make.request("a.tar"), judge=passing)
    from_archive = build(make.request("b.tar", root=str(archive)), judge=passing)
    assert from_folder.digest == from_archive.digest


def split(root: Path) -> None:
    """Make directories of the links in /, as Debian had it up to release 11."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).unlink()
        (root / "usr" / name).rename(root / name)
    (root / "usr/bin").mkdir()
    (root / "usr/lib").mkdir()
    (root / "lib/os-release").rename(root / "usr/lib/os-release")


def test_a_root_without_merged_usr(make: Builder, root: Path) -> None:
    """Such a root's layout is kept, and its packages are found by their own names."""
    split(root)
    built = build(make.request(root=str(root)), judge=passing)
    assert [one.name for one in built.packages][1] == "bash"
    with open_image(str(make.folder / "out.tar")) as image:
        assert image.lstat("/bin/bash") == image.resolve("/bin/bash")
        assert closure(image, ["/bin/bash", "/usr/bin/split-sync"]).faults == ()


# All or nothing -----------------------------------------------------------------------------


def failing(_: Image) -> list[Finding]:
    return [Finding("missing-library", Severity.ERROR, "/usr/bin/x", "is not there")]


def interrupted(_: Image) -> list[Finding]:
    raise KeyboardInterrupt


OUTPUTS = [
    pytest.param("out.tar", Format.DOCKER, id="docker"),
    pytest.param("layout", Format.OCI, id="layout"),
    pytest.param("dir", Format.DIR, id="dir"),
]


@pytest.mark.parametrize(("output", "form"), OUTPUTS)
@pytest.mark.parametrize(
    ("judge", "error"),
    [
        pytest.param(failing, RefusedError, id="audit"),
        pytest.param(interrupted, KeyboardInterrupt, id="Ctrl-C"),
    ],
)
def test_nothing_is_left(
    make: Builder,
    output: str,
    form: Format,
    judge: Callable[[Image], list[Finding]],
    error: type[BaseException],
) -> None:
    """What is not whole and good leaves neither an image, nor an SBOM, nor a temporary file."""
    wanted = make.request(output, format=form, sbom=str(make.folder / "sbom.json"))
    with pytest.raises(error):
        build(wanted, judge=judge)
    assert list(make.folder.iterdir()) == []


def test_what_was_there_stays(make: Builder) -> None:
    """An image that is there is only replaced by one that is good."""
    path = make()
    before = path.read_bytes()
    with pytest.raises(RefusedError):
        build(make.request(recipe=PROXY), judge=failing)
    assert path.read_bytes() == before


def test_warnings_are_passed_on(make: Builder) -> None:
    """A warning does not stop an image."""
    warning = Finding("size", Severity.WARNING, "/usr/bin/x", "is large")
    built = build(make.request(), judge=lambda _: [warning])
    assert built.findings == (warning,)


def test_the_judge_sees_the_configuration(make: Builder) -> None:
    """Also where the format has none to write it to."""
    seen = []

    def judge(image: Image) -> list[Finding]:
        seen.append(image.config)
        return []

    build(make.request("dir", format=Format.DIR), judge=judge)
    assert seen[0] is not None
    assert seen[0].cmd == ("/entrypoint.sh",)


def test_no_sbom_without_its_library(make: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is optional: where it is missing the error says how to have it."""
    monkeypatch.delitem(sys.modules, "probe.image.builder.sbom", raising=False)
    monkeypatch.setitem(sys.modules, "cyclonedx.model", None)
    with pytest.raises(BuildError, match=r"pip install 'split-probe\[image\]'"):
        make(sbom=str(make.folder / "sbom.json"))
    assert list(make.folder.iterdir()) == []


# Where it goes ------------------------------------------------------------------------------


def test_a_file_is_replaced(make: Builder) -> None:
    """As `docker save -o` does; a link stays and what it leads to is replaced."""
    (make.folder / "real.tar").write_text("old")
    (make.folder / "out.tar").symlink_to("real.tar")
    make()
    assert (make.folder / "out.tar").is_symlink()
    assert tree(make.folder / "real.tar")


def test_new_files_heed_the_umask(make: Builder) -> None:
    """A file that is new has the mode that any program's would."""
    before = os.umask(0o027)
    try:
        assert make().stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_a_pipe(make: Builder) -> None:
    """A FIFO or device gets the bytes and stays what it is."""
    whole = make("whole.tar").read_bytes()
    pipe = make.folder / "pipe"
    os.mkfifo(pipe)
    got = make.folder / "got.tar"
    with got.open("wb") as to, subprocess.Popen(["/bin/cat", pipe], stdout=to) as reader:
        build(make.request("pipe"), judge=passing)
        assert reader.wait(20) == 0
    assert got.read_bytes() == whole
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("output", "form", "said"),
    [
        pytest.param("full", Format.DIR, "not empty; --force", id="a folder with something in it"),
        pytest.param("full", Format.OCI, "not empty; --force", id="likewise for a layout"),
        pytest.param("full", Format.DOCKER, "is a folder; name the file", id="folder for a file"),
        pytest.param("file", Format.DIR, "is no folder", id="file for a folder"),
    ],
)
def test_not_replaced(make: Builder, output: str, form: Format, said: str) -> None:
    """Nobody's folder is replaced without being told to."""
    (make.folder / "full").mkdir()
    (make.folder / "full/precious").write_text("x")
    (make.folder / "file").write_text("x")
    with pytest.raises(BuildError, match=said):
        make(output, format=form)
    assert {path.name for path in make.folder.rglob("*")} == {"full", "precious", "file"}


def test_force(make: Builder) -> None:
    """With --force a folder is replaced whole; an empty one without."""
    folder = make.folder / "dir"
    folder.mkdir()
    make("dir", format=Format.DIR)
    (folder / "old").write_text("x")
    make("dir", format=Format.DIR, force=True)
    assert not (folder / "old").exists()
    assert (folder / "bin").is_symlink()
    assert [path.name for path in make.folder.iterdir()] == ["dir"]


def test_own_files_and_includes(make: Builder, root: Path) -> None:
    """A root's passwd may take the place of ours; our scripts may not be replaced."""
    (root / "etc/passwd").write_text("me:x:1:1:::\n")
    (root / "healthcheck.sh").write_text("x")
    with open_image(str(make(root=str(root), includes=("/etc/passwd",)))) as image:
        assert image.read("/etc/passwd") == b"me:x:1:1:::\n"
    with pytest.raises(BuildError, match=r"/healthcheck\.sh is one of the image's own"):
        make(root=str(root), includes=("/healthcheck.sh",))


@pytest.mark.parametrize(("name", "said"), [("none", "none: no such file"), (".", "no file")])
def test_no_program(make: Builder, name: str, said: str) -> None:
    """The program is a file."""
    with pytest.raises(BuildError, match=said):
        make(program=str(make.folder / name))


# The bill of materials ----------------------------------------------------------------------


def bill(make: Builder, name: str) -> tuple[Built, str]:
    built = build(make.request(sbom=str(make.folder / name)), judge=passing)
    return built, (make.folder / name).read_text()


def test_sbom_is_valid(make: Builder) -> None:
    """CycloneDX's own schema, strictly."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - slow
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    _, text = bill(make, "sbom.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_sbom_is_the_same_twice(make: Builder) -> None:
    """Serial number and time follow from the image."""
    assert bill(make, "a.json")[1] == bill(make, "b.json")[1]


def test_sbom_names_all(make: Builder) -> None:
    """Every package by its purl, every file with its SHA-256, and the image by its digest."""
    built, text = bill(make, "sbom.json")
    document = json.loads(text)
    files = {one["name"]: one for one in document["components"] if one["type"] == "file"}
    with open_image(str(make.folder / "out.tar")) as image:
        expected = {
            one.path: hashlib.sha256(image.read(one.path)).hexdigest()
            for one in image.entries()
            if one.kind is Kind.FILE
        }
    assert {path: one["hashes"][0]["content"] for path, one in files.items()} == expected
    packages = [one for one in document["components"] if one["type"] == "library"]
    assert [one["name"] for one in packages] == [one.name for one in built.packages]
    bash = next(one for one in packages if one["name"] == "bash")
    assert bash["purl"].startswith(f"pkg:deb/debian/bash@{bash['version']}".replace("+", "%2B"))
    assert document["metadata"]["component"]["version"] == built.digest
    assert document["metadata"]["timestamp"].startswith("1970-01-01T00:00:07")
