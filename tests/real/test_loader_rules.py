"""The rules of glibc's loader, on programs that gcc builds: what it finds, we find."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from probe.image.loader.closure import FaultKind
from probe.image.loader.closure import closure
from tests.support.components import require
from tests.support.elf_files import ARM64
from tests.support.elf_files import GLIBC_LOADER
from tests.support.elf_files import make
from tests.support.loader_output import loaded
from tests.support.loader_output import traced
from tests.support.machine_view import MachineView

pytestmark = pytest.mark.real


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
    subprocess.run([require("gcc"), "-w", *arguments], cwd=folder, check=True)


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
    assert loaded(closure(MachineView(**env), [program], late=False), program) == traced(output)


LEGACY = {"tls", "x86_64", "haswell", "avx512_1", "glibc-hwcaps"}
"""Folders below each, for CPUs' features: sought everywhere before 2.37, and the last one still."""


def tried(output: str, name: str) -> list[str]:
    """Read the folders where LD_DEBUG=libs shows that a name was sought, and the cache."""
    part = output.partition(f"find library={name} ")[2].partition("find library=")[0]
    found = re.findall(r"trying file=(\S+)/[^/\s]+|search cache=(\S+)", part)
    places = [cache or folder for folder, cache in found if LEGACY.isdisjoint(folder.split("/"))]
    return there(places)


def there(places: Iterable[str]) -> list[str]:
    """Give real paths, each once: the loader forgets folders that it did not find."""
    return list(dict.fromkeys(os.path.realpath(place) for place in places if Path(place).exists()))


SEARCHES = [
    pytest.param("", "", id="default directories"),
    pytest.param("-Wl,--enable-new-dtags,-rpath,{d}/wrong:$ORIGIN/lib:{d}/gone", "", id="RUNPATH"),
    pytest.param(
        "-Wl,--disable-new-dtags,-rpath,{d}/wrong:{d}/gone", "{d}/one", id="RPATH and environment"
    ),
    pytest.param("-Wl,-z,nodefaultlib", "{d}/one", id="no default directories"),
]


@pytest.mark.parametrize(("one", "path"), SEARCHES)
def test_where_the_loader_seeks_what_is_missing(tmp_path: Path, one: str, path: str) -> None:
    """The directories that a fault tells, as far as they are there, are those that it tries."""
    main = f"-Wl,--enable-new-dtags,-rpath,{tmp_path}/one"
    program = build_tree(tmp_path, main, one.format(d=tmp_path))
    for found in tmp_path.glob("*/libtwo.so"):
        found.unlink()
    env = {"LD_LIBRARY_PATH": path.format(d=tmp_path)} if path else {}
    output = subprocess.run(
        [program], env={**env, "LD_DEBUG": "libs"}, capture_output=True, text=True, check=False
    ).stderr
    (fault,) = closure(MachineView(**env), [program], late=False).faults
    assert (fault.kind, fault.subject) == (FaultKind.MISSING, "libtwo.so")
    assert there(fault.searched) == tried(output, "libtwo.so") != []


def test_a_note_of_what_is_opened_later(tmp_path: Path) -> None:
    """As systemd's macro writes it: the linker makes a segment of notes of the section."""
    text = r"[{\"soname\":[\"libgone.so.1\"],\"priority\":\"required\"}]"
    (tmp_path / "main.c").write_text(f"""
        __attribute__((used, section(".note.dlopen"), aligned(4))) static const struct {{
          unsigned name_size, size, type; char name[4]; char text[64];
        }} note = {{4, 64, 0x407c0c0a, "FDO", "{text}"}};
        int main(void) {{ return 0; }}
    """)
    cc(tmp_path, "-o", "main", "main.c")
    faults = closure(MachineView(), [str(tmp_path / "main")]).faults
    told = [(f.subject, f.fatal) for f in faults if f.kind is FaultKind.DLOPEN]
    assert told == [("libgone.so.1", False)]


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
    result = closure(MachineView(), [program], hwcaps=usable, late=False)
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
    faults = closure(MachineView(), [str(tmp_path / "m")], late=False).faults
    assert [(f.kind, f.subject) for f in faults] == [(FaultKind.VERSION, "libv.so V_2")]
