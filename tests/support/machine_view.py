"""This machine's root as a view that opens files where they are, by the system's own look-up."""

import os
from collections.abc import Iterable
from pathlib import Path

from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError


class MachineView:
    """This machine's root, as it is; ld.so.conf, which needs a listing, is not read."""

    def __init__(self, **env: str) -> None:
        self.config: ImageConfig | None = ImageConfig(env=env)

    def entries(self) -> Iterable[Entry]:
        return ()

    def lstat(self, path: str) -> Entry | None:
        raise NotImplementedError

    def resolve(self, path: str) -> Entry | None:
        real = Path(os.path.realpath(path))
        if not real.exists():
            return None
        kind, status = Kind.DIRECTORY if real.is_dir() else Kind.FILE, real.stat()
        return Entry(str(real), kind, status.st_mode & 0o7777, 0, 0, status.st_size)

    def read(self, path: str, limit: int = 2**26) -> bytes:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ViewError(str(error)) from None
        assert len(data) <= limit
        return data

    def part(self, path: str, start: int, size: int) -> bytes:
        return self.read(path)[start : start + size]
