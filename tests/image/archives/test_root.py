"""Root directories: nothing outside is opened, and nothing that is no file."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from probe.image.archives import MAX_DEPTH
from probe.image.archives import open_image
from probe.image.view import MAX_PATH
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import ViewError
from tests.support.archive_files import contents
from tests.support.archive_files import write
from tests.support.components import require_root


def test_root(root: Path) -> None:
    (root / "etc/x").chmod(0o4711)
    with open_image(str(root)) as image:
        assert contents(image) == {"/etc/x": b"x", "/usr/bin/y": b"y"}
        assert (image.read("/bin/y"), image.read("/abs")) == (b"y", b"x")
        entry = image.lstat("/etc/x")
        assert entry is not None
        assert (entry.mode, entry.size, entry.uid) == (0o4711, 1, os.getuid())
        assert (image.config, image.faults) == (None, ())
        assert [entry.path for entry in image.entries()] == sorted(
            entry.path for entry in image.entries()
        )


@pytest.mark.parametrize(
    "path",
    ["/out", "/absout", "/parent/secret", "/../secret", "/loop", "/proc", "../secret"],
)
def test_nothing_outside_a_root(root: Path, path: str) -> None:
    with open_image(str(root)) as image:
        assert image.resolve(path) is None
        with pytest.raises(ViewError, match="no such file"):
            image.read(path)


def test_neither_fifo_nor_socket_is_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s"))
        with open_image(str(root)) as image:
            assert [image.resolve(f"/{name}") for name in ("fifo", "s")] == [
                Entry("/fifo", Kind.OTHER, (root / "fifo").stat().st_mode & 0o7777,
                      os.getuid(), os.getgid(), 0),
                Entry("/s", Kind.OTHER, (root / "s").stat().st_mode & 0o7777,
                      os.getuid(), os.getgid(), 0),
            ]  # fmt: skip
            for name in ("fifo", "s"):
                with pytest.raises(ViewError, match="not a file"):
                    image.read(f"/{name}")


def exchange_parent(root: Path) -> None:
    (root / "etc/x").unlink()
    (root / "etc").rmdir()
    (root.parent / "x").write_bytes(b"secret")
    (root / "etc").symlink_to("..")


def exchange_file(root: Path) -> None:
    (root / "etc/x").unlink()
    (root / "etc/x").symlink_to("../../secret")


def exchange_fifo(root: Path) -> None:
    (root / "etc/x").unlink()
    os.mkfifo(root / "etc/x")


@pytest.mark.parametrize("exchange", [exchange_parent, exchange_file, exchange_fifo])
def test_a_root_that_changes_underneath(root: Path, exchange: Any) -> None:
    """A link or a FIFO put in a listed file's place is neither followed nor waited for."""
    with open_image(str(root)) as image:
        exchange(root)
        with pytest.raises(ViewError, match=r"cannot be read|not a file any more"):
            image.read("/etc/x")


def test_deep_root(tmp_path: Path) -> None:
    """Deeper than we hold directories open: named, and no further."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 50):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    write(tmp_path, {"e/f/x": b"x"})
    with open_image(str(tmp_path)) as image:
        assert image.read("/e/f/x") == b"x"
        assert len(list(image.entries())) == 1 + MAX_DEPTH + 3
        assert [fault.reason for fault in image.faults] == ["too deep: not looked into"]


def test_devices_and_unreadable_directories(root: Path) -> None:
    """A device is listed and never opened, whatever its mode."""
    require_root()
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))
    with open_image(str(root)) as image:
        found = image.resolve("/null")
        assert found is not None
        assert (found.kind, found.device) == (Kind.OTHER, True)
        with pytest.raises(ViewError, match="not a file"):
            image.read("/null")


def test_unreadable_is_reported() -> None:
    """As another user: what is closed is named, the rest is there."""
    require_root()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = write(Path(folder), {"etc/x": b"x", "etc/z": b"z", "usr/bin/y": b"y"})
        (root / "etc/x").chmod(0)
        (root / "usr/bin").chmod(0)
        os.seteuid(65534)
        try:
            with open_image(str(root)) as image:
                faults = {fault.path: fault.reason for fault in image.faults}
                assert image.read("/etc/z") == b"z"
                with pytest.raises(ViewError, match="permission denied"):
                    image.read("/etc/x")
        finally:
            os.seteuid(0)
    assert faults == {
        "/etc/x": "cannot be read: permission denied",
        "/usr/bin": "cannot be listed: permission denied",
    }


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    """The system makes them, name by name, and takes none of them in one call."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(MAX_PATH // 200):
        os.mkdir("d" * 199, dir_fd=fd)
        below = os.open("d" * 199, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    for name in ("short", "l" * 200):
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    with open_image(str(tmp_path)) as image:
        files = [entry.path for entry in image.entries() if entry.kind is Kind.FILE]
        assert [path.rpartition("/")[2] for path in files] == ["short"]
        assert image.read(files[0]) == b""
        assert [fault.reason for fault in image.faults] == ["its path is too long: not looked at"]


def test_this_machine() -> None:
    """A real system's own files: each name that stands there is found again through the view."""
    with open_image("/etc") as image:
        entries = list(image.entries())
        files = [entry for entry in entries if entry.kind is Kind.FILE][:200]
        for entry in files:
            if os.access(f"/etc{entry.path}", os.R_OK):
                assert image.read(entry.path) == Path(f"/etc{entry.path}").read_bytes()
    assert {entry.path for entry in entries if entry.path.count("/") == 1} == {
        "/", *(f"/{path.name}" for path in Path("/etc").iterdir())
    }  # fmt: skip
