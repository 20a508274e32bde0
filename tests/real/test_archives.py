"""One image in all the forms that buildah, podman and skopeo write, against its mounted root."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.image.archives import Image
from probe.image.archives import open_image
from probe.image.view import Entry
from probe.image.view import Kind
from tests.support.components import require
from tests.support.components import require_root

pytestmark = pytest.mark.real

LONG = "/".join(["long" * 20] * 3)


class Store:
    """Images and containers of a store of our own."""

    def __init__(self, folder: Path) -> None:
        self._options = [f"--root={folder / 'root'}", f"--runroot={folder / 'run'}"]

    def __call__(self, program: str, *arguments: str) -> str:
        return run(require(program), *self._options, "--storage-driver=vfs", *arguments)


def run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(root: Path, name: str, data: str, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)
    path.chmod(mode)


def lower(root: Path) -> None:
    for name in ("etc/kept", "etc/changed", "etc/removed", "srv/old", "opt/file", "opt/dir/x"):
        write(root, name, f"lower {name}")
    write(root, "usr/bin/tool", "tool", 0o4755)
    os.chown(root / "usr/bin/tool", 65532, 7)
    (root / "usr/bin/tool").chmod(0o4755)
    os.link(root / "usr/bin/tool", root / "usr/bin/same")
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/absolute").symlink_to("/usr/bin/tool")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    write(root, LONG, "a name of more than 100 bytes")
    write(root, "etc/ümläut", "text")
    os.close(os.open(os.fsencode(root) + b"/etc/\xff", os.O_CREAT))
    os.mkfifo(root / "etc/fifo")
    os.truncate(root / "etc/kept", 3_000_000)


def upper(root: Path) -> None:
    write(root, "etc/changed", "upper", 0o600)
    (root / "etc/removed").unlink()
    # A directory that comes anew, one that becomes a file, and a file that becomes a directory.
    (root / "srv/old").unlink()
    (root / "srv").rmdir()
    write(root, "srv/new", "new")
    (root / "opt/dir/x").unlink()
    (root / "opt/dir").rmdir()
    write(root, "opt/dir", "a file now")
    (root / "opt/file").unlink()
    write(root, "opt/file/x", "below what was a file")


CONFIG = [
    "--env=PATH=/usr/bin",
    "--user=65532:65532",
    "--workingdir=/srv",
    "--entrypoint=[]",
    '--cmd=/usr/bin/tool "a b"',
    "--shell=/usr/bin/tool -c",
    "--healthcheck=CMD /usr/bin/tool health",
    "--healthcheck-interval=7s",
    "--healthcheck-retries=4",
]


@pytest.fixture(scope="module", name="forms")
def forms_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the image lies, by the name of the form; `root` is what the engine itself mounts."""
    require_root()
    folder = tmp_path_factory.mktemp("images")
    store = Store(folder)
    made = ["from", "scratch"]
    for number, change in enumerate((lower, upper), 1):
        container = store("buildah", *made)
        change(Path(store("buildah", "mount", container)))
        store("buildah", "config", *CONFIG, container)
        store("buildah", "commit", "--format=docker", container, f"layer{number}")
        made = ["from", f"layer{number}"]
    yield saved(folder, store, "layer2") | {"root": store("buildah", "mount", container)}
    store("buildah", "rm", "--all")


def saved(folder: Path, store: Store, image: str) -> dict[str, str]:
    archive, layout, oci = (str(folder / name) for name in ("docker.tar", "layout", "oci.tar"))
    store("buildah", "push", image, f"docker-archive:{archive}:x:1")
    skopeo = require("skopeo")
    run(skopeo, "copy", f"docker-archive:{archive}", f"oci:{layout}:x")
    run(skopeo, "copy", f"oci:{layout}:x", f"oci-archive:{oci}:x")
    podman = {}
    for form in ("docker-archive", "oci-archive"):
        podman[f"podman {form}"] = str(folder / f"podman-{form}.tar")
        store("podman", "save", f"--format={form}", "-o", podman[f"podman {form}"], image)
    return {"docker-archive": archive, "OCI folder": layout, "OCI archive": oci, **podman}


def listed(image: Image) -> dict[str, Entry]:
    """Return the entries but for the root's own, which no layer needs to have."""
    return {entry.path: entry for entry in image.entries() if entry.path != "/"}


FORMS = ["docker-archive", "OCI folder", "OCI archive", "podman docker-archive",
         "podman oci-archive"]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_as_mounted(forms: dict[str, str], form: str) -> None:
    """Same names, kinds, modes, owners, sizes, targets and contents as the engine shows."""
    with open_image(forms[form]) as image, open_image(forms["root"]) as root:
        assert listed(image) == listed(root)
        assert image.faults == ()
        for entry in root.entries():
            if entry.kind is Kind.FILE:
                assert image.read(entry.path) == root.read(entry.path), entry.path


def test_layers_are_compressed(forms: dict[str, str]) -> None:
    """Or else the OCI forms would show nothing that the others do not."""
    blobs = (Path(forms["OCI folder"]) / "blobs/sha256").iterdir()
    assert [blob.read_bytes()[:2] for blob in blobs].count(b"\x1f\x8b") == 2


@pytest.mark.parametrize("compression", ["zstd", "zstd:chunked"])
def test_zstd(forms: dict[str, str], tmp_path: Path, compression: str) -> None:
    pytest.importorskip("zstandard")
    target = tmp_path / "layout"
    run(require("skopeo"), "copy", f"--dest-compress-format={compression}",
        f"docker-archive:{forms['docker-archive']}", f"oci:{target}:x")  # fmt: skip
    with open_image(str(target)) as image, open_image(forms["root"]) as root:
        assert listed(image) == listed(root)


def test_what_is_mounted(forms: dict[str, str]) -> None:
    """The root that the others are compared with holds what was put there."""
    with open_image(forms["root"]) as root:
        assert root.read("/bin/same") == b"tool"
        assert root.resolve("/etc/removed") is None
        assert root.read("/opt/dir") == b"a file now"


@pytest.mark.parametrize("form", ["docker-archive", "podman docker-archive"])
def test_configuration(forms: dict[str, str], form: str) -> None:
    with open_image(forms[form]) as image:
        config = image.config
    assert config is not None
    assert (config.format, config.os) == ("docker", "linux")
    assert config.cmd == ("/usr/bin/tool", "a b")
    assert (config.user, config.workdir) == ("65532:65532", "/srv")
    assert config.env == {"PATH": "/usr/bin"}
    assert config.shell == ("/usr/bin/tool", "-c")
    assert config.healthcheck is not None
    assert config.healthcheck["Interval"] == 7 * 10**9
    assert config.healthcheck["Retries"] == 4


def test_configuration_without_docker(forms: dict[str, str]) -> None:
    """OCI has no place for a health check."""
    with open_image(forms["OCI folder"]) as image:
        config = image.config
    assert config is not None
    assert (config.format, config.cmd) == ("oci", ("/usr/bin/tool", "a b"))
    assert config.healthcheck is None
