"""`probe image audit` on images broken as they break in practice, and on good ones of every kind.

The files are this machine's own, taken by `probe image build`; what is broken lies in a layer above
them, as in a Dockerfile that goes wrong. Each fault is named as an error, a good image has none.
"""

import io
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from probe.findings import Finding
from probe.findings import Severity
from probe.image.archives import open_image
from probe.image.audit import audit
from tests.support.archive_files import config_of
from tests.support.archive_files import docker_files
from tests.support.archive_files import info
from tests.support.archive_files import symbolic
from tests.support.archive_files import tar
from tests.support.components import missing
from tests.support.elf_files import make

pytestmark = pytest.mark.real

PROBE = Path(sys.executable).parent / "probe"
ARM64 = 183
LIBRARIES = "usr/lib/x86_64-linux-gnu/"
LOADER = "/lib64/ld-linux-x86-64.so.2"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class File:
    data: bytes | str
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Link:
    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Gone:
    """A whiteout."""


Change = File | Folder | Gone | Link


@dataclass(frozen=True, slots=True)
class Case:
    """Files over the built image, and its config; `alone` leaves the built image out."""

    files: Mapping[str, Change] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    alone: bool = False


def layer(files: Mapping[str, Change]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, change in files.items():
            match change:
                case File(data, mode):
                    content = data.encode() if isinstance(data, str) else data
                    header = info(name, size=len(content), mode=mode)
                    archive.addfile(header, io.BytesIO(content))
                case Folder(mode):
                    archive.addfile(info(name, type=tarfile.DIRTYPE, mode=mode))
                case Link(target):
                    archive.addfile(symbolic(name, target))
                case Gone():
                    folder, slash, base = name.rpartition("/")
                    archive.addfile(info(f"{folder}{slash}.wh.{base}"))
    return out.getvalue()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a synchronizer's image, with a small program of this machine in its place."""
    if not Path("/usr/" + LOADER).exists() or not Path("/var/lib/dpkg/status").exists():
        missing("no Debian for amd64", "run the tests on Debian 12 or newer")
    folder = tmp_path_factory.mktemp("built")
    binary = folder / "split-sync"
    binary.write_bytes(Path("/usr/bin/env").read_bytes())
    options = ["--binary", str(binary), "--format", "dir", "-o", str(folder / "root")]
    command = [str(PROBE), "image", "build", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "root"


@cache
def lowest(root: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(root, ".", filter=_of_root)
    return out.getvalue()


def _of_root(header: tarfile.TarInfo) -> tarfile.TarInfo:
    header.uid = header.gid = 0
    return header


HEALTH = {"Test": ["CMD", "/bin/bash", "-p", "/healthcheck.sh"], "Timeout": 5 * 10**9}
CONFIG = {
    "Cmd": ["/entrypoint.sh"],
    "Env": ["LC_ALL=C"],
    "User": "65532:65532",
    "Healthcheck": HEALTH,
}


def judge(case: Case, root: Path, folder: Path) -> list[Finding]:
    layers = [layer(case.files)] if case.alone else [lowest(root), layer(case.files)]
    files = docker_files(*layers)
    files["c.json"] = config_of(*layers, config={**CONFIG, **case.config})
    path = folder / "image.tar"
    path.write_bytes(tar(files))
    with open_image(str(path)) as view:
        return audit(view, now=datetime.now(UTC), faults=view.faults)


def errors(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.code, one.path) for one in findings if one.severity is Severity.ERROR}


# Good images ----------------------------------------------------------------------------------

STATIC = File(make(kind=2))
MUSL = "/lib/ld-musl-x86_64.so.1"
BUSYBOX: Mapping[str, Change] = {
    "bin/busybox": STATIC,
    **{f"bin/{name}": Link("/bin/busybox") for name in ("sh", "sed", "tr", "wget", "id", "find")},
    "usr/bin/env": Link("../../bin/busybox"),
    "etc/passwd": File("root:x:0:0:root:/root:/bin/sh\n", 0o644),
    "app": STATIC,
}
# As in the official image of Redis.
OFFICIAL = """\
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- app "$@"
fi
if [ "$1" = 'app' -a "$(id -u)" = '0' ]; then
	find . \\! -user redis -exec chown redis '{}' +
	exec gosu redis "$0" "$@"
fi
exec "$@"
"""
CHOOSING = """\
#!/bin/sh
case "$1" in
  web) exec /app --web ;;
  worker) shift; exec /app "$@" ;;
  *) exec "$@" ;;
esac
"""
NO_CHECK: Mapping[str, object] = {"Healthcheck": None}


def shell_check(text: str) -> Mapping[str, object]:
    return {"Healthcheck": {"Test": ["CMD-SHELL", text]}}


def busybox(config: Mapping[str, object], **files: str) -> Case:
    scripts: Mapping[str, Change] = {f"{name}.sh": File(text) for name, text in files.items()}
    return Case({**BUSYBOX, **scripts}, {**NO_CHECK, **config}, alone=True)


def official(*command: str) -> Case:
    added: Mapping[str, Change] = {
        "bin/app": STATIC,
        "bin/gosu": STATIC,
        "bin/chown": Link("busybox"),
    }
    files: Mapping[str, Change] = {**BUSYBOX, **added, "e.sh": File(OFFICIAL)}
    return Case(files, {**NO_CHECK, "Entrypoint": ["/e.sh"], "Cmd": list(command)}, alone=True)


GOOD = [
    pytest.param(Case(), id="as built"),
    pytest.param(Case(config={"WorkingDir": "/home/nonroot"}), id="another working directory"),
    pytest.param(Case(config={"Entrypoint": ["/entrypoint.sh"], "Cmd": ["-x"]}), id="entrypoint"),
    pytest.param(Case({"a": STATIC}, {**NO_CHECK, "Cmd": ["./a"]}, alone=True), id="scratch"),
    pytest.param(
        Case(
            {"a": File(make("libc.so", interpreter=MUSL)), MUSL[1:]: File(make(soname="libc.so"))},
            {**NO_CHECK, "Cmd": ["/a"]},
            alone=True,
        ),
        id="musl",
    ),
    pytest.param(busybox({"Cmd": ["sh"]}), id="busybox"),
    pytest.param(
        busybox(
            {"Cmd": ["/bin/sh", "-c", "/s.sh"], **shell_check("wget -q http://x/ || exit 1")},
            s="#!/usr/bin/env sh\nA=$(echo x | tr a b | sed s/x/y/)\nexec /app\n",
        ),
        id="busybox, shell forms",
    ),
    pytest.param(official("app"), id="official image"),
    pytest.param(official("--port", "1"), id="official image, options"),
    pytest.param(official("redis.conf"), id="official image, file"),
    pytest.param(busybox({"Cmd": ["/e.sh", "web"]}, e=CHOOSING), id="script that chooses"),
]


@pytest.mark.parametrize("case", GOOD)
def test_good(case: Case, built: Path, tmp_path: Path) -> None:
    """What does its work has no error."""
    assert errors(judge(case, built, tmp_path)) == set()


# Faults ---------------------------------------------------------------------------------------

PROGRAM = make("liba.so.1", "libc.so.6", interpreter=LOADER, kind=3)
NEWER = make("libc.so.6", interpreter=LOADER, kind=3, requires={"libc.so.6": ("GLIBC_2.99",)})
CUT_OFF = make(kind=2)[:-8]
FOREIGN = make(kind=2, machine=ARM64)
APP = {"Cmd": ["/app"]}
BASH = Path("/bin/bash").read_bytes() if Path("/bin/bash").exists() else b""
DEAF = BASH.replace(b"/dev/tcp/*/*", bytes(12)).replace(b"/dev/udp/*/*", bytes(12))
DIRECT = {"Healthcheck": {"Test": ["CMD", "/healthcheck.sh"]}}


def check(*words: str) -> Mapping[str, object]:
    return {"Healthcheck": {"Test": ["CMD", *words]}}


def lying(path: str, change: Change, config: Mapping[str, object] | None = None) -> Case:
    """Put one thing over the built image, with /app beside it."""
    return Case({"app": STATIC, path: change}, config or {})


def script(body: str, shebang: str = "#!/bin/bash\n", **more: File) -> Case:
    files = {f"{name}.sh": file for name, file in more.items()}
    return Case({"app": STATIC, "s.sh": File(shebang + body), **files}, {"Cmd": ["/s.sh"]})


BAD = [
    ("library, two levels down", "missing-library", "/usr/lib/liba.so.1", Case(
        {"app": File(PROGRAM), "usr/lib/liba.so.1": File(make("libb.so.1", soname="liba.so.1"))},
        APP)),
    ("library, a link to itself", "missing-library", "/usr/bin/bash",
        lying(LIBRARIES + "libtinfo.so.6", Link("libtinfo.so.6"))),
    ("library, whiteout", "missing-library", "/usr/bin/bash",
        lying(LIBRARIES + "libc.so.6", Gone())),
    ("libraries, opaque folder", "missing-library", "/usr/bin/bash",
        lying(LIBRARIES + OPAQUE, File(""))),
    ("library, a folder", "damaged-program", "/lib/x86_64-linux-gnu/libtinfo.so.6",
        Case({LIBRARIES + "libtinfo.so.6": Folder()})),
    ("static program, cut off", "damaged-program", "/app", lying("app", File(CUT_OFF), APP)),
    ("library, empty", "damaged-program", "/lib/x86_64-linux-gnu/libc.so.6",
        lying(LIBRARIES + "libc.so.6", File(""))),
    ("library, another machine", "wrong-machine", "/usr/bin/bash",
        lying(LIBRARIES + "libtinfo.so.6", File(make(soname="libtinfo.so.6", machine=ARM64)))),
    ("libc too old", "missing-version", "/app", lying("app", File(NEWER), APP)),
    ("loader, whiteout", "missing-loader", "/usr/bin/bash", lying("usr" + LOADER, Gone())),
    ("loader of musl", "missing-loader", "/app", lying("app", File(make(interpreter=MUSL)), APP)),
    ("program, another machine", "wrong-machine", "/app", lying("app", File(FOREIGN), APP)),
    ("program, cut off", "damaged-program", "/app", lying("app", File(PROGRAM[:100]), APP)),
    ("program, empty", "not-executable", "/app", lying("app", File(""), APP)),
    ("program, a folder", "missing-start", "/app", Case({"app": Folder()}, APP)),
    ("program, link outside", "missing-start", "/app",
        lying("app", Link("/home/me/build/app"), APP)),
    ("program, link that climbs", "missing-start", "/app",
        lying("app", Link("../../../opt/app"), APP)),
    ("program, loop of links", "missing-start", "/app",
        Case({"app": Link("b"), "b": Link("app")}, APP)),
    ("program, only root may run it", "user-may-not", "/app",
        lying("app", File(make(kind=2), 0o700), APP)),
    ("program, beside PATH", "missing-start", "app",
        lying("opt/app", File(""), {"Cmd": ["app"]})),
    ("entrypoint, whiteout", "missing-start", "/entrypoint.sh", lying("entrypoint.sh", Gone())),
    ("functions, whiteout", "missing-source", "/entrypoint.sh", lying("functions.sh", Gone())),
    ("functions, unreadable", "user-may-not", "/functions.sh",
        lying("functions.sh", File("prepare() { :; }\n", 0o600))),
    ("bash, whiteout", "missing-interpreter", "/entrypoint.sh", lying("usr/bin/bash", Gone())),
    ("bash without network", "bash-without-network", "/usr/bin/bash",
        lying("usr/bin/bash", File(DEAF))),
    ("bash without network, another name", "bash-without-network", "/opt/bash-5.2",
        Case({"opt/bash-5.2": File(DEAF), "usr/bin/bash": Link("/opt/bash-5.2")})),
    ("bash without network, in the config", "bash-without-network", "/usr/bin/bash",
        lying("usr/bin/bash", File(DEAF), check("bash", "-c", "exec 3<>/dev/tcp/localhost/80"))),
    ("dash for a check by /dev/tcp", "network-without-bash", "/bin/sh",
        lying("usr/bin/sh", STATIC, shell_check("exec 3<>/dev/tcp/localhost/80"))),
    ("dash for a script by /dev/tcp", "network-without-bash", "/c.sh", Case(
        {"usr/bin/dash": STATIC, "c.sh": File("#!/bin/dash\nexec 3<>/dev/tcp/localhost/80\n")},
        check("/c.sh"))),
    ("CMD-SHELL without sh", "shell-form-without-shell", "/bin/sh",
        Case(config=shell_check("/healthcheck.sh || exit 1"))),
    ("check by curl", "missing-start", "curl", Case(config=check("curl", "-f", "http://x"))),
    ("check, whiteout", "missing-source", "/healthcheck.sh", lying("healthcheck.sh", Gone())),
    ("check, empty", "empty-program", "/healthcheck.sh", lying("healthcheck.sh", File(""))),
    ("check, not executable", "not-executable", "/healthcheck.sh",
        lying("healthcheck.sh", File("#!/bin/bash\n", 0o644), DIRECT)),
    ("check, env", "missing-interpreter", "/healthcheck.sh",
        lying("healthcheck.sh", File("#!/usr/bin/env bash\n"), DIRECT)),
    ("check, port", "health-check-refused", "/healthcheck.sh",
        Case(config={"Env": ["SPLIT_SYNC_ADMIN_PORT=03010"]})),
    ("bundle, whiteout", "ca-bundle-missing", "/" + BUNDLE, lying(BUNDLE, Gone())),
    ("bundle, link to nothing", "ca-bundle-dangling", "/" + BUNDLE,
        lying(BUNDLE, Link("/usr/share/ca.pem"))),
    ("bundle, empty", "ca-bundle-malformed", "/" + BUNDLE, lying(BUNDLE, File("", 0o644))),
    ("bundle, a folder", "ca-bundle-unreadable", "/" + BUNDLE, Case({BUNDLE: Folder()})),
    ("bundle, only root may read it", "ca-bundle-unreadable", "/" + BUNDLE,
        lying(BUNDLE, File("", 0o600))),
    ("working directory, a file", "workdir-unusable", "/app",
        lying("x", File(""), {"WorkingDir": "/app"})),
    ("working directory, barred", "workdir-unusable", "/w",
        lying("w", Folder(0o700), {"WorkingDir": "/w"})),
    ("volume, a file", "volume-unusable", "/app", lying("x", File(""), {"Volumes": {"/app": {}}})),
    ("user, unknown", "user-unknown", "", Case(config={"User": "app"})),
    ("official image, other program", "missing-command", "/e.sh", official("/usr/bin/server")),
    ("script, Windows lines", "script-line-ends", "/s.sh", script("exec /app\r\n")),
    ("script, Windows #!", "missing-interpreter", "/s.sh", script("", "#!/bin/bash\r\n")),
    ("script, no #!", "not-executable", "/s.sh", script("exec /app\n", "")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "path", "case"), [pytest.param(*row, id=name) for name, *row in BAD]
)
def test_fault(code: str, path: str, case: Case, built: Path, tmp_path: Path) -> None:
    """What keeps the image from its work is an error that names the file."""
    found = judge(case, built, tmp_path)
    assert (code, path) in errors(found)


CALLS = {
    "substitution": "A=$(echo x | tr a-z A-Z)",
    "pipe": "echo x | tr a b | while read -r line; do :; done",
    "function": "f() { tr a b; }; f",
    "exec": "exec tr a b",
    "condition": "if ! tr a b; then :; fi",
    "test": "[[ $(tr a b) == x ]]",
    "loop": "for i in $(tr a b); do :; done",
    "trap": "trap 'tr a b' EXIT",
    "eval": "eval 'tr a b'",
    "bash -c": "bash -c 'tr a b'",
    "backticks": "x=`tr a b`",
    "here-document": "read -r x <<EOF\n$(tr a b)\nEOF",
    "process substitution": "read -r x < <(tr a b)",
    "coproc": "coproc tr a b",
    "time": "time tr a b",
    "quoted": "'tr' a b",
    "escaped": "\\tr a b",
    "behind an assignment": "A=b tr a b",
    "behind a redirection": "2>&1 tr a b",
    "sourced": ". /lib.sh",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_command(call: str, built: Path, tmp_path: Path) -> None:
    """A command that is not there is told, however the script calls it."""
    case = script(f"{call}\nexec /app\n", lib=File("tr a b\n", 0o644))
    found = judge(case, built, tmp_path)
    told = [one for one in found if one.code == "missing-command"]
    assert [(one.severity, "calls tr, which is not there" in one.message) for one in told] == [
        (Severity.ERROR, True)
    ]
