"""Where the image goes: written beside its place, put there in one step, or nothing is left."""

import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from typing import Protocol
from typing import Self

from probe.image.builder.errors import BuildError

_NEW_FILE = 0o666
_FOLDER = 0o755
_CHUNK = 2**20


class Output(Protocol):
    """A place that is written to through `path`, and has all of it once `commit` returns."""

    path: Path

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def commit(self) -> None: ...


class _Staged:
    """What stands at `path`, until `commit` moves it away, is removed at the end."""

    path: Path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(FileNotFoundError):
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()


class FileOutput(_Staged):
    """A file; a link stays, and what it leads to is replaced."""

    def __init__(self, where: Path) -> None:
        self._target = Path(os.path.realpath(where))
        descriptor, name = tempfile.mkstemp(
            dir=self._target.parent, prefix=f".{self._target.name[:100]}."
        )
        os.fchmod(descriptor, _NEW_FILE & ~_umask())
        os.close(descriptor)
        self.path = Path(name)

    def commit(self) -> None:
        self.path.replace(self._target)


class FolderOutput(_Staged):
    """A folder in the place of one that is empty or not there; with *force*, of any."""

    def __init__(self, where: Path, *, force: bool) -> None:
        self._target = Path(os.path.realpath(where))
        if self._target.exists() and not self._target.is_dir():
            raise BuildError(f"{where}: it is no folder")
        if self._target.is_dir() and any(self._target.iterdir()) and not force:
            raise BuildError(f"{where}: the folder is not empty; --force replaces it whole")
        self.path = _folder_beside(self._target)
        self.path.chmod(_FOLDER)

    def commit(self) -> None:
        if not self._target.exists() or not any(self._target.iterdir()):
            self.path.replace(self._target)
            return
        aside = _folder_beside(self._target)
        try:
            self._target.replace(aside)
            self.path.replace(self._target)
        except BaseException:
            # What was there comes back; where it never left, the folder for it goes.
            aside.replace(self._target) if not self._target.exists() else aside.rmdir()
            raise
        shutil.rmtree(aside)


class StreamOutput(_Staged):
    """A pipe or device, or stdout (None): it gets all or, where something is wrong, nothing."""

    def __init__(self, where: Path | None) -> None:
        self._where = where
        descriptor, name = tempfile.mkstemp(prefix="probe-image.")
        os.close(descriptor)
        self.path = Path(name)

    def commit(self) -> None:
        if self._where is None:
            self._copy(sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        with self._where.open("wb") as stream:
            self._copy(stream)

    def _copy(self, stream: BinaryIO) -> None:
        with self.path.open("rb") as file:
            shutil.copyfileobj(file, stream, _CHUNK)


def open_output(where: str, *, folder: bool, force: bool) -> Output:
    """Prepare to write to *where*; "-" is stdout.

    Raises:
        BuildError: it may not be replaced.
        OSError: there is no room or no right beside it.
    """
    if where == "-" and folder:
        raise BuildError("-: what is to be written is a folder; name it")
    if where == "-":
        return StreamOutput(None)
    path = Path(where)
    if folder:
        return FolderOutput(path, force=force)
    if path.is_dir():
        raise BuildError(f"{where}: it is a folder; name the file to write")
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        # A rename would put a file in the place of /dev/stdout or a FIFO.
        return StreamOutput(path)
    return FileOutput(path)


def _folder_beside(target: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:100]}."))


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
