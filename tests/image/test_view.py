"""Links inside the root, and layers over each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.view import MAX_HOPS
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import Member
from probe.image.view import Tree
from probe.image.view import ViewError
from probe.image.view import clean
from tests.support.memory_view import MemoryView
from tests.support.memory_view import folder
from tests.support.memory_view import symlink

ROOT = MemoryView(
    {
        "/usr/lib/x.so.1.2": b"elf",
        "/usr/lib/x.so.1": symlink("x.so.1.2"),
        "/usr/lib/x.so": symlink("/usr/lib/x.so.1"),
        "/lib": symlink("usr/lib"),
        "/out": symlink("../../../usr/lib/x.so"),
        "/up": symlink("/../../lib"),
        "/dangling": symlink("/nowhere"),
        "/loop": symlink("loop"),
        "/ping": symlink("pong"),
        "/pong": symlink("ping"),
        "/through": symlink("/usr/lib/x.so.1.2/more"),
        "/empty": symlink(""),
        "/tmp": folder(0o1777),
    }
)

RESOLVED = [
    ("/", "/"),
    ("", "/"),
    ("usr", "/usr"),
    ("/usr/lib/x.so", "/usr/lib/x.so.1.2"),
    ("/lib/x.so", "/usr/lib/x.so.1.2"),
    ("//lib/./x.so", "/usr/lib/x.so.1.2"),
    ("/lib/../lib/x.so", "/usr/lib/x.so.1.2"),
    ("/lib/../usr/lib/x.so", None),
    ("/lib/../../lib/x.so", "/usr/lib/x.so.1.2"),
    ("/out", "/usr/lib/x.so.1.2"),
    ("/up/x.so.1", "/usr/lib/x.so.1.2"),
    ("/../../../tmp", "/tmp"),
    ("/lib/", "/usr/lib"),
    ("/usr/lib/x.so/", None),
    ("/usr/lib/x.so.1.2/..", None),
    ("/dangling", None),
    ("/loop", None),
    ("/ping", None),
    ("/through", None),
    ("/empty", None),
    ("/nowhere/..", None),
    ("/" + "./" * 3000, None),
    ("/" + "../" * 1300, "/"),
]


@pytest.mark.parametrize(("path", "expected"), RESOLVED, ids=[path[:24] for path, _ in RESOLVED])
def test_resolve(path: str, expected: str | None) -> None:
    """Links lead on inside the root only."""
    found = ROOT.resolve(path)
    assert (found and found.path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/lib", "/lib"), ("/lib/x.so", "/usr/lib/x.so"), ("/lib/", "/usr/lib"), ("/loop", "/loop")],
)
def test_lstat(path: str, expected: str) -> None:
    """The last name is not followed, unless a slash behind it asks for a directory."""
    found = ROOT.lstat(path)
    assert found is not None
    assert found.path == expected


@pytest.mark.parametrize(("links", "leads"), [(MAX_HOPS, True), (MAX_HOPS + 1, False)])
def test_hops(links: int, leads: bool) -> None:  # noqa: FBT001 - a case
    """As many links as Linux follows, and no more."""
    chain = {f"/{number}": symlink(f"{number + 1}") for number in range(links)}
    view = MemoryView({**chain, f"/{links}": b""})
    assert (view.resolve("/0") is not None) is leads


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b", "/a/b"),
        ("./a//b/", "/a/b"),
        ("/a/../b", "/b"),
        ("./", "/"),
        ("../x", None),
        ("a/../../x", None),
        ("a\udc80", "/a\udc80"),
    ],
)
def test_clean(name: str, expected: str | None) -> None:
    assert clean(name) == expected


def file(path: str, content: bytes = b"") -> Member[bytes]:
    return Member(Entry(path, Kind.FILE, 0o644, 0, 0, len(content)), content)


def made(path: str, mode: int = 0o755) -> Member[bytes]:
    return Member(Entry(path, Kind.DIRECTORY, mode, 0, 0, 0))


def link(path: str, target: str) -> Member[bytes]:
    return Member(Entry(path, Kind.SYMLINK, 0o777, 0, 0, 0, target))


def hard(path: str, target: str) -> Member[bytes]:
    return Member(Entry(path, Kind.FILE, 0o644, 0, 0, 0), link=target)


def layered(*layers: list[Member[bytes]], max_entries: int = 1000) -> Tree[bytes]:
    tree: Tree[bytes] = Tree(max_entries, 100_000)
    for layer in layers:
        tree.add_layer(layer, whiteouts=True)
    return tree


BASE = [file("a/x", b"1"), file("a/d/y", b"2"), file("b", b"3"), link("l", "a")]

LAYERS = [
    pytest.param([], "/a/d/y /a/x /b", 0, id="nothing above"),
    pytest.param([file("a/.wh.x")], "/a/d/y /b", 0, id="whiteout of a file"),
    pytest.param([file(".wh.a")], "/b", 0, id="whiteout of a directory"),
    pytest.param([file("a/.wh..wh..opq"), file("a/n")], "/a/n /b", 0, id="opaque"),
    pytest.param([file("a/n"), file("a/.wh..wh..opq")], "/a/n /b", 0, id="opaque comes last"),
    pytest.param([file("b"), file(".wh.b")], "/a/d/y /a/x /b", 0, id="own files stay"),
    pytest.param([file(".wh.zzz")], "/a/d/y /a/x /b", 0, id="whiteout of nothing"),
    pytest.param([file(".wh..wh.plnk")], "/a/d/y /a/x /b", 0, id="aufs"),
    pytest.param([file("a/.wh...")], "/a/d/y /a/x /b", 1, id="whiteout of the parent"),
    pytest.param([file("a/.wh..")], "/a/d/y /a/x /b", 1, id="whiteout of the directory"),
    pytest.param([file("../.wh.b")], "/a/d/y /a/x /b", 1, id="whiteout outside"),
    pytest.param([file("l/.wh.x")], "/a/d/y /b", 0, id="whiteout through a link"),
    pytest.param([file("a")], "/a /b", 0, id="file over directory"),
    pytest.param([made("b"), file("b/c")], "/a/d/y /a/x /b/c", 0, id="directory over file"),
    pytest.param([file("b/c")], "/a/d/y /a/x /b/c", 0, id="implied directory over file"),
    pytest.param([made("a", 0o700)], "/a/d/y /a/x /b", 0, id="directory over directory"),
    pytest.param([hard("h", "a/x")], "/a/d/y /a/x /b /h", 0, id="hard link below"),
    pytest.param([hard("a", "a/x")], "/a /b", 0, id="hard link over its own directory"),
    pytest.param([hard("h", "/b")], "/a/d/y /a/x /b /h", 0, id="absolute hard link"),
    pytest.param([hard("h", "../b")], "/a/d/y /a/x /b", 1, id="hard link outside"),
    pytest.param([hard("h", "a")], "/a/d/y /a/x /b", 1, id="hard link to a directory"),
    pytest.param([hard("h", "zzz")], "/a/d/y /a/x /b", 1, id="hard link to nothing"),
    pytest.param([file("../../etc/passwd")], "/a/d/y /a/x /b", 1, id="name outside"),
    pytest.param([file("l/n")], "/a/d/y /a/n /a/x /b", 1, id="through a link of a layer below"),
    pytest.param([link("m", "/a"), file("m/n")], "/a/d/y /a/n /a/x /b", 0, id="through its own"),
    pytest.param([link("o", "../.."), file("o/n")], "/a/d/y /a/x /b /n", 0, id="link to outside"),
    pytest.param([made("l"), file("l/n")], "/a/d/y /a/x /b /l/n", 0, id="directory over link"),
    pytest.param([file("f"), file("f/n")], "/a/d/y /a/x /b /f", 1, id="below its own file"),
    pytest.param([file("")], "/a/d/y /a/x /b", 1, id="file in place of the root"),
    pytest.param([file("a\0b")], "/a/d/y /a/x /b", 1, id="NUL"),
]


@pytest.mark.parametrize(("layer", "files", "faults"), LAYERS)
def test_layers(layer: list[Member[bytes]], files: str, faults: int) -> None:
    """One layer over another: what is there then, and how much was passed over."""
    tree = layered(BASE, layer)
    found = sorted(path for path, entry in tree.entries.items() if entry.kind is Kind.FILE)
    assert found == files.split()
    assert set(tree.contents) == set(found)
    assert len(tree.faults) == faults


def test_hard_link_keeps_what_it_linked() -> None:
    """A file replaced later keeps its old contents under its other name."""
    tree = layered([file("x", b"old"), hard("h", "x")], [file("x", b"new!")])
    assert (tree.contents["/h"], tree.entries["/h"].size) == (b"old", 3)
    assert (tree.contents["/x"], tree.entries["/x"].size) == (b"new!", 4)


def test_root_attributes() -> None:
    assert layered([made("./", 0o711)]).entries["/"].mode == 0o711


def test_a_plain_root_has_no_whiteouts() -> None:
    tree: Tree[bytes] = Tree(10, 10)
    tree.add_layer([file("x"), file(".wh.x")], whiteouts=False)
    assert set(tree.contents) == {"/x", "/.wh.x"}


def test_entries_are_limited() -> None:
    """Directories that only names imply count too."""
    with pytest.raises(ViewError, match="more than 50 entries"):
        layered([file("d/" * 60 + "x")], max_entries=50)


def test_steps_are_limited() -> None:
    chain = [link(f"{number}", f"{number + 1}") for number in range(39)]
    many = [file(f"0/{number}") for number in range(900)]
    tree: Tree[bytes] = Tree(10_000, 5_000)
    with pytest.raises(ViewError, match="too many links"):
        tree.add_layer([*chain, made("39"), *many], whiteouts=False)


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq"]), max_size=5)
PATHS = NAMES.map("/".join)
MEMBERS = st.one_of(
    PATHS.map(file),
    PATHS.map(made),
    st.builds(link, PATHS, PATHS),
    st.builds(hard, PATHS, PATHS),
)


@given(st.lists(st.lists(MEMBERS, max_size=6), max_size=4), PATHS)
def test_any_layers_make_a_tree(layers: list[list[Member[bytes]]], path: str) -> None:
    """Every entry stands in a directory, under its own path; every file has contents, all inside.

    And whatever is looked up is nothing or one of the entries, no link.
    """
    tree = layered(*layers)
    for name, entry in tree.entries.items():
        assert entry.path == name == clean(name)
        assert tree.entries[name.rpartition("/")[0] or "/"].kind is Kind.DIRECTORY
        assert (name in tree.contents) is (entry.kind is Kind.FILE)
    view = MemoryView({name: entry for name, entry in tree.entries.items() if name != "/"})
    found = view.resolve(path)
    assert found is None or (found.kind is not Kind.SYMLINK and found.path in tree.entries)
