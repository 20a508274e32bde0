"""Where the loaders of glibc and musl look for a library, and in which order.

The rules of the first are in ld.so(8) and glibc's elf/dl-load.c, of the second in musl's
ldso/dynlink.c. What differs from a machine to the next is left at what every one has:
`glibc-hwcaps` of newer CPUs are searched only where they are asked for, and the legacy ones
(`tls/`, `haswell/`), which glibc 2.37 dropped, are not.
"""

import re
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from posixpath import dirname
from posixpath import join
from typing import Protocol

from probe.image.elf.reader import Elf
from probe.image.loader.files import HWCAPS
from probe.image.loader.files import LD_SO_CACHE
from probe.image.loader.files import CacheState
from probe.image.loader.files import LoaderFiles
from probe.image.loader.files import machine_of


class Rule(StrEnum):
    """By which rule a file was found."""

    ENTRY = "entry"
    INTERPRETER = "interpreter"
    PATH = "path"
    """The name has a slash and is the path."""
    RPATH = "RPATH"
    ENVIRONMENT = "LD_LIBRARY_PATH"
    RUNPATH = "RUNPATH"
    CACHE = "ld.so.cache"
    DEFAULT = "default directory"
    LOADED = "already loaded"
    CONFIGURED = "ld.so.conf"
    """Only ld.so.conf would lead there, the cache does not: the loader fails."""


Place = tuple[str, Rule]
"""A directory that is searched, or the cache's own path, and why."""
Candidate = tuple[str, Rule]
"""A path that is tried, and why."""


@dataclass(slots=True, eq=False)
class Loaded:
    """A file in the process: glibc calls it a link map.

    `opened` is the path by which it was opened, `path` the one that this leads to; `loader` had it
    loaded first. `late` is what the program itself opens, after its start.
    """

    path: str
    opened: str
    elf: Elf
    loader: "Loaded | None" = None
    late: bool = False

    def lineage(self) -> Iterator["Loaded"]:
        """Itself, who had it loaded, and so on up to the program."""
        item: Loaded | None = self
        while item is not None:
            yield item
            item = item.loader

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(item.path for item in self.lineage())[::-1]

    @property
    def origin(self) -> str:
        """The directory of `$ORIGIN`.

        The kernel tells a program its real path, a library has the one it was opened by.
        """
        return dirname(self.path if self.loader is None else self.opened)


@dataclass(slots=True, eq=False)
class Process:
    """One program and what is loaded so far, in that order; `interpreter` may be among it."""

    files: LoaderFiles
    main: Loaded
    interpreter: Loaded | None = None
    loaded: list[Loaded] = field(default_factory=list)
    by_path: dict[str, Loaded] = field(default_factory=dict)
    by_name: dict[str, Loaded] = field(default_factory=dict)

    def enter(self, item: Loaded) -> None:
        self.loaded.append(item)
        self.by_path[item.path] = item

    def name(self, item: Loaded, *names: str | None) -> None:
        """Let *item* be known by *names*, as far as no earlier one has them."""
        for name in names:
            if name:
                self.by_name.setdefault(name, item)


class Loader(Protocol):
    """The rules of one libc's loader for one process."""

    def already(self, name: str) -> Loaded | None:
        """Return what is loaded and serves for *name*."""

    def places(self, loader: Loaded) -> Iterator[Place]:
        """Return where a name without a slash, needed by *loader*, is looked for, in order."""

    def candidates(self, name: str, loader: Loaded) -> Iterator[Candidate]:
        """Return the paths to try for *name*; whether they are there is not known."""


def searched(rules: Loader, loader: Loaded) -> tuple[str, ...]:
    """Return the directories that *loader*'s needs are looked for in, each once, there or not."""
    places = rules.places(loader)
    return tuple(dict.fromkeys(place for place, rule in places if rule is not Rule.CONFIGURED))


_DSTS = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))")


class Glibc:
    """glibc's ld.so."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.files = process.files
        self.main = process.main
        interpreter = process.interpreter
        self.system = self.files.default_directories(
            interpreter.path if interpreter else None, self.main.elf
        )
        entry = self.files.entry(self.main.path)
        secure = entry is not None and bool(entry.mode & 0o6000)
        listed = "" if secure else self.files.environment.get("LD_LIBRARY_PATH", "")
        self.environment = re.split("[:;]", listed) if listed else []
        self.own: dict[str, tuple[Place, ...]] = {}

    def already(self, name: str) -> Loaded | None:
        """Whoever was loaded by this name or carries it as soname."""
        return self.process.by_name.get(name)

    def places(self, loader: Loaded) -> Iterator[Place]:
        own = self.own.get(loader.path)
        if own is None:
            own = self.own[loader.path] = tuple(self.own_places(loader))
        yield from own
        if self.files.cache_state is CacheState.PRESENT:
            yield LD_SO_CACHE, Rule.CACHE
        if not loader.elf.no_default_libraries:
            yield from ((directory, Rule.DEFAULT) for directory in self.system)
            # the loader does not go there, but the image's author meant it to
            yield from ((directory, Rule.CONFIGURED) for directory in self.files.configured)

    def own_places(self, loader: Loaded) -> Iterator[Place]:
        """What the files and the environment say, before the system's places."""
        yield from ((directory, Rule.RPATH) for directory in self.inherited(loader))
        for directory in self.expanded(self.environment, self.main):
            yield directory, Rule.ENVIRONMENT
        if loader.elf.runpath:
            for directory in self.expanded(loader.elf.runpath.split(":"), loader):
                yield directory, Rule.RUNPATH

    def inherited(self, loader: Loaded) -> Iterator[str]:
        """RPATH of the loader, unless it has a RUNPATH, and of whoever had it loaded."""
        if loader.elf.runpath is None:
            for item in loader.lineage():
                if item.elf.rpath:
                    yield from self.expanded(item.elf.rpath.split(":"), item)

    def expanded(self, directories: Iterable[str], item: Loaded) -> Iterator[str]:
        """An empty directory is the current one, and a relative one is relative to it."""
        for directory in directories:
            yield self.files.absolute(self.expand(directory, item).rstrip("/"))

    def expand(self, text: str, item: Loaded) -> str:
        if "$" not in text:
            return text
        values = {
            "ORIGIN": item.origin,
            "LIB": self.system[0].strip("/").removeprefix("usr/"),
            "PLATFORM": machine_of(self.main.elf).platform,
        }
        return _DSTS.sub(lambda found: values[found[1] or found[2]], text)

    def candidates(self, name: str, loader: Loaded) -> Iterator[Candidate]:
        if "/" in name:
            yield self.files.absolute(self.expand(name, loader)), Rule.PATH
            return
        for place, rule in self.places(loader):
            if rule is Rule.CACHE:
                yield from self.in_cache(name, loader)
            elif self.files.is_directory(place):
                for hwcap in self.files.hwcaps:
                    yield join(place, HWCAPS, hwcap, name), rule
                yield join(place, name), rule

    def in_cache(self, name: str, loader: Loaded) -> Iterator[Candidate]:
        path = self.files.cached(name, self.main.elf)
        # -z nodefaultlib bars the default directories in the cache too
        barred = self.system if loader.elf.no_default_libraries else ()
        if path is not None and not path.startswith(tuple(f"{place}/" for place in barred)):
            yield path, Rule.CACHE


class Musl:
    """musl's loader, which is its libc too."""

    RESERVED = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
    """Names that mean libc itself, whatever follows the dot."""
    DEFAULT = "/lib:/usr/local/lib:/usr/lib"

    def __init__(self, process: Process) -> None:
        self.process = process
        self.files = process.files
        self.environment = self.files.environment.get("LD_LIBRARY_PATH", "")
        self.system = self.system_path(process.main.elf.interpreter or "")

    def system_path(self, interpreter: str) -> str:
        """What the path file beside the loader's prefix says, or the default."""
        prefix, found, last = interpreter.rpartition("/lib/ld-musl-")
        path = f"{prefix}/etc/ld-musl-{last.removesuffix('.so.1')}.path"
        text = self.files.text(path) if found else None
        return self.DEFAULT if text is None else text

    def already(self, name: str) -> Loaded | None:
        """By names alone: a soname counts for nothing here."""
        if self.process.interpreter and name.startswith(self.RESERVED):
            return self.process.interpreter
        return self.process.by_name.get(name)

    def places(self, loader: Loaded) -> Iterator[Place]:
        yield from self.listed(self.environment, Rule.ENVIRONMENT)
        for item in loader.lineage():
            rule = Rule.RPATH if item.elf.runpath is None else Rule.RUNPATH
            yield from self.listed(self.search_path(item), rule)
        yield from self.listed(self.system, Rule.DEFAULT)

    def search_path(self, item: Loaded) -> str:
        """RUNPATH or RPATH, both inherited; with another `$` than ORIGIN's musl takes none."""
        path = item.elf.runpath or item.elf.rpath or ""
        text = path.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", item.origin)
        return "" if "$" in text else text

    def listed(self, path: str, rule: Rule) -> Iterator[Place]:
        for directory in re.split("[:\n]", path):
            if directory:
                yield self.files.absolute(directory), rule

    def candidates(self, name: str, loader: Loaded) -> Iterator[Candidate]:
        if "/" in name:
            yield self.files.absolute(name), Rule.PATH
            return
        yield from ((join(place, name), rule) for place, rule in self.places(loader))
