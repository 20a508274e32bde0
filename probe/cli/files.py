"""Reading and writing files whole: as they are, or one line that says why not."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

from probe.cli.errors import UsageError

_ANY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_KEPT_BITS = 0o7777


def read_text(path: Path) -> str:
    """Return a file's text, every line end as it is. Raises UsageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot read: {_cause(error)}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> str:
    """Return bytes as text; *name* is what the error calls them. Raises UsageError."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}:{line}: not UTF-8: byte 0x{data[error.start]:02x}") from error


def write_files(texts: Mapping[Path, str]) -> None:
    """Write files with the folders they need; where one cannot be written, none is.

    See `write_text`. Raises UsageError.
    """
    with contextlib.ExitStack() as prepared:
        for path in texts:
            prepared.callback(_remove_empty, _make_folders(path))
        ready = [(path, prepared.enter_context(_prepared(path, texts[path]))) for path in texts]
        for path, temporary in ready:
            _move(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Put a text in the place of a file in one step, or leave the file as it was.

    The file keeps mode, owner and extended attributes; a symbolic link stays and its target is
    written. Raises UsageError where that cannot be: no write bits, a second hard link (which would
    go on showing the old text), a folder or file system that takes no file.
    """
    with _prepared(path, text) as temporary:
        _move(temporary, path)


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def _told(path: Path, what: str = "write") -> Iterator[None]:
    """Tell an error of the system with the file that it is about."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot {what}: {_cause(error)}") from error


@contextlib.contextmanager
def _prepared(path: Path, text: str) -> Iterator[str]:
    """Give a file beside the one to write that is like it but for the text."""
    target = _target(path)
    with _told(path), _written(target, text.encode()) as temporary:
        _dress(temporary, target, _existing(target, path))
        yield temporary


def _move(temporary: str, path: Path) -> None:
    target = _target(path)
    with _told(path):
        os.replace(temporary, target)  # noqa: PTH105 # tests interrupt it here
        _sync_folder(target.parent)


def _make_folders(path: Path) -> list[Path]:
    """Make the folders that a file needs and return those that were not there, inner ones first."""
    missing = [folder for folder in path.parents if not folder.exists()]
    with _told(path, "make its folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders again that nothing came into."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _existing(target: Path, path: Path) -> os.stat_result | None:
    """Return what the file is like, None where there is none; UsageError if it must stay."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    reasons = {
        "it is not a file": not stat.S_ISREG(found.st_mode),
        "it has no write bits": not found.st_mode & _ANY_WRITE,
        "it has another hard link, which would keep the old text": found.st_nlink > 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise UsageError(f"{path}: cannot write: {reason}")
    os.close(os.open(target, os.O_WRONLY))  # tells whether the file itself may be written
    return found


@contextlib.contextmanager
def _written(target: Path, data: bytes) -> Iterator[str]:
    """Give a file beside the target that holds the data; it is gone afterwards, whatever comes."""
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108 # beside os.replace


def _dress(temporary: str, target: Path, before: os.stat_result | None) -> None:
    """Give a new file mode, owner and attributes of the one whose place it takes."""
    path = Path(temporary)
    if before is None:
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        return
    made = path.stat()
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        os.chown(path, before.st_uid, before.st_gid)
    path.chmod(before.st_mode & _KEPT_BITS)
    for name in os.listxattr(target):
        with contextlib.suppress(OSError):  # some are the file system's own
            os.setxattr(path, name, os.getxattr(target, name))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        return  # the file is in place; some file systems cannot sync a folder
    finally:
        os.close(descriptor)


def _cause(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
