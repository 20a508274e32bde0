"""An image as loaders see it: listings, configuration, files read in parts."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.elf import reader as elf
from probe.image.elf.reader import ElfError
from probe.image.loader.files import CacheState
from probe.image.loader.files import LoaderFiles
from tests.support.elf_files import GLIBC_LOADER
from tests.support.elf_files import cache_of
from tests.support.elf_files import make
from tests.support.memory_view import MemoryView
from tests.support.memory_view import symlink


class PartView(MemoryView):
    """A view that reads parts, and counts the bytes that were asked for."""

    asked = 0

    def part(self, path: str, start: int, size: int) -> bytes:
        data = super().read(path)[start : start + size]
        self.asked += len(data)
        return data


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text("a.-0/", max_size=6), max_size=12), st.sampled_from(["*", "a*", "*.a"]))
def test_listing_by_pattern(names: list[str], pattern: str) -> None:
    """As a walk over all entries has it, whatever sorts between a folder and what is in it."""
    view = MemoryView(
        {"/d-x": b"", **{f"/d/{name}/leaf": b"" for name in names if ".." not in name}}
    )
    everything = [e.path for e in view.entries() if e.path.rpartition("/")[0] == "/d"]
    expected = [path for path in everything if fnmatchcase(path[3:], pattern)]
    assert LoaderFiles(view).glob(f"/d/{pattern}") == expected


CONF = "/etc/ld.so.conf"
CONFIGURED = [
    pytest.param({}, (), id="absent"),
    pytest.param({CONF: b"/a\n\n# /b\n/c/ # d\n/e=libc6\n"}, ("/a", "/c", "/e"), id="lines"),
    pytest.param({CONF: b"a\nhwcap 1 x\n"}, (), id="no paths"),
    pytest.param(
        {CONF: b"include conf.d/*.conf\n/z\n", "/etc/conf.d/b.conf": b"/b", "/etc/conf.d/x": b"/x"},
        ("/b", "/z"),
        id="relative pattern",
    ),
    pytest.param({CONF: b"include /etc/ld.so.conf\n/a\n"}, ("/a",), id="includes itself"),
    pytest.param({CONF: b"include /gone/*.conf\n/a\n/a\n"}, ("/a",), id="includes nothing"),
    pytest.param({CONF: symlink("/other"), "/other": b"/a"}, ("/a",), id="a link"),
]


@pytest.mark.parametrize(("files", "expected"), CONFIGURED)
def test_directories_of_ld_so_conf(files: dict[str, bytes], expected: tuple[str, ...]) -> None:
    assert LoaderFiles(MemoryView(files)).configured == expected


CACHES = [
    pytest.param({}, CacheState.ABSENT, id="absent"),
    pytest.param({"/etc/ld.so.cache": cache_of({})}, CacheState.PRESENT, id="empty"),
    pytest.param({"/etc/ld.so.cache": b"glibc"}, CacheState.MALFORMED, id="cut off"),
    pytest.param({"/etc/ld.so.cache": symlink("/gone")}, CacheState.ABSENT, id="dangling link"),
    pytest.param({"/etc/ld.so.cache/x": b""}, CacheState.MALFORMED, id="a directory"),
]


@pytest.mark.parametrize(("files", "state"), CACHES)
def test_the_cache_is_noted(files: dict[str, bytes], state: CacheState) -> None:
    assert LoaderFiles(MemoryView(files)).cache_state is state


LIBRARY = make("libc.so.6", soname="liba.so", interpreter=GLIBC_LOADER, tail=bytes(10**7))


def test_only_what_matters_is_read() -> None:
    """Of 10 MB some pages, a megabyte of data where Go's mark may be among them."""
    view = PartView({"/a": LIBRARY})
    assert LoaderFiles(view).facts("/a") == elf.read(LIBRARY)
    assert 0 < view.asked < 1_200_000


def test_a_file_that_shrinks_is_damaged() -> None:
    """The entry says 10 MB, the parts end before the program headers do."""
    view = PartView({"/a": LIBRARY})
    files = LoaderFiles(view)
    files.resolve("/a")
    view._tree.contents["/a"] = LIBRARY[:100]  # noqa: SLF001 - nobody else may change an image
    with pytest.raises(ElfError, match="beyond the end"):
        files.facts("/a")


UNREADABLE = [
    pytest.param("/gone", "not a file", id="nothing"),
    pytest.param("/d", "not a file", id="a directory"),
]


@pytest.mark.parametrize("view", [MemoryView({"/d/a": b""}), PartView({"/d/a": b""})])
@pytest.mark.parametrize(("path", "message"), UNREADABLE)
def test_what_is_no_file(view: MemoryView, path: str, message: str) -> None:
    with pytest.raises(ElfError, match=message):
        LoaderFiles(view).facts(path)
