"""Which files a program's loader opens before main() runs, and what it would not find.

Each entry is loaded as glibc's ld.so or musl's would load it, by reading alone. The rules of the
first are in ld.so(8), glibc's elf/dl-load.c (search), elf/dl-cache.c (ld.so.cache) and
elf/dl-version.c (symbol versions); of the second in musl's ldso/dynlink.c. What differs from a
machine to the next is left at what every one has: `glibc-hwcaps` of newer CPUs are searched where
they are asked for and else only listed, and the legacy ones (`tls/`, `haswell/`), which glibc 2.37
dropped, are not.

glibc's loader does not read ld.so.conf, only the cache that ldconfig makes of it. A library that
stands in a configured directory and not in the cache is therefore a fault, NOT_CACHED, but the
walk goes on through it, so that what it needs is judged too.
"""

import re
import struct
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from posixpath import dirname
from posixpath import join

from probe.image import elf as elf_file
from probe.image.elf import Elf
from probe.image.elf import ElfError
from probe.image.elf import Libc
from probe.image.view import View
from probe.image.view import ViewError

LD_SO_CACHE = "/etc/ld.so.cache"
LD_SO_CONF = "/etc/ld.so.conf"
LD_SO_PRELOAD = "/etc/ld.so.preload"
NSSWITCH = "/etc/nsswitch.conf"

MAX_FILE = 512 * 2**20
"""Bytes of one program or library: the largest known are browsers' of about 250 MB."""
_MAX_CONFIG = 2**20
_MAX_CACHE = 64 * 2**20
_MAX_INCLUDES = 256
_MAX_LOADED = 4096
"""Libraries of one process; LibreOffice has about 250."""


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


class Why(StrEnum):
    """What makes the loader look for a file."""

    ENTRY = "entry"
    INTERPRETER = "interpreter"
    NEEDED = "needed"
    PRELOAD = "preload"
    NSS = "nss"


class FaultKind(StrEnum):
    """What is wrong; only CACHE_STALE and PRELOAD, and mostly NSS, let the program start."""

    MISSING = "missing library"
    INTERPRETER = "missing interpreter"
    MISMATCH = "wrong class or machine"
    VERSION = "version not provided"
    NSS = "nss module missing"
    PRELOAD = "preload missing"
    NOT_CACHED = "not in the cache"
    CACHE_STALE = "cache stale"
    UNREADABLE = "unreadable"


class CacheState(StrEnum):
    """How /etc/ld.so.cache is found; an absent one is normal in small images."""

    PRESENT = "present"
    ABSENT = "absent"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Use:
    """One reason why a file is loaded: who asks for which name, and how that led here.

    `opened` is the path that the loader opens: with its links it must be there, not only the file
    at its end.
    """

    by: str | None
    name: str
    opened: str
    rule: Rule
    why: Why


@dataclass(frozen=True, slots=True)
class Node:
    """A file of the closure by its resolved path."""

    path: str
    elf: Elf
    uses: tuple[Use, ...]
    variants: tuple[str, ...] = ()
    """The same library for newer CPUs (glibc-hwcaps), which the loader takes there."""

    @property
    def needed_by(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(use.by for use in self.uses if use.by is not None))


@dataclass(frozen=True, slots=True)
class Fault:
    """What the loader would complain of: `subject` is the name that is at fault.

    `chain` leads from the entry to `by`, the file that asks.
    """

    kind: FaultKind
    subject: str
    by: str
    chain: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Closure:
    """All that the entries load, in the order of loading, and all that is wrong with it."""

    nodes: tuple[Node, ...]
    faults: tuple[Fault, ...]
    cache: CacheState

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(node.path for node in self.nodes)


def closure(
    view: View, entries: Iterable[str], *, hwcaps: tuple[str, ...] = (), nss: bool = True
) -> Closure:
    """Load each entry, a program or library, as a process of its own, and join what they load.

    Args:
        view: the image.
        entries: absolute paths; what is not there or is not ELF is a fault UNREADABLE.
        hwcaps: the glibc-hwcaps of the CPU to load for, best first (x86-64-v3, x86-64-v2).
        nss: follow what nsswitch.conf makes libc load.
    """
    image = _Image(view, hwcaps)
    gathered = _Gathered()
    for entry in entries:
        _Process(image, gathered).run(entry, nss=nss)
    nodes = tuple(
        Node(path, image.facts(path), tuple(uses), image.variants(uses))
        for path, uses in gathered.uses.items()
    )
    return Closure(nodes, tuple(gathered.faults.values()), image.cache_state)


# The loader's cache --------------------------------------------------------------------------

_OLD_CACHE = b"ld.so-1.7.0\0"
_NEW_CACHE = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = 48
_CACHE_ENTRY = 24
_OLD_HEADER, _OLD_ENTRY = 16, 12
_BIG_ENDIAN_CACHE = 3
_HWCAP_EXTENSION = 1 << 62
_EXTENSION_MAGIC = 0xEAA42174
_HWCAPS_SECTION = 1

CACHE_FLAGS = {
    (3, 32): 0x0003,
    (21, 64): 0x0503,
    (22, 64): 0x0403,
    (62, 32): 0x0803,
    (62, 64): 0x0303,
    (183, 64): 0x0A03,
    (243, 64): 0x1003,
}
"""What a machine's loader asks of an entry, by `e_machine` and bits (glibc sysdeps dl-cache.h)."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One line of `ldconfig -p`; `hwcap` is the glibc-hwcaps name, None for any CPU."""

    flags: int
    path: str
    hwcap: str | None


class CacheError(ValueError):
    """The bytes are not a cache that this glibc reads."""


def read_cache(data: bytes) -> dict[str, tuple[CacheEntry, ...]]:
    """Read a cache of format glibc-ld.so.cache1.1, alone or behind the old one, by name.

    Raises CacheError.
    """
    data = _new_part(data)
    if len(data) < _CACHE_HEADER or not data.startswith(_NEW_CACHE):
        raise CacheError("not of the format glibc-ld.so.cache1.1")
    order = ">" if data[28] & 3 == _BIG_ENDIAN_CACHE else "<"
    count, _ = struct.unpack_from(order + "II", data, 20)
    table = data[_CACHE_HEADER : _CACHE_HEADER + count * _CACHE_ENTRY]
    if len(table) < count * _CACHE_ENTRY:
        raise CacheError(f"{count} entries do not fit")
    names = _hwcap_names(data, order)
    found: dict[str, list[CacheEntry]] = {}
    for flags, key, value, _, hwcap in struct.iter_unpack(order + "iIIIQ", table):
        # bits of the legacy hwcaps depend on the CPU: no machine is sure to take those
        if hwcap == 0 or hwcap & _HWCAP_EXTENSION:
            name = _hwcap_name(names, hwcap) if hwcap else None
            entry = CacheEntry(flags, _text(data, value), name)
            found.setdefault(_text(data, key), []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


def _new_part(data: bytes) -> bytes:
    """Cut off the old format: its header and entries, then the new one at a multiple of 8."""
    if not data.startswith(_OLD_CACHE) or len(data) < _OLD_HEADER:
        return data
    end = _OLD_HEADER + struct.unpack_from("<I", data, 12)[0] * _OLD_ENTRY
    return data[(end + 7) & ~7 :]


def _text(data: bytes, start: int) -> str:
    end = data.find(b"\0", start, start + 4097)
    if end < 0:
        raise CacheError(f"no string at {start:#x}")
    return data[start:end].decode("utf-8", "surrogateescape")


def _hwcap_names(data: bytes, order: str) -> list[str]:
    """Give the names in the cache's extension, which newer entries refer to by number."""
    start: int = struct.unpack_from(order + "I", data, 32)[0]
    if start == 0:
        return []
    try:
        magic, count = struct.unpack_from(order + "II", data, start)
        if magic != _EXTENSION_MAGIC or count > len(data):
            raise CacheError("unknown extension")
        for number in range(count):
            tag, _, at, size = struct.unpack_from(order + "IIII", data, start + 8 + 16 * number)
            if tag == _HWCAPS_SECTION:
                offsets = struct.unpack_from(f"{order}{min(size, len(data)) // 4}I", data, at)
                return [_text(data, offset) for offset in offsets]
    except struct.error:
        raise CacheError("the extension lies beyond the end of the file") from None
    return []


def _hwcap_name(names: list[str], hwcap: int) -> str:
    number = hwcap & 0xFFFFFFFF
    if number >= len(names):
        raise CacheError(f"no hwcap of number {number}")
    return names[number]


# What all processes of one image share --------------------------------------------------------

_SYSTEM_DIRECTORIES = re.compile(rb"\0((?:/(?:[!-.0-~]+/)*lib[!-.0-~]*/(?:[!-.0-~]+/)*\0){2,})")
"""How a glibc loader carries its default directories: /lib/x86_64-linux-gnu/ and so on in a row."""
_DSTS = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))")
_HWCAPS = "glibc-hwcaps"

# By architecture: multiarch directory, AT_PLATFORM, glibc's interpreter.
_MACHINES = {
    "386": ("i386-linux-gnu", "i686", "/lib/ld-linux.so.2"),
    "amd64": ("x86_64-linux-gnu", "x86_64", "/lib64/ld-linux-x86-64.so.2"),
    "arm": ("arm-linux-gnueabihf", "v7l", "/lib/ld-linux-armhf.so.3"),
    "arm64": ("aarch64-linux-gnu", "aarch64", "/lib/ld-linux-aarch64.so.1"),
    "loong64": ("loongarch64-linux-gnu", "loongarch", "/lib64/ld-linux-loongarch-lp64d.so.1"),
    "mips64le": ("mips64el-linux-gnuabi64", "mips64", "/lib64/ld.so.1"),
    "ppc64le": ("powerpc64le-linux-gnu", "power8", "/lib64/ld64.so.2"),
    "riscv64": ("riscv64-linux-gnu", "riscv64", "/lib/ld-linux-riscv64-lp64d.so.1"),
    "s390x": ("s390x-linux-gnu", "z900", "/lib/ld64.so.1"),
}
_UNKNOWN_MACHINE = ("", "", "")

_BUILT_IN_SERVICES = frozenset({"files", "dns"})
_BUILT_IN_SINCE = "GLIBC_2.34"


class _Image:
    """The view, each of whose files is read at most once."""

    def __init__(self, view: View, hwcaps: tuple[str, ...]) -> None:
        self.view = view
        self.hwcaps = hwcaps
        self.environment = view.config.env if view.config else {}
        self.workdir = (view.config.workdir if view.config else "") or "/"
        self.cache_state = CacheState.PRESENT
        self.resolved: dict[str, str | None] = {}
        self.read: dict[str, Elf | ElfError] = {}
        self.default_directories: dict[str, tuple[str, ...]] = {}
        self.directories: dict[str, bool] = {}
        _ = self.cache

    def resolve(self, path: str) -> str | None:
        """Follow a path to a file or directory; None where there is none."""
        if path not in self.resolved:
            entry = self.view.resolve(path)
            self.resolved[path] = entry.path if entry is not None else None
        return self.resolved[path]

    def facts(self, path: str) -> Elf:
        """Read the file at a resolved path, or raise ElfError."""
        if path not in self.read:
            try:
                self.read[path] = elf_file.read(self.view.read(path, MAX_FILE))
            except ElfError as error:
                self.read[path] = error
            except ViewError as error:
                self.read[path] = ElfError(str(error))
        found = self.read[path]
        if isinstance(found, ElfError):
            raise found
        return found

    def is_directory(self, path: str) -> bool:
        if path not in self.directories:
            entry = self.view.resolve(path)
            self.directories[path] = entry is not None and entry.kind == "directory"
        return self.directories[path]

    def text(self, path: str) -> str | None:
        try:
            return self.view.read(path, _MAX_CONFIG).decode("utf-8", "surrogateescape")
        except ViewError:
            return None

    @cached_property
    def cache(self) -> dict[str, tuple[CacheEntry, ...]]:
        if self.resolve(LD_SO_CACHE) is None:
            self.cache_state = CacheState.ABSENT
            return {}
        try:
            return read_cache(self.view.read(LD_SO_CACHE, _MAX_CACHE))
        except (CacheError, ViewError):
            self.cache_state = CacheState.MALFORMED
            return {}

    def cached(self, name: str, program: Elf) -> str | None:
        """Give the one path that the loader takes from the cache, there or not."""
        flags = CACHE_FLAGS.get((program.machine, program.bits))
        entries = [e for e in self.cache.get(name, ()) if flags in {None, e.flags}]
        for hwcap in (*self.hwcaps, None):
            for entry in entries:
                if entry.hwcap == hwcap:
                    return entry.path
        return None

    @cached_property
    def configured(self) -> tuple[str, ...]:
        """The directories of ld.so.conf, those of the files that it includes among them."""
        seen: dict[str, None] = {}
        return tuple(dict.fromkeys(self.configured_in(LD_SO_CONF, seen)))

    def configured_in(self, path: str, seen: dict[str, None]) -> Iterator[str]:
        if path in seen or len(seen) > _MAX_INCLUDES:
            return
        seen[path] = None
        for line in (self.text(path) or "").splitlines():
            word, *rest = line.partition("#")[0].split() or [""]
            if word == "include":
                for pattern in rest:
                    for included in self.glob(join(dirname(path), pattern)):
                        yield from self.configured_in(included, seen)
            elif word.startswith("/"):
                yield word.partition("=")[0].rstrip("/") or "/"

    def glob(self, pattern: str) -> list[str]:
        """Paths of one directory, as a name with wildcards at the end has them, sorted."""
        parent, _, last = pattern.rpartition("/")
        where = self.resolve(parent or "/")
        if where is None:
            return []
        start = where.rstrip("/") + "/"
        names = (
            e.path.removeprefix(start) for e in self.view.entries() if e.path.startswith(start)
        )
        return sorted(start + n for n in names if "/" not in n and fnmatchcase(n, last))

    def system_directories(self, interpreter: str | None, program: Elf) -> tuple[str, ...]:
        """The default directories: compiled into the loader, so read from it."""
        key = f"{interpreter} {program.architecture} {program.bits}"
        if key not in self.default_directories:
            found = self.compiled_in(interpreter) if interpreter else ()
            self.default_directories[key] = found or _usual_directories(program)
        return self.default_directories[key]

    def compiled_in(self, interpreter: str) -> tuple[str, ...]:
        found = _SYSTEM_DIRECTORIES.search(self.view.read(interpreter, MAX_FILE))
        if found is None:
            return ()
        listed = found.group(1).decode().rstrip("\0").split("\0")
        return tuple(directory.rstrip("/") for directory in listed)

    @cached_property
    def services(self) -> dict[str, str]:
        """What nsswitch.conf names, each with the first database that asks for it."""
        text = self.text(NSSWITCH)
        if text is None:  # libc's own defaults
            text = "passwd: files\nhosts: files dns"
        found: dict[str, str] = {}
        for line in text.splitlines():
            database, colon, services = line.partition("#")[0].partition(":")
            for service in re.sub(r"\[[^]]*\]", " ", services).split() if colon else ():
                found.setdefault(service, database.strip())
        return found

    def variants(self, uses: Iterable[Use]) -> tuple[str, ...]:
        """The same name below glibc-hwcaps of the directories where a file was found."""
        found: dict[str, None] = {}
        for use in uses:
            folder = join(dirname(use.opened), _HWCAPS)
            if _HWCAPS not in use.opened and self.is_directory(folder):
                found |= dict.fromkeys(
                    p for p in self.hwcap_files(folder) if p.endswith(f"/{use.name}")
                )
        return tuple(found)

    def hwcap_files(self, folder: str) -> Iterator[str]:
        return (path for sub in self.glob(f"{folder}/*") for path in self.glob(f"{sub}/*"))


def _usual_directories(program: Elf) -> tuple[str, ...]:
    triplet = _MACHINES.get(program.architecture or "", _UNKNOWN_MACHINE)[0]
    wide = ("/lib64", "/usr/lib64") if program.bits == 64 else ()  # noqa: PLR2004 - the class
    multiarch = (f"/lib/{triplet}", f"/usr/lib/{triplet}") if triplet else ()
    return (*multiarch, *wide, "/lib", "/usr/lib")


# One process ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Gathered:
    """What the processes found, in order, each thing once."""

    uses: dict[str, list[Use]] = field(default_factory=dict)
    faults: dict[tuple[FaultKind, str, str], Fault] = field(default_factory=dict)

    def use(self, path: str, use: Use) -> None:
        uses = self.uses.setdefault(path, [])
        if use not in uses:
            uses.append(use)

    def fault(self, fault: Fault) -> None:
        self.faults.setdefault((fault.kind, fault.subject, fault.by), fault)


@dataclass(slots=True, eq=False)
class _Loaded:
    """A file in the process: glibc calls it a link map."""

    path: str
    opened: str
    elf: Elf
    loader: "_Loaded | None" = None
    names: set[str] = field(default_factory=set)

    def lineage(self) -> Iterator["_Loaded"]:
        """Itself, who had it loaded, and so on up to the program."""
        item: _Loaded | None = self
        while item is not None:
            yield item
            item = item.loader

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(item.path for item in self.lineage())[::-1]


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    opened: str
    elf: Elf
    rule: Rule


class _Process:
    """One program with its loader: what is loaded so far, and the rules to find the next."""

    def __init__(self, image: _Image, gathered: _Gathered) -> None:
        self.image = image
        self.gathered = gathered
        self.loaded: list[_Loaded] = []
        self.interpreter: _Loaded | None = None

    def run(self, entry: str, *, nss: bool) -> None:
        path = self.image.resolve(entry)
        try:
            program = self.image.facts(path or entry)
        except ElfError as error:
            chain = (path or entry,)
            self.gathered.fault(Fault(FaultKind.UNREADABLE, entry, chain[0], chain, str(error)))
            return
        self.main = _Loaded(path or entry, entry, program)
        if program.soname and self.libc is Libc.GLIBC:
            self.main.names.add(program.soname)
        self.loaded.append(self.main)
        self.gathered.use(self.main.path, Use(None, entry, entry, Rule.ENTRY, Why.ENTRY))
        if program.static or program.kind not in {elf_file.Kind.EXECUTABLE, elf_file.Kind.SHARED}:
            return
        self.start_loader()
        self.rules = (_Musl if self.libc is Libc.MUSL else _Glibc)(self)
        self.load_all(nss=nss)

    @cached_property
    def libc(self) -> Libc | None:
        """By the program's interpreter; a library has none, and shows it by what it needs."""
        musl = any(name.startswith("libc.musl-") for name in self.main.elf.needed)
        return self.main.elf.libc or (Libc.MUSL if musl else Libc.GLIBC)

    def start_loader(self) -> None:
        """Have the kernel map the interpreter; guess one, if it is there, for a library."""
        name = self.main.elf.interpreter
        if name is None:
            self.guess_loader()
            return
        path = self.image.resolve(name)
        if path is None:
            detail = f"{name} is not there: the kernel says no such file or directory"
            self.fault(FaultKind.INTERPRETER, name, self.main, detail)
            return
        found = self.opened(name, self.main, Rule.INTERPRETER)
        if found is not None and found.elf.fits(self.main.elf):
            self.interpreter = self.add(found, name, self.main, Why.INTERPRETER)
            self.interpreter.loader = None
        elif found is not None:
            self.fault(FaultKind.MISMATCH, name, self.main, _mismatch(found, self.main))

    def guess_loader(self) -> None:
        machine = _MACHINES.get(self.main.elf.architecture or "", _UNKNOWN_MACHINE)
        path = self.image.resolve(machine[2]) if machine[2] else None
        if path is not None and path != self.main.path and self.libc is Libc.GLIBC:
            found = self.opened(machine[2], self.main, Rule.INTERPRETER)
            if found is not None and found.elf.fits(self.main.elf):
                names = {machine[2], found.elf.soname or ""}
                self.interpreter = _Loaded(found.path, machine[2], found.elf, None, names)

    def load_all(self, *, nss: bool) -> None:
        """Load breadth first, as both loaders do, and then what libc loads by itself."""
        for name in self.preloads():
            self.need(name, self.main, Why.PRELOAD)
        self.follow(0)
        if self.libc is Libc.GLIBC:
            if nss:
                start = len(self.loaded)
                self.load_services()
                self.follow(start)
            self.check_versions()

    def follow(self, start: int) -> None:
        at = start
        while at < len(self.loaded):
            item = self.loaded[at]
            if item is not self.interpreter:
                for name in item.elf.needed:
                    self.need(name, item, Why.NEEDED)
            at += 1

    def preloads(self) -> list[str]:
        """Names in LD_PRELOAD and, for glibc, /etc/ld.so.preload."""
        listed = self.image.environment.get("LD_PRELOAD", "")
        if self.libc is Libc.GLIBC:
            listed += " " + (self.image.text(LD_SO_PRELOAD) or "")
        return [name for name in re.split(r"[\s:]+", listed) if name]

    def load_services(self) -> None:
        """What getpwnam() and getaddrinfo() would dlopen from libc."""
        libc = next((item for item in self.loaded if "libc.so.6" in item.names), None)
        if libc is None:
            return
        built_in = _BUILT_IN_SERVICES if _BUILT_IN_SINCE in libc.elf.provides else frozenset()
        for service in self.image.services:
            if service not in built_in:
                self.need(f"libnss_{service}.so.2", libc, Why.NSS)

    def need(self, name: str, loader: _Loaded, why: Why) -> None:
        """Load one name for *loader*, unless it is loaded already."""
        if len(self.loaded) > _MAX_LOADED:
            return
        known = self.rules.already(name)
        if known is not None:
            use = Use(loader.path, name, known.opened, Rule.LOADED, why)
            self.gathered.use(known.path, use)
            return
        found = self.locate(name, loader, why)
        if found is not None:
            self.add(found, name, loader, why)

    def add(self, found: _Found, name: str, loader: _Loaded, why: Why) -> _Loaded:
        """Enter a file, under one more name where another name led to it before."""
        known = [*self.loaded, *([self.interpreter] if self.interpreter else [])]
        item = next((item for item in known if item.path == found.path), None)
        if item is None:
            item = _Loaded(found.path, found.opened, found.elf, loader)
            self.loaded.append(item)
        item.names.add(name)
        if self.libc is Libc.GLIBC and item.elf.soname:
            item.names.add(item.elf.soname)
        self.gathered.use(item.path, Use(loader.path, name, found.opened, found.rule, why))
        return item

    def locate(self, name: str, loader: _Loaded, why: Why) -> _Found | None:
        """Open the first candidate that is of the program's class and machine."""
        rejected: list[_Found] = []
        for path, rule in self.rules.candidates(name, loader):
            if self.image.resolve(path) is None:
                continue
            found = self.opened(path, loader, rule)
            if found is None:  # damaged: both loaders give up here
                return None
            if found.elf.fits(self.main.elf):
                self.check_cache(name, found, loader)
                return found
            rejected.append(found)
        self.not_found(name, loader, why, rejected)
        return None

    def opened(self, path: str, loader: _Loaded, rule: Rule) -> _Found | None:
        resolved = self.image.resolve(path) or path
        try:
            return _Found(resolved, path, self.image.facts(resolved), rule)
        except ElfError as error:
            self.fault(FaultKind.UNREADABLE, path, loader, f"{path}: {error}")
            return None

    def check_cache(self, name: str, found: _Found, loader: _Loaded) -> None:
        """Say where the cache misleads, or does not know what it should."""
        if found.rule is Rule.CONFIGURED:
            detail = f"{found.opened} is in a directory of ld.so.conf but not in ld.so.cache"
            self.fault(FaultKind.NOT_CACHED, name, loader, detail)
        elif found.rule is Rule.DEFAULT and self.libc is Libc.GLIBC:
            listed = self.image.cached(name, self.main.elf)
            if listed is not None and self.image.resolve(listed) is None:
                detail = f"ld.so.cache leads to {listed}, which is not there"
                self.fault(FaultKind.CACHE_STALE, name, loader, detail)

    def not_found(self, name: str, loader: _Loaded, why: Why, rejected: list[_Found]) -> None:
        kinds = {Why.NSS: FaultKind.NSS, Why.PRELOAD: FaultKind.PRELOAD}
        if rejected:
            detail = _mismatch(rejected[0], self.main)
            self.fault(kinds.get(why, FaultKind.MISMATCH), name, loader, detail)
            return
        detail = f"{name} is in no directory that is searched for {loader.path}"
        if why is Why.NSS:
            database = self.image.services[name.removeprefix("libnss_").removesuffix(".so.2")]
            detail = f"{database} in nsswitch.conf asks for it"
        self.fault(kinds.get(why, FaultKind.MISSING), name, loader, detail)

    def check_versions(self) -> None:
        """Compare as dl-version.c: a library without versions gives all, a weak one may miss."""
        known = [*self.loaded, *([self.interpreter] if self.interpreter else [])]
        by_name = {name: item for item in reversed(known) for name in item.names}
        for item in self.loaded:
            for need in item.elf.requirements:
                giver = by_name.get(need.file)
                if giver is None or need.weak or not giver.elf.provides:
                    continue
                if need.version not in giver.elf.provides:
                    detail = f"{item.path} needs {need.version} of {giver.path}, which lacks it"
                    subject = f"{need.file} {need.version}"
                    self.fault(FaultKind.VERSION, subject, item, detail)

    def fault(self, kind: FaultKind, subject: str, by: _Loaded, detail: str) -> None:
        self.gathered.fault(Fault(kind, subject, by.path, by.chain, detail))


def _mismatch(found: _Found, main: _Loaded) -> str:
    return f"{found.opened} is for {_machine(found.elf)}, {main.path} for {_machine(main.elf)}"


def _machine(elf: Elf) -> str:
    return elf.architecture or f"machine {elf.machine} ({elf.bits} bits, {elf.byteorder})"


# The rules of the two loaders ---------------------------------------------------------------------


class _Glibc:
    """glibc's ld.so."""

    def __init__(self, process: _Process) -> None:
        self.process = process
        self.image = process.image
        self.main = process.main
        interpreter = process.interpreter
        self.system = self.image.system_directories(
            interpreter.path if interpreter else None, self.main.elf
        )
        entry = self.image.view.resolve(self.main.path)
        secure = entry is not None and bool(entry.mode & 0o6000)
        listed = "" if secure else self.image.environment.get("LD_LIBRARY_PATH", "")
        self.environment = re.split("[:;]", listed) if listed else []

    def already(self, name: str) -> _Loaded | None:
        """Whoever was loaded by this name or carries it as soname."""
        items = self.process.loaded
        interpreter = self.process.interpreter
        for item in (*items, *([interpreter] if interpreter else [])):
            if name in item.names:
                return item
        return None

    def candidates(self, name: str, loader: _Loaded) -> Iterator[tuple[str, Rule]]:
        if "/" in name:
            yield join(self.image.workdir, self.expand(name, loader)), Rule.PATH
            return
        yield from self.within(self.inherited(loader), name, Rule.RPATH)
        yield from self.within(self.expanded(self.environment, self.main), name, Rule.ENVIRONMENT)
        own = (loader.elf.runpath or "").split(":") if loader.elf.runpath else []
        yield from self.within(self.expanded(own, loader), name, Rule.RUNPATH)
        yield from self.of_the_system(name, loader)

    def inherited(self, loader: _Loaded) -> Iterator[str]:
        """RPATH of the loader, unless it has a RUNPATH, and of whoever had it loaded."""
        if loader.elf.runpath is None:
            for item in loader.lineage():
                if item.elf.rpath:
                    yield from self.expanded(item.elf.rpath.split(":"), item)

    def of_the_system(self, name: str, loader: _Loaded) -> Iterator[tuple[str, Rule]]:
        path = self.image.cached(name, self.main.elf)
        if loader.elf.no_default_libraries:
            if path is not None and not path.startswith(tuple(f"{d}/" for d in self.system)):
                yield path, Rule.CACHE
            return
        if path is not None:
            yield path, Rule.CACHE
        yield from self.within(self.system, name, Rule.DEFAULT)
        # the loader does not go there, but the image's author meant it to
        yield from self.within(self.image.configured, name, Rule.CONFIGURED)

    def within(
        self, directories: Iterable[str], name: str, rule: Rule
    ) -> Iterator[tuple[str, Rule]]:
        for directory in directories:
            if self.image.is_directory(directory):
                for hwcap in self.image.hwcaps:
                    yield join(directory, _HWCAPS, hwcap, name), rule
                yield join(directory, name), rule

    def expanded(self, directories: Iterable[str], item: _Loaded) -> Iterator[str]:
        """An empty directory is the current one, and a relative one is relative to it."""
        for directory in directories:
            yield join(self.image.workdir, self.expand(directory, item).rstrip("/"))

    def expand(self, text: str, item: _Loaded) -> str:
        machine = _MACHINES.get(self.main.elf.architecture or "", _UNKNOWN_MACHINE)
        values = {
            # the kernel tells a program its real path, a library has the one it was opened by
            "ORIGIN": dirname(item.path if item is self.main else item.opened),
            "LIB": self.system[0].strip("/").removeprefix("usr/"),
            "PLATFORM": machine[1],
        }
        return _DSTS.sub(lambda found: values[found[1] or found[2]], text)


class _Musl:
    """musl's loader, which is its libc too."""

    RESERVED = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
    """Names that mean libc itself, whatever follows the dot."""
    DEFAULT = "/lib:/usr/local/lib:/usr/lib"

    def __init__(self, process: _Process) -> None:
        self.process = process
        self.image = process.image
        self.main = process.main
        self.environment = self.image.environment.get("LD_LIBRARY_PATH", "")
        self.system = self.system_path()

    def system_path(self) -> str:
        """What the path file beside the loader's prefix says, or the default."""
        name = self.main.elf.interpreter or ""
        prefix, found, last = name.rpartition("/lib/ld-musl-")
        path = f"{prefix}/etc/ld-musl-{last.removesuffix('.so.1')}.path"
        text = self.image.text(path) if found else None
        return self.DEFAULT if text is None else text

    def already(self, name: str) -> _Loaded | None:
        interpreter = self.process.interpreter
        if interpreter and (name.startswith(self.RESERVED) or name in interpreter.names):
            return interpreter
        items = self.process.loaded
        return next((i for i in items if name in i.names and "/" not in name), None)

    def candidates(self, name: str, loader: _Loaded) -> Iterator[tuple[str, Rule]]:
        if "/" in name:
            yield join(self.image.workdir, name), Rule.PATH
            return
        yield from self.within(self.environment, name, Rule.ENVIRONMENT)
        for item in loader.lineage():
            rule = Rule.RPATH if item.elf.runpath is None else Rule.RUNPATH
            yield from self.within(self.search_path(item), name, rule)
        yield from self.within(self.system, name, Rule.DEFAULT)

    def search_path(self, item: _Loaded) -> str:
        """RUNPATH or RPATH, both inherited; with another `$` than ORIGIN's musl takes none."""
        path = item.elf.runpath or item.elf.rpath or ""
        origin = dirname(item.path if item is self.main else item.opened)
        text = path.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin)
        return "" if "$" in text else text

    def within(self, path: str, name: str, rule: Rule) -> Iterator[tuple[str, Rule]]:
        for directory in re.split("[:\n]", path):
            if directory:
                yield join(self.image.workdir, directory, name), rule
