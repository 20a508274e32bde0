"""The closure of this machine's programs against what their loader opens and finds."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from probe.image.archives.root_view import RootView
from probe.image.elf import reader as elf
from probe.image.loader.closure import Closure
from probe.image.loader.closure import closure
from probe.image.loader.search import Rule
from tests.support.components import missing
from tests.support.components import require
from tests.support.loader_output import loaded
from tests.support.loader_output import traced
from tests.support.machine_view import MachineView

pytestmark = pytest.mark.real

PROGRAMS = ("/usr/bin/", "/usr/sbin/")


@pytest.fixture(scope="module")
def root() -> Iterator[RootView]:
    """This machine's root, as the builder reads it: what else lies in it does not matter."""
    with RootView("/", (*PROGRAMS, "/etc/ld.so.conf.d")) as view:
        yield view


def programs(root: RootView) -> list[str]:
    """Give every other program of this machine, for the time that ldd takes."""
    files = [e for e in root.entries() if e.path.startswith(PROGRAMS)]
    names = [e.path for e in files if e.kind == "file" and e.mode & 0o111]
    return [name for name in names if root.part(name, 0, 4) == elf.MAGIC][::2]


def test_this_machines_programs_as_ldd_has_them(root: RootView) -> None:
    """The same files for each of some hundred programs, and the same missing ones."""
    names = programs(root)
    assert len(names) > 100
    output = subprocess.run(
        [require("ldd"), *names], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    ).stdout
    listings = dict(re.findall(r"^(/\S+):\n((?:\t.*\n)*)", output, re.MULTILINE))
    for name in names:
        assert loaded(closure(root, [name], late=False), name) == traced(listings[name]), name


STARTED = "transferring control: "
"""What LD_DEBUG=files prints when the libraries are there and the program begins."""


def opened(trace: str) -> list[str]:
    """Read which libraries a trace of openat() shows: the directories' and caches' left out."""
    paths = re.findall(r'openat\(AT_FDCWD, "([^"]+)"[^)]*\) = \d', trace)
    return [path for path in paths if re.search(r"\.so(\.|$)", path) and magic(path) == elf.MAGIC]


def magic(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(4)


def strace(folder: Path, command: list[str]) -> tuple[list[str], list[str]]:
    """Run a program, and give the libraries opened before it begins and after."""
    log = folder / "strace.log"
    subprocess.run(
        [require("strace"), "-s", "200", "-e", "trace=openat,writev", "-o", log, *command],
        env={"LC_ALL": "C", "LD_DEBUG": "files"}, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    before, started, after = log.read_text().partition(STARTED)
    assert started
    return opened(before), opened(after)


# Each: a command, and a pattern of what it opens by itself, by names that none of its files has.
LATER = [
    pytest.param(["curl", "--version"], r"/usr/lib/[^/]+/sasl2/.*", id="curl asks SASL's plugins"),
    pytest.param(["git", "--version"], "", id="git"),
    pytest.param(["/usr/bin/python3", "--version"], "", id="python"),
    pytest.param(
        ["/usr/bin/python3", "-c", "import ssl"],
        r"/usr/lib/python3[^/]*/lib-dynload/.*",
        id="python imports modules",
    ),
    pytest.param(["nginx", "-v"], "", id="nginx"),
    pytest.param(["skopeo", "--version"], "", id="skopeo"),
    pytest.param(["bash", "--version"], "", id="bash"),
    pytest.param(["openssl", "version"], "", id="openssl"),
    pytest.param(["getent", "passwd", "nobody-of-this-name"], "", id="NSS"),
]


@pytest.mark.parametrize(("command", "later"), LATER)
def test_what_the_loader_opens(tmp_path: Path, command: list[str], later: str) -> None:
    """By the same paths: before main() all and no more, after it nothing that is not explained."""
    found = which(command[0], path="/usr/bin:/usr/sbin")
    program = found or missing(f"no {command[0]}", "make setup-ci")
    view = MachineView()
    before, after = strace(tmp_path, [program, *command[1:]])
    assert sorted(before) == sorted(paths_opened(closure(view, [program], late=False)))
    plugins = {path for path in after if re.fullmatch(later, path)}
    assert plugins or not later
    assert set(after) - plugins <= paths_opened(closure(view, [program, *sorted(plugins)]))


def paths_opened(result: Closure) -> set[str]:
    """Give what the loader itself opens: not the program and the interpreter, the kernel's."""
    kernels = {Rule.ENTRY, Rule.INTERPRETER}
    files = [node for node in result.nodes if kernels.isdisjoint(use.rule for use in node.uses)]
    return {use.opened for node in files for use in node.uses if use.rule is not Rule.LOADED}


def test_a_service_of_nsswitch_conf_is_followed(tmp_path: Path) -> None:
    """A look-up of a user opens libnss_systemd, where nsswitch.conf has it, and so do we."""
    found = require_service("systemd")
    _, after = strace(tmp_path, ["/usr/bin/getent", "passwd", "nobody-of-this-name"])
    assert found in {os.path.realpath(path) for path in after}
    assert found in closure(MachineView(), ["/usr/bin/getent"]).paths


def require_service(name: str) -> str:
    text = Path("/etc/nsswitch.conf").read_text()
    module = Path(f"/usr/lib/x86_64-linux-gnu/libnss_{name}.so.2")
    if not re.search(rf"^passwd:.*\b{name}\b", text, re.MULTILINE) or not module.exists():
        missing(f"no libnss-{name}", f"apt-get install libnss-{name}")
    return os.path.realpath(module)


def test_a_static_bash_has_nothing_to_load() -> None:
    result = closure(MachineView(), [require("bash-static")])
    assert (len(result.nodes), result.faults) == (1, ())
