"""Files are written whole or not at all, and stay the files they were."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probe.cli.errors import UsageError
from probe.cli.files import read_text
from probe.cli.files import write_files
from probe.cli.files import write_text
from tests.support.components import require
from tests.support.components import require_root

OLD, NEW = "old\r\nlast", "new\r\nlast"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "file.yaml"
    path.parent.mkdir()
    path.write_bytes(OLD.encode())
    return path


def content(path: Path) -> str:
    return path.read_bytes().decode()


def left_over(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir() if entry.name != path.name]


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o640, 0o4755], ids=oct)
def test_mode(file: Path, mode: int) -> None:
    """The new file has the old one's mode, set-user-ID included."""
    file.chmod(mode)
    write_text(file, NEW)
    assert (content(file), stat.S_IMODE(file.stat().st_mode)) == (NEW, mode)
    assert left_over(file) == []


def test_owner(file: Path) -> None:
    """And its owner and group."""
    require_root()
    os.chown(file, 1234, 2345)
    write_text(file, NEW)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


def test_attributes(file: Path) -> None:
    """And its extended attributes."""
    os.setxattr(file, "user.note", b"kept")
    write_text(file, NEW)
    assert os.getxattr(file, "user.note") == b"kept"


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
def test_symbolic_link(file: Path, tmp_path: Path, *, relative: bool) -> None:
    """A link stays a link, and what it points to is written, through another link too."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.symlink_to(Path("folder/file.yaml") if relative else file)
    second.symlink_to(first)
    write_text(second, NEW)
    assert (second.is_symlink(), first.is_symlink(), content(file)) == (True, True, NEW)


def test_new_file(tmp_path: Path) -> None:
    """A file that is not there is made, with its folders and the mode that the umask leaves."""
    old = os.umask(0o027)
    try:
        write_files({tmp_path / "a" / "b.yaml": NEW})
    finally:
        os.umask(old)
    assert content(tmp_path / "a" / "b.yaml") == NEW
    assert stat.S_IMODE((tmp_path / "a" / "b.yaml").stat().st_mode) == 0o640


def test_all_files_or_none(tmp_path: Path) -> None:
    """Where one file cannot be written the others are not, and no folder or temporary stays."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    with pytest.raises(UsageError, match="blocked: cannot write: it is not a file"):
        write_files({tmp_path / "new" / "a.yaml": NEW, blocked: NEW})
    assert list(tmp_path.iterdir()) == [blocked]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), OSError(28, "No space")])
def test_interrupted(file: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Whatever ends it before the last step, the old file stands, and nothing beside it."""

    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises((KeyboardInterrupt, SystemExit, UsageError)):
        write_text(file, NEW)
    assert (content(file), left_over(file)) == (OLD, [])


SLOW = """
import os, signal, sys, time
from pathlib import Path
from probe.cli.files import write_text
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
def stuck(*_):
    print("stuck", flush=True)
    time.sleep(30)
os.replace = stuck
write_text(Path(sys.argv[1]), "new")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_signal(file: Path, number: signal.Signals) -> None:
    """A signal between writing and replacing leaves the old file alone."""
    command = [sys.executable, "-c", SLOW, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(10) != 0
    assert (content(file), left_over(file)) == (OLD, [])


def test_without_write_bits(file: Path) -> None:
    """A file without write bits is meant to stay, even where root could replace it."""
    file.chmod(0o444)
    with pytest.raises(UsageError, match=r"file\.yaml: cannot write: it has no write bits"):
        write_text(file, NEW)
    assert content(file) == OLD


def test_hard_link(file: Path, tmp_path: Path) -> None:
    """A file with a second name is refused: a replacement would part the two."""
    (tmp_path / "other").hardlink_to(file)
    with pytest.raises(UsageError, match="another hard link"):
        write_text(file, NEW)
    assert content(file) == OLD


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write: it is not a file"):
        write_text(tmp_path, NEW)


AS_NOBODY = """
import os, sys
from pathlib import Path
from probe.cli.errors import UsageError
from probe.cli.files import write_text
os.setgid(65534); os.setuid(65534)
try:
    write_text(Path(sys.argv[1]), "new")
except UsageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "said"),
    [
        pytest.param(0o755, 0o666, "permission denied", id="folder"),
        pytest.param(0o777, 0o644, "permission denied", id="file"),
        pytest.param(0o777, 0o666, "operation not permitted", id="owner cannot be kept"),
    ],
)
def test_not_allowed(file: Path, folder_mode: int, file_mode: int, said: str) -> None:
    """What an ordinary user may not write is refused in one line."""
    require_root()
    for parent in file.parents:
        if not parent.stat().st_mode & 0o001:  # pytest's own folders
            parent.chmod(0o711)
    file.parent.chmod(folder_mode)
    file.chmod(file_mode)
    command = [sys.executable, "-c", AS_NOBODY, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"{file}: cannot write: {said}"
    assert (content(file), left_over(file)) == (OLD, [])


def test_read_only_mount(file: Path) -> None:
    """A file on a read-only mount is refused in one line."""
    require_root()
    program = f"{sys.executable} -m probe wire {file.parent}/compose.yaml"
    (file.parent / "compose.yaml").write_text("services:\n  web:\n    image: web\n")
    folder = file.parent
    script = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && {program}"
    done = subprocess.run(
        [require("unshare"), "-m", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        f"probe: {folder}/compose.yaml: cannot write: read-only file system"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"a\nb\n\xff\n", r":3: not UTF-8: byte 0xff", id="not UTF-8"),
        pytest.param(None, "cannot read: no such file", id="missing"),
    ],
)
def test_unreadable(tmp_path: Path, data: bytes | None, said: str) -> None:
    path = tmp_path / "file"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=said):
        read_text(path)


def test_unreadable_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        read_text(tmp_path)
