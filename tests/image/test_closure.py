"""The closure: against the machine's own loader, and on images that are a dictionary."""

import os
import re
import struct
import subprocess
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image import elf
from probe.image.closure import CacheError
from probe.image.closure import CacheState
from probe.image.closure import Closure
from probe.image.closure import FaultKind
from probe.image.closure import Rule
from probe.image.closure import Why
from probe.image.closure import closure
from probe.image.closure import read_cache
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError
from tests.image.test_elf import ARM64
from tests.image.test_elf import GLIBC_LOADER
from tests.image.test_elf import MUSL_LOADER
from tests.image.test_elf import make
from tests.image.test_elf import tool
from tests.support.components import require
from tests.support.memory_view import File
from tests.support.memory_view import MemoryView
from tests.support.memory_view import symlink


def config(**env: str) -> ImageConfig:
    return ImageConfig(env=env)


class RootView:
    """This machine's root, as it is; ld.so.conf, which needs a listing, is not read."""

    def __init__(self, **env: str) -> None:
        self.config: ImageConfig | None = config(**env)

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

    def head(self, path: str, size: int) -> bytes:
        return self.read(path)[:size]


# Against the loader -----------------------------------------------------------------------------


def traced(output: str) -> tuple[set[str], set[str]]:
    """Read what ldd prints of one program: the files it finds, and the names it does not."""
    found = re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", output, re.MULTILINE)
    missing = re.findall(r"^\t(\S+) => not found", output, re.MULTILINE)
    return {os.path.realpath(path) for path in found}, set(missing)


def loaded(result: Closure, program: str) -> tuple[set[str], set[str]]:
    missing = {fault.subject for fault in result.faults if fault.kind is FaultKind.MISSING}
    return set(result.paths) - {os.path.realpath(program)}, missing


def magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def programs() -> list[str]:
    """Give every sixth program of this machine."""
    files = sorted({p.resolve() for d in ("bin", "sbin") for p in Path("/usr", d).iterdir()})
    readable = [path for path in files if path.is_file() and os.access(path, os.X_OK)]
    return [str(p) for p in readable if magic(p) == elf.MAGIC][::6]


def test_this_machines_programs_as_ldd_has_them() -> None:
    """The same files for each of some hundred programs, and the same missing ones."""
    names = programs()
    assert len(names) > 100
    output = subprocess.run(
        [require("ldd"), *names], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    ).stdout
    listings = dict(re.findall(r"^(/\S+):\n((?:\t.*\n)*)", output, re.MULTILINE))
    view = RootView()
    for name in names:
        assert loaded(closure(view, [name], nss=False), name) == traced(listings[name]), name


# Each case: the flags of main, of libone (which main needs) and of libtwo's folder name. libone
# needs libtwo; libone is in one/, libtwo in two/, main in the folder above both.
CC_CASES = [
    pytest.param("-Wl,--disable-new-dtags,-rpath,{d}/one:{d}/two", "", {}, id="RPATH is inherited"),
    pytest.param("-Wl,--enable-new-dtags,-rpath,{d}/one:{d}/two", "", {}, id="RUNPATH is not"),
    pytest.param(
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN/one",
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../two",
        {},
        id="ORIGIN of each",
    ),
    pytest.param(
        "-Wl,--disable-new-dtags,-rpath,${{ORIGIN}}/one:$ORIGIN/two",
        "-Wl,--enable-new-dtags,-rpath,/nowhere",
        {},
        id="RUNPATH shuts inherited RPATH out",
    ),
    pytest.param("", "", {"LD_LIBRARY_PATH": "{d}/one;{d}/two"}, id="LD_LIBRARY_PATH"),
    pytest.param("", "", {"LD_LIBRARY_PATH": "{d}/two:{d}/one:"}, id="empty element"),
    pytest.param("", "", {}, id="nothing leads there"),
    pytest.param(
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN/$LIB:$ORIGIN/one",
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../$LIB",
        {},
        id="LIB",
    ),
    pytest.param(
        "-Wl,--enable-new-dtags,-rpath,{d}/one",
        "-Wl,--enable-new-dtags,-rpath,{d}/wrong:{d}/two",
        {},
        id="a library of another machine is passed over",
    ),
]


def cc(folder: Path, *arguments: str) -> None:
    subprocess.run([tool("gcc"), "-w", *arguments], cwd=folder, check=True)


def build_tree(folder: Path, main: str, one: str) -> str:
    """Compile the program and its two libraries, and return the program's path."""
    for name in ("one", "two", "lib/x86_64-linux-gnu", "wrong"):
        (folder / name).mkdir(parents=True)
    (folder / "two.c").write_text("int two(void) { return 2; }")
    (folder / "one.c").write_text("int two(void); int one(void) { return two(); }")
    (folder / "main.c").write_text("int one(void); int main(void) { return one(); }")
    shared = ("-shared", "-fPIC")
    cc(folder, *shared, "-o", "two/libtwo.so", "-Wl,-soname,libtwo.so", "two.c")
    cc(folder, *shared, "-o", "one/libone.so", "one.c", "-Ltwo", "-ltwo", *one.split())
    extra = ("-Lone", "-lone", "-Wl,--allow-shlib-undefined", *main.split())
    cc(folder, "-o", "main", "main.c", *extra)
    (folder / "lib/x86_64-linux-gnu/libtwo.so").symlink_to(folder / "two/libtwo.so")
    (folder / "wrong/libtwo.so").write_bytes(make(machine=ARM64))
    return str(folder / "main")


@pytest.mark.parametrize(("main", "one", "env"), CC_CASES)
def test_search_order_as_the_loader_has_it(
    tmp_path: Path, main: str, one: str, env: dict[str, str]
) -> None:
    """What gcc builds is found by us where LD_TRACE_LOADED_OBJECTS says."""
    program = build_tree(tmp_path, main.format(d=tmp_path), one.format(d=tmp_path))
    env = {name: value.format(d=tmp_path) for name, value in env.items()}
    output = subprocess.run(
        [program], env={**env, "LD_TRACE_LOADED_OBJECTS": "1"}, capture_output=True, text=True,
        check=False, cwd="/",
    ).stdout  # fmt: skip
    assert "libone" in output
    assert loaded(closure(RootView(**env), [program], nss=False), program) == traced(output)


def test_the_files_that_are_tried_in_the_loaders_order(tmp_path: Path) -> None:
    """LD_DEBUG=libs names the file it takes for each name; ours are the same."""
    program = build_tree(tmp_path, f"-Wl,--disable-new-dtags,-rpath,{tmp_path}/one:$ORIGIN/two", "")
    text = subprocess.run(
        [program], env={"LD_DEBUG": "libs"}, capture_output=True, text=True, check=False
    ).stderr
    opened = re.findall(r"calling init: (\S+)", text)
    uses = [use for node in closure(RootView(), [program]).nodes for use in node.uses]
    assert {use.opened for use in uses if use.why is Why.NEEDED} >= set(opened) - {GLIBC_LOADER}
    assert len(opened) >= 3


def test_hwcaps_as_this_cpu_has_them(tmp_path: Path) -> None:
    """A library for this CPU is taken where it is asked for, and else listed beside the other."""
    program = build_tree(tmp_path, f"-Wl,--disable-new-dtags,-rpath,{tmp_path}/one:$ORIGIN/two", "")
    told = subprocess.run([GLIBC_LOADER, "--help"], capture_output=True, text=True, check=True)
    usable = tuple(
        re.findall(r"^  (x86-64-v\d) \(supported, searched\)", told.stdout, re.MULTILINE)
    )
    for name in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        (tmp_path / "two/glibc-hwcaps" / name).mkdir(parents=True)
        data = (tmp_path / "two/libtwo.so").read_bytes()
        (tmp_path / "two/glibc-hwcaps" / name / "libtwo.so").write_bytes(data)
    output = subprocess.run([require("ldd"), program], capture_output=True, text=True, check=True)
    result = closure(RootView(), [program], hwcaps=usable, nss=False)
    assert loaded(result, program) == traced(output.stdout)


def test_a_version_that_an_older_library_lacks(tmp_path: Path) -> None:
    """The loader's own complaint, found without running it."""
    (tmp_path / "v.c").write_text("int v(void) { return 1; }")
    (tmp_path / "m.c").write_text("int v(void); int main(void) { return v(); }")
    for version in ("V_2", "V_1"):
        (tmp_path / "map").write_text(f"{version} {{ global: v; }};")
        cc(tmp_path, "-shared", "-fPIC", "-o", "libv.so", "v.c", "-Wl,--version-script=map")
        if version == "V_2":
            cc(tmp_path, "-o", "m", "m.c", "-L.", "-lv", "-Wl,-rpath,$ORIGIN")
    ran = subprocess.run([tmp_path / "m"], capture_output=True, text=True, check=False)
    assert "version `V_2' not found" in ran.stderr
    faults = closure(RootView(), [str(tmp_path / "m")], nss=False).faults
    assert [(f.kind, f.subject) for f in faults] == [(FaultKind.VERSION, "libv.so V_2")]


def test_a_static_bash_has_nothing_to_load() -> None:
    result = closure(RootView(), [require("bash-static")])
    assert (len(result.nodes), result.faults) == (1, ())


def test_the_machines_cache_as_ldconfig_prints_it() -> None:
    """Every name and path of `ldconfig -p`, in its order."""
    require("ldd")
    output = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    expected = re.findall(r"^\t(\S+) \(.*\) => (\S+)$", output.stdout, re.MULTILINE)
    cache = read_cache(Path("/etc/ld.so.cache").read_bytes())
    assert [(name, e.path) for name, entries in cache.items() for e in entries] == expected


def test_a_cache_with_hwcaps(tmp_path: Path) -> None:
    """The extension that ldconfig writes names the CPU, and the best library stands first."""
    require("ldd")
    for folder in ("lib", "lib/glibc-hwcaps/x86-64-v3"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "libtwo.so.2").write_bytes(library_for_ldconfig(tmp_path))
    (tmp_path / "conf").write_text(f"{tmp_path}/lib\n")
    command = ["/sbin/ldconfig", "-X", "-C", "cache", "-f", "conf"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = read_cache((tmp_path / "cache").read_bytes())["libtwo.so.2"]
    assert [(entry.hwcap, entry.path) for entry in found] == [
        ("x86-64-v3", f"{tmp_path}/lib/glibc-hwcaps/x86-64-v3/libtwo.so.2"),
        (None, f"{tmp_path}/lib/libtwo.so.2"),
    ]


def library_for_ldconfig(folder: Path) -> bytes:
    (folder / "two.c").write_text("int two(void) { return 2; }")
    cc(folder, "-shared", "-fPIC", "-o", "two.so", "-Wl,-soname,libtwo.so.2", "two.c")
    return (folder / "two.so").read_bytes()


# Images made by hand --------------------------------------------------------------------------

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


def cache_of(entries: Mapping[str, str], flags: int = 0x303) -> bytes:
    """Write a cache of the new format without an extension."""
    table, strings, base = b"", b"", 48 + 24 * len(entries)
    for name, path in entries.items():
        key = base + len(strings)
        strings += name.encode() + b"\0" + path.encode() + b"\0"
        table += struct.pack("<iIIIQ", flags, key, key + len(name) + 1, 0, 0)
    head = b"glibc-ld.so.cache1.1" + struct.pack("<IIB", len(entries), len(strings), 2)
    return head.ljust(48, b"\0") + table + strings


ELSEWHERE: Files = {path: data for path, data in GOOD.items() if "libtwo" not in path}
ELSEWHERE["/opt/lib/libtwo.so.2"] = TWO
CONFIGURED: Files = {
    "/etc/ld.so.conf": b"# ours\ninclude /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n",
    "/etc/ld.so.conf.d/opt.conf": b"/opt/lib/ # the application's\n",
}
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


def test_an_old_cache_before_the_new_one() -> None:
    """Until glibc 2.32 ldconfig wrote both formats, one behind the other."""
    old = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + bytes(12)
    new = cache_of({"liba.so.1": "/lib/liba.so.1"})
    assert read_cache(old.ljust(32, b"\0") + new) == read_cache(new)


def test_a_fault_tells_its_chain() -> None:
    """The way from the entry to the file that asks is told."""
    fault = closure(MemoryView(ELSEWHERE), ["/app"]).faults[0]
    assert fault.chain == ("/app", f"{LIB}/libone.so.1")
    assert fault.by == fault.chain[-1]


def test_nodes_tell_who_needs_them_and_by_which_rule() -> None:
    """Paths are real ones, and what the loader opens on the way stands beside them."""
    nodes = {node.path: node for node in closure(MemoryView(GOOD), ["/app"]).nodes}
    two = nodes[f"{LIB}/libtwo.so.2"]
    assert two.needed_by == (f"{LIB}/libone.so.1",)
    assert [(u.rule, u.opened) for u in two.uses] == [
        (Rule.DEFAULT, "/lib/x86_64-linux-gnu/libtwo.so.2")
    ]
    assert nodes[f"{LIB}/libc.so.6"].needed_by[:2] == ("/app", f"{LIB}/libone.so.1")
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


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=8), st.integers(0, 200))
def test_damaged_caches(at: int, new: bytes, end: int) -> None:
    """A table of entries or CacheError, never anything else, whatever the bytes."""
    good = cache_of({"liba.so.1": "/lib/liba.so.1", "libb.so": "/usr/lib/libb.so"})
    data = (good[:at] + new + good[at + len(new) :])[:end] if at % 2 else good[:at] + new
    try:
        assert len(read_cache(data)) <= 2
    except CacheError:
        assert data != good
