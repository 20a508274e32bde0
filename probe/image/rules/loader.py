"""Programs and libraries: what the loader would not find, and what the kernel would not run."""

from collections.abc import Iterator

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.model import Source
from probe.image.loader.closure import Fault
from probe.image.loader.closure import FaultKind
from probe.image.rules.rule import Check
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Cache
from probe.image.sketch import Drawn
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.view import ImageConfig

_LOADER = library("ld-linux-x86-64.so.2")
_LIBC = library("libc.so.6", provides=("libc.so.6", "GLIBC_2.34", "GLIBC_2.36"))
_RUNS_APP = ImageConfig(entrypoint=("/app",), user="65532:65532")
_GOOD = Sketch(
    {
        "/app": Program(("libc.so.6",), requires={"libc.so.6": ("GLIBC_2.34",)}),
        "/lib64/ld-linux-x86-64.so.2": _LOADER,
        "/lib/x86_64-linux-gnu/libc.so.6": _LIBC,
    },
    _RUNS_APP,
)


def _without(path: str) -> Sketch:
    return Sketch({name: drawn for name, drawn in _GOOD.files.items() if name != path}, _RUNS_APP)


def _and(path: str, drawn: Drawn) -> Sketch:
    return Sketch({**_GOOD.files, path: drawn}, _RUNS_APP)


def _faults(kind: FaultKind) -> Check:
    """Return a check that tells each fault of one kind, with the way that leads to it."""

    def check(facts: Facts) -> Iterator[Problem]:
        for fault in facts.closure.faults:
            if fault.kind is kind:
                severity = Severity.ERROR if fault.fatal else Severity.WARNING
                yield Problem(fault.by, _told(fault), severity=severity)

    return check


def _told(fault: Fault) -> str:
    way = f" (loaded by {' > '.join(fault.chain)})" if len(fault.chain) > 1 else ""
    searched = f"; searched: {', '.join(fault.searched)}" if fault.searched else ""
    return f"{fault.detail}{way}{searched}"


missing_library = rule(
    "missing-library",
    Severity.ERROR,
    "a library that a program loads is not in the image",
    why="The loader ends the program before its first instruction, with exit code 127.",
    fix="put the library into the image: find it with ldd where the program was built,"
    " and copy what its own libraries need too",
    good=_GOOD,
    bad=_without("/lib/x86_64-linux-gnu/libc.so.6"),
)(_faults(FaultKind.MISSING))

missing_loader = rule(
    "missing-loader",
    Severity.ERROR,
    "the loader that a program names in its ELF header (PT_INTERP) is not in the image",
    why="The kernel answers ENOENT: the shell says 'no such file or directory' of a program that"
    " is there.",
    fix="copy the loader to the very path that the program names, or link the program statically",
    good=_GOOD,
    bad=_without("/lib64/ld-linux-x86-64.so.2"),
)(_faults(FaultKind.INTERPRETER))


_ALSO_RUN = {"amd64": ("386",), "arm64": ("arm",)}
"""Architectures whose programs the kernel of another runs too."""


def _machines(facts: Facts) -> Iterator[Problem]:
    """Tell what the loader refuses, and programs that are not for the image's own machine."""
    yield from _faults(FaultKind.MISMATCH)(facts)
    found = {
        node.path: node.elf.architecture
        for node in facts.closure.nodes
        if node.path in facts.programs and node.elf.architecture
    }
    wanted = facts.config.architecture if facts.config else _prevailing(list(found.values()))
    for path, given in found.items():
        if not wanted or given in {wanted, *_ALSO_RUN.get(wanted, ())}:
            continue
        named = "the image" if facts.config else "most of the others"
        certain = facts.programs[path] is not Source.FILE
        yield Problem(
            path,
            f"it is for {given}, {named} for {wanted}: the kernel says exec format error",
            severity=Severity.ERROR if certain else Severity.WARNING,
        )


def _prevailing(names: list[str]) -> str:
    """Return what more than half of the programs are for; "" where there is no such."""
    name = max(set(names), key=names.count, default="")
    return name if 2 * names.count(name) > len(names) else ""


wrong_machine = rule(
    "wrong-machine",
    Severity.ERROR,
    "a program or library is for another architecture than what loads it",
    why="The loader refuses a file of another class or machine and looks on; where there is no"
    " other it ends the program.",
    fix="take both from a root of one architecture",
    good=_GOOD,
    bad=Sketch(
        {
            **_GOOD.files,
            "/lib/x86_64-linux-gnu/libc.so.6": Program(
                interpreter=None, soname="libc.so.6", machine=183
            ),
        },
        _RUNS_APP,
    ),
)(_machines)

missing_version = rule(
    "missing-version",
    Severity.ERROR,
    "a library is older than the program that loads it: a symbol version is not in it",
    why="The loader says \"version 'GLIBC_2.38' not found\" and ends the program.",
    fix="take the libraries from a release at least as new as the one that the program was built"
    " on, or build the program on this one",
    good=_GOOD,
    bad=_and("/app", Program(("libc.so.6",), requires={"libc.so.6": ("GLIBC_2.38",)})),
)(_faults(FaultKind.VERSION))

library_not_cached = rule(
    "library-not-cached",
    Severity.ERROR,
    "a library stands in a directory of ld.so.conf, but ld.so.cache does not list it",
    why="glibc's loader reads the cache alone, never ld.so.conf: it does not find the library.",
    fix="run ldconfig when the image is built, or put the library into a default directory",
    good=_GOOD,
    bad=Sketch(
        {
            **_without("/lib/x86_64-linux-gnu/libc.so.6").files,
            "/etc/ld.so.conf": Text("/opt/lib\n", 0o644),
            "/opt/lib/libc.so.6": _LIBC,
        },
        _RUNS_APP,
    ),
)(_faults(FaultKind.NOT_CACHED))

cache_stale = rule(
    "cache-stale",
    Severity.WARNING,
    "ld.so.cache leads to a file that is not there",
    why="The library is found by another way now; a change of directories will break that.",
    fix="run ldconfig when the image is built, or remove /etc/ld.so.cache",
    good=_GOOD,
    bad=Sketch(
        {**_GOOD.files, "/etc/ld.so.cache": Cache({"libc.so.6": "/usr/lib/old/libc.so.6"})},
        _RUNS_APP,
    ),
)(_faults(FaultKind.CACHE_STALE))


@rule(
    "missing-preload",
    Severity.WARNING,
    "LD_PRELOAD or ld.so.preload names a library that cannot be loaded",
    why="The loader complains on stderr at every start, of the health check too, and goes on"
    " without.",
    fix="put the library into the image, or drop the setting",
    good=_GOOD,
    bad=_and("/etc/ld.so.preload", Text("/lib/libtrace.so\n", 0o644)),
)
def missing_preload(facts: Facts) -> Iterator[Problem]:
    askers: dict[str, list[str]] = {}
    for fault in facts.closure.faults:
        if fault.kind is FaultKind.PRELOAD:
            askers.setdefault(fault.subject, []).append(fault.by)
    for name, programs in askers.items():
        others = f" and {len(programs) - 1} more" if len(programs) > 1 else ""
        message = f"{name} is to be loaded into {programs[0]}{others}, and it is not there"
        yield Problem(name if name.startswith("/") else "", message)


_LOOK_UPS = frozenset({"hosts", "passwd", "group"})


@rule(
    "missing-nss-module",
    Severity.WARNING,
    "nsswitch.conf names a service whose module (libnss_NAME.so.2) is not in the image",
    why="glibc loads the modules when a name, user or group is looked up, and goes on to the next"
    " service without a word: names that only this one knows are not found.",
    fix="write `hosts: files dns`, which glibc 2.34 and later have built in, or add the module",
    good=Sketch(
        {**_GOOD.files, "/etc/nsswitch.conf": Text("hosts: files dns\n", 0o644)}, _RUNS_APP
    ),
    bad=Sketch(
        {**_GOOD.files, "/etc/nsswitch.conf": Text("hosts: files myhostname dns\n", 0o644)},
        _RUNS_APP,
    ),
)
def missing_nss_module(facts: Facts) -> Iterator[Problem]:
    # Debian's own file names `db` and `nis` for databases that containers do not ask.
    for fault in facts.closure.faults:
        if fault.kind is FaultKind.NSS:
            severity = Severity.WARNING if fault.database in _LOOK_UPS else Severity.INFO
            yield Problem("/etc/nsswitch.conf", fault.detail, severity=severity)


@rule(
    "damaged-program",
    Severity.ERROR,
    "a program or library cannot be read as ELF",
    why="The kernel or the loader refuses it as this reader does: exec format error, or `file too"
    " short`.",
    fix="copy the file anew; where it is meant to be what it is, do not make it executable",
    good=_GOOD,
    bad=_and("/lib/x86_64-linux-gnu/libc.so.6", Text("oops", 0o644)),
)
def damaged_program(facts: Facts) -> Iterator[Problem]:
    # Told once, though each program that loads the file has its own fault.
    told = {
        fault.subject: fault.detail.removeprefix(f"{fault.subject}: ")
        for fault in facts.closure.faults
        if fault.kind is FaultKind.UNREADABLE
    }
    for path, detail in told.items():
        yield Problem(path, detail)


@rule(
    "missing-dlopen-library",
    Severity.WARNING,
    "a program says in a note (.note.dlopen) that it loads a library later, which is not there",
    why="The program starts, and fails or does without when it comes to that.",
    fix="put the library into the image, or leave it where that part of the program is not used",
    good=_GOOD,
    bad=_and("/app", Program(("libc.so.6",), dlopen=("libsecret.so.1",))),
)
def missing_dlopen_library(facts: Facts) -> Iterator[Problem]:
    severities = {FaultKind.DLOPEN: Severity.WARNING, FaultKind.DLOPEN_OPTIONAL: Severity.INFO}
    for fault in facts.closure.faults:
        if fault.kind in severities:
            yield Problem(fault.by, _told(fault), severity=severities[fault.kind])


RULES: tuple[Rule, ...] = (
    missing_library,
    missing_loader,
    wrong_machine,
    missing_version,
    library_not_cached,
    cache_stale,
    missing_preload,
    missing_nss_module,
    damaged_program,
    missing_dlopen_library,
)
