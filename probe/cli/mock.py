"""`probe mock`: run the mock synchronizer, change its mode from afar, list the modes."""

import contextlib
import json
import signal
import threading
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated

import typer

from probe.cli.errors import ProbeError
from probe.cli.errors import UsageError
from probe.mock.faults import MODES
from probe.mock.faults import ModeError
from probe.mock.faults import StepsError
from probe.mock.faults import mode_named

if TYPE_CHECKING:
    import ssl

    from probe.mock.listener import Request
    from probe.mock.schedule import Schedule
    from probe.mock.server import Mock

SCHEMA = 1
_ANSWERED_WITHIN = 5.0

app = typer.Typer(
    help="A mock synchronizer: faithful, and broken in every way a network can be broken.",
    no_args_is_help=True,
)


class Kind(StrEnum):
    SYNC = "sync"
    PROXY = "proxy"


class Backend(StrEnum):
    OK = "ok"
    ERROR = "500"
    REFUSED = "refused"
    HANG = "hang"


class Redis(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    HANG = "hang"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def _complete_mode(incomplete: str) -> list[str]:
    return [name for name in MODES if name.startswith(incomplete)]


ModeOption = Annotated[
    str,
    typer.Option(help="What it does; `probe mock modes` lists all.", autocompletion=_complete_mode),
]
ScriptOption = Annotated[
    Path | None, typer.Option("--script", help="JSON file with the steps of mode script.")
]


@app.command()
def run(
    kind: Annotated[Kind, typer.Option(help="Which of the two synchronizers.")] = Kind.SYNC,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: a free one.")] = 3010,
    mode: ModeOption = "healthy",
    control_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the control API; 0: a free one.")
    ] = None,
    schedule: Annotated[Path | None, typer.Option(help="YAML file: at time t, mode m.")] = None,
    script: ScriptOption = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS.")] = False,
    cert: Annotated[Path | None, typer.Option(help="PEM certificate, for --tls.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM key, if not in --cert.")] = None,
    time_scale: Annotated[
        float, typer.Option(min=0.0, help="How fast the model's clock goes.")
    ] = 1.0,
    backend: Annotated[Backend, typer.Option(help="What its backend does.")] = Backend.OK,
    redis: Annotated[Redis, typer.Option(help="What its Redis does.")] = Redis.OK,
    username: Annotated[str, typer.Option(help="User of the admin's basic auth.")] = "",
    password: Annotated[str, typer.Option(help="Its password.")] = "",
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Print each request on stderr.")
    ] = False,
) -> None:
    """Run the mock until Ctrl-C or SIGTERM."""
    from probe.mock.server import Mock

    if not tls and (cert or key):
        raise UsageError("--cert and --key need --tls")
    steps = _read_script(script)
    _check_mode(mode, steps)
    mock = Mock(
        kind=kind.value,
        host=host,
        port=port,
        mode=mode,
        script=steps,
        control_port=control_port,
        schedule=_read_schedule(schedule),
        tls=_tls(cert, key) if tls else None,
        time_scale=time_scale,
        backend=backend.value,
        redis=redis.value,
        username=username,
        password=password,
        on_request=_log if log_requests else lambda _: None,
    )
    _run_until_signal(mock, kind)


def _run_until_signal(mock: "Mock", kind: Kind) -> None:
    """Return when SIGTERM comes; Ctrl-C goes on to the boundary."""
    from probe.mock.answers import VERSION

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    _start(mock)
    try:
        name = f"split-{kind.value} {VERSION} ({mock.mode.name})"
        _say(f"{name} on {_authority(mock.host, mock.port)}")
        if mock.control_port is not None:
            _say(f"control on {_authority('127.0.0.1', mock.control_port)}")
        ended.wait()
    finally:
        mock.stop()


def _start(mock: "Mock") -> None:
    try:
        mock.start()
    except OSError as error:
        raise ProbeError(f"cannot listen: {error.strerror or error}") from error


@app.command("set")
def set_mode(
    control: Annotated[str, typer.Option(help="HOST:PORT of the mock's control API.")],
    mode: Annotated[str | None, typer.Argument(autocompletion=_complete_mode)] = None,
    script: ScriptOption = None,
    backend: Annotated[Backend | None, typer.Option(help="What its backend does.")] = None,
    redis: Annotated[Redis | None, typer.Option(help="What its Redis does.")] = None,
) -> None:
    """Change the mode of a running mock, or what its backend and Redis do."""
    conditions = {"backend": backend, "redis": redis}
    changed = {name: value.value for name, value in conditions.items() if value is not None}
    if mode is None and not changed:
        raise UsageError("nothing to set: MODE, --backend or --redis")
    steps = _read_script(script)
    if mode is not None:
        _check_mode(mode, steps)
    address = _read_address(control)
    if changed:
        _put(address, "/conditions", changed)
    if mode is not None:
        _put(address, "/mode", {"mode": mode} | ({} if steps is None else {"script": steps}))


@app.command()
def modes(
    form: Annotated[Format, typer.Option("--format", help="How to print them.")] = Format.TEXT,
) -> None:
    """List the modes: what each does, and the line of a probe that asks then."""
    if form is Format.JSON:
        rows = [
            {"name": mode.name, "doc": mode.doc, "lines": mode.lines} for mode in MODES.values()
        ]
        typer.echo(json.dumps({"schema": SCHEMA, "modes": rows}, indent=2))
        return
    width = max(map(len, MODES))
    for mode in MODES.values():
        typer.echo(f"{mode.name:{width}}  {mode.doc}\n{'':{width}}  -> {mode.verdict}")


def _check_mode(mode: str, script: object) -> None:
    try:
        mode_named(mode, script)
    except (ModeError, StepsError) as error:
        raise UsageError(str(error)) from error


def _read_script(path: Path | None) -> object:
    """Return the steps in a JSON file: a list, or an object whose `script` is one."""
    if path is None:
        return None
    try:
        found = json.loads(_read(path))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    return found.get("script", []) if isinstance(found, dict) else found


def _read_schedule(path: Path | None) -> "Schedule | None":
    if path is None:
        return None
    from probe.mock.schedule import ScheduleError
    from probe.mock.schedule import read_schedule

    try:
        return read_schedule(_read(path))
    except ScheduleError as error:
        raise UsageError("\n".join(f"{path}: {fault}" for fault in error.faults)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _tls(cert: Path | None, key: Path | None) -> "ssl.SSLContext":
    from probe.mock.server import tls_context

    try:
        return tls_context() if cert is None else tls_context(cert, key)
    except OSError as error:
        raise UsageError(f"cannot use {cert} {key or ''}: {error}") from error


def _read_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise UsageError(f"--control {text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _put(address: tuple[str, int], path: str, body: object) -> None:
    """Ask the control API for a change; it says in JSON why not."""
    from http.client import HTTPConnection
    from http.client import HTTPException

    connection = HTTPConnection(*address, timeout=_ANSWERED_WITHIN)
    try:
        connection.request("PUT", path, json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise ProbeError(f"no mock at {_authority(*address)}: {error}") from error
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise ProbeError(str(answer["error"]["message"]))


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _log(request: "Request") -> None:
    with contextlib.suppress(OSError):  # who reads our stderr may be gone; the mock goes on
        _say(request.data.decode("latin-1").encode("unicode_escape").decode())


def _say(text: str) -> None:
    typer.echo(f"probe mock: {text}", err=True)
