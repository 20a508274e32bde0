"""Where each input comes from and what is valid, for both implementations (design 2.1).

Most rows need no server: a fault names the value that was found, so each source gets another one.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from probe.cli.check import read_target
from probe.cli.check_options import parse
from probe.contract.target import TLS
from probe.contract.target import InvalidInputError
from probe.contract.target import Target
from tests.support.probes import ENVIRONMENT
from tests.support.probes import PROBES
from tests.support.probes import SCRIPT
from tests.support.probes import run
from tests.support.scripted import Played
from tests.support.scripted import play
from tests.support.scripted import playing
from tests.support.servers import OK
from tests.support.servers import Server

OURS = "HEALTHCHECK_{}"
SYNC = "SPLIT_SYNC_ADMIN_{}"
PROXY = "SPLIT_PROXY_ADMIN_{}"

Arguments = list[str]
Variables = dict[str, str]
Row = tuple[Arguments, Variables, str]


@pytest.fixture(params=PROBES)
def probe(request: pytest.FixtureRequest) -> list[str]:
    return PROBES[request.param]


def named(value: object) -> str:
    """Spell a row's part as its id."""
    match value:
        case list():
            text = " ".join(value)
        case dict():
            text = ",".join(f"{name}={text}" for name, text in value.items())
        case _:
            text = str(value)
    return ascii(text)[1:-1][:60]


# --- faults ---------------------------------------------------------------------------------------


def by_option_and_variable(name: str, value: str, shown: str | None = None) -> Iterator[Row]:
    """One faulty value as `--x v`, as `--x=v`, and, unless it is empty, as our variable."""
    fault = f"{name} '{value if shown is None else shown}'"
    yield [f"--{name}", value], {}, fault
    yield [f"--{name}={value}"], {}, fault
    if value:
        yield [], {OURS.format(name.upper()): value}, fault


def every_form(name: str, *values: str) -> Iterator[Row]:
    for value in values:
        yield from by_option_and_variable(name, value)


def rendered(name: str, value: str, shown: str) -> Iterator[Row]:
    return by_option_and_variable(name, value, shown)


INVALID: list[Row] = [
    *every_form("host", "", "a/b", "[::1]", "[::]", "a@b", "*", "$(exit)"),
    *rendered("host", "a b", "a?b"),
    *rendered("host", "h" * 254, "h" * 40),
    *every_form("port", "", "0", "03010", "65536", "99999", "123456", "-1", "+1", "0x50", "http"),
    *every_form("port", "1.0", "1e3", "99999999999999999999", "a[0]", "10#80"),
    *rendered("port", " 80", "?80"),
    *rendered("port", "80\n", "80?"),
    *every_form("path", "", "x", "health", "http://x/"),
    *rendered("path", "/a b", "/a?b"),
    *rendered("path", "/\t", "/?"),
    *rendered("path", "/\x7f", "/?"),
    *rendered("path", "/\r\nX: y", "/??X:?y"),
    *rendered("path", "/" + "x" * 2000, "/" + "x" * 39),
    *rendered("path", "/é", "/??"),
    *rendered("path", "/\udcff", "/?"),
    *every_form("timeout", "", "0", "0.0", "00", "0s", "0.000", ".5", "-1", "+1", "1..", "1.2.3"),
    *every_form("timeout", "s", "1ss", "1s1", "1m", "1e3", "inf", "nan", "12345678", "1.234567s"),
    *rendered("timeout", "1 ", "1?"),
    *every_form("expect", "", "20", "2000", "099", "2xx", "200,", ",200", "200,,201", ","),
    *every_form("expect", "299-200", "200-", "-200", "200-201-202", "200;201", "200-2000", "*"),
    *rendered("expect", "200, 201", "200,?201"),
    *rendered("expect", "200\n", "200?"),
    *(([], {OURS.format("TLS"): value}, f"tls '{value}'") for value in ("2", "on", "true", "01")),
    *rendered("host", "'\"`\\&?", "'\"`\\&?"),
    *rendered("host", "é" * 30, "?" * 40),
]

UNKNOWN: list[Row] = [
    (["--nothing"], {}, "option '--nothing'"),
    (["--nothing=1"], {}, "option '--nothing=1'"),
    (["nothing"], {}, "option 'nothing'"),
    ([""], {}, "option ''"),
    (["--"], {}, "option '--'"),
    (["-p", "80"], {}, "option '-p'"),
    (["--por", "80"], {}, "option '--por'"),
    (["--Port=80"], {}, "option '--Port=80'"),
    (["--tls=1"], {}, "option '--tls=1'"),
    (["--no-tls="], {}, "option '--no-tls='"),
    (["one", "two"], {}, "option 'one'"),
    (["", "two"], {}, "option ''"),
    (["a b\n" + "x" * 50], {}, f"option 'a?b?{'x' * 36}'"),
    (["--tls", "x"], {}, "option 'x'"),
    (["--log", "x"], {}, "option 'x'"),
    (["--port", "80", "80"], {}, "option '80'"),
    # An unknown option is the last of the faults, wherever it stands.
    (["x", "--port", "y"], {}, "port 'y'"),
    (["x"], {"HEALTHCHECK_TLS": "y"}, "tls 'y'"),
]

MISSING: list[Row] = [
    *(([f"--{name}"], {}, f"{name} ''") for name in ("host", "port", "path", "timeout", "expect")),
    (["--port", "80", "--port"], {}, "port ''"),
    (["--port"], {"HEALTHCHECK_PORT": "80"}, "port ''"),
    (["--path", "--port", "80"], {}, "path '--port'"),
    (["--port", "--port"], {}, "port '--port'"),
]

LAST_WINS: list[Row] = [
    (["--port", "a", "--port", "b"], {}, "port 'b'"),
    (["--port=a", "--port", "b"], {}, "port 'b'"),
    (["--port", "a", "--port=b"], {}, "port 'b'"),
    (["--port=a=b"], {}, "port 'a=b'"),
    (["--port=--path=/"], {}, "port '--path=/'"),
    (["--port=80", "--port="], {}, "port ''"),
]

ORDER: list[Row] = [
    (["--tls", "--expect=e", "--timeout=t", "--path=p", "--port=q", "--host=?"], {}, "host '?'"),
    (["--expect=e", "--timeout=t", "--path=p", "--port=q"], {}, "port 'q'"),
    (["--expect=e", "--timeout=t", "--path=p"], {}, "path 'p'"),
    (["--expect=e", "--timeout=t"], {}, "timeout 't'"),
    (["--expect=e"], {"HEALTHCHECK_TLS": "t"}, "expect 'e'"),
    ([], {"HEALTHCHECK_PATH": "p", "SPLIT_SYNC_ADMIN_PORT": "q"}, "port 'q'"),
    # A usage fault is told before TLS is refused.
    (["--tls", "--expect=e"], {}, "expect 'e'"),
]

LINKS = ("tcp://10.0.0.1:3010", "udp://x", "sctp://")
PRECEDENCE: list[Row] = [
    (["--port=o"], {"HEALTHCHECK_PORT": "v"}, "port 'o'"),
    ([], {"HEALTHCHECK_PORT": "v", SYNC.format("PORT"): "s"}, "port 'v'"),
    ([], {SYNC.format("PORT"): "s", PROXY.format("PORT"): "p"}, "port 's'"),
    ([], {PROXY.format("PORT"): "p"}, "port 'p'"),
    ([], {"HEALTHCHECK_PORT": "", SYNC.format("PORT"): "s"}, "port 's'"),
    ([], {SYNC.format("PORT"): "", PROXY.format("PORT"): "p"}, "port 'p'"),
    *(([], {"HEALTHCHECK_PORT": link, SYNC.format("PORT"): "s"}, "port 's'") for link in LINKS),
    *(([], {SYNC.format("PORT"): link, PROXY.format("PORT"): "p"}, "port 'p'") for link in LINKS),
    # Only these three schemes, only in these variables, and not as an option.
    ([], {SYNC.format("PORT"): "tcp:/1", PROXY.format("PORT"): "p"}, "port 'tcp:/1'"),
    ([], {SYNC.format("PORT"): "http://1", PROXY.format("PORT"): "p"}, "port 'http://1'"),
    ([], {SYNC.format("PORT"): "TCP://1", PROXY.format("PORT"): "p"}, "port 'TCP://1'"),
    (["--port", LINKS[0]], {"HEALTHCHECK_PORT": "v"}, f"port '{LINKS[0]}'"),
    (["--host=?"], {"HEALTHCHECK_HOST": "*"}, "host '?'"),
    ([], {"HEALTHCHECK_HOST": "*", SYNC.format("HOST"): "?"}, "host '*'"),
    ([], {SYNC.format("HOST"): "?", PROXY.format("HOST"): "*"}, "host '?'"),
    ([], {PROXY.format("HOST"): "*"}, "host '*'"),
    ([], {"HEALTHCHECK_HOST": "", PROXY.format("HOST"): "*"}, "host '*'"),
    # Only the synchronizer's own host is mapped.
    (["--host=[::1]"], {}, "host '[::1]'"),
    ([], {"HEALTHCHECK_HOST": "[::]"}, "host '[::]'"),
    ([], {SYNC.format("HOST"): "[::2]"}, "host '[::2]'"),
    (["--path=o"], {"HEALTHCHECK_PATH": "v"}, "path 'o'"),
    (["--timeout=o"], {"HEALTHCHECK_TIMEOUT": "v"}, "timeout 'o'"),
    (["--expect=o"], {"HEALTHCHECK_EXPECT": "v"}, "expect 'o'"),
]

FAULTS = [*INVALID, *UNKNOWN, *MISSING, *LAST_WINS, *ORDER, *PRECEDENCE]


@pytest.mark.parametrize(("arguments", "variables", "fault"), FAULTS, ids=named)
def test_fault(probe: list[str], arguments: Arguments, variables: Variables, fault: str) -> None:
    """The first faulty input, in the table's order, is told; exit 1."""
    result = run([*probe, *arguments], env=ENVIRONMENT | variables)

    assert (*result.verdict, result.stderr) == (1, f"unhealthy: usage: {fault}", "")


def target_of(arguments: Arguments, variables: Variables) -> Target:
    """Read a target in this process, as `probe check` does."""
    options, _unknown = parse(arguments)
    environment = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
    return read_target(options, environment)


IN_PROCESS = [row for row in FAULTS if not row[2].startswith("option ")]


@pytest.mark.parametrize(("arguments", "variables", "fault"), IN_PROCESS, ids=named)
def test_fault_in_process(arguments: Arguments, variables: Variables, fault: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        target_of(arguments, variables)

    assert caught.value.reason == f"usage: {fault}"


# --- what is valid --------------------------------------------------------------------------------

EMPTY = [
    *(OURS.format(name) for name in ("HOST", "PORT", "PATH", "TIMEOUT", "EXPECT", "TLS")),
    *(SYNC.format(name) for name in ("PORT", "TLS_ENABLED")),
    *(PROXY.format(name) for name in ("PORT", "TLS_ENABLED")),
]
VALID: list[tuple[Arguments, Variables, Target]] = [
    ([], {}, Target("127.0.0.1", 3010, "/health/application", 3.0, "200", None)),
    (["--host", "a" * 253], {}, Target(host="a" * 253)),
    (["--port", "65535"], {}, Target(port=65535)),
    (["--path", "/" + "!" * 1999], {}, Target(path="/" + "!" * 1999)),
    (["--timeout", "1."], {}, Target(timeout=1.0)),
    (["--timeout", "1.5s"], {}, Target(timeout=1.5)),
    (["--timeout", "00.5"], {}, Target(timeout=0.5)),
    (["--timeout", "9999999"], {}, Target(timeout=9999999.0)),
    (["--timeout", "0.00001"], {}, Target(timeout=0.00001)),
    (["--expect", "200,300-399"], {}, Target(expect="200,300-399")),
    (["--tls"], {}, Target(tls=TLS())),
    (["--tls", "--no-tls"], {}, Target()),
    (["--no-tls", "--tls"], {}, Target(tls=TLS())),
    ([], {"HEALTHCHECK_TLS": "1"}, Target(tls=TLS())),
    (["--no-tls"], {"HEALTHCHECK_TLS": "1"}, Target()),
    ([], {"HEALTHCHECK_TLS": "0", SYNC.format("TLS_ENABLED"): "true"}, Target()),
    ([], {"HEALTHCHECK_TLS": "", SYNC.format("TLS_ENABLED"): "t"}, Target(tls=TLS())),
    (["--tls", "--ca=c", "--cert=d", "--key=e", "--server-name=n", "--insecure"], {},
     Target(tls=TLS("c", "d", "e", "n", insecure=True))),
    (["--ca", "c"], {}, Target()),
    ([], dict.fromkeys(EMPTY, ""), Target()),
    ([], {"HEALTHCHECK_PORT": LINKS[0], SYNC.format("PORT"): LINKS[1]}, Target()),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "variables", "target"), VALID, ids=named)
def test_valid_in_process(arguments: Arguments, variables: Variables, target: Target) -> None:
    assert target_of(arguments, variables) == target


# Runs the script with a trace whose every line tells the inputs.
TRACING = r"""
PS4=$'@ ${host-} ${port-} ${path-} ${timeout-} ${expect-} ${tls-}\n'
script=$1
shift
set -x
. "$script"
"""


def traced_by_bash(arguments: Arguments, variables: Variables) -> list[str]:
    """Return the inputs as the shell probe has them when an unknown option stops it."""
    command = ["/bin/bash", "-p", "-c", TRACING, "trace", str(SCRIPT), *arguments, "--stop-here"]
    trace = run(command, env=ENVIRONMENT | variables).stderr
    lines: list[str] = re.findall(r"(?m)^@+ (\S+ \S+ \S+ \S+ \S+ [01])$", trace)
    return lines[-1].split()


def texts_of(target: Target, timeout: str) -> list[str]:
    tls = str(int(target.tls is not None))
    return [target.host, str(target.port), target.path, timeout, target.expect, tls]


IN_BASH = [row for row in VALID if not any(argument.startswith("--ca") for argument in row[0])]


@pytest.mark.parametrize(("arguments", "variables", "target"), IN_BASH, ids=named)
def test_valid_in_bash(arguments: Arguments, variables: Variables, target: Target) -> None:
    """The shell probe finds the same values, defaults included."""
    timeout = arguments[1] if "--timeout" in arguments else "3"

    assert traced_by_bash(arguments, variables) == texts_of(target, timeout)


# --- against a server -----------------------------------------------------------------------------

STEPS = (["read_request"], ["send_hex", OK.hex()], ["close"])
HEALTHY = (0, "healthy: 200")


@contextmanager
def playing_on(host: str) -> Iterator[Played]:
    """Play a good answer on that address, where the machine has it."""
    if ":" not in host:
        with playing(STEPS) as played:
            yield played
        return
    requests: list[bytes] = []
    listener = socket.socket(socket.AF_INET6)
    try:
        listener.bind((host, 0))
    except OSError as error:
        listener.close()
        pytest.skip(f"no {host} on this machine: {error}")
    server = Server(lambda connection: play(connection, STEPS, requests), listener)
    server.start()
    yield Played(server.port, requests)
    server.stop()


# Where the request must arrive, and the host that it must name.
HOSTS: list[tuple[Arguments, Variables, str, str]] = [
    ([], {}, "127.0.0.1", "127.0.0.1"),
    (["--host", "localhost"], {}, "127.0.0.1", "localhost"),
    (["--host", "::1"], {}, "::1", "[::1]"),
    (["--host", "0.0.0.0"], {}, "127.0.0.1", "0.0.0.0"),
    ([], {"HEALTHCHECK_HOST": "::1"}, "::1", "[::1]"),
    ([], {"HEALTHCHECK_HOST": "", SYNC.format("HOST"): "::1"}, "::1", "[::1]"),
    *(
        ([], {variable.format("HOST"): own}, mapped, shown)
        for variable in (SYNC, PROXY)
        for own, mapped, shown in (
            ("", "127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
            ("[::]", "127.0.0.1", "127.0.0.1"),
            ("[::1]", "::1", "[::1]"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        )
    ),
    # The first of the two that is set decides, even if it is empty.
    ([], {SYNC.format("HOST"): "", PROXY.format("HOST"): "[::1]"}, "127.0.0.1", "127.0.0.1"),
]


@pytest.mark.parametrize(("arguments", "variables", "address", "shown"), HOSTS, ids=named)
def test_host(
    probe: list[str], arguments: Arguments, variables: Variables, address: str, shown: str
) -> None:
    with playing_on(address) as played:
        result = run([*probe, f"--port={played.port}", *arguments], env=ENVIRONMENT | variables)

    assert result.verdict == HEALTHY
    assert f"\r\nHost: {shown}:{played.port}\r\n".encode() in played.requests[0]


PORTS: list[tuple[Arguments, Variables]] = [
    (["--port", "PORT"], {"HEALTHCHECK_PORT": "1"}),
    (["--port=1", "--port=PORT"], {}),
    ([], {"HEALTHCHECK_PORT": "PORT", SYNC.format("PORT"): "1"}),
    ([], {SYNC.format("PORT"): "PORT", PROXY.format("PORT"): "1"}),
    ([], {PROXY.format("PORT"): "PORT"}),
    ([], {"HEALTHCHECK_PORT": LINKS[0], PROXY.format("PORT"): "PORT"}),
    ([], {"HEALTHCHECK_PORT": "", SYNC.format("PORT"): LINKS[1], PROXY.format("PORT"): "PORT"}),
]


@pytest.mark.parametrize(("arguments", "variables"), PORTS, ids=named)
def test_port(probe: list[str], arguments: Arguments, variables: Variables) -> None:
    with playing(STEPS) as played:
        port = str(played.port)
        filled = {name: value.replace("PORT", port) for name, value in variables.items()}
        arguments = [argument.replace("PORT", port) for argument in arguments]
        result = run([*probe, *arguments], env=ENVIRONMENT | filled)

    assert result.verdict == HEALTHY


PATHS: list[tuple[Arguments, Variables, str]] = [
    ([], {}, "/health/application"),
    ([], {"HEALTHCHECK_PATH": ""}, "/health/application"),
    ([], {"HEALTHCHECK_PATH": "/v"}, "/v"),
    (["--path=/o"], {"HEALTHCHECK_PATH": "/v"}, "/o"),
    (["--path", "/%s%d\\n$(x)`*?[a]&'\"=;#"], {}, "/%s%d\\n$(x)`*?[a]&'\"=;#"),
    (["--path=/a=b"], {}, "/a=b"),
    (["--path", "/" + "p" * 1999], {}, "/" + "p" * 1999),
]


@pytest.mark.parametrize(("arguments", "variables", "path"), PATHS, ids=named)
def test_path(probe: list[str], arguments: Arguments, variables: Variables, path: str) -> None:
    """The path goes out byte for byte, in a request that is otherwise always the same."""
    with playing(STEPS) as played:
        result = run([*probe, f"--port={played.port}", *arguments], env=ENVIRONMENT | variables)

    assert result.verdict == HEALTHY
    assert played.requests == [Target(port=played.port, path=path).request]


EXPECTED: list[tuple[Arguments, Variables, int, str]] = [
    ([], {}, 200, "healthy: 200"),
    ([], {}, 201, "unhealthy: status 201"),
    (["--expect=204"], {}, 204, "healthy: 204"),
    (["--expect=204"], {}, 200, "unhealthy: status 200"),
    (["--expect=200,204"], {}, 204, "healthy: 204"),
    (["--expect=200-299"], {}, 299, "healthy: 299"),
    (["--expect=200-299"], {}, 300, "unhealthy: status 300"),
    (["--expect=200-299,500-503"], {}, 503, "healthy: 503"),
    (["--expect=100-999"], {}, 100, "healthy: 100"),
    ([], {"HEALTHCHECK_EXPECT": "503"}, 503, "healthy: 503"),
    ([], {"HEALTHCHECK_EXPECT": ""}, 503, "unhealthy: status 503"),
    (["--expect=200"], {"HEALTHCHECK_EXPECT": "503"}, 503, "unhealthy: status 503"),
]


@pytest.mark.parametrize(("arguments", "variables", "code", "line"), EXPECTED, ids=named)
def test_expect(
    probe: list[str], arguments: Arguments, variables: Variables, code: int, line: str
) -> None:
    answer = f"HTTP/1.1 {code} X\r\n\r\n".encode()
    with playing((["read_request"], ["send_hex", answer.hex()], ["close"])) as played:
        result = run([*probe, f"--port={played.port}", *arguments], env=ENVIRONMENT | variables)

    assert result.line == line


TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("", "0", "f", "false", "tRUE", "on", "yes", "TRUE ")
TLS_ASKED: list[tuple[Arguments, Variables, bool]] = [
    (["--tls"], {}, True),
    ([], {"HEALTHCHECK_TLS": "1"}, True),
    ([], {"HEALTHCHECK_TLS": "0"}, False),
    (["--no-tls"], {"HEALTHCHECK_TLS": "1"}, False),
    (["--no-tls", "--tls"], {}, True),
    (["--tls", "--no-tls"], {}, False),
    (["--no-tls"], {SYNC.format("TLS_ENABLED"): "true"}, False),
    *(([], {SYNC.format("TLS_ENABLED"): value}, True) for value in TRUE),
    *(([], {SYNC.format("TLS_ENABLED"): value}, False) for value in FALSE),
    *(([], {PROXY.format("TLS_ENABLED"): value}, True) for value in TRUE),
    *(([], {PROXY.format("TLS_ENABLED"): value}, False) for value in FALSE),
    ([], {SYNC.format("TLS_ENABLED"): "", PROXY.format("TLS_ENABLED"): "1"}, True),
    ([], {SYNC.format("TLS_ENABLED"): "0", PROXY.format("TLS_ENABLED"): "1"}, False),
    ([], {"HEALTHCHECK_TLS": "0", SYNC.format("TLS_ENABLED"): "1"}, False),
    ([], {"HEALTHCHECK_TLS": "", SYNC.format("TLS_ENABLED"): "1"}, True),
]


@pytest.mark.parametrize(("arguments", "variables", "tls"), TLS_ASKED, ids=named)
def test_tls(probe: list[str], arguments: Arguments, variables: Variables, tls: bool) -> None:  # noqa: FBT001
    """The server speaks plain HTTP: asked for TLS, each fails in its own way, saying `tls`."""
    with playing((["send_hex", OK.hex()], ["hang"])) as played:
        result = run([*probe, f"--port={played.port}", *arguments], env=ENVIRONMENT | variables)

    asked = (1, "unhealthy: tls (only probe check speaks TLS)")
    assert result.verdict == (asked if tls else HEALTHY)


TIMEOUTS: list[tuple[Arguments, Variables, float]] = [
    ([], {}, 3.0),
    (["--timeout=1s"], {"HEALTHCHECK_TIMEOUT": "9"}, 1.0),
    ([], {"HEALTHCHECK_TIMEOUT": "1.5"}, 1.5),
    ([], {"HEALTHCHECK_TIMEOUT": ""}, 3.0),
    (["--timeout=0.00001"], {}, 0.0),
]


@pytest.mark.parametrize(("arguments", "variables", "seconds"), TIMEOUTS, ids=named)
def test_timeout(
    probe: list[str], arguments: Arguments, variables: Variables, seconds: float
) -> None:
    with playing((["hang"],)) as played:
        result = run([*probe, f"--port={played.port}", *arguments], env=ENVIRONMENT | variables)

    assert result.verdict == (1, "unhealthy: timeout")
    assert seconds <= result.seconds <= seconds + 0.5
