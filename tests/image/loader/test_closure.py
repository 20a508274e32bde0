"""The closure of images that are a dictionary; against real loaders: tests/real/test_loader.py."""

import json

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.loader.closure import CacheState
from probe.image.loader.closure import FaultKind
from probe.image.loader.closure import Rule
from probe.image.loader.closure import Why
from probe.image.loader.closure import closure
from probe.image.view import Entry
from probe.image.view import ImageConfig
from tests.support.elf_files import ARM64
from tests.support.elf_files import GLIBC_LOADER
from tests.support.elf_files import MUSL_LOADER
from tests.support.elf_files import cache_of
from tests.support.elf_files import dlopen_note
from tests.support.elf_files import make
from tests.support.memory_view import File
from tests.support.memory_view import MemoryView
from tests.support.memory_view import symlink


def config(**env: str) -> ImageConfig:
    return ImageConfig(env=env)


COMPILED_IN = b"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0"
LIBC_VERSIONS = ("libc.so.6", "GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.36")
LIB = "/usr/lib/x86_64-linux-gnu"
Files = dict[str, bytes | File | Entry]
BASE: Files = {
    "/lib": symlink("usr/lib"),
    "/lib64": symlink("usr/lib64"),
    "/usr/lib64/ld-linux-x86-64.so.2": symlink(f"{LIB}/ld-linux-x86-64.so.2"),
    f"{LIB}/ld-linux-x86-64.so.2": make(soname="ld-linux-x86-64.so.2", tail=COMPILED_IN),
    f"{LIB}/libc.so.6": make("ld-linux-x86-64.so.2", soname="libc.so.6", provides=LIBC_VERSIONS),
}


def program(*needed: str, **facts: object) -> bytes:
    return make(*needed, interpreter=GLIBC_LOADER, **facts)  # type: ignore[arg-type] # a test's own


APP = program("libone.so.1", "libc.so.6")
ONE = make("libtwo.so.2", "libc.so.6", soname="libone.so.1")
TWO = make("libc.so.6", soname="libtwo.so.2")
GOOD: Files = {**BASE, "/app": APP, f"{LIB}/libone.so.1": ONE, f"{LIB}/libtwo.so.2": TWO}


ELSEWHERE: Files = {path: data for path, data in GOOD.items() if "libtwo" not in path}
ELSEWHERE["/opt/lib/libtwo.so.2"] = TWO
CONFIGURED: Files = {
    "/etc/ld.so.conf": b"# ours\ninclude /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n",
    "/etc/ld.so.conf.d/opt.conf": b"/opt/lib/ # the application's\n",
}
NO_DEFAULT = 0x800  # DF_1_NODEFLIB, of -z nodefaultlib
OLD_LIBC = program("libc.so.6", requires={"libc.so.6": ("GLIBC_2.34", "GLIBC_2.99", "?NOT_SURE")})

IMAGES = [
    pytest.param(GOOD, [], id="complete"),
    pytest.param(ELSEWHERE, [(FaultKind.MISSING, "libtwo.so.2")], id="missing two levels down"),
    pytest.param(
        {p: d for p, d in GOOD.items() if "ld-linux" not in p},
        [(FaultKind.INTERPRETER, GLIBC_LOADER), (FaultKind.MISSING, "ld-linux-x86-64.so.2")],
        id="no interpreter",
    ),
    pytest.param(
        {**GOOD, f"{LIB}/libtwo.so.2": make(machine=ARM64)},
        [(FaultKind.MISMATCH, "libtwo.so.2")],
        id="another machine",
    ),
    pytest.param(
        {**GOOD, f"{LIB}/libtwo.so.2": make(bits=32)},
        [(FaultKind.MISMATCH, "libtwo.so.2")],
        id="another class",
    ),
    pytest.param(
        {**GOOD, f"{LIB}/libtwo.so.2": b"INPUT(libtwo.so.2.0)"},
        [(FaultKind.UNREADABLE, "/lib/x86_64-linux-gnu/libtwo.so.2")],
        id="a linker script",
    ),
    pytest.param(
        {**BASE, "/app": OLD_LIBC},
        [(FaultKind.VERSION, "libc.so.6 GLIBC_2.99")],
        id="a libc too old",
    ),
    pytest.param(
        {**GOOD, "/etc/nsswitch.conf": b"hosts: files [!x=return] mymachines dns\n#x: nis\n"},
        [(FaultKind.NSS, "libnss_mymachines.so.2")],
        id="nss module missing",
    ),
    pytest.param(
        {**GOOD, f"{LIB}/libc.so.6": make(soname="libc.so.6", provides=("GLIBC_2.31",))},
        [(FaultKind.NSS, "libnss_files.so.2"), (FaultKind.NSS, "libnss_dns.so.2")],
        id="files and dns were modules before 2.34",
    ),
    pytest.param(
        {**ELSEWHERE, **CONFIGURED},
        [(FaultKind.NOT_CACHED, "libtwo.so.2")],
        id="ld.so.conf without a cache",
    ),
    pytest.param(
        {**ELSEWHERE, "/etc/ld.so.cache": cache_of({"libtwo.so.2": "/opt/lib/libtwo.so.2"})},
        [],
        id="the cache leads there",
    ),
    pytest.param(
        {**ELSEWHERE, "/etc/ld.so.cache": cache_of({"libtwo.so.2": "/opt/lib/libtwo.so.2"}, 3)},
        [(FaultKind.MISSING, "libtwo.so.2")],
        id="the cache has it for another machine",
    ),
    pytest.param(
        {
            **ELSEWHERE,
            "/app": program("libtwo.so.2", flags=NO_DEFAULT),
            "/etc/ld.so.cache": cache_of({"libtwo.so.2": "/opt/lib/libtwo.so.2"}),
        },
        [],
        id="nodefaultlib leaves the cache",
    ),
    pytest.param(
        {
            **GOOD,
            "/app": program("libtwo.so.2", flags=NO_DEFAULT),
            "/etc/ld.so.cache": cache_of({"libtwo.so.2": f"{LIB}/libtwo.so.2"}),
        },
        [(FaultKind.MISSING, "libtwo.so.2")],
        id="but what it has in default directories",
    ),
    pytest.param(
        {
            **ELSEWHERE,
            "/opt/app": program("libtwo.so.2", runpath="$ORIGIN/lib"),
            "/app": symlink("/opt/app"),
        },
        [],
        id="ORIGIN of a program is its real directory",
    ),
    pytest.param(
        {**GOOD, "/etc/ld.so.cache": cache_of({"libtwo.so.2": "/gone/libtwo.so.2"})},
        [(FaultKind.CACHE_STALE, "libtwo.so.2")],
        id="stale cache",
    ),
    pytest.param(
        {**GOOD, "/etc/ld.so.preload": b"/opt/libfake.so\n"},
        [(FaultKind.PRELOAD, "/opt/libfake.so")],
        id="preload missing",
    ),
    pytest.param({"/app": make(kind=2)}, [], id="static"),
    pytest.param({"/app": make(kind=2, tail=b"\xff Go buildinf:")}, [], id="static Go"),
    pytest.param({"/app": b"#!/bin/sh\n"}, [(FaultKind.UNREADABLE, "/app")], id="a script"),
    pytest.param({}, [(FaultKind.UNREADABLE, "/app")], id="no entry"),
]


@pytest.mark.parametrize(("files", "expected"), IMAGES)
def test_faults_of_images(files: Files, expected: list[tuple[FaultKind, str]]) -> None:
    """Each broken image has exactly its fault, a good one none."""
    found = closure(MemoryView(files), ["/app"]).faults
    assert [(fault.kind, fault.subject) for fault in found] == expected


def test_a_library_is_an_entry_too() -> None:
    """It has no interpreter: the machine's usual one gives the directories, if it is there."""
    result = closure(MemoryView(ELSEWHERE), [f"{LIB}/libone.so.1"])
    assert [(fault.kind, fault.subject) for fault in result.faults] == [
        (FaultKind.MISSING, "libtwo.so.2")
    ]
    assert f"{LIB}/libc.so.6" in result.paths


def test_a_fault_tells_its_chain() -> None:
    """The way from the entry to the file that asks is told."""
    fault = closure(MemoryView(ELSEWHERE), ["/app"]).faults[0]
    assert fault.chain == ("/app", f"{LIB}/libone.so.1")
    assert fault.by == fault.chain[-1]


def test_nodes_tell_who_needs_them_and_by_which_rule() -> None:
    """Paths are real ones, and what the loader opens on the way stands beside them."""
    nodes = {node.path: node for node in closure(MemoryView(GOOD), ["/app"]).nodes}
    two = nodes[f"{LIB}/libtwo.so.2"]
    assert [(use.by, use.rule, use.opened) for use in two.uses] == [
        (f"{LIB}/libone.so.1", Rule.DEFAULT, "/lib/x86_64-linux-gnu/libtwo.so.2")
    ]
    askers = dict.fromkeys(use.by for use in nodes[f"{LIB}/libc.so.6"].uses)
    assert list(askers)[:2] == ["/app", f"{LIB}/libone.so.1"]
    assert nodes[f"{LIB}/ld-linux-x86-64.so.2"].uses[0].opened == GLIBC_LOADER


def test_setuid_programs_ignore_the_environment() -> None:
    """LD_LIBRARY_PATH leads there, but not for a setuid program."""
    view = MemoryView(ELSEWHERE, config(LD_LIBRARY_PATH="/opt/lib"))
    assert closure(view, ["/app"]).faults == ()
    view = MemoryView({**ELSEWHERE, "/app": File(APP, 0o4755)}, config(LD_LIBRARY_PATH="/opt/lib"))
    assert [fault.kind for fault in closure(view, ["/app"]).faults] == [FaultKind.MISSING]


CACHES = [
    pytest.param({}, CacheState.ABSENT, id="absent"),
    pytest.param({"/etc/ld.so.cache": cache_of({})}, CacheState.PRESENT, id="empty"),
    pytest.param({"/etc/ld.so.cache": b"glibc"}, CacheState.MALFORMED, id="cut off"),
]


@pytest.mark.parametrize(("files", "state"), CACHES)
def test_the_cache_is_noted(files: Files, state: CacheState) -> None:
    assert closure(MemoryView({**GOOD, **files}), ["/app"]).cache is state


def test_a_newer_cpus_library_is_listed() -> None:
    path = f"{LIB}/glibc-hwcaps/x86-64-v3/libtwo.so.2"
    nodes = closure(MemoryView({**GOOD, path: TWO}), ["/app"]).nodes
    assert [node.variants for node in nodes if "libtwo" in node.path] == [(path,)]


MUSL_APP = make("libone.so", "libc.musl-x86_64.so.1", interpreter=MUSL_LOADER, kind=2)
MUSL: Files = {MUSL_LOADER: make(), "/app": MUSL_APP, "/lib/libone.so": make("libtwo.so")}


def musl_app(**paths: str) -> bytes:
    return make("libone.so", interpreter=MUSL_LOADER, **paths)  # type: ignore[arg-type] # a test's own


MUSL_IMAGES = [
    pytest.param({"/usr/lib/libtwo.so": make()}, [], id="default directories"),
    pytest.param({}, [(FaultKind.MISSING, "libtwo.so")], id="missing"),
    pytest.param(
        {"/two/libtwo.so": make(), "/app": musl_app(runpath="/two")}, [], id="RUNPATH inherited"
    ),
    pytest.param(
        {"/two/libtwo.so": make(), "/app": musl_app(rpath="${ORIGIN}/two")}, [], id="ORIGIN"
    ),
    pytest.param(
        {"/two/libtwo.so": make(), "/app": musl_app(rpath="/two:/$LIB")},
        [(FaultKind.MISSING, "libtwo.so")],
        id="LIB voids the whole RPATH",
    ),
    pytest.param(
        {"/etc/ld-musl-x86_64.path": b"/lib\n/two\n", "/two/libtwo.so": make()}, [], id="path file"
    ),
    pytest.param(
        {"/etc/ld-musl-x86_64.path": b"/lib", "/usr/lib/libtwo.so": make()},
        [(FaultKind.MISSING, "libtwo.so")],
        id="the path file replaces the default",
    ),
    pytest.param(
        {"/usr/lib/libtwo.so": make(), "/etc/nsswitch.conf": b"hosts: mdns"}, [], id="no NSS"
    ),
]


@pytest.mark.parametrize(("files", "expected"), MUSL_IMAGES)
def test_musl_has_rules_of_its_own(files: Files, expected: list[tuple[FaultKind, str]]) -> None:
    found = closure(MemoryView({**MUSL, **files}), ["/app"]).faults
    assert [(fault.kind, fault.subject) for fault in found] == expected


# What a fault tells ----------------------------------------------------------------------------

SEARCHES = [
    pytest.param({}, {}, ["{lib}"], id="default directories"),
    pytest.param(
        {"/app": program("libtwo.so.2", runpath="$ORIGIN/lib:/gone")},
        {},
        ["/lib", "/gone", "{lib}"],
        id="RUNPATH first, there or not",
    ),
    pytest.param(
        {"/app": program("libtwo.so.2", rpath="/r")},
        {"LD_LIBRARY_PATH": "/e:/r"},
        ["/r", "/e", "{lib}"],
        id="each once",
    ),
    pytest.param(
        {"/app": program("libtwo.so.2"), "/etc/ld.so.cache": cache_of({})},
        {},
        ["/etc/ld.so.cache", "{lib}"],
        id="the cache in its place",
    ),
    pytest.param(
        {"/app": program("libtwo.so.2"), "/etc/ld.so.conf": b"/conf"},
        {},
        ["{lib}"],
        id="nothing of ld.so.conf",
    ),
    pytest.param(
        {"/app": program("libtwo.so.2", flags=NO_DEFAULT)}, {}, [], id="no default directories"
    ),
    pytest.param({"/app": program("/opt/libtwo.so.2")}, {}, [], id="a path is not searched for"),
]
SYSTEM = ["/lib/x86_64-linux-gnu", LIB, "/lib", "/usr/lib"]


@pytest.mark.parametrize(("files", "env", "expected"), SEARCHES)
def test_where_a_missing_library_was_sought(
    files: Files, env: dict[str, str], expected: list[str]
) -> None:
    """The directories in the loader's order, of which the last ones are its own."""
    base = {path: data for path, data in GOOD.items() if "libtwo" not in path}
    (fault,) = closure(MemoryView({**base, **files}, config(**env)), ["/app"]).faults
    places = [place for one in expected for place in (SYSTEM if one == "{lib}" else [one])]
    assert (fault.kind, list(fault.searched)) == (FaultKind.MISSING, list(dict.fromkeys(places)))


def test_musl_tells_where_it_sought() -> None:
    view = MemoryView(
        {**MUSL, "/app": musl_app(rpath="$ORIGIN/r"), "/etc/ld-musl-x86_64.path": b"/p"}
    )
    (fault,) = closure(view, ["/app"]).faults
    assert fault.searched == ("/r", "/p")


def needing(*versions: str) -> bytes:
    return program("libc.so.6", requires={"libc.so.6": versions})


LIBC_PATH = "/usr/lib/x86_64-linux-gnu/libc.so.6"
VERSIONS = [
    pytest.param("GLIBC_2.38", f"{LIBC_PATH} has up to GLIBC_2.36", id="too old"),
    pytest.param("GLIBC_2", f"{LIBC_PATH} has up to GLIBC_2.36", id="another number"),
    pytest.param("GLIBC_PRIVATE2", f"{LIBC_PATH} has none of GLIBC_PRIVATE", id="another family"),
    pytest.param("9", f"{LIBC_PATH} has none of ", id="a number alone"),
    pytest.param("GLIBC_ABI_DT_RELR", f"{LIBC_PATH} has none of GLIBC_ABI_DT_RELR", id="no number"),
]


@pytest.mark.parametrize(("version", "detail"), VERSIONS)
def test_how_far_a_library_goes(version: str, detail: str) -> None:
    """Numbers count as numbers: 2.36 is above 2.4."""
    libc = make(soname="libc.so.6", provides=(*LIBC_VERSIONS, "GLIBC_2.4"))
    (fault,) = closure(
        MemoryView({**BASE, LIBC_PATH: libc, "/app": needing(version)}), ["/app"]
    ).faults
    assert (fault.kind, fault.detail) == (FaultKind.VERSION, f"/app needs {version}, {detail}")


NSS = [
    pytest.param("protocols: db files\n", "db", "protocols", id="Debian's own"),
    pytest.param("services: db\nhosts: db\n", "db", "hosts", id="the one that is looked up most"),
    pytest.param("passwd: ldap [NOTFOUND=return] files\n", "ldap", "passwd", id="with an action"),
]


@pytest.mark.parametrize(("text", "service", "database"), NSS)
def test_which_database_wants_a_module(text: str, service: str, database: str) -> None:
    (fault,) = closure(MemoryView({**GOOD, "/etc/nsswitch.conf": text.encode()}), ["/app"]).faults
    assert (fault.subject, fault.database) == (f"libnss_{service}.so.2", database)
    assert (fault.kind, fault.fatal) == (FaultKind.NSS, False)


# What is opened after the start ------------------------------------------------------------------


def noting(priority: str, *sonames: str) -> bytes:
    text = json.dumps([{"soname": sonames, "priority": priority, "feature": "x"}])
    return program("libc.so.6", notes=dlopen_note(text))


NOTED = [
    pytest.param(noting("required", "liba.so"), [(FaultKind.DLOPEN, "liba.so")], id="required"),
    pytest.param(
        noting("recommended", "liba.so", "libb.so"),
        [(FaultKind.DLOPEN_OPTIONAL, "liba.so")],
        id="recommended",
    ),
    pytest.param(
        noting("suggested", "liba.so"), [(FaultKind.DLOPEN_OPTIONAL, "liba.so")], id="suggested"
    ),
    pytest.param(noting("required", "liba.so", "libtwo.so.2"), [], id="one of two is there"),
    pytest.param(noting("required", "libc.so.6"), [], id="loaded already"),
    pytest.param(
        noting("required", "libone.so.1"), [(FaultKind.MISSING, "libthree.so")], id="lacks its own"
    ),
]


@pytest.mark.parametrize(("app", "expected"), NOTED)
def test_libraries_that_a_note_names(app: bytes, expected: list[tuple[FaultKind, str]]) -> None:
    """What is there is followed; what is not lets the program start."""
    files = {**GOOD, "/app": app, f"{LIB}/libone.so.1": make("libthree.so", soname="libone.so.1")}
    result = closure(MemoryView(files), ["/app"])
    assert [(fault.kind, fault.subject) for fault in result.faults] == expected
    assert not any(fault.fatal for fault in result.faults)
    assert closure(MemoryView(files), ["/app"], late=False).faults == ()


def test_a_noted_library_is_in_the_closure() -> None:
    """So are its needs, and what its own note names."""
    text = '[{"soname": ["libtwo.so.2"]}]'
    one = make("libc.so.6", soname="libone.so.1", notes=dlopen_note(text))
    files = {**GOOD, "/app": noting("required", "libone.so.1"), f"{LIB}/libone.so.1": one}
    result = closure(MemoryView(files), ["/app"])
    whys = {node.path: node.uses[0].why for node in result.nodes}
    assert whys[f"{LIB}/libone.so.1"] is whys[f"{LIB}/libtwo.so.2"] is Why.DLOPEN
    assert result.faults == ()


FATAL = [
    pytest.param(ELSEWHERE, [True], id="missing library"),
    pytest.param({**ELSEWHERE, **CONFIGURED}, [True], id="not in the cache"),
    pytest.param({**GOOD, "/etc/ld.so.preload": b"/gone.so"}, [False], id="preload"),
    pytest.param({**GOOD, "/etc/ld.so.preload": b"/x\n", "/x": b"text"}, [False], id="bad preload"),
    pytest.param(
        {**GOOD, "/etc/ld.so.preload": b"/x\n", "/x": make("liby.so")}, [True], id="preload's need"
    ),
    pytest.param(
        {
            **GOOD,
            "/etc/nsswitch.conf": b"passwd: x",
            f"{LIB}/libnss_x.so.2": make("liby.so", soname="libnss_x.so.2"),
            f"{LIB}/liby.so": make("libz.so"),
        },
        [False],
        id="a module's need",
    ),
    pytest.param({"/app": needing("GLIBC_2.99"), **BASE}, [True], id="version"),
]


@pytest.mark.parametrize(("files", "expected"), FATAL)
def test_what_keeps_the_program_from_starting(files: Files, expected: list[bool]) -> None:
    assert [fault.fatal for fault in closure(MemoryView(files), ["/app"]).faults] == expected


def test_the_graver_of_two_equal_faults_is_kept() -> None:
    """One program loads libone at its start, the other opens it later: it is fatal to the first."""
    files = {**ELSEWHERE, "/late": noting("required", "libone.so.1")}
    for entries in (["/app", "/late"], ["/late", "/app"]):
        (fault,) = closure(MemoryView(files), entries).faults
        assert (fault.fatal, fault.chain[0]) == (True, "/app")


PARTS = [f"{LIB}/libone.so.1", f"{LIB}/ld-linux-x86-64.so.2", "/etc/ld.so.cache", "/app"]


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([*PARTS, "/etc/nsswitch.conf", "/etc/ld.so.conf", "/etc/ld.so.preload"]),
    st.integers(0, 600),
    st.binary(min_size=1, max_size=8),
    st.integers(1, 1200),
)
def test_whatever_is_damaged(path: str, at: int, new: bytes, end: int) -> None:
    """One damaged file of an image makes faults, never an error."""
    cached = cache_of({"libone.so.1": f"{LIB}/libone.so.1"})
    files = {**ELSEWHERE, **CONFIGURED, "/etc/ld.so.cache": cached}
    good = files.get(path, b"passwd: files nis\n/gone.so\n")
    assert isinstance(good, bytes)
    damaged = (good[:at] + new + good[at + len(new) :])[:end]
    result = closure(MemoryView({**files, path: damaged}), ["/app"])
    assert result.nodes or result.faults
    assert all(fault.chain[-1] == fault.by for fault in result.faults)
