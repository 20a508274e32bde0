"""Users and permissions, as runc and the kernel have them."""

import pytest

from probe.image.facts.users import EXECUTE
from probe.image.facts.users import READ
from probe.image.facts.users import WRITE
from probe.image.facts.users import User
from probe.image.facts.users import UserError
from probe.image.facts.users import barrier
from probe.image.facts.users import user_of
from probe.image.view import ImageConfig
from tests.support.memory_view import File
from tests.support.memory_view import MemoryView
from tests.support.memory_view import folder
from tests.support.memory_view import symlink

PASSWD = b"# people\nroot:x:0:0::/root:/bin/sh\n\nbroken:x\napp:x:1000:100::/:\nodd:x:one:1::/:\n"
GROUP = b"root:x:0:\nwww:x:33:app,other\nusers:x:100:\nempty:x::app\n"
FILES = {"/etc/passwd": PASSWD, "/etc/group": GROUP}

USERS = [
    pytest.param("", User(0, frozenset({0})), id="nobody named is root"),
    pytest.param("root", User(0, frozenset({0})), id="root"),
    pytest.param("app", User(1000, frozenset({100, 33})), id="name, with its groups"),
    pytest.param("1000", User(1000, frozenset({100, 33})), id="number that has a name"),
    pytest.param("65532", User(65532, frozenset({0})), id="number that has none: group 0"),
    pytest.param("65532:65532", User(65532, frozenset({65532})), id="both numbers"),
    pytest.param("app:www", User(1000, frozenset({33})), id="the group named alone counts"),
    pytest.param("app:", User(1000, frozenset({100, 33})), id="an empty group"),
    pytest.param(":33", User(0, frozenset({33})), id="an empty user"),
    pytest.param("2147483647", User(2147483647, frozenset({0})), id="the greatest"),
]


@pytest.mark.parametrize(("text", "expected"), USERS)
def test_users(text: str, expected: User) -> None:
    """As runc's GetExecUser has it (opencontainers/runc libcontainer/user)."""
    assert user_of(MemoryView(FILES, ImageConfig(user=text))) == expected


@pytest.mark.parametrize("text", ["nobody", "odd", "app:staff", "2147483648", "9" * 5000, "-1"])
def test_users_that_no_engine_finds(text: str) -> None:
    with pytest.raises(UserError):
        user_of(MemoryView(FILES, ImageConfig(user=text)))


def test_a_name_without_passwd() -> None:
    with pytest.raises(UserError, match="'app' is not in /etc/passwd"):
        user_of(MemoryView({}, ImageConfig(user="app")))


TREE = MemoryView(
    {
        "/open": File(b"", 0o644),
        "/run": File(b"", 0o755),
        "/owned": File(b"", 0o700, 1000),
        "/group": File(b"", 0o070, 0, 33),
        "/others": File(b"", 0o007, 1000),
        "/shut": folder(0o700),
        "/shut/inside": File(b"", 0o777),
        "/link": symlink("shut/inside"),
        "/tmp": folder(0o1777),
    }
)
APP, ROOT = User(1000, frozenset({33})), User(0, frozenset({0}))
BARRIERS = [
    pytest.param(APP, "/open", READ, None, id="others may read"),
    pytest.param(APP, "/open", WRITE, "/open", id="others may not write"),
    pytest.param(APP, "/open", EXECUTE, "/open", id="no execute bit"),
    pytest.param(APP, "/run", READ | EXECUTE, None, id="both"),
    pytest.param(APP, "/owned", EXECUTE, None, id="the owner's bits"),
    pytest.param(APP, "/group", WRITE, None, id="the group's bits"),
    pytest.param(APP, "/others", READ, "/others", id="an owner has no other bits"),
    pytest.param(APP, "/shut/inside", READ, "/shut", id="a directory on the way"),
    pytest.param(APP, "/link", READ, "/shut", id="a directory on a link's way"),
    pytest.param(APP, "/tmp", WRITE | EXECUTE, None, id="sticky"),
    pytest.param(APP, "/gone", READ, None, id="nothing there"),
    pytest.param(ROOT, "/shut/inside", WRITE, None, id="root passes"),
    pytest.param(ROOT, "/open", EXECUTE, "/open", id="root needs one execute bit"),
    pytest.param(ROOT, "/others", EXECUTE, None, id="anyone's execute bit will do"),
]


@pytest.mark.parametrize(("user", "path", "wanted", "expected"), BARRIERS)
def test_what_keeps_a_user_out(user: User, path: str, wanted: int, expected: str | None) -> None:
    """The first that refuses is told; path_resolution(7) has the rules."""
    found = barrier(TREE, user, path, wanted)
    assert (found and found.path) == expected
