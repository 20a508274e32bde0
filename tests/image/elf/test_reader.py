"""The ELF reader: against binutils on this machine's files, and on files made byte by byte."""

import random
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.elf import reader as elf
from probe.image.elf.notes import DlopenNote
from probe.image.elf.notes import Priority
from probe.image.elf.reader import Elf
from probe.image.elf.reader import ElfError
from probe.image.elf.reader import Kind
from probe.image.elf.reader import Libc
from probe.image.elf.source import Paged
from tests.support.components import missing
from tests.support.components import require
from tests.support.elf_files import AMD64
from tests.support.elf_files import ARM64
from tests.support.elf_files import GLIBC_LOADER
from tests.support.elf_files import I386
from tests.support.elf_files import MUSL_LOADER
from tests.support.elf_files import S390X
from tests.support.elf_files import dlopen_note
from tests.support.elf_files import make


def tool(name: str) -> str:
    """Return a program of binutils or gcc, or end the test."""
    return shutil.which(name) or missing(f"no {name}", "apt-get install gcc")


FULL = make(
    "libone.so.1",
    "libc.so.6",
    soname="libfull.so.2",
    interpreter=GLIBC_LOADER,
    runpath="$ORIGIN/../lib",
    requires={"libc.so.6": ("GLIBC_2.34", "?GLIBC_2.99"), "libone.so.1": ("ONE",)},
    provides=("libfull.so.2", "FULL_1"),
    notes=dlopen_note('[{"soname": ["libnoted.so"]}]'),
)

LAYOUTS = [
    pytest.param(bits, order, machine, word, id=word)
    for bits, order, machine, word in [
        (64, "little", AMD64, "amd64"),
        (64, "little", ARM64, "arm64"),
        (32, "little", I386, "386"),
        (64, "big", S390X, "s390x"),
        (32, "little", 40, "arm"),
    ]
]


@pytest.mark.parametrize(("bits", "order", "machine", "word"), LAYOUTS)
def test_every_class_and_byte_order(bits: int, order: str, machine: int, word: str) -> None:
    """The same facts come from every layout."""
    wants = {"libc.so.6": ("A", "B"), "libx.so": ("C",)}
    made = make("libc.so.6", "libx.so", requires=wants, provides=("X", "Y"), rpath="/r", bits=bits,
                order=order, machine=machine)  # fmt: skip
    found = elf.read(made)
    assert found.architecture == word
    assert (found.needed, found.rpath) == (("libc.so.6", "libx.so"), "/r")
    assert (found.requires, found.provides) == (wants, ("X", "Y"))


def test_facts_of_a_full_file() -> None:
    """Names, versions and the interpreter, with the weak version left out of what is required."""
    found = elf.read(FULL)
    assert found.kind is Kind.SHARED
    assert (found.interpreter, found.libc) == (GLIBC_LOADER, Libc.GLIBC)
    assert (found.soname, found.runpath) == ("libfull.so.2", "$ORIGIN/../lib")
    assert found.requires == {"libc.so.6": ("GLIBC_2.34",), "libone.so.1": ("ONE",)}
    assert [need.version for need in found.requirements if need.weak] == ["GLIBC_2.99"]
    assert found.provides == ("libfull.so.2", "FULL_1")
    assert not found.static


def test_rpath_is_void_beside_runpath() -> None:
    found = elf.read(make(rpath="/a", runpath="/b"))
    assert (found.rpath, found.runpath) == (None, "/b")


PROGRAMS = [
    pytest.param(make(kind=2), True, None, id="static"),
    pytest.param(make(flags=0x08000000), True, None, id="static pie"),
    pytest.param(make(), False, None, id="library without needs"),
    pytest.param(make("libc.so", interpreter=MUSL_LOADER, kind=2), False, Libc.MUSL, id="musl"),
    pytest.param(make(interpreter="/lib/ld-uClibc.so.0"), False, None, id="another libc"),
]


@pytest.mark.parametrize(("data", "static", "libc"), PROGRAMS)
def test_static_and_libc(data: bytes, *, static: bool, libc: Libc | None) -> None:
    """A program that loads nothing is static; the loader's name tells the libc."""
    found = elf.read(data)
    assert (found.static, found.libc) == (static, libc)


def test_go_build_info() -> None:
    """Go's mark in the data makes a Go binary, the same bytes without it do not."""
    mark = b"\xff Go buildinf:\x08\x02"
    assert elf.read(make(kind=2, tail=mark)).go
    assert not elf.read(make(kind=2, tail=mark[1:])).go


def test_dlopen_notes() -> None:
    """They come from the segment of notes, in every class and byte order."""
    text = '[{"soname": ["liba.so"], "priority": "required"}]'
    for bits, order, machine in ((64, "little", AMD64), (64, "big", S390X), (32, "little", I386)):
        notes = dlopen_note(text, "<" if order == "little" else ">")
        found = elf.read(make(bits=bits, order=order, machine=machine, notes=notes)).dlopen
        assert found == (DlopenNote(("liba.so",), Priority.REQUIRED),)


def test_names_that_overlap_are_bounded() -> None:
    """Tails of one long name, each of which is a name too, take no more than a megabyte."""
    made = make("x" * 4000, requires={"y": ("z",)})
    strings = made.index(b"x" * 4000)
    tag = struct.pack("<QQ", 1, 1)
    assert made.count(tag) == 1
    many = b"".join(struct.pack("<QQ", 1, 1 + skip) for skip in range(1000))
    table = many + made[made.index(tag) + 16 :]
    start = len(made)
    program = cut(made, 64 + 2 * 56 + 8, struct.pack("<QQQQ", start, start, start, len(table)))
    assert made[strings - 1] == 0
    with pytest.raises(ElfError, match="names of more than"):
        elf.read(program + table)


def cut(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


DAMAGED = [
    pytest.param(b"", "empty file", id="empty"),
    pytest.param(b"#!/bin/sh\n", "not an ELF file", id="script"),
    pytest.param(FULL[:5], "unknown ELF class or byte order", id="identity cut off"),
    pytest.param(cut(FULL, 4, b"\3"), "unknown ELF class", id="class 3"),
    pytest.param(cut(FULL, 5, b"\0"), "byte order", id="no byte order"),
    pytest.param(FULL[:40], "header at 0x10 lies beyond", id="header cut off"),
    pytest.param(cut(FULL, 16, b"\0\0"), "unknown ELF type 0", id="type none"),
    pytest.param(cut(FULL, 54, b"\1\0"), "program headers of 1 bytes", id="odd entry size"),
    pytest.param(cut(FULL, 56, b"\xff\xff"), "65535 program headers", id="too many headers"),
    pytest.param(FULL[:200], "program header at", id="program headers cut off"),
    pytest.param(FULL[:-8], "dynamic entry at", id="dynamic table cut off"),
    pytest.param(
        FULL.replace(GLIBC_LOADER.encode() + b"\0", GLIBC_LOADER.encode() + b"x"),
        "interpreter is not a path",
        id="interpreter without end",
    ),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damage_is_named(data: bytes, message: str) -> None:
    """What is damaged has one error with a sentence."""
    with pytest.raises(ElfError, match=re.escape(message)):
        elf.read(data)


def test_every_prefix_is_an_error() -> None:
    """A file that ends anywhere before its dynamic table's end has no facts."""
    for size in range(len(FULL)):
        with pytest.raises(ElfError):
            elf.read(FULL[:size])


def test_circles_end() -> None:
    """A version record that points at itself ends the file's reading, not the reader."""
    made = make(requires={"libc.so.6": ("A",)})
    tag = struct.pack("<QQ", 0x6FFFFFFF, 1)
    looping = made.replace(tag, struct.pack("<QQ", 0x6FFFFFFF, 2**40))
    start = struct.unpack_from("<Q", made, made.index(struct.pack("<Q", 0x6FFFFFFE)) + 8)[0]
    # the next record lies 1 byte further, for ever
    with pytest.raises(ElfError):
        elf.read(cut(looping, start + 12, struct.pack("<I", 1)))


def told(read: Callable[[], Elf]) -> Elf | str:
    try:
        return read()
    except ElfError as error:
        return str(error)


def facts_or_error(data: bytes) -> None:
    """Read it whole and in parts: the same facts or the same sentence, never anything else."""

    def part(start: int, size: int) -> bytes:
        assert 0 <= start <= start + size <= len(data)
        return data[start : start + size]

    whole = told(lambda: elf.read(data))
    assert whole == told(lambda: elf.read_from(Paged(len(data), part)))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300).map(lambda data: b"\x7fELF" + data))
def test_random_bytes(data: bytes) -> None:
    """Facts or ElfError, never anything else."""
    facts_or_error(data)


@settings(deadline=None, max_examples=500)
@given(st.integers(4, len(FULL) - 8), st.binary(min_size=1, max_size=8), st.integers(0, len(FULL)))
def test_mutated_bytes(at: int, new: bytes, end: int) -> None:
    """The same where some bytes of a good file are others, whole and cut short."""
    facts_or_error(cut(FULL, at, new))
    facts_or_error(cut(FULL, at, new)[:end])


def sample(count: int) -> list[Path]:
    """Take ELF files of this machine, always the same."""
    places = [*Path("/usr/bin").iterdir(), *Path("/usr/lib/x86_64-linux-gnu").glob("*.so.*")]
    files = sorted({path.resolve() for path in places if path.is_file()})
    small = [path for path in files if path.stat().st_size < 4_000_000]
    found = random.Random(4).sample(small, count * 2)
    return [path for path in found if elf.is_elf(path.read_bytes())][:count]


def by_objdump(path: Path) -> dict[str, object]:
    text = subprocess.run(
        [tool("objdump"), "-p", str(path)], capture_output=True, text=True, check=True
    ).stdout
    requires: dict[str, tuple[str, ...]] = {}
    for part in re.split(r"\n  required from ", text.partition("Version References:")[2])[1:]:
        versions = re.findall(r"^    0x\S+ 0x00 \d+ (\S+)$", part, re.MULTILINE)
        requires[part.partition(":")[0]] = tuple(versions)
    given_ = text.partition("Version definitions:")[2].partition("Version References:")[0]
    return {
        "needed": tuple(dict.fromkeys(re.findall(r"^  NEEDED +(\S+)$", text, re.MULTILINE))),
        "soname": next(iter(re.findall(r"^  SONAME +(\S+)$", text, re.MULTILINE)), None),
        "runpath": next(iter(re.findall(r"^  RUNPATH +(\S+)$", text, re.MULTILINE)), None),
        "provides": tuple(re.findall(r"^\d+ 0x\S+ 0x\S+ (\S+)", given_, re.MULTILINE)),
        "requires": {file: versions for file, versions in requires.items() if versions},
    }


def test_this_machines_files_as_objdump_reads_them() -> None:
    """Needs, names and versions of programs and libraries are what binutils finds."""
    files = sample(60)
    assert len(files) == 60
    for path in files:
        found, expected = elf.read(path.read_bytes()), by_objdump(path)
        assert {name: getattr(found, name) for name in expected} == expected, path


def test_a_static_bash() -> None:
    found = elf.read(Path(require("bash-static")).read_bytes())
    assert found.static
    assert not found.go


def test_a_real_go_program() -> None:
    """Docker's client is written in Go, bash is not."""
    assert elf.read(Path(require("docker")).resolve().read_bytes()).go
    assert not elf.read(Path("/bin/bash").read_bytes()).go
