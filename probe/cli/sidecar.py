"""`probe sidecar`: polls targets, remembers, exports, answers for the container."""

import importlib.util
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import NoReturn

import typer

from probe.cli.errors import ProbeError
from probe.cli.errors import UsageError

if TYPE_CHECKING:
    from probe.sidecar.configuration.sources import Given
    from probe.sidecar.configuration.sources import Source


class LogFormat(StrEnum):
    JSON = "json"
    LOGFMT = "logfmt"


class Emit(StrEnum):
    NONE = "none"
    EMF = "emf"


class Kind(StrEnum):
    SYNC = "sync"
    PROXY = "proxy"
    GENERIC = "generic"


class Loop(StrEnum):
    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


def sidecar(
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="What to check; may be given again."),
    ] = None,
    read_body: Annotated[
        bool,
        typer.Option(
            "--read-body/--no-read-body",
            help="For --target: read the health bodies too, which say what the status hides.",
        ),
    ] = True,
    kind: Annotated[Kind | None, typer.Option(help="What --target is.  [default: generic]")] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="What --target is asked for.  [default: /health/application]"
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="CODES", help="What --target may answer: 200,300-399.  [default: 200]"
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Deadline of a check of --target.  [default: 3s]"),
    ] = None,
    failure_threshold: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Failures in a row until --target is unhealthy.  [default: 3]"
        ),
    ] = None,
    start_period: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Time to start, in which no failure of --target counts.  [default: 0s]",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML; SIGHUP reads it anew.")
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Between checks of --target: 10s, 500ms.  [default: 10s]"
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where every route is.  [default: 127.0.0.1:9310]"),
    ] = None,
    metrics_listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where /metrics, /livez and /readyz are, and nothing else."
        ),
    ] = None,
    web_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TLS and passwords, in the exporter toolkit's format."),
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="Of the lines on stdout.  [default: json]")
    ] = None,
    emit: Annotated[
        Emit | None, typer.Option(help="emf: CloudWatch embedded metrics among the lines.")
    ] = None,
    loop: Annotated[Loop, typer.Option(help="auto: uvloop where it is installed.")] = Loop.AUTO,
    check_config: Annotated[
        bool, typer.Option("--check-config", help="Read everything, tell the faults, and end.")
    ] = False,
) -> None:
    """Poll targets and tell what was found: metrics, /readyz, a page, lines on stdout.

    A target in the same task or pod: probe sidecar --target 127.0.0.1:3010
    """
    from probe.sidecar.configuration.sources import Given
    from probe.sidecar.configuration.sources import Source

    keys = {
        "kind": kind.value if kind else None,
        "path": path,
        "expect": expect,
        "timeout": timeout,
        "failure_threshold": failure_threshold,
        "start_period": start_period,
    }
    given = Given(
        targets=tuple(target or ()),
        keys={key: text for key, text in keys.items() if text is not None},
        read_body=read_body,
        interval=None if interval is None else _seconds(interval),
        listen=_address("--listen", listen),
        metrics_listen=_address("--metrics-listen", metrics_listen),
        web_config=str(web_config) if web_config else None,
        log_format=log_format.value if log_format else None,
        emit=emit.value if emit else None,
    )
    if not given.targets and config is None:
        raise UsageError("nothing to check: give --target HOST:PORT, or --config FILE")
    _refuse_faults(given)
    source = Source(given, str(config) if config else None)
    if check_config:
        _check(source)
    else:
        _become(source, loop)


def _refuse_faults(given: "Given") -> None:
    """Tell what is wrong with the command line alone, whatever the file may say."""
    from probe.sidecar.configuration.documents import ConfigError
    from probe.sidecar.configuration.settings import Settings
    from probe.sidecar.configuration.sources import overlaid

    try:
        overlaid(Settings(), given)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _check(source: "Source") -> None:
    from probe.sidecar import app
    from probe.sidecar.configuration.documents import ConfigError

    try:
        typer.echo(app.checked(source))
    except ConfigError as error:
        raise ProbeError(str(error)) from error


def _seconds(text: str) -> float:
    from probe.sidecar.configuration.fields import SHORTEST_INTERVAL
    from probe.sidecar.configuration.fields import between

    try:
        return between(SHORTEST_INTERVAL, 86400.0)(text)
    except ValueError as error:
        raise UsageError(f"--interval: {error}") from None


def _address(option: str, text: str | None) -> str | None:
    from probe.sidecar.configuration.fields import split_address

    try:
        if text is not None:
            split_address(text, lowest_port=0)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    return text


def _become(source: "Source", loop: Loop) -> NoReturn:
    """Run the sidecar in this process, but without what the command line has loaded."""
    from probe.sidecar.configuration.sources import to_text

    if loop is Loop.UVLOOP and importlib.util.find_spec("uvloop") is None:
        raise UsageError("--loop uvloop: not installed; pip install 'split-probe[sidecar]'")
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:  # started without it
            stream.flush()
    command = [sys.executable, "-m", "probe.sidecar", to_text(source), loop.value]
    os.execv(sys.executable, command)  # noqa: S606 # no shell is wanted
