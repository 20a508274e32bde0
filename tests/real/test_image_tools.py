"""What `image build` writes, in the hands of those who did not write it: engines and scanners."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from probe.image.builder import Format
from probe.image.builder import Recipe
from probe.image.builder import Request
from probe.image.builder import Sources
from probe.image.builder import build
from probe.manifests.spec import Kind
from tests.support.components import missing
from tests.support.components import require
from tests.support.components import require_root
from tests.support.engine import Engine

pytestmark = pytest.mark.real

APPLICATION = Path(__file__).resolve().parent.parent / "support/application.c"
PACKAGES = ["base-files", "bash", "ca-certificates", "libc6", "libtinfo6"]
# What a container of a container needs here: no systemd, no room for more open files.
RUN = [
    "--cgroup-manager=cgroupfs",
    "run",
    "--rm",
    "--network=none",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
    "--read-only",
]


def run(*command: str | Path, limit: float = 60) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True)
class Images:
    """One image in each format, made of this machine's own root; digests by format."""

    folder: Path
    digests: dict[str, str]

    @property
    def docker(self) -> str:
        return f"docker-archive:{self.folder / 'docker.tar'}"

    @property
    def layout(self) -> str:
        return f"oci:{self.folder / 'layout'}:split-sync:1"

    @property
    def archive(self) -> str:
        return f"oci-archive:{self.folder / 'oci.tar'}:split-sync:1"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    folder = tmp_path_factory.mktemp("images")
    for name in ("split-sync", "split-proxy"):
        run(require("gcc"), "-O2", "-o", folder / name, APPLICATION)
    sync = Recipe(Kind.SYNC, "split-sync", tag="split-sync:1")
    proxy = Recipe(Kind.PROXY, "split-proxy", tag="split-proxy:1")
    wanted = {
        "docker.tar": (sync, Format.DOCKER),
        "proxy.tar": (proxy, Format.DOCKER),
        "layout": (sync, Format.OCI),
        "oci.tar": (sync, Format.OCI),
    }
    digests = {}
    for output, (recipe, form) in wanted.items():
        request = Request(Sources(str(folder / recipe.name)), str(folder / output), recipe, form)
        digests[output] = build(request, judge=lambda _: []).digest
    return Images(folder, digests)


# skopeo -------------------------------------------------------------------------------------


def test_skopeo_inspects(images: Images) -> None:
    """The configuration and the digest are those that we say; both OCI forms are one image."""
    found = json.loads(run(require("skopeo"), "inspect", "--config", "--raw", images.docker))
    assert found["config"]["Cmd"] == ["/entrypoint.sh"]
    assert found["config"]["Healthcheck"]["Test"][-1] == "/healthcheck.sh"
    for where in (images.layout, images.archive):
        document = json.loads(run(require("skopeo"), "inspect", where))
        assert document["Digest"] == images.digests["layout"] == images.digests["oci.tar"]


@pytest.mark.parametrize("form", ["docker", "layout", "archive"])
def test_skopeo_copies(images: Images, tmp_path: Path, form: str) -> None:
    """A copy, which verifies every digest, keeps the layer."""
    source, copy = getattr(images, form), f"oci:{tmp_path / 'copy'}:x"
    run(require("skopeo"), "copy", source, copy)
    ids = [
        json.loads(run(require("skopeo"), "inspect", "--config", one))["rootfs"]["diff_ids"]
        for one in (source, copy)
    ]
    assert ids[0] == ids[1]


# podman and buildah -------------------------------------------------------------------------


class Store:
    """Images and containers of a store of our own."""

    def __init__(self, folder: Path) -> None:
        self._options = [f"--root={folder / 'root'}", f"--runroot={folder / 'run'}"]

    def __call__(self, program: str, *arguments: str) -> str:
        more = [f"--runtime={shutil.which('runc') or 'runc'}"] if program == "podman" else []
        return run(require(program), *self._options, "--storage-driver=vfs", *more, *arguments)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    require_root()
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made("buildah", "rm", "--all")


@pytest.mark.parametrize("name", ["docker.tar", "oci.tar"])
def test_podman_loads_and_runs(images: Images, store: Store, name: str) -> None:
    """Podman reads both archives; the script in it runs on a read-only root as nonroot."""
    loaded = store("podman", "load", "-i", str(images.folder / name))
    assert "split-sync:1" in loaded
    image = loaded.splitlines()[-1].partition(": ")[2]
    said = store("podman", *RUN, image, "/bin/bash", "-p", "/healthcheck.sh", "--version")
    assert said.startswith("healthcheck ")
    store("podman", "rmi", "--force", image)


def test_buildah_builds_on_it(images: Images, store: Store) -> None:
    """Buildah takes it as a base, keeps the health check, and finds the files."""
    container = store("buildah", "from", images.docker)
    found = json.loads(store("buildah", "inspect", container))
    assert found["Docker"]["config"]["Healthcheck"]["Test"][0] == "CMD"
    root = Path(store("buildah", "mount", container))
    assert (root / "usr/bin/split-sync").is_file()
    store("buildah", "umount", container)


# A scanner ----------------------------------------------------------------------------------


def syft(where: str) -> Any:
    program = Path(sys.executable).with_name("syft")
    if not program.exists():
        missing("no syft", "make, which installs the group oracle")
    return json.loads(run(program, "scan", where, "-q", "-o", "json", limit=100))


@pytest.mark.parametrize("form", ["docker", "layout"])
def test_syft_finds_the_packages(images: Images, form: str) -> None:
    """The packages that gave a file and no others, with their versions, and the distribution."""
    where = getattr(images, form).removesuffix(":split-sync:1").replace("oci:", "oci-dir:")
    found = syft(where)
    packages = {one["name"]: one["version"] for one in found["artifacts"] if one["type"] == "deb"}
    assert sorted(packages) == PACKAGES
    installed = run("/usr/bin/dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES)
    assert packages == dict(line.split() for line in installed.splitlines())
    assert found["distro"]["id"] == "debian"


# The Docker Engine --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("archive", "image"), [("docker.tar", "split-sync:1"), ("proxy.tar", "split-proxy:1")]
)
def test_docker_loads_it(engine: Engine, images: Images, archive: str, image: str) -> None:
    """Loaded, it is the image that we say. What it does then: test_images."""
    engine("load", "--input", str(images.folder / archive))
    assert engine("inspect", "--format", "{{.Id}}", image) == images.digests[archive]
