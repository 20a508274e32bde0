"""The shell probe where everything around it is hostile: right verdict, right exit, no noise."""

import fcntl
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.components import require
from tests.support.components import require_root
from tests.support.probes import ENVIRONMENT
from tests.support.probes import LATENESS
from tests.support.probes import SCRIPT
from tests.support.probes import SHELLS
from tests.support.probes import Result
from tests.support.probes import asking
from tests.support.probes import finish
from tests.support.probes import prepared
from tests.support.probes import run
from tests.support.probes import start
from tests.support.servers import Ports

HEALTHY = (0, "healthy: 200")
BROKEN = (1, "unhealthy: status 500")
REFUSED = (1, "unhealthy: refused (nothing listens there, or not yet)")
TIMEOUT = (1, "unhealthy: timeout")
SIGNAL = (1, "unhealthy: signal")

# The longest a probe takes over telling its verdict where nobody reads stdout.
SAYING = 1.1


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "bash-static":
        require("bash-static")
    return SHELLS[request.param]


# --- environment variables ------------------------------------------------------------------------

FUNCTIONS = [
    *("printf", "read", "exit", "trap", "kill", "exec", "echo", "shopt", "set", "local", "return"),
    *("finish", "say", "conclude", "usage", "check", "accepts", "read_status_line", "ask"),
    *("[[", "((", "[", ":", "false", "/bin/bash"),
]
SHELL_OPTIONS = [
    *("allexport", "errexit", "errtrace", "functrace", "hashall", "ignoreeof", "interactive"),
    *("keyword", "monitor", "noclobber", "noexec", "noglob", "nounset", "onecmd", "physical"),
    *("pipefail", "posix", "privileged", "verbose", "xtrace", "braceexpand:noexec:xtrace"),
]
OUR_VARIABLES = [
    *("code", "log", "heard", "signalled", "unknown", "wanted", "out", "host", "port", "path"),
    *("timeout", "expect", "tls", "option", "seconds", "status", "message", "reason", "line"),
    *("name", "value", "range", "rest", "start", "REPLY", "OPTIND", "COPROC", "PIPESTATUS"),
]

SILENT = [
    {"BASH_ENV": "EXITS"},
    {"BASH_ENV": "EXITS", "ENV": "EXITS", "POSIXLY_CORRECT": "1"},
    *({f"BASH_FUNC_{name}%%": "() { exit 0; }"} for name in FUNCTIONS),
    {f"BASH_FUNC_{name}%%": "() { return 0; }" for name in FUNCTIONS},
    *({"SHELLOPTS": options} for options in SHELL_OPTIONS),
    {"BASHOPTS": "nocasematch"},
    {"BASHOPTS": "extdebug:failglob:nullglob:nocaseglob:nocasematch:xpg_echo:compat31"},
    {"POSIXLY_CORRECT": ""},
    {"POSIXLY_CORRECT": "1"},
    *({"BASH_COMPAT": version} for version in ("3.1", "31", "42", "4.4", "5.0")),
    *({"IFS": separators} for separators in ("", "0", "/.1", "HTP2")),
    *({"TMOUT": seconds} for seconds in ("0", "1", "-1", "x")),
    *({"PATH": path} for path in ("", "/nonexistent", ".", "relative:")),
    {"PS4": "$(exit 0)"},
    {"PS4": "$(echo healthy)", "SHELLOPTS": "xtrace", "BASH_XTRACEFD": "1"},
    *({"FUNCNEST": depth} for depth in ("1", "2", "3", "x")),
    {"GLOBIGNORE": "*", "FIGNORE": "x", "EXECIGNORE": "*"},
    {"BASH_ARGV0": "x", "BASH_LOADABLES_PATH": "/", "CDPATH": "/", "HOME": "", "PWD": "nowhere"},
    {"TZ": "nowhere", "TMPDIR": "/nonexistent", "SHELL": "/bin/false", "TERM": "nothing"},
    {"LANG": "C", "LC_ALL": "C"},
    {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "x"},
    dict.fromkeys(OUR_VARIABLES, "1"),
    dict.fromkeys(OUR_VARIABLES, ""),
    dict.fromkeys(OUR_VARIABLES, "a[$(exit 0)]"),
    {"CHILD_MAX": "0", "HISTFILE": "/", "MAILPATH": "/", "PROMPT_COMMAND": "exit 0"},
    {"padding": "x" * 100_000},
]
# bash itself warns of these, before its first command.
WARNED = [
    *({"LC_ALL": name} for name in ("tr_TR.UTF-8", "nowhere", "C.ISO-8859-15", "/", "ja_JP.SJIS")),
    {"LANG": "nowhere", "LC_CTYPE": "tr_TR.UTF-8", "LC_COLLATE": "x", "LC_MESSAGES": "de_DE"},
    {"LC_ALL": "C.UTF-8"},
    {"LANG": "en_US.UTF-8"},
    {"BASH_COMPAT": "99"},
    {"BASH_COMPAT": "x"},
    {"SHLVL": "999"},
    {"SHLVL": "x"},
    {"BASH_XTRACEFD": "3"},
    {"BASH_XTRACEFD": "x"},
]
BASH_WARNING = r"(?m)^\S*bash\S*: (warning: |BASH_COMPAT: |BASH_XTRACEFD: ).*\n"


def named(env: dict[str, str]) -> str:
    return ",".join(f"{name}={value:.24}" for name, value in itertools.islice(env.items(), 2))


def verdicts(command: Sequence[str], ports: Ports, env: dict[str, str]) -> tuple[Result, Result]:
    """Ask the healthy server and the broken one, and insist on both verdicts."""
    good = run(asking(command, ports.healthy), env=env)
    bad = run(asking(command, ports.broken), env=env)
    assert (good.verdict, bad.verdict) == (HEALTHY, BROKEN)
    return good, bad


@pytest.mark.parametrize("env", SILENT, ids=named)
def test_environment(shell: list[str], env: dict[str, str], ports: Ports, tmp_path: Path) -> None:
    """No variable changes the verdict, and none makes the probe talk."""
    exits = tmp_path / "exits"
    exits.write_text("exit 0\n")
    env = {name: value.replace("EXITS", str(exits)) for name, value in env.items()}
    good, bad = verdicts(shell, ports, ENVIRONMENT | env)
    assert (good.stderr, bad.stderr) == ("", "")


@pytest.mark.parametrize("env", WARNED, ids=named)
def test_environment_that_bash_warns_of(
    shell: list[str], env: dict[str, str], ports: Ports
) -> None:
    """What bash says of a variable before the script starts is all that is said."""
    unlocalised = {"PATH": ENVIRONMENT["PATH"]}
    for result in verdicts(shell, ports, unlocalised | env):
        assert re.sub(BASH_WARNING, "", result.stderr) == ""


def test_no_environment(shell: list[str], ports: Ports) -> None:
    good, bad = verdicts(shell, ports, {})
    assert (good.stderr, bad.stderr) == ("", "")


def test_long_script_path(ports: Ports, tmp_path: Path) -> None:
    """Where the script lies changes nothing, though bash's messages begin with its path."""
    folder = tmp_path.joinpath(*["x" * 200] * 4)
    folder.mkdir(parents=True)
    copy = str(shutil.copy(SCRIPT, folder))
    verdicts([copy], ports, ENVIRONMENT)
    assert run(asking([copy], ports.refusing)).verdict == REFUSED


# --- descriptors ----------------------------------------------------------------------------------

CLOSED = [closed for length in (1, 2, 3) for closed in itertools.combinations((0, 1, 2), length)]


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_descriptors(shell: list[str], closed: tuple[int, ...], ports: Ports) -> None:
    """The exit is right whatever is closed; the line is there where stdout is."""
    command = prepared(f"for fd in {closed}: os.close(fd)", shell)
    cases = [
        (ports.healthy, HEALTHY),
        (ports.broken, BROKEN),
        (ports.refusing, REFUSED),
        (ports.mute, TIMEOUT),
        (ports.full, TIMEOUT),
    ]
    for port, (code, line) in cases:
        result = run(asking(command, port, "--timeout", "0.3"))
        assert (result.verdict, result.stderr) == ((code, "" if 1 in closed else line), "")
        assert result.seconds < 0.3 + LATENESS


@pytest.mark.parametrize("limit", range(4, 40, 3))
def test_few_descriptors(shell: list[str], limit: int, ports: Ports) -> None:
    """Too few descriptors may cost the verdict healthy, and never give it."""
    setting = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))"
    command = prepared(setting, shell)
    good = run(asking(command, ports.healthy, "--timeout", "0.5"))
    bad = run(asking(command, ports.broken, "--timeout", "0.5"))
    assert (good.code, bad.code) in ([(0, 1)] if limit >= 16 else [(0, 1), (1, 1)])
    assert good.seconds + bad.seconds < 1 + 2 * SAYING + LATENESS


@pytest.mark.parametrize("descriptors", [(), (3, 4, 5), range(3, 60)], ids=str)
def test_inherited_descriptors(shell: list[str], descriptors: Sequence[int], ports: Ports) -> None:
    """What is open at entry, on whatever number, is in nobody's way."""
    held = f"for fd in {tuple(descriptors)}: os.dup2(0, fd)"
    good, bad = verdicts(prepared(held, shell), ports, ENVIRONMENT)
    assert (good.stderr, bad.stderr) == ("", "")


# --- stdout ---------------------------------------------------------------------------------------


def test_full_device(shell: list[str], ports: Ports) -> None:
    for port, (code, _) in (
        (ports.healthy, HEALTHY),
        (ports.broken, BROKEN),
        (ports.mute, TIMEOUT),
    ):
        with Path("/dev/full").open("wb") as full:
            result = run(asking(shell, port, "--timeout", "0.3"), stdout=full.fileno())
        assert (result.code, result.stderr) == (code, "")
        assert result.seconds < 0.3 + LATENESS


def test_closed_pipe(shell: list[str], ports: Ports) -> None:
    for port, (code, _) in (
        (ports.healthy, HEALTHY),
        (ports.broken, BROKEN),
        (ports.mute, TIMEOUT),
    ):
        reading, writing = os.pipe()
        os.close(reading)
        result = run(asking(shell, port, "--timeout", "0.3"), stdout=writing)
        os.close(writing)
        assert (result.code, result.stderr) == (code, "")
        assert result.seconds < 0.3 + LATENESS


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Yield the writing end of a full pipe that nobody reads."""
    reading, writing = os.pipe()
    os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("server", "verdict", "longest"),
    [
        ("healthy", HEALTHY, 0.5),
        ("broken", BROKEN, 0.5),
        ("refusing", REFUSED, 0.5 + SAYING),
        ("mute", TIMEOUT, 0.5 + SAYING),
        ("full", TIMEOUT, 0.5 + SAYING),
    ],
)
def test_full_pipe(
    shell: list[str],
    ports: Ports,
    server: str,
    verdict: tuple[int, str],
    longest: float,
    *,
    full_pipe: int,
) -> None:
    """A line that cannot be written delays the exit to the deadline, or little beyond it."""
    port: int = getattr(ports, server)
    result = run(asking(shell, port, "--timeout", "0.5"), stdout=full_pipe)
    assert (result.code, result.stderr) == (verdict[0], "")
    assert result.seconds < longest + LATENESS


# --- signals --------------------------------------------------------------------------------------

UNSTOPPABLE = {signal.SIGKILL, signal.SIGSTOP}
SIGNALS = sorted(number for number in signal.valid_signals() - UNSTOPPABLE if number < 32)
IGNORE_ALL = """\
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
"""
BLOCK_ALL = "signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())\n"


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
def test_ignored_signal(shell: list[str], number: int, ports: Ports) -> None:
    command = prepared(f"signal.signal({int(number)}, signal.SIG_IGN)", shell)
    good, bad = verdicts(command, ports, ENVIRONMENT)
    assert (good.stderr, bad.stderr) == ("", "")


@pytest.mark.parametrize(
    "preparation",
    [
        pytest.param(IGNORE_ALL, id="all ignored"),
        pytest.param(BLOCK_ALL, id="all blocked"),
        pytest.param(IGNORE_ALL + BLOCK_ALL, id="all ignored and blocked"),
        pytest.param("signal.pthread_sigmask(0, {signal.SIGCHLD})", id="SIGCHLD blocked"),
        pytest.param("signal.pthread_sigmask(0, {signal.SIGPIPE})", id="SIGPIPE blocked"),
        pytest.param("signal.pthread_sigmask(0, {signal.SIGALRM})", id="SIGALRM blocked"),
    ],
)
def test_signals_out_of_reach(shell: list[str], preparation: str, ports: Ports) -> None:
    """The deadline stands on no signal that can be ignored or blocked."""
    command = prepared(preparation, shell)
    good, bad = verdicts(command, ports, ENVIRONMENT)
    late = [run(asking(command, port, "--timeout", "0.3")) for port in (ports.mute, ports.full)]
    assert [result.verdict for result in late] == [TIMEOUT, TIMEOUT]
    assert {result.stderr for result in (good, bad, *late)} == {""}
    assert max(result.seconds for result in late) < 0.3 + LATENESS


CATCHABLE = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM"]


@pytest.mark.parametrize("name", CATCHABLE)
def test_signal_while_reading(shell: list[str], name: str) -> None:
    """A signal ends the probe at once, with a line that says so."""
    with servers.mute() as server:
        process = start(asking(shell, server.port, "--timeout", "9"))
        assert server.accepted.wait(5)
        time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.Signals[name])
        result = finish(process, began)
    assert (result.verdict, result.stderr) == (SIGNAL, "")
    assert result.seconds < LATENESS


@pytest.mark.parametrize("name", CATCHABLE)
def test_signal_while_connecting(shell: list[str], name: str, ports: Ports) -> None:
    process = start(asking(shell, ports.full, "--timeout", "9"))
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(signal.Signals[name])
    result = finish(process, began)
    assert (result.verdict, result.stderr) == (SIGNAL, "")
    assert result.seconds < LATENESS


@pytest.mark.parametrize("name", CATCHABLE)
def test_signal_while_forking(shell: list[str], name: str, ports: Ports) -> None:
    """A signal that comes while the worker is forked does not make the main shell wait for it.

    bash waits for the worker where a trap runs a simple command between that fork and the last
    element of the pipeline. strace sends the signal in the system call itself.
    """
    sending = [require("strace"), "-qqq", "-o/dev/null", f"--inject=clone:signal={name}:when=1"]
    result = run(asking([*sending, *shell], ports.mute, "--timeout", "3"), limit=8)
    assert (result.verdict, result.stderr) == (SIGNAL, "")
    assert result.seconds < 1 + LATENESS


def test_many_signals(shell: list[str], ports: Ports) -> None:
    """A signal that comes while another is dealt with changes nothing."""
    process = start(asking(shell, ports.full, "--timeout", "9"))
    time.sleep(0.2)
    began = time.monotonic()
    for name in CATCHABLE * 3:
        process.send_signal(signal.Signals[name])
    result = finish(process, began)
    assert (result.verdict, result.stderr) == (SIGNAL, "")
    assert result.seconds < LATENESS


# --- no pid, no files -----------------------------------------------------------------------------

# The limit counts a user's processes, so each probe gets a user; no name is needed for it.
NO_FORK = """\
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.setgroups([])
os.setgid({user})
os.setuid({user})
"""


def test_no_free_pid(ports: Ports) -> None:
    """Where nothing can be forked bash tries for 15 s, and then the exit is 1.

    bash-static dies of SIGSEGV there, with a script of nothing but `: &` too: not healthy at least.
    """
    require_root()
    require("bash-static")
    began = time.monotonic()
    processes = [
        start(asking(prepared(NO_FORK.format(user=64123 + number), shell), ports.healthy))
        for number, shell in enumerate(SHELLS.values())
    ]
    dynamic, static = [finish(process, began) for process in processes]
    assert dynamic.verdict == (1, "unhealthy: internal")
    assert static.code != 0
    assert dynamic.seconds < 15 + 2
    assert re.sub(r"(?m)^.*fork: .*\n", "", dynamic.stderr) == ""


def libraries(program: str) -> list[str]:
    """Return what the loader maps for *program*, the loader itself among it."""
    output = subprocess.run(
        [require("ldd"), program], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    return re.findall(r"(/\S+) \(0x", output)


@pytest.fixture(scope="module")
def root_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root that holds bash, its libraries and the script, and nothing else."""
    root = tmp_path_factory.mktemp("root")
    for source in ["/bin/bash", *libraries("/bin/bash")]:
        copy = root / source.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    shutil.copy(SCRIPT, root / "healthcheck.sh")
    return root


IN_ROOT = """\
os.chroot({root!r})
os.chdir("/")
os.setgroups([])
os.setgid(65532)
os.setuid(65532)
"""


@pytest.mark.parametrize("mode", [0o555, 0o711], ids=oct)
@pytest.mark.parametrize(
    "command",
    [["/bin/bash", "-p", "/healthcheck.sh"], ["/healthcheck.sh"]],
    ids=["bash -p script", "script"],
)
def test_bare_root(command: list[str], mode: int, root_directory: Path, ports: Ports) -> None:
    """No /dev, /proc, /tmp, no writable or readable directory: every verdict is still right."""
    require_root()
    root_directory.chmod(mode)
    inside = prepared(IN_ROOT.format(root=str(root_directory)), command)
    cases = [
        (ports.healthy, [], HEALTHY),
        (ports.broken, [], BROKEN),
        (ports.refusing, [], REFUSED),
        (ports.mute, [], TIMEOUT),
        (ports.full, [], TIMEOUT),
        (ports.healthy, ["--path", "health"], (1, "unhealthy: usage: path 'health'")),
        (ports.healthy, ["--host", "no-such-name.invalid"], (1, "unhealthy: unresolved")),
        (ports.broken, ["--log"], BROKEN),
        (ports.mute, ["--log"], TIMEOUT),
    ]
    for port, options, verdict in cases:
        result = run(asking(inside, port, "--timeout", "0.5", *options), env={})
        assert (result.verdict, result.stderr) == (verdict, "")
        assert result.seconds < 0.5 + LATENESS
