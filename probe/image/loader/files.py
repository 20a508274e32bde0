"""An image as loaders see it: each file read once, the configuration of glibc's loader parsed.

What the processes of one image share stands here; whose rules look where stands in loaders.py.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from functools import partial
from posixpath import dirname
from posixpath import join

from probe.image.elf import reader as elf_file
from probe.image.elf.reader import Elf
from probe.image.elf.reader import ElfError
from probe.image.elf.source import Paged
from probe.image.elf.source import Source
from probe.image.elf.source import Whole
from probe.image.loader import nsswitch
from probe.image.loader.cache import CACHE_FLAGS
from probe.image.loader.cache import CacheEntry
from probe.image.loader.cache import CacheError
from probe.image.loader.cache import read_cache
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import ViewError

LD_SO_CACHE = "/etc/ld.so.cache"
LD_SO_CONF = "/etc/ld.so.conf"
LD_SO_PRELOAD = "/etc/ld.so.preload"
NSSWITCH = "/etc/nsswitch.conf"
HWCAPS = "glibc-hwcaps"

MAX_FILE = 512 * 2**20
"""Bytes of one program or library: the largest known are browsers' of about 250 MB."""
_MAX_LOADER = 16 * 2**20
"""Bytes of a loader in which its directories are sought: glibc's has 0.2 MB."""
_MAX_CONFIG = 2**20
_MAX_CACHE = 16 * 2**20
_MAX_INCLUDES = 256

_SYSTEM_DIRECTORIES = re.compile(
    rb"\0((?:/(?:[!-.0-~]{1,255}/){0,8}lib[!-.0-~]{0,255}/(?:[!-.0-~]{1,255}/){0,8}\0){2,16})"
)
"""How a glibc loader carries its default directories: /lib/x86_64-linux-gnu/ and so on in a row."""


_SLASHES = re.compile("/{2,}")


class CacheState(StrEnum):
    """How /etc/ld.so.cache is found; an absent one is normal in small images."""

    PRESENT = "present"
    ABSENT = "absent"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Machine:
    """What glibc calls an architecture: multiarch triplet, AT_PLATFORM, its loader's path."""

    triplet: str = ""
    platform: str = ""
    loader: str = ""


_MACHINES = {
    "386": Machine("i386-linux-gnu", "i686", "/lib/ld-linux.so.2"),
    "amd64": Machine("x86_64-linux-gnu", "x86_64", "/lib64/ld-linux-x86-64.so.2"),
    "arm": Machine("arm-linux-gnueabihf", "v7l", "/lib/ld-linux-armhf.so.3"),
    "arm64": Machine("aarch64-linux-gnu", "aarch64", "/lib/ld-linux-aarch64.so.1"),
    "loong64": Machine(
        "loongarch64-linux-gnu", "loongarch", "/lib64/ld-linux-loongarch-lp64d.so.1"
    ),
    "mips64le": Machine("mips64el-linux-gnuabi64", "mips64", "/lib64/ld.so.1"),
    "ppc64le": Machine("powerpc64le-linux-gnu", "power8", "/lib64/ld64.so.2"),
    "riscv64": Machine("riscv64-linux-gnu", "riscv64", "/lib/ld-linux-riscv64-lp64d.so.1"),
    "s390x": Machine("s390x-linux-gnu", "z900", "/lib/ld64.so.1"),
}
_UNKNOWN = Machine()


def machine_of(program: Elf) -> Machine:
    return _MACHINES.get(program.architecture or "", _UNKNOWN)


class LoaderFiles:
    """A view, each of whose files is read at most once.

    `hwcaps` are the glibc-hwcaps of the CPU to load for, best first.
    """

    def __init__(self, view: View, hwcaps: tuple[str, ...] = ()) -> None:
        self.view = view
        self.hwcaps = hwcaps
        self.environment: Mapping[str, str] = view.config.env if view.config else {}
        self.workdir = (view.config.workdir if view.config else "") or "/"
        self._found: dict[str, Entry | None] = {}
        self._read: dict[str, Elf | ElfError] = {}
        self._defaults: dict[tuple[str | None, str | None, int], tuple[str, ...]] = {}
        self._versions: dict[str, frozenset[str]] = {}
        self._below_hwcaps: dict[str, list[str]] = {}

    def entry(self, path: str) -> Entry | None:
        if path not in self._found:
            self._found[path] = self.view.resolve(path)
        return self._found[path]

    def resolve(self, path: str) -> str | None:
        """Follow a path to a file or directory; None where there is none."""
        entry = self.entry(path)
        return None if entry is None else entry.path

    def absolute(self, path: str) -> str:
        """Make a path of a relative one, as a process that starts in the workdir does."""
        return _SLASHES.sub("/", join(self.workdir, path))

    def is_directory(self, path: str) -> bool:
        entry = self.entry(path)
        return entry is not None and entry.kind is Kind.DIRECTORY

    def facts(self, path: str) -> Elf:
        """Read the file at a resolved path, or raise ElfError."""
        found = self._read.get(path)
        if found is None:
            found = self._read[path] = self._facts(path)
        if isinstance(found, ElfError):
            raise found
        return found

    def versions(self, path: str) -> frozenset[str]:
        """The versions that the file at a resolved path gives."""
        if path not in self._versions:
            self._versions[path] = frozenset(self.facts(path).provides)
        return self._versions[path]

    def _facts(self, path: str) -> Elf | ElfError:
        try:
            return elf_file.read_from(self._source(path))
        except ElfError as error:
            return error
        except ViewError as error:
            return ElfError(str(error))

    def _source(self, path: str) -> Source:
        """The file in parts: of a large program a few are read."""
        entry = self.entry(path)
        if entry is None or entry.kind is not Kind.FILE:
            return Whole(self.view.read(path, MAX_FILE))  # says what is wrong with it
        return Paged(entry.size, partial(self.view.part, path))

    def text(self, path: str) -> str | None:
        try:
            return self.view.read(path, _MAX_CONFIG).decode("utf-8", "surrogateescape")
        except ViewError:
            return None

    @cached_property
    def services(self) -> Mapping[str, tuple[str, ...]]:
        """What nsswitch.conf names, each with the databases that ask for it."""
        return nsswitch.services(self.text(NSSWITCH))

    # The cache, and what it is made of

    @property
    def cache_state(self) -> CacheState:
        return self._cache[0]

    @cached_property
    def _cache(self) -> tuple[CacheState, Mapping[str, tuple[CacheEntry, ...]]]:
        if self.resolve(LD_SO_CACHE) is None:
            return CacheState.ABSENT, {}
        try:
            return CacheState.PRESENT, read_cache(self.view.read(LD_SO_CACHE, _MAX_CACHE))
        except (CacheError, ViewError):
            return CacheState.MALFORMED, {}

    def cached(self, name: str, program: Elf) -> str | None:
        """Give the one path that the loader takes from the cache, there or not."""
        flags = CACHE_FLAGS.get((program.machine, program.bits))
        entries = [e for e in self._cache[1].get(name, ()) if flags in {None, e.flags}]
        for hwcap in (*self.hwcaps, None):
            for entry in entries:
                if entry.hwcap == hwcap:
                    return entry.path
        return None

    @cached_property
    def configured(self) -> tuple[str, ...]:
        """The directories of ld.so.conf, those of the files that it includes among them."""
        return tuple(dict.fromkeys(self._configured_in(LD_SO_CONF, set())))

    def _configured_in(self, path: str, seen: set[str]) -> Iterator[str]:
        if path in seen or len(seen) > _MAX_INCLUDES:
            return
        seen.add(path)
        for line in (self.text(path) or "").splitlines():
            word, *rest = line.partition("#")[0].split() or [""]
            if word == "include":
                for pattern in rest:
                    for included in self.glob(join(dirname(path), pattern)):
                        yield from self._configured_in(included, seen)
            elif word.startswith("/"):
                yield word.partition("=")[0].rstrip("/") or "/"

    # Listings

    def glob(self, pattern: str) -> list[str]:
        """Paths of one directory, as a name with wildcards at the end has them, sorted."""
        parent, _, last = pattern.rpartition("/")
        where = self.resolve(parent or "/")
        if where is None:
            return []
        start = where.rstrip("/") + "/"
        return [path for path in self._children(start) if fnmatchcase(path[len(start) :], last)]

    def _children(self, start: str) -> Iterator[str]:
        entries = self._entries
        at = bisect_left(entries, start, key=_path)
        while at < len(entries) and entries[at].path.startswith(start):
            path = entries[at].path
            if "/" in path[len(start) :]:  # all that is below one directory is passed at once
                below = start + path[len(start) :].partition("/")[0] + "/"
                at = bisect_left(entries, below[:-1] + "0", at, key=_path)  # "0" follows "/"
                continue
            if path != start:
                yield path
            at += 1

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        return tuple(self.view.entries())

    # The default directories

    def default_directories(self, interpreter: str | None, program: Elf) -> tuple[str, ...]:
        """The default directories: compiled into the loader, so read from it."""
        key = (interpreter, program.architecture, program.bits)
        if key not in self._defaults:
            found = self._compiled_in(interpreter) if interpreter else ()
            self._defaults[key] = found or _usual_directories(program)
        return self._defaults[key]

    def _compiled_in(self, interpreter: str) -> tuple[str, ...]:
        try:
            found = _SYSTEM_DIRECTORIES.search(self.view.read(interpreter, _MAX_LOADER))
        except ViewError:
            return ()
        if found is None:
            return ()
        listed = found.group(1).decode().rstrip("\0").split("\0")
        return tuple(directory.rstrip("/") for directory in listed)

    # Libraries for newer CPUs

    def variants(self, opened: str, name: str) -> list[str]:
        """The same name below glibc-hwcaps of the directory where a file was found."""
        folder = join(dirname(opened), HWCAPS)
        if HWCAPS in opened or not self.is_directory(folder):
            return []
        return [path for path in self._hwcap_files(folder) if path.endswith(f"/{name}")]

    def _hwcap_files(self, folder: str) -> list[str]:
        if folder not in self._below_hwcaps:
            below = self.glob(f"{folder}/*")
            self._below_hwcaps[folder] = [path for sub in below for path in self.glob(f"{sub}/*")]
        return self._below_hwcaps[folder]


def _path(entry: Entry) -> str:
    return entry.path


def _usual_directories(program: Elf) -> tuple[str, ...]:
    triplet = machine_of(program).triplet
    wide = ("/lib64", "/usr/lib64") if program.bits == 64 else ()  # noqa: PLR2004 - the class
    multiarch = (f"/lib/{triplet}", f"/usr/lib/{triplet}") if triplet else ()
    return (*multiarch, *wide, "/lib", "/usr/lib")
