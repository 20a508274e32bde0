"""Which files a program's loader opens before main() runs, and what it would not find.

Each entry is loaded as glibc's ld.so or musl's would load it, by reading alone: where they look
stands in loaders.py; versions are compared as in glibc's elf/dl-version.c. What the program opens
after its start is followed as far as it is known beforehand: libc's services after nsswitch.conf,
and the libraries that a file names in its dlopen notes.

glibc's loader does not read ld.so.conf, only the cache that ldconfig makes of it. A library that
stands in a configured directory and not in the cache is therefore a fault, NOT_CACHED, but the
walk goes on through it, so that what it needs is judged too.
"""

import re
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from enum import StrEnum

from probe.image.elf.notes import DlopenNote
from probe.image.elf.notes import Priority
from probe.image.elf.reader import Elf
from probe.image.elf.reader import ElfError
from probe.image.elf.reader import Kind
from probe.image.elf.reader import Libc
from probe.image.loader.faults import NEVER_FATAL
from probe.image.loader.faults import Fault
from probe.image.loader.faults import FaultKind
from probe.image.loader.faults import mismatch
from probe.image.loader.faults import nothing_found
from probe.image.loader.faults import too_old
from probe.image.loader.files import LD_SO_PRELOAD
from probe.image.loader.files import CacheState
from probe.image.loader.files import LoaderFiles
from probe.image.loader.files import machine_of
from probe.image.loader.search import Glibc
from probe.image.loader.search import Loaded
from probe.image.loader.search import Loader
from probe.image.loader.search import Musl
from probe.image.loader.search import Process
from probe.image.loader.search import Rule
from probe.image.loader.search import searched
from probe.image.view import View

__all__ = [
    "CacheState",
    "Closure",
    "Fault",
    "FaultKind",
    "Node",
    "Rule",
    "Use",
    "Why",
    "closure",
]

_MAX_LOADED = 4096
"""Libraries of one process; LibreOffice has about 250."""


class Why(StrEnum):
    """What makes the loader look for a file."""

    ENTRY = "entry"
    INTERPRETER = "interpreter"
    NEEDED = "needed"
    PRELOAD = "preload"
    NSS = "nss"
    DLOPEN = "dlopen"


_LATE = frozenset({Why.NSS, Why.DLOPEN})
"""What is loaded when main() runs already."""
_NOT_FATAL = _LATE | {Why.PRELOAD}


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
    view: View, entries: Iterable[str], *, hwcaps: tuple[str, ...] = (), late: bool = True
) -> Closure:
    """Load each entry, a program or library, as a process of its own, and join what they load.

    Args:
        view: the image.
        entries: absolute paths; what is not there or is not ELF is a fault UNREADABLE.
        hwcaps: the glibc-hwcaps of the CPU to load for, best first (x86-64-v3, x86-64-v2).
        late: follow what nsswitch.conf makes libc open, and what dlopen notes name.
    """
    files = LoaderFiles(view, hwcaps)
    gathered = _Gathered()
    for entry in entries:
        _load(files, gathered, entry, late=late)
    nodes = tuple(
        Node(path, files.facts(path), tuple(uses), _variants(files, uses))
        for path, uses in gathered.uses.items()
    )
    return Closure(nodes, tuple(gathered.faults.values()), files.cache_state)


def _variants(files: LoaderFiles, uses: Iterable[Use]) -> tuple[str, ...]:
    places = dict.fromkeys((use.opened, use.name) for use in uses)
    found = (path for opened, name in places for path in files.variants(opened, name))
    return tuple(dict.fromkeys(found))


@dataclass(slots=True)
class _Gathered:
    """What the processes found, in order, each thing once."""

    uses: dict[str, dict[Use, None]] = field(default_factory=dict)
    faults: dict[tuple[FaultKind, str, str], Fault] = field(default_factory=dict)

    def use(self, path: str, use: Use) -> None:
        self.uses.setdefault(path, {})[use] = None

    def fault(self, fault: Fault) -> None:
        """Keep the first of its kind, unless a later one is graver."""
        key = (fault.kind, fault.subject, fault.by)
        if key not in self.faults or (fault.fatal and not self.faults[key].fatal):
            self.faults[key] = fault


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    opened: str
    elf: Elf
    rule: Rule


class _DamagedError(Exception):
    """A file that the loader opens and cannot read: it gives up there."""

    def __init__(self, path: str, error: ElfError) -> None:
        super().__init__(f"{path}: {error}")
        self.path = path


def _load(files: LoaderFiles, gathered: _Gathered, entry: str, *, late: bool) -> None:
    path = files.resolve(entry) or entry
    try:
        program = files.facts(path)
    except ElfError as error:
        kind = FaultKind.UNREADABLE
        gathered.fault(Fault(kind, entry, path, (path,), str(error), fatal=True))
        return
    gathered.use(path, Use(None, entry, entry, Rule.ENTRY, Why.ENTRY))
    if not program.static and program.kind in {Kind.EXECUTABLE, Kind.SHARED}:
        process = Process(files, Loaded(path, entry, program))
        _Walk(process, gathered).run(late=late)


def _libc(program: Elf) -> Libc:
    """By the program's interpreter; a library has none, and shows it by what it needs."""
    musl = any(name.startswith("libc.musl-") for name in program.needed)
    return program.libc or (Libc.MUSL if musl else Libc.GLIBC)


_RULES: dict[Libc, type[Glibc | Musl]] = {Libc.GLIBC: Glibc, Libc.MUSL: Musl}


class _Walk:
    """What one loader does with one program."""

    def __init__(self, process: Process, gathered: _Gathered) -> None:
        self.process = process
        self.files = process.files
        self.main = process.main
        self.gathered = gathered
        self.libc = _libc(self.main.elf)
        self.process.enter(self.main)
        self.name(self.main)
        self.start_loader()
        self.rules: Loader = _RULES[self.libc](process)

    def name(self, item: Loaded, *names: str) -> None:
        soname = item.elf.soname if self.libc is Libc.GLIBC else None
        self.process.name(item, *names, soname)

    def start_loader(self) -> None:
        """Have the kernel map the interpreter; guess one, if it is there, for a library."""
        name = self.main.elf.interpreter
        if name is None:
            self.guess_loader()
        elif self.files.resolve(name) is None:
            detail = f"{name} is not there: the kernel says no such file or directory"
            self.fault(FaultKind.INTERPRETER, name, self.main, detail)
        else:
            self.map_interpreter(name)

    def map_interpreter(self, name: str) -> None:
        try:
            found = self.open(name, Rule.INTERPRETER)
        except _DamagedError as damaged:
            self.fault(FaultKind.UNREADABLE, name, self.main, str(damaged))
            return
        if not found.elf.fits(self.main.elf):
            self.fault(FaultKind.MISMATCH, name, self.main, self.mismatch(found))
            return
        self.process.interpreter = self.add(found, name, self.main, Why.INTERPRETER)
        self.process.interpreter.loader = None

    def guess_loader(self) -> None:
        """Take the usual loader for its directories, without loading it."""
        name = machine_of(self.main.elf).loader
        path = self.files.resolve(name) if name and self.libc is Libc.GLIBC else None
        if path is None or path == self.main.path:
            return
        try:
            found = self.open(name, Rule.INTERPRETER)
        except _DamagedError:
            return
        if found.elf.fits(self.main.elf):
            interpreter = Loaded(found.path, name, found.elf)
            self.process.interpreter = self.process.by_path[found.path] = interpreter
            self.name(interpreter, name)

    def run(self, *, late: bool) -> None:
        """Load breadth first, as both loaders do, and then what the program opens itself."""
        for name in self.preloads():
            self.need(name, self.main, Why.PRELOAD)
        self.follow(0)
        if late:
            start = len(self.process.loaded)
            self.load_services()
            self.follow(start)
            self.load_noted()
        if self.libc is Libc.GLIBC:
            self.check_versions()

    def follow(self, start: int) -> None:
        """Load what the files from number *start* on need, and what those need."""
        loaded = self.process.loaded
        at = start
        while at < len(loaded):
            item = loaded[at]
            if item is not self.process.interpreter:
                for name in item.elf.needed:
                    self.need(name, item, Why.NEEDED)
            at += 1

    def preloads(self) -> list[str]:
        """Names in LD_PRELOAD and, for glibc, /etc/ld.so.preload."""
        listed = self.files.environment.get("LD_PRELOAD", "")
        if self.libc is Libc.GLIBC:
            listed += " " + (self.files.text(LD_SO_PRELOAD) or "")
        return [name for name in re.split(r"[\s:]+", listed) if name]

    def load_services(self) -> None:
        """What getpwnam() and getaddrinfo() would dlopen from glibc; musl has no such thing."""
        libc = self.process.by_name.get("libc.so.6")
        if libc is None or self.libc is not Libc.GLIBC:
            return
        built_in = _BUILT_IN_SERVICES if _BUILT_IN_SINCE in libc.elf.provides else frozenset()
        for service, databases in self.files.services.items():
            if service not in built_in:
                self.need(f"libnss_{service}.so.2", libc, Why.NSS, databases)

    def load_noted(self) -> None:
        """What the loaded files say that they open, and what says the same in turn."""
        at = 0
        while at < len(self.process.loaded):
            item = self.process.loaded[at]
            start = len(self.process.loaded)
            for note in item.elf.dlopen:
                self.load_any(note, item)
            self.follow(start)
            at += 1

    def load_any(self, note: DlopenNote, item: Loaded) -> None:
        if any(self.load(name, item, Why.DLOPEN) is None for name in note.sonames):
            return
        required = note.priority is Priority.REQUIRED
        kind = FaultKind.DLOPEN if required else FaultKind.DLOPEN_OPTIONAL
        names = " or ".join(note.sonames)
        purpose = f" for {note.feature}" if note.feature else ""
        detail = f"{item.path} opens {names}{purpose} while it runs ({note.priority})"
        fault = _fault(kind, note.sonames[0], item, detail, Why.DLOPEN)
        self.gathered.fault(replace(fault, searched=searched(self.rules, item)))

    def need(self, name: str, loader: Loaded, why: Why, databases: tuple[str, ...] = ()) -> None:
        """Load one name for *loader*, or say that it cannot be."""
        wrong = self.load(name, loader, why)
        if wrong is not None:
            self.not_found(name, loader, why, wrong, databases)

    def load(self, name: str, loader: Loaded, why: Why) -> Sequence[_Found] | None:
        """Load one name unless it is loaded; else return what was there for another machine."""
        if len(self.process.loaded) > _MAX_LOADED:
            return None
        known = self.rules.already(name)
        if known is not None:
            use = Use(loader.path, name, known.opened, Rule.LOADED, why)
            self.gathered.use(known.path, use)
            return None
        try:
            found, wrong = self.locate(name, loader)
        except _DamagedError as damaged:
            self.fault(FaultKind.UNREADABLE, damaged.path, loader, str(damaged), why)
            return None
        if found is None:
            return wrong
        self.check_cache(name, found, loader, why)
        self.add(found, name, loader, why)
        return None

    def locate(self, name: str, loader: Loaded) -> tuple[_Found | None, Sequence[_Found]]:
        """Open the first candidate that is of the program's class and machine."""
        wrong: list[_Found] = []
        for path, rule in self.rules.candidates(name, loader):
            if self.files.resolve(path) is not None:
                found = self.open(path, rule)
                if found.elf.fits(self.main.elf):
                    return found, wrong
                wrong.append(found)
        return None, wrong

    def open(self, path: str, rule: Rule) -> _Found:
        resolved = self.files.resolve(path) or path
        try:
            return _Found(resolved, path, self.files.facts(resolved), rule)
        except ElfError as error:
            raise _DamagedError(path, error) from None

    def add(self, found: _Found, name: str, loader: Loaded, why: Why) -> Loaded:
        """Enter a file, under one more name where another name led to it before."""
        item = self.process.by_path.get(found.path)
        if item is None:
            late = loader.late or why in _LATE
            item = Loaded(found.path, found.opened, found.elf, loader, late)
            self.process.enter(item)
        self.name(item, name)
        self.gathered.use(item.path, Use(loader.path, name, found.opened, found.rule, why))
        return item

    def check_cache(self, name: str, found: _Found, loader: Loaded, why: Why) -> None:
        """Say where the cache misleads, or does not know what it should."""
        if found.rule is Rule.CONFIGURED:
            detail = f"{found.opened} is in a directory of ld.so.conf but not in ld.so.cache"
            self.fault(FaultKind.NOT_CACHED, name, loader, detail, why)
        elif found.rule is Rule.DEFAULT and self.libc is Libc.GLIBC:
            listed = self.files.cached(name, self.main.elf)
            if listed is not None and self.files.resolve(listed) is None:
                detail = f"ld.so.cache leads to {listed}, which is not there"
                self.fault(FaultKind.CACHE_STALE, name, loader, detail)

    def not_found(
        self,
        name: str,
        loader: Loaded,
        why: Why,
        wrong: Sequence[_Found],
        databases: tuple[str, ...],
    ) -> None:
        kind = _KIND_OF.get(why, FaultKind.MISMATCH if wrong else FaultKind.MISSING)
        if wrong:
            self.fault(kind, name, loader, self.mismatch(wrong[0]), why)
            return
        fault = _fault(kind, name, loader, nothing_found(name, loader.path, databases), why)
        places = () if "/" in name else searched(self.rules, loader)
        self.gathered.fault(replace(fault, searched=places, database="".join(databases[:1])))

    def mismatch(self, found: _Found) -> str:
        return mismatch(found.opened, found.elf, self.main.path, self.main.elf)

    def check_versions(self) -> None:
        """Compare as dl-version.c: a library without versions gives all, a weak one may miss."""
        for item in self.process.loaded:
            for need in item.elf.requirements:
                giver = self.process.by_name.get(need.file)
                given = self.files.versions(giver.path) if giver else frozenset()
                if giver is None or need.weak or not given or need.version in given:
                    continue
                detail = too_old(item.path, need.version, giver.path, given)
                self.fault(FaultKind.VERSION, f"{need.file} {need.version}", item, detail)

    def fault(
        self, kind: FaultKind, subject: str, by: Loaded, detail: str, why: Why = Why.NEEDED
    ) -> None:
        self.gathered.fault(_fault(kind, subject, by, detail, why))


def _fault(kind: FaultKind, subject: str, by: Loaded, detail: str, why: Why) -> Fault:
    fatal = not by.late and why not in _NOT_FATAL and kind not in NEVER_FATAL
    return Fault(kind, subject, by.path, by.chain, detail, fatal)


_KIND_OF = {Why.NSS: FaultKind.NSS, Why.PRELOAD: FaultKind.PRELOAD}
_BUILT_IN_SERVICES = frozenset({"files", "dns"})
_BUILT_IN_SINCE = "GLIBC_2.34"
