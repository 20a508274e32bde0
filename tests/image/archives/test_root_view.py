"""A directory read as it is asked for says what it says when it is read whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probe.image.archives import open_image
from probe.image.archives.root_view import RootView
from probe.image.source import WholeView
from probe.image.view import ViewError

LINKS = {
    "usr/bin/sh": "bash",
    "bin": "usr/bin",
    "absolute": "/usr/bin/bash",
    "outside": "../../../../../../usr/bin/bash",
    "loop": "loop",
    "dangling": "nothing",
    "usr/lib/up": "../..",
    "through": "usr/bin/bash/x",
}
FILES = {"usr/bin/bash": b"#!", "etc/passwd": b"root", "usr/lib/a/b": b"", "usr/lib/a-b": b"1"}
PATHS = [
    "/", "/bin", "/bin/", "/bin/sh", "/bin/sh/", "/usr/lib/up/bin/sh", "/absolute", "/outside",
    "/loop", "/dangling", "/through", "/usr/lib/a", "/usr/lib/a/../a-b", "/../etc/passwd",
    "/etc/passwd/x", "/etc/pass\0wd", "/none", "", ".", "/usr/lib/a/b",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    for name, data in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    for name, target in LINKS.items():
        (top / name).symlink_to(target)
    return top


def outcome(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except ViewError as error:
        return str(error)


@pytest.mark.parametrize("path", PATHS)
def test_as_the_whole(folder: Path, path: str) -> None:
    """Each question has the answer that a view of the whole root gives."""
    with RootView(str(folder)) as lazy, open_image(str(folder)) as whole:
        assert lazy.lstat(path) == whole.lstat(path)
        assert lazy.resolve(path) == whole.resolve(path)
        assert outcome(lambda: lazy.read(path)) == outcome(lambda: whole.read(path))
        assert outcome(lambda: lazy.read(path, 1)) == outcome(lambda: whole.read(path, 1))
        assert outcome(lambda: lazy.part(path, 0, 1)) == outcome(lambda: whole.part(path, 0, 1))
        assert list(lazy.below(path)) == list(WholeView(whole).below(path))


def test_lists_what_it_is_told_to(folder: Path) -> None:
    """Entries are those below the given folders alone, links not followed."""
    with RootView(str(folder), listed=["/etc", "/usr/lib"]) as view:
        assert [entry.path for entry in view.entries()] == [
            "/etc/passwd", "/usr/lib/a", "/usr/lib/a-b", "/usr/lib/a/b", "/usr/lib/up",
        ]  # fmt: skip


def test_no_directory(tmp_path: Path) -> None:
    """What is no directory is refused by name."""
    with pytest.raises(ViewError, match=r"cannot read .*/none: no such file"):
        RootView(str(tmp_path / "none"))


def test_a_link_put_there_meanwhile(folder: Path) -> None:
    """A folder that becomes a link after it was looked at leads nowhere, not outside."""
    with RootView(str(folder)) as view:
        assert view.resolve("/etc/passwd")
        (folder / "etc/passwd").unlink()
        (folder / "etc").rmdir()
        (folder / "etc").symlink_to("/etc")
        with pytest.raises(ViewError, match="/etc/passwd: cannot be read"):
            view.read("/etc/passwd")
