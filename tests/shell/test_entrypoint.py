"""The entrypoint: what the application gets of the environment, and what is refused."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe.scripts import script_path
from probe.synchronizer.settings import FALSE
from probe.synchronizer.settings import PREFIXES
from probe.synchronizer.settings import SECRET
from probe.synchronizer.settings import SETTINGS
from probe.synchronizer.settings import TRUE
from probe.synchronizer.settings import URLS
from probe.synchronizer.settings import Setting
from tests.generate_shell import FILE
from tests.generate_shell import generate
from tests.generate_shell import variable
from tests.support.components import require
from tests.support.components import require_root

SCRIPTS = ("entrypoint.sh", "functions.sh")
SHELLS = {"bash": [], "bash-static": ["/usr/bin/bash-static", "-p"]}

# Applications. This one tells its arguments and its pid, with nothing but bash.
RECORDER = """#!/bin/bash -p
printf '%s\\0' "$$" "$@"
"""
WITNESS = f"""#!{sys.executable} -ISB
import json, os, signal
print(json.dumps({{
    "environment": dict(os.environ),
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "ignored": [n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN],
}}))
"""
WAITER = f"""#!{sys.executable} -ISB
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
print("ready", flush=True)
signal.pause()
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out; `arguments` are those of the application, None where it did not run."""

    code: int
    arguments: list[str] | None
    stdout: str
    stderr: str


class Root:
    """A folder that stands for an image's root: the scripts and the applications."""

    def __init__(self, path: Path, shell: Sequence[str] = ()) -> None:
        self.path = path
        self.command = [*shell, str(path / "entrypoint.sh")]
        for name in SCRIPTS:
            shutil.copy(script_path("healthcheck.sh").parent / name, path)

    def install(self, kind: str, text: str = RECORDER, mode: int = 0o755) -> None:
        program = self.path / f"split-{kind}"
        program.write_text(text, encoding="utf-8")
        program.chmod(mode)

    def run(self, env: Mapping[str, str | bytes], *arguments: str) -> Result:
        done = subprocess.run(
            [*self.command, *arguments], env=env, capture_output=True, timeout=20, check=False
        )
        out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
        told = out.split("\0")[1:-1] if "\0" in out else None
        return Result(done.returncode, told, out, err)


@pytest.fixture(params=SHELLS)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    """Return a root with split-sync, under each interpreter."""
    if request.param == "bash-static":
        require("bash-static")
    root = Root(tmp_path, SHELLS[request.param])
    root.install("sync")
    return root


def name_of(kind: str, setting: Setting) -> str:
    return PREFIXES[kind] + variable(setting)


def lines(*texts: str) -> str:
    return "".join(f"entrypoint.sh: {text}\n" for text in texts)


# --- the scripts ----------------------------------------------------------------------------------


def test_flag_block_is_up_to_date() -> None:
    """`python -m tests.generate_shell` changes nothing."""
    text = FILE.read_text(encoding="ascii")

    assert generate(text) == text
    assert text.count("        '") == sum(len(settings) for settings in SETTINGS.values())


@pytest.mark.parametrize("name", SCRIPTS)
def test_syntax(name: str) -> None:
    done = subprocess.run(
        ["/bin/bash", "-n", script_path("healthcheck.sh").parent / name],
        capture_output=True,
        timeout=10,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_the_script_starts_as_itself() -> None:
    """It runs by its own first line, which keeps functions of the environment out."""
    path = script_path("healthcheck.sh").with_name("entrypoint.sh")

    assert path.read_text(encoding="ascii").startswith("#!/bin/bash -p\n")
    assert path.stat().st_mode & 0o777 == 0o755


def test_bash_too_old(root: Root) -> None:
    script = root.path / "entrypoint.sh"
    script.write_text(script.read_text(encoding="ascii").replace(">= 403", ">= 9903"))

    assert root.run({}) == Result(2, None, "", lines("bash too old, 4.3 is needed"))


@pytest.mark.parametrize("env", [{}, {"POSIXLY_CORRECT": "1"}], ids=["bash", "posix"])
def test_functions_missing(root: Root, env: dict[str, str]) -> None:
    """A POSIX shell would leave at once, without a word of ours."""
    (root.path / "functions.sh").unlink()
    result = root.run(env)

    assert (result.code, result.arguments) == (2, None)
    assert result.stderr.endswith(lines("cannot read functions.sh, which must stand beside it"))


# --- flags ----------------------------------------------------------------------------------------

SAMPLES = {"string": "a b", "list": "a, b", "int": "7", "bool": "true"}
EVERY = [(kind, row) for kind, rows in SETTINGS.items() for row in rows]


@pytest.mark.parametrize(
    ("kind", "setting"), EVERY, ids=[f"{kind} {setting.flag}" for kind, setting in EVERY]
)
def test_every_flag(kind: str, setting: Setting, tmp_path: Path) -> None:
    """Each variable becomes its flag and no other."""
    root = Root(tmp_path)
    root.install(kind)
    value = SAMPLES[setting.type]

    result = root.run({name_of(kind, setting): value})

    assert (result.code, result.stderr) == (0, "")
    assert result.arguments == [f"-{setting.flag}={value}"]


@pytest.mark.parametrize("kind", SETTINGS)
def test_all_flags_at_once(kind: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.install(kind)
    env = {name_of(kind, row): SAMPLES[row.type] for row in SETTINGS[kind]}
    urls = {PREFIXES[kind] + name: "http://127.0.0.1" for name in URLS}

    result = root.run(env | urls)

    assert (result.code, result.stderr) == (0, "")
    assert result.arguments == [f"-{row.flag}={SAMPLES[row.type]}" for row in SETTINGS[kind]]


def test_no_environment(root: Root) -> None:
    result = root.run({})

    assert (result.code, result.arguments, result.stderr) == (0, [], "")


AWKWARD = {
    "empty": "",
    "space": "a b",
    "spaces": "  a   b  ",
    "tab and newline": "\ta\n\nb\n",
    "glob": "*",
    "globs": "/* ? [a-z]* {a,b} ~ !x +(y)",
    "quotes": "it's \"so\" `date` $'x'",
    "dollar": "$HOME ${PATH} $(exit 3) $((1+1)) a[$(exit 3)]",
    "backslashes": "\\ \\n a\\",
    "injection": "x -admin-port=1 --version",
    "dash": "-n",
    "equals": "=a=b=",
    "percent": "%s%n%d",
    "unicode": "gruß 秘密 \u0130\u0131",
    "not UTF-8": "\udcff\udcc3",
    "control": "\x01\x1b[31m\x7f\r",
    "like one of ours": "secret[-apikey]",
    "large": "x" * 100_000,
}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("value", AWKWARD.values(), ids=AWKWARD)
def test_awkward_value(root: Root, value: str, locale: str) -> None:
    """A value is one argument, byte for byte, and what follows it is not lost."""
    env = {"SPLIT_SYNC_APIKEY": value, "SPLIT_SYNC_LOG_LEVEL": value, "LC_ALL": locale}
    result = root.run(env | {"SPLIT_SYNC_REDIS_DB": "3"}, "-redis-db=4", value)

    assert (result.code, result.stderr) == (0, "")
    assert result.arguments == [
        *(f"-apikey={value}", "-redis-db=3", f"-log-level={value}"),
        *("-redis-db=4", value),
    ]


# --- numbers, booleans, ports ---------------------------------------------------------------------

NOT_PORTS = ["03010", "0", "70000", "65536", "-1", "+3010", " 3010", "3010 ", "0xBC2", "3_010"]
NOT_PORTS += [
    "",
    "x",
    "3010\n",
    "a[$(exit 3)]",
    "99999999999999999999",
    "\uff13\uff10\uff11\uff10",
    "http",
]
NOT_NUMBERS = [
    "",
    " ",
    "x",
    "010",
    "1.5",
    "1e3",
    "0x10",
    "+1",
    "--1",
    "-",
    "1 2",
    "9" * 19,
    "\u0663",
]
NOT_BOOLEANS = ["", "yes", "no", "tRUE", " true", "true\n", "10", "on"]
NUMBERS = ["0", "1", "-1", "-0", "123456789012345678"]

WANTED = {
    "port": "a port (1 to 65535, no leading zero)",
    "int": "a whole number (up to 18 digits, no leading zero)",
    "bool": "true or false",
}
REFUSED = [
    *(("SPLIT_SYNC_ADMIN_PORT", "port", value) for value in NOT_PORTS),
    *(("SPLIT_SYNC_REDIS_PORT", "port", value) for value in ("06379", "", "65536")),
    *(("SPLIT_SYNC_REDIS_DB", "int", value) for value in NOT_NUMBERS),
    *(("SPLIT_SYNC_ADMIN_TLS_ENABLED", "bool", value) for value in NOT_BOOLEANS),
]


def shown(value: str) -> str:
    return "'" + re.sub("[^!-~]", "?", value[:40]) + "'"


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(("name", "kind", "value"), REFUSED, ids=ascii)
def test_refused(name: str, kind: str, value: str, locale: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.install("sync")
    result = root.run({name: value, "LC_ALL": locale})

    in_bytes = os.fsencode(value).decode("latin-1") if locale == "C" else value
    remedy = "" if value else "; unset it to have the default"
    expected = lines(f"{name}: {shown(in_bytes)} is not {WANTED[kind]}{remedy}")
    assert result == Result(2, None, "", expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("SPLIT_SYNC_ADMIN_PORT", value) for value in ("1", "3010", "65535")),
        *(("SPLIT_SYNC_HTTP_TIMEOUT_MS", value) for value in NUMBERS),
        *(("SPLIT_SYNC_STREAMING_ENABLED", value) for value in sorted(TRUE | FALSE)),
    ],
)
def test_taken(name: str, value: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.install("sync")
    flag = name.removeprefix("SPLIT_SYNC_").lower().replace("_", "-")

    assert root.run({name: value}).arguments == [f"-{flag}={value}"]


@pytest.mark.parametrize("value", ["", "x"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_all_faults_are_told(kind: str, value: str, tmp_path: Path) -> None:
    """One run names every number and boolean that is wrong, and no string."""
    root = Root(tmp_path)
    root.install(kind)
    result = root.run({name_of(kind, row): value for row in SETTINGS[kind]})

    checked = [name_of(kind, row) for row in SETTINGS[kind] if row.type in {"int", "bool"}]
    assert (result.code, result.arguments) == (2, None)
    assert re.findall(r"entrypoint\.sh: (\w+):", result.stderr) == checked


# --- service links, unknown variables -------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
@pytest.mark.parametrize("name", ["ADMIN_PORT", "REDIS_PORT"])
def test_service_link(root: Root, name: str, scheme: str) -> None:
    env = {f"SPLIT_SYNC_{name}": f"{scheme}://10.0.0.1:3010", "SPLIT_SYNC_APIKEY": "k"}
    result = root.run(env)

    expected = lines(f"skipped, Kubernetes service links: SPLIT_SYNC_{name}")
    assert (result.code, result.arguments, result.stderr) == (0, ["-apikey=k"], expected)


def test_all_links_of_a_service(root: Root) -> None:
    """What the kubelet makes of the services split-sync and split-sync-admin is one line."""
    names: list[str] = []
    env = {"SPLIT_SYNC_ADMIN_HOST": "127.0.0.1"}
    for service in ("SPLIT_SYNC", "SPLIT_SYNC_ADMIN"):
        links = {
            f"{service}_PORT": "tcp://10.0.0.1:3010",
            f"{service}_PORT_3010_TCP": "tcp://10.0.0.1:3010",
            f"{service}_PORT_3010_TCP_ADDR": "10.0.0.1",
            f"{service}_PORT_3010_TCP_PORT": "3010",
            f"{service}_PORT_3010_TCP_PROTO": "tcp",
            f"{service}_SERVICE_HOST": "10.0.0.1",
            f"{service}_SERVICE_PORT": "3010",
            f"{service}_SERVICE_PORT_ADMIN": "3010",
        }
        env |= links
        names += links
    result = root.run(env)

    expected = lines(f"skipped, Kubernetes service links: {' '.join(sorted(names))}")
    assert result.arguments == ["-admin-host=127.0.0.1"]
    assert result.stderr == expected


@pytest.mark.parametrize("value", ["http://10.0.0.1:3010", "TCP://10.0.0.1:3010", "tcp:"])
def test_not_a_service_link(root: Root, value: str) -> None:
    result = root.run({"SPLIT_SYNC_ADMIN_PORT": value})

    assert (result.code, result.arguments) == (2, None)
    assert "SPLIT_SYNC_ADMIN_PORT" in result.stderr


def test_link_elsewhere_is_a_value(root: Root) -> None:
    result = root.run({"SPLIT_SYNC_REDIS_HOST": "tcp://10.0.0.1:3010"})

    assert result.arguments == ["-redis-host=tcp://10.0.0.1:3010"]


def test_unknown_variables(root: Root) -> None:
    """They are told in one line, and no flag is made of them."""
    unknown = ["CONFIG", "ADMIN_PORTS", "SDK_URL_FILE", "APIKEY_FILE_FILE", "x", ""]
    env = {f"SPLIT_SYNC_{name}": "1" for name in unknown} | {"SPLIT_SYNC_SDK_URL": "http://a"}
    result = root.run(env, "-log-level=debug")

    names = " ".join(f"SPLIT_SYNC_{name}" for name in sorted(unknown))
    assert (result.code, result.arguments) == (0, ["-log-level=debug"])
    assert result.stderr == lines(f"unknown, not passed on: {names}")


def test_variables_of_the_other_kind(root: Root) -> None:
    result = root.run({"SPLIT_PROXY_APIKEY": "k", "SPLIT_PROXY_PORT": "tcp://10.0.0.1:3000"})

    assert (result.code, result.arguments) == (0, [])
    assert result.stderr == lines(
        "skipped, Kubernetes service links: SPLIT_PROXY_PORT",
        "not for split-sync: SPLIT_PROXY_APIKEY",
    )


# --- secrets from files ---------------------------------------------------------------------------

CONTENTS = {
    "no newline": ("key", "key"),
    "newline": ("key\n", "key"),
    "two newlines": ("key\n\n", "key\n"),
    "inner newlines": ("a\n\nb\n", "a\n\nb"),
    "blanks": ("  a b\t\n", "  a b\t"),
    "backslashes": ("a\\nb\\\n", "a\\nb\\"),
    "carriage return": ("a\r\n", "a\r"),
    "empty": ("", ""),
    "only a newline": ("\n", ""),
    "not UTF-8": ("\udcff\udcc3\n", "\udcff\udcc3"),
    "large": ("k" * 65_535, "k" * 65_535),
}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(("content", "value"), CONTENTS.values(), ids=CONTENTS)
def test_file(root: Root, content: str, value: str, locale: str) -> None:
    secret = root.path / "the secret *"
    secret.write_bytes(os.fsencode(content))
    result = root.run({"SPLIT_SYNC_APIKEY_FILE": str(secret), "LC_ALL": locale})

    assert (result.code, result.arguments, result.stderr) == (0, [f"-apikey={value}"], "")


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_flag_from_a_file(kind: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.install(kind)
    env = {}
    for row in SETTINGS[kind]:
        (tmp_path / row.flag).write_text(SAMPLES[row.type] + "\n")
        env[name_of(kind, row) + "_FILE"] = str(tmp_path / row.flag)
    result = root.run(env)

    assert (result.code, result.stderr) == (0, "")
    assert result.arguments == [f"-{row.flag}={SAMPLES[row.type]}" for row in SETTINGS[kind]]


UNREADABLE = {
    "missing": ("/nonexistent", None, "cannot read '/nonexistent'"),
    "no name": ("", None, "cannot read ''"),
    "folder": ("/", None, "cannot read '/'"),
    "socket": ("/dev/tcp/127.0.0.1/9", None, "cannot read '/dev/tcp/127.0.0.1/9'"),
    "NUL": ("nul", b"a\0b", "'nul' holds a NUL byte or is longer than 65535"),
    "NUL first": ("nul", b"\0", "'nul' holds a NUL byte or is longer than 65535"),
    "too long": ("long", b"x" * 65_536, "'long' holds a NUL byte or is longer than 65535"),
}


@pytest.mark.parametrize(("path", "content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_file(
    root: Root, path: str, content: bytes | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.path)
    if content is not None:
        Path(path).write_bytes(content)
    result = root.run({"SPLIT_SYNC_APIKEY_FILE": path})

    assert result == Result(2, None, "", lines(f"SPLIT_SYNC_APIKEY_FILE: {message}"))


@pytest.mark.parametrize("value", ["key", ""])
def test_both_set(root: Root, value: str) -> None:
    """Set is set, also when empty: nobody has to guess which one counts."""
    result = root.run({"SPLIT_SYNC_APIKEY": value, "SPLIT_SYNC_APIKEY_FILE": "/nonexistent"})

    expected = lines("SPLIT_SYNC_APIKEY and SPLIT_SYNC_APIKEY_FILE are both set: unset one")
    assert result == Result(2, None, "", expected)


def test_bad_value_in_a_file_is_not_shown(root: Root) -> None:
    (root.path / "key").write_text("the-api-key")
    result = root.run({"SPLIT_SYNC_REDIS_DB_FILE": str(root.path / "key")})

    assert result == Result(
        2,
        None,
        "",
        lines(f"SPLIT_SYNC_REDIS_DB_FILE: what its file holds is not {WANTED['int']}"),
    )


# --- which application ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_one_that_is_there(kind: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.install(kind)
    result = root.run({f"{prefix}APIKEY": kind for kind, prefix in PREFIXES.items()})

    assert result.arguments == [f"-apikey={kind}"]


@pytest.mark.parametrize("kind", SETTINGS)
def test_kind_by_variable(kind: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    for name in SETTINGS:
        root.install(name)
    env = {f"{prefix}APIKEY": kind for kind, prefix in PREFIXES.items()}

    assert root.run(env | {"PROBE_KIND": kind}).arguments == [f"-apikey={kind}"]


def test_in_path(root: Root) -> None:
    """A folder of PATH is as good; one with blanks or pattern characters too."""
    folder = root.path / "bin * x"
    folder.mkdir()
    shutil.move(root.path / "split-sync", folder)
    result = root.run({"PATH": f"/nonexistent:{folder}", "SPLIT_SYNC_APIKEY": "k"})

    assert (result.code, result.arguments) == (0, ["-apikey=k"])


def test_path_is_no_pattern(root: Root) -> None:
    (root.path / "bin").mkdir()
    shutil.move(root.path / "split-sync", root.path / "bin")

    assert root.run({"PATH": f"{root.path}/b*"}).code == 127


NONE = "neither split-sync nor split-proxy is there: not beside this script, in / or in PATH"
BOTH = "split-sync and split-proxy are both there: set PROBE_KIND to sync or proxy"
ABSENT = "split-proxy is not there: not beside this script, in / or in PATH"
WHICH: dict[str, tuple[list[str], str, int, str]] = {
    "none": ([], "", 127, NONE),
    "both": (["sync", "proxy"], "", 2, BOTH),
    "not the one asked for": (["sync"], "proxy", 127, ABSENT),
    "unknown kind": (["sync"], "Sync\n", 2, "PROBE_KIND: 'Sync?' is not sync or proxy"),
}


@pytest.mark.parametrize(("there", "kind", "code", "message"), WHICH.values(), ids=WHICH)
def test_which_refused(
    there: list[str], kind: str, code: int, message: str, tmp_path: Path
) -> None:
    root = Root(tmp_path)
    for name in there:
        root.install(name)

    assert root.run({"PROBE_KIND": kind}) == Result(code, None, "", lines(message))


def test_not_executable(root: Root) -> None:
    root.install("sync", mode=0o644)

    expected = lines(f"{root.path}/split-sync cannot be executed: its mode forbids it")
    assert root.run({}) == Result(126, None, "", expected)


@pytest.mark.parametrize("text", ["#!/nonexistent\n", "\x7fELF\x02\x01\x01" + "\0" * 60])
def test_application_that_cannot_start(root: Root, text: str) -> None:
    """Bash says why, and the exit is a shell's."""
    root.install("sync", text)
    result = root.run({})

    assert result.code in {126, 127}
    assert "split-sync" in result.stderr


# --- what the application is given ----------------------------------------------------------------

OUR_NAMES = ("kind", "program", "flags", "rows", "value", "known", "name", "folder", "path", "fd")


@pytest.mark.parametrize("name", ["C", "C.UTF-8", "nowhere"])
def test_environment_as_it_came(root: Root, name: str) -> None:
    """The application has every variable, and of bash's own what any program has from it."""
    root.install("sync", WITNESS)
    env = dict.fromkeys(OUR_NAMES, "theirs") | {
        "LC_ALL": name,
        "SPLIT_SYNC_SDK_URL": "http://127.0.0.1",
        "SPLIT_SYNC_LOG_LEVEL": "a\nb",
        "GIN_MODE": "release",
    }
    told = json.loads(root.run(env).stdout)

    assert {**told["environment"], **env} == told["environment"]
    assert set(told["environment"]) - set(env) <= {"PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}


def test_nothing_else_is_inherited(root: Root) -> None:
    """No descriptor of a secret's file, no ignored signal."""
    (root.path / "key").write_text("k\n")
    root.install("sync", WITNESS)
    told = json.loads(root.run({"SPLIT_SYNC_APIKEY_FILE": str(root.path / "key")}).stdout)

    assert told["descriptors"] == ["0", "1", "2", "3"]  # 3 is the listing's own
    assert set(told["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}  # Python's


def test_exec_keeps_the_pid_and_the_exit(root: Root) -> None:
    root.install("sync", RECORDER + "exit 5\n")
    with subprocess.Popen(root.command, env={}, stdout=subprocess.PIPE) as process:
        output = process.communicate(timeout=20)[0]

    assert (output, process.returncode) == (f"{process.pid}\0".encode(), 5)


def test_signals_reach_the_application(root: Root) -> None:
    root.install("sync", WAITER)
    with subprocess.Popen(root.command, env={}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 42


@pytest.mark.parametrize("env", [
    {"PATH": ""},
    {"PATH": "/nonexistent"},
    {"BASH_ENV": "/nonexistent", "ENV": "/nonexistent"},
    {"BASH_FUNC_printf%%": "() { exit 3; }", "BASH_FUNC_exec%%": "() { exit 3; }"},
    {"SHELLOPTS": "noexec:errexit:nounset", "BASHOPTS": "nocasematch:failglob"},
    {"POSIXLY_CORRECT": "1"},
    {"FUNCNEST": "1"},
    {"TMOUT": "1", "PS4": "$(exit 3)", "CDPATH": "/", "GLOBIGNORE": "*", "HOME": ""},
], ids=lambda env: next(iter(env)))  # fmt: skip
def test_odd_environment(root: Root, env: dict[str, str]) -> None:
    result = root.run(env | {"SPLIT_SYNC_APIKEY": "k", "SPLIT_SYNC_REDIS_DB": "0"})

    assert (result.code, result.stderr) == (0, "")
    assert result.arguments == ["-apikey=k", "-redis-db=0"]


def test_closed_stderr(root: Root) -> None:
    """A line that cannot be told does not keep the application from running."""
    command = ["/bin/bash", "-c", 'exec "$@" 2>&-', "-", *root.command]
    done = subprocess.run(
        command, env={"SPLIT_SYNC_X": "1"}, stdout=subprocess.PIPE, timeout=20, check=False
    )

    assert done.returncode == 0
    assert done.stdout.endswith(b"\0")


def test_called_without_a_folder(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bash -p entrypoint.sh` finds what stands beside it."""
    monkeypatch.chdir(root.path)
    root.command = ["/bin/bash", "-p", "entrypoint.sh"]

    assert root.run({"SPLIT_SYNC_APIKEY": "k"}).arguments == ["-apikey=k"]


# --- --print --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SETTINGS)
def test_print_masks_secrets(kind: str, tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.install(kind)
    rows = SETTINGS[kind]
    env = {name_of(kind, row): SAMPLES[row.type] for row in rows}
    result = root.run(env, "--print")

    values = ["***" if row.flag in SECRET else shlex.quote(SAMPLES[row.type]) for row in rows]
    shown_values = [
        value.replace("'a b'", "a\\ b").replace("'a, b'", "a\\,\\ b") for value in values
    ]
    flags = [f"-{row.flag}={value}" for row, value in zip(rows, shown_values, strict=True)]
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [str(tmp_path / f"split-{kind}"), *flags]


def test_print_masks_what_came_from_a_file(root: Root) -> None:
    (root.path / "key").write_text("hidden")
    result = root.run({"SPLIT_SYNC_REDIS_USER_FILE": str(root.path / "key")}, "--print")

    assert result.stdout.splitlines()[1:] == ["-redis-user=***"]


ARGUMENTS = {
    "one": (["-apikey=hidden"], ["-apikey=***"]),
    "two dashes": (["--apikey=hidden"], ["--apikey=***"]),
    "value behind": (["-apikey", "hidden", "-x"], ["-apikey", "***", "-x"]),
    "newline": (["a\nb", "-x=\n"], ["$'a\\nb'", "$'-x=\\n'"]),
    "odd": (["", "-", "--", "@", "-@", "*"], ["''", "-", "--", "@", "-@", "\\*"]),
    "print again": (["--print"], ["--print"]),
}


@pytest.mark.parametrize(("arguments", "printed"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_print_arguments(root: Root, arguments: list[str], printed: list[str]) -> None:
    result = root.run({}, "--print", *arguments)

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1:] == printed


def test_print_refuses_what_a_run_refuses(root: Root) -> None:
    result = root.run({"SPLIT_SYNC_ADMIN_PORT": "03010"}, "--print")

    assert (result.code, result.stdout) == (2, "")


def test_print_only_in_front(root: Root) -> None:
    """Behind an argument it is the application's."""
    assert root.run({}, "-x", "--print").arguments == ["-x", "--print"]


# --- a bare root ----------------------------------------------------------------------------------

IN_ROOT = """\
import os, sys
os.chroot(sys.argv[1])
os.chdir("/")
os.setgroups([])
os.setgid(65532)
os.setuid(65532)
os.execve("/entrypoint.sh", ["/entrypoint.sh", *sys.argv[2:]],
    {"SPLIT_SYNC_APIKEY_FILE": "/key", "SPLIT_SYNC_LOG_LEVEL": "a b", "SPLIT_SYNC_X": ""})
"""


def test_bare_root(tmp_path: Path) -> None:
    """No /dev, /proc or /tmp, nothing writable, no other command, a user without a name."""
    require_root()
    static = require("bash-static")
    root = Root(tmp_path)
    root.install("sync")
    (tmp_path / "key").write_text("k\n")
    (tmp_path / "bin").mkdir()
    shutil.copy(static, tmp_path / "bin" / "bash")
    tmp_path.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-ISc", IN_ROOT, str(tmp_path), "-x"],
        capture_output=True,
        timeout=20,
        check=False,
    )

    assert done.stderr.decode() == lines("unknown, not passed on: SPLIT_SYNC_X")
    assert done.stdout.split(b"\0")[1:] == [b"-apikey=k", b"-log-level=a b", b"-x", b""]


def test_no_process_is_started(root: Root) -> None:
    """Not even a subshell: the application is the first that is executed, and nothing is forked."""
    strace = [require("strace"), "-f", "-qq", "-e", "trace=process", "-o", str(root.path / "calls")]
    root.command = [*strace, *root.command]
    (root.path / "key").write_text("k\n")
    result = root.run({"SPLIT_SYNC_APIKEY_FILE": str(root.path / "key"), "SPLIT_SYNC_X": ""})

    calls = (root.path / "calls").read_text()
    assert result.arguments == ["-apikey=k"]
    assert re.findall(r"\b(?:clone3?|v?fork)\(", calls) == []
    assert calls.count("execve(") == 2
