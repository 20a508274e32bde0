"""The image's user: root, a name, nobody; and what he may not open."""

from collections.abc import Mapping

import pytest

from probe.image.rules.user import RULES
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.support.sketches import told

PASSWD = Text("root:x:0:0::/:\ntoor:x:0:0::/:\napp:x:1000:1000::/:\n", 0o644)
FILES: Mapping[str, Drawn] = {"/app": static(), "/etc/passwd": PASSWD}


def image(user: str, *command: str, files: Mapping[str, Drawn] = FILES) -> Sketch:
    return Sketch(files, ImageConfig(entrypoint=command or ("/app",), user=user))


CASES = [
    pytest.param(image("65532"), [], id="a number"),
    pytest.param(image("app:app"), ["error user-unknown"], id="an unknown group"),
    pytest.param(image("nobody"), ["error user-unknown"], id="an unknown name"),
    pytest.param(image("app"), ["warning user-not-numeric"], id="a name"),
    pytest.param(image("root"), ["warning user-is-root"], id="root by name"),
    pytest.param(image("0:0"), ["warning user-is-root"], id="root by number"),
    pytest.param(image("toor"), ["warning user-is-root"], id="root by another name"),
    pytest.param(image(""), ["warning user-is-root"], id="none named"),
    pytest.param(Sketch(FILES), [], id="a root without a config"),
    pytest.param(Sketch(FILES, ImageConfig()), [], id="a base image"),
    pytest.param(
        image("1", files={"/app": Program(interpreter=None, mode=0o700)}),
        ["error user-may-not /app"],
        id="program for its owner alone",
    ),
    pytest.param(
        image("0", files={"/app": Program(interpreter=None, mode=0o700)}),
        ["warning user-is-root"],
        id="root may",
    ),
    pytest.param(
        image("1", files={"/app": Program(interpreter=None, mode=0o711)}),
        [],
        id="a program need not be readable",
    ),
    pytest.param(
        image("1", files={"/bin/bash": static(), "/app": Text("#!/bin/bash\n:\n", 0o711)}),
        ["error user-may-not /app"],
        id="a script must be",
    ),
    pytest.param(
        image("1", "/bin/bash", "/a.sh", files={"/bin/bash": static(), "/a.sh": Text(":", 0o600)}),
        ["error user-may-not /a.sh"],
        id="a script by its shell",
    ),
    pytest.param(
        image("1", "/opt/app", files={"/opt": Folder(0o700), "/opt/app": static()}),
        ["error user-may-not /opt"],
        id="a directory on the way",
    ),
    pytest.param(
        image(
            "1",
            files={
                "/app": Program(("libc.so.6",)),
                "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
                "/lib64/libc.so.6": Program(interpreter=None, soname="libc.so.6", mode=0o600),
            },
        ),
        ["error user-may-not /lib64/libc.so.6"],
        id="a library",
    ),
    pytest.param(
        image(
            "1",
            files={
                "/bin/bash": static(),
                "/app": Text("#!/bin/bash\ncommand -v debug && debug\n:\n"),
                "/bin/debug": Program(interpreter=None, mode=0o700),
            },
        ),
        [],
        id="a command that is asked for first",
    ),
]


@pytest.mark.parametrize(("sketch", "expected"), CASES)
def test_users(sketch: Sketch, expected: list[str]) -> None:
    assert told(RULES, sketch) == expected
