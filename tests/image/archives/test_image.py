"""Every way in, and what an opened image gives."""

import gzip
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from probe.image.archives import open_image
from probe.image.view import ViewError
from tests.support.archive_files import BOMB
from tests.support.archive_files import DOCKER
from tests.support.archive_files import FILES
from tests.support.archive_files import LOWER
from tests.support.archive_files import SMALL
from tests.support.archive_files import UPPER
from tests.support.archive_files import contents
from tests.support.archive_files import docker_files
from tests.support.archive_files import from_bytes
from tests.support.archive_files import oci
from tests.support.archive_files import symbolic
from tests.support.archive_files import tar
from tests.support.archive_files import write

ARCHIVES = [
    pytest.param(DOCKER, "docker", id="docker-archive"),
    pytest.param(gzip.compress(DOCKER), "docker", id="docker-archive with gzip"),
    pytest.param(tar({**oci(), **docker_files(LOWER, UPPER)}), "docker", id="both in one"),
    pytest.param(tar(oci()), "oci", id="OCI"),
    pytest.param(tar(oci(gzip.compress)), "oci", id="OCI with gzip"),
    pytest.param(tar(oci(media="docker.distribution")), "docker", id="OCI with Docker's manifest"),
]


@pytest.mark.parametrize(("archive", "form"), ARCHIVES)
def test_archive(archive: bytes, form: str, tmp_path: Path) -> None:
    """From a file, from a stream and through a FIFO: layers applied, the configuration read."""
    path = tmp_path / "image"
    path.write_bytes(archive)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(archive,)).start()
    for image in (from_bytes(archive), open_image(str(path)), open_image(str(fifo))):
        with image:
            assert contents(image) == FILES
            assert image.config is not None
            assert image.config.format == form
            assert image.faults == ()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_oci_folder(pack: Any, tmp_path: Path) -> None:
    with open_image(str(write(tmp_path, oci(pack)))) as image:
        assert contents(image) == FILES


def test_root_tar() -> None:
    """What `docker export` gives: no layers, no whiteouts, no configuration."""
    with from_bytes(tar({"etc/.wh.x": b"", "etc/x": b"1", "manifest.json": b"{}"})) as image:
        assert contents(image) == {"/etc/.wh.x": b"", "/etc/x": b"1", "/manifest.json": b"{}"}
        assert image.config is None


def test_legacy_layer_links() -> None:
    """Old `docker save` writes a layer once and links to it."""
    files = docker_files(LOWER, LOWER)
    del files["c1/layer.tar"]
    with from_bytes(tar(files, symbolic("c1/layer.tar", "../c0/layer.tar"))) as image:
        assert image.read("/lib/sh") == b"elf"


def test_read_errors() -> None:
    with from_bytes(tar({"etc/x": b"12345"}, symbolic("etc/l", "x"))) as image:
        assert image.read("/etc/l", limit=5) == b"12345"
        for path, limit, message in [
            ("/etc/x", 4, "more than 4 bytes"),
            ("/etc", 9, "not a file"),
            ("/nope", 9, "no such file"),
        ]:
            with pytest.raises(ViewError, match=message):
                image.read(path, limit)


@pytest.mark.parametrize("size", [0, 1, 5, 6])
def test_head(tmp_path: Path, size: int) -> None:
    """From an archive and from a root alike; a file that has fewer bytes gives them."""
    files = {"etc/x": b"12345"}
    root = open_image(str(write(tmp_path, files)))
    with root, from_bytes(tar(files, symbolic("etc/l", "x"))) as image:
        assert image.part("/etc/l", 0, size) == root.part("/etc/x", 0, size) == b"12345"[:size]


def test_head_errors() -> None:
    with from_bytes(tar({"etc/x": b"12345"})) as image:
        for path, message in [("/etc", "not a file"), ("/nope", "no such file")]:
            with pytest.raises(ViewError, match=message):
                image.part(path, 0, 4)


def test_zstd() -> None:
    """Of one frame and of several, as podman's zstd:chunked has; an empty one is not the end."""
    compress = pytest.importorskip("zstandard").compress

    def frames(data: bytes) -> bytes:
        compressed: bytes = compress(data[:1000]) + compress(b"") + compress(data[1000:])
        return compressed

    for pack in (compress, frames):
        with from_bytes(tar(oci(pack))) as image:
            assert contents(image) == FILES
    damaged = bytearray(compress(DOCKER))
    damaged[50:54] = b"xxxx"
    with pytest.raises(ViewError, match="damaged or truncated"):
        from_bytes(bytes(damaged))


def test_zstd_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ViewError, match="pip install zstandard"):
        from_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))


@pytest.mark.parametrize("name", ["/nowhere", "/dev/null", "a\0b"])
def test_nothing_to_open(name: str) -> None:
    with pytest.raises(ViewError):
        open_image(name)


def test_no_descriptor_is_left(root: Path) -> None:
    """Neither after use nor after an error."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    open_image(str(root)).close()
    from_bytes(tar(oci(gzip.compress))).close()
    for data in (BOMB, DOCKER[:-20_000]):
        with pytest.raises(ViewError):
            from_bytes(data, limits=SMALL)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
