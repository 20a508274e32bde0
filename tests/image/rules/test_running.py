"""Commands, PID 1, directories and signals; and what the machine's own shells do as PID 1 would."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from probe.image.rules.running import RULES
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.scripts import script_text
from tests.support.components import missing
from tests.support.sketches import told

CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532")
FILES: Mapping[str, Drawn] = {
    "/app": static(),
    "/bin/bash": static(),
    "/bin/dash": static(),
    "/bin/busybox": static(),
    "/bin/cat": static(),
    "/bin/tini": static(),
    "/bin/gosu": static(),
    "/bin/ash": Link("busybox"),
    "/bin/sh": Link("dash"),
}
STAYS = ["warning pid-one-is-a-shell"]


def runs(*command: str) -> Sketch:
    return Sketch(FILES, replace(CONFIG, entrypoint=command))


COMMANDS = [
    pytest.param(runs("/app"), [], id="the application"),
    pytest.param(runs(), ["warning no-command"], id="nothing"),
    pytest.param(Sketch(FILES), [], id="a root without a config"),
    pytest.param(runs("/bin/tini", "--", "/app"), [], id="an init"),
    pytest.param(runs("/bin/bash"), [], id="a shell for people"),
    pytest.param(runs("/bin/gosu", "1", "/bin/sh", "-c", "/app"), [], id="behind another program"),
    pytest.param(runs("/bin/sh", "-c", "exec /app"), [], id="exec"),
    pytest.param(runs("/bin/sh", "-c", "trap 'kill $!' TERM; /app & wait"), [], id="a trap"),
    pytest.param(runs("/bin/sh", "-c", "/app"), STAYS, id="dash"),
    pytest.param(runs("/bin/sh", "-ec", "/app"), STAYS, id="dash with options"),
    pytest.param(runs("/bin/sh", "-c", "/bin/cat x && /app"), STAYS, id="dash, a list"),
    pytest.param(runs("/bin/sh", "-c", "echo a"), [], id="builtins alone"),
    pytest.param(runs("/bin/bash", "-c", "/app"), [], id="bash"),
    pytest.param(runs("/bin/bash", "-c", "/bin/cat x && /app"), [], id="bash, a list"),
    pytest.param(runs("/bin/bash", "-c", "/app | /bin/cat"), STAYS, id="bash, a pipeline"),
    pytest.param(runs("/bin/bash", "-c", "/app '|' a"), [], id="bash, a quoted bar"),
    pytest.param(runs("/bin/bash", "-c", "/app || true"), STAYS, id="bash, || true"),
    pytest.param(runs("/bin/bash", "-c", "/app; wait"), STAYS, id="bash, a builtin at the end"),
    pytest.param(runs("/bin/bash", "-o", "pipefail", "-c", "/app | /bin/cat"), STAYS, id="-o"),
    pytest.param(runs("/bin/ash", "-c", "/app"), [], id="busybox"),
    pytest.param(runs("/bin/ash", "-c", "/app | /bin/cat"), STAYS, id="busybox, a pipeline"),
    pytest.param(runs("/bin/bash", "-c"), [], id="no text"),
]


@pytest.mark.parametrize(("sketch", "expected"), COMMANDS)
def test_commands(sketch: Sketch, expected: list[str]) -> None:
    """A shell that stays is told only where that is certain."""
    assert told(RULES, sketch) == expected


SCRIPTS = [
    pytest.param('exec /app "$@"\n', False, id="exec"),
    pytest.param('exec "$@"\n', False, id="exec of the arguments"),
    pytest.param("/app\n", True, id="none"),
    pytest.param('"$@"\n', True, id="the arguments, without"),
    pytest.param("# exec would be better\n/app\n", True, id="exec in a comment"),
    pytest.param("trap stop TERM\n/app &\nwait\n", False, id="trap"),
    pytest.param("echo a\n", False, id="builtins alone"),
    pytest.param(". /lib.sh\nrun\n", False, id="exec in a sourced file"),
    pytest.param(". /plain.sh\n/app\n", True, id="none in a sourced file"),
    pytest.param('. "$1"\n/app\n', False, id="a sourced file that is not known"),
    pytest.param("if [ -x /app ]; then /app; fi\n", True, id="in a condition"),
    pytest.param("/app )\n", False, id="not to be read"),
]


@pytest.mark.parametrize("command", [("/run.sh",), ("/bin/bash", "/run.sh")], ids=["#!", "bash"])
@pytest.mark.parametrize(("text", "stays"), SCRIPTS)
def test_scripts(text: str, stays: bool, command: tuple[str, ...]) -> None:  # noqa: FBT001
    """No shell gives its place to a script's last command."""
    files = {
        "/run.sh": Text(f"#!/bin/bash\n{text}"),
        "/lib.sh": Text("run() { exec /app; }\n"),
        "/plain.sh": Text("a=1\n"),
    }
    sketch = Sketch({**FILES, **files}, replace(CONFIG, entrypoint=command))
    assert told(RULES, sketch) == (["warning pid-one-is-a-shell /run.sh"] if stays else [])


SHELLS = [
    pytest.param(shell, text, stays, id=f"{shell}: {text}")
    for shell, text, stays in [
        ("bash", "PROGRAM", False),
        ("bash", "true && PROGRAM", False),
        ("bash", "true; PROGRAM", False),
        ("bash", "PROGRAM | cat", True),
        ("bash", "PROGRAM || true", True),
        ("bash", "PROGRAM; true", True),
        ("dash", "PROGRAM", True),
        ("dash", "true && PROGRAM", True),
        ("dash", "exec PROGRAM", False),
        ("busybox", "PROGRAM", False),
        ("busybox", "true && PROGRAM", False),
        ("busybox", "PROGRAM | cat", True),
        ("busybox", "PROGRAM || true", True),
        ("busybox", "PROGRAM; true", True),
    ]
]


@pytest.mark.real
@pytest.mark.parametrize(("shell", "text", "stays"), SHELLS)
def test_the_machines_shells(shell: str, text: str, stays: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """What the rule holds of each shell: it waits for the program, or becomes it."""
    path = shutil.which(shell) or missing(f"no {shell}", f"apt-get install {shell}")
    program = tmp_path / "program"
    # Its parent is the shell where that has stayed; $PPID does not change when a parent ends.
    program.write_text("#!/bin/bash\necho $PPID $$ >&2\n")
    program.chmod(0o755)
    argv = [
        path,
        *(["ash"] if shell == "busybox" else []),
        "-c",
        text.replace("PROGRAM", f"{program}"),
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _, told_ = process.communicate(timeout=20)
    parent, own = told_.split()
    assert (int(own) == process.pid) is not stays
    assert (int(parent) == process.pid) is stays


def config(**changes: object) -> ImageConfig:
    return replace(CONFIG, **changes)  # type: ignore[arg-type]


PLACES: Mapping[str, Drawn] = {
    "/app": static(),
    "/data": Folder(0o755, 65532),
    "/rooted": Folder(),
    "/shut": Folder(0o700),
    "/link": Link("/data"),
}
DIRECTORIES = [
    pytest.param(config(workdir="/data"), [], id="working directory"),
    pytest.param(config(workdir="/link"), [], id="by a link"),
    pytest.param(config(workdir="/"), [], id="the root"),
    pytest.param(config(workdir="data"), ["error workdir-unusable"], id="relative"),
    pytest.param(config(workdir="/app"), ["error workdir-unusable /app"], id="a file"),
    pytest.param(config(workdir="/gone"), ["warning workdir-unusable /gone"], id="not there"),
    pytest.param(config(workdir="/shut"), ["error workdir-unusable /shut"], id="not to be entered"),
    pytest.param(config(workdir="/shut", user=""), [], id="root enters it"),
    pytest.param(config(volumes=("/data",)), [], id="volume"),
    pytest.param(config(volumes=("/app",)), ["error volume-unusable /app"], id="over a file"),
    pytest.param(config(volumes=("data",)), ["warning volume-unusable"], id="relative volume"),
    pytest.param(
        config(volumes=("/rooted",)), ["warning volume-unusable /rooted"], id="root's own volume"
    ),
    pytest.param(
        config(volumes=("/gone",)), ["warning volume-unusable /gone"], id="volume not there"
    ),
    pytest.param(config(volumes=("/gone", "/rooted"), user="0"), [], id="root writes anywhere"),
    pytest.param(
        config(volumes=("/gone",), user="who"), [], id="an unknown user is another rule's"
    ),
]


@pytest.mark.parametrize(("given", "expected"), DIRECTORIES)
def test_directories(given: ImageConfig, expected: list[str]) -> None:
    """Docker 20.10 and runc: a relative WORKDIR, and a file in a volume's place, are refused."""
    assert told(RULES, Sketch(PLACES, given)) == expected


TMP: Mapping[str, Drawn] = {"/tmp": Folder(0o1777)}
PROXY: Mapping[str, Drawn] = {"/split-proxy": static()}
OURS: Mapping[str, Drawn] = {
    "/bin/bash": static(),
    "/entrypoint.sh": Text(script_text("entrypoint.sh")),
    "/functions.sh": Text(script_text("functions.sh")),
}
VOLUME = ("/tmp",)
ABSENT = ["error temporary-directory-missing /tmp"]
NO_VOLUME = ["warning temporary-directory-missing /tmp"]


def proxy(files: Mapping[str, Drawn], *command: str, **env: str) -> Sketch:
    given = replace(CONFIG, entrypoint=command or ("/split-proxy",), volumes=VOLUME, env=env)
    return Sketch({**PROXY, **files}, given)


TEMPORARY = [
    pytest.param(proxy(TMP), [], id="/tmp"),
    pytest.param(proxy({}), [*ABSENT, "warning volume-unusable /tmp"], id="no /tmp"),
    pytest.param(
        proxy({"/tmp": Folder()}),
        [*ABSENT, "warning volume-unusable /tmp"],
        id="/tmp of root alone",
    ),
    pytest.param(proxy({**TMP, **OURS}, "/entrypoint.sh"), [], id="by our entrypoint"),
    pytest.param(
        proxy({**OURS, "/tmp": Text("")}, "/entrypoint.sh"),
        [*ABSENT, "error volume-unusable /tmp"],
        id="a file, by our entrypoint",
    ),
    pytest.param(
        proxy({**TMP, **OURS}, "/entrypoint.sh", PROBE_KIND="sync", TMPDIR="/x"),
        [],
        id="split-sync writes nothing",
    ),
    pytest.param(
        proxy(TMP, TMPDIR="/x"), ["error temporary-directory-missing /x"], id="TMPDIR not there"
    ),
    pytest.param(
        proxy({**TMP, "/x": Folder(0o777)}, TMPDIR="/x"),
        ["warning temporary-directory-missing /x"],
        id="TMPDIR that is no volume",
    ),
    pytest.param(
        Sketch({**PROXY, **TMP}, replace(CONFIG, entrypoint=("/split-proxy",))),
        NO_VOLUME,
        id="no volume",
    ),
    pytest.param(
        Sketch({**PROXY, "/app": static()}, CONFIG), [], id="another application beside it"
    ),
]


@pytest.mark.parametrize(("sketch", "expected"), TEMPORARY)
def test_the_proxys_temporary_directory(sketch: Sketch, expected: list[str]) -> None:
    """Without one split-proxy exits with code 4 (seen with 5.12.4)."""
    assert told(RULES, sketch) == expected


GOOD_SIGNALS = ["", "SIGTERM", "term", "15", "SIGQUIT", "SIGRTMIN+3", "RTMAX-1", "WINCH", "64"]
BAD_SIGNALS = ["SIGKILL", "9", "SIGSTOP", "SIGFOO", "0", "65", "-1", "SIGRTMIN+16", "SIG"]


@pytest.mark.parametrize("name", GOOD_SIGNALS)
def test_good_stop_signals(name: str) -> None:
    assert told(RULES, Sketch(FILES, replace(CONFIG, stop_signal=name))) == []


@pytest.mark.parametrize("name", BAD_SIGNALS)
def test_bad_stop_signals(name: str) -> None:
    assert told(RULES, Sketch(FILES, replace(CONFIG, stop_signal=name))) == ["warning stop-signal"]
