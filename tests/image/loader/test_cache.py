"""ld.so.cache: against ldconfig, and made byte by byte."""

import re
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.loader.cache import CacheError
from probe.image.loader.cache import read_cache
from tests.support.components import require
from tests.support.elf_files import cache_of

GOOD = cache_of({"liba.so.1": "/lib/liba.so.1", "libb.so": "/usr/lib/libb.so"})


@pytest.mark.real
def test_the_machines_cache_as_ldconfig_prints_it() -> None:
    """Every name and path of `ldconfig -p`, in its order."""
    require("ldd")
    output = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    expected = re.findall(r"^\t(\S+) \(.*\) => (\S+)$", output.stdout, re.MULTILINE)
    cache = read_cache(Path("/etc/ld.so.cache").read_bytes())
    assert [(name, e.path) for name, entries in cache.items() for e in entries] == expected


@pytest.mark.real
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
    command = [
        require("gcc"),
        "-shared",
        "-fPIC",
        "-o",
        "two.so",
        "-Wl,-soname,libtwo.so.2",
        "two.c",
    ]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / "two.so").read_bytes()


def test_an_old_cache_before_the_new_one() -> None:
    """Until glibc 2.32 ldconfig wrote both formats, one behind the other."""
    old = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + bytes(12)
    new = cache_of({"liba.so.1": "/lib/liba.so.1"})
    assert read_cache(old.ljust(32, b"\0") + new) == read_cache(new)


DAMAGED = [
    pytest.param(b"", "not of the format", id="empty"),
    pytest.param(b"ld.so-1.7.0\0" + bytes(4), "not of the format", id="the old format alone"),
    pytest.param(GOOD[:47], "not of the format", id="header cut off"),
    pytest.param(GOOD[:60], "2 entries do not fit", id="entries cut off"),
    pytest.param(GOOD[:-1], "no string at", id="strings cut off"),
    pytest.param(GOOD[:32] + b"\xff" * 4 + GOOD[36:], "beyond the end", id="extension elsewhere"),
    pytest.param(GOOD[:32] + b"\x30\0\0\0" + GOOD[36:], "unknown extension", id="no extension"),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damage_is_named(data: bytes, message: str) -> None:
    with pytest.raises(CacheError, match=message):
        read_cache(data)


def test_strings_that_overlap_are_bounded() -> None:
    """Entries may all point at one long name: their bytes are counted, not the file's."""
    count = 9000
    table = struct.pack("<iIIIQ", 3, *(48 + 24 * count,) * 2, 0, 0) * count
    head = (b"glibc-ld.so.cache1.1" + struct.pack("<IIB", count, 4096, 2)).ljust(48, b"\0")
    with pytest.raises(CacheError, match="strings of more than"):
        read_cache(head + table + b"x" * 4096 + b"\0")


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=8), st.integers(0, 200))
def test_damaged_caches(at: int, new: bytes, end: int) -> None:
    """A table of entries or CacheError, never anything else, whatever the bytes."""
    data = (GOOD[:at] + new + GOOD[at + len(new) :])[:end] if at % 2 else GOOD[:at] + new
    try:
        assert len(read_cache(data)) <= 2
    except CacheError:
        assert data != GOOD


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_random_caches(rest: bytes) -> None:
    """The same for bytes that only begin as a cache does."""
    with suppress(CacheError):
        found = read_cache(b"glibc-ld.so.cache1.1" + rest)
        assert sum(map(len, found.values())) <= len(rest) // 24
