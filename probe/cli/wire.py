"""`probe wire`: put the health check into files that exist."""

import difflib
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

import typer

from probe.cli.errors import ProbeError
from probe.cli.errors import UsageError

if TYPE_CHECKING:
    from probe.manifests.wiring.request import Request
    from probe.manifests.wiring.request import Wired

_FAILED = ProbeError.exit_code
_WRONG = UsageError.exit_code
_STDIN = "-"


class Script(StrEnum):
    IMAGE = "image"
    CONFIGMAP = "configmap"


class Handler(StrEnum):
    EXEC = "exec"
    HTTP = "http"


def wire(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="files; - is stdin to stdout")
    ],
    container: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="container; a Compose service, a Dockerfile's stage"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit 1 where our check is not right")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="show what would change instead")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="put ours in the place of a foreign check")
    ] = False,
    for_register: Annotated[
        bool,
        typer.Option("--for-register", help="drop what describe-task-definition adds"),
    ] = False,
    inline: Annotated[
        bool, typer.Option("--inline", help="the check as one argument of bash")
    ] = False,
    script: Annotated[
        Script | None, typer.Option(help="image: it holds healthcheck.sh; configmap: mount it")
    ] = None,
    handler: Annotated[
        Handler | None, typer.Option(help="Kubernetes: exec our script, or http by the kubelet")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="time between checks")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="the platform's; the probe's is below it")
    ] = None,
    retries: Annotated[
        str | None, typer.Option(metavar="N", help="failures in a row until it is unhealthy")
    ] = None,
    start_period: Annotated[
        str | None, typer.Option(metavar="TIME", help="time in which failures do not count")
    ] = None,
    detect_within: Annotated[
        str | None, typer.Option(metavar="TIME", help="choose timings that find a fault in time")
    ] = None,
    start_within: Annotated[
        str | None, typer.Option(metavar="TIME", help="the same as --start-period")
    ] = None,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="port to ask")] = None,
    path: Annotated[str | None, typer.Option(metavar="PATH", help="path to ask for")] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="CODES", help="accepted codes and ranges")
    ] = None,
    log_failures: Annotated[
        bool, typer.Option("--log-failures", help="unhealthy lines go to the log too")
    ] = False,
) -> None:
    """Put the health check into existing files, in place; every byte beside it stays.

    Exit 0: it is there. 1: a foreign check was left, or --check found ours not right. 2: a file
    could not be edited.
    """
    values = _values(
        interval=interval,
        timeout=timeout,
        retries=retries,
        start_period=start_period,
        detect_within=detect_within,
        start_within=start_within,
        port=port,
        path=path,
        expect=expect,
    )
    request = _request(
        values,
        container=container,
        replace=replace,
        for_register=for_register,
        delivery=_delivery(inline=inline, script=script, handler=handler),
        handler=handler,
        log=log_failures,
    )
    if _STDIN in files and len(files) > 1:
        raise UsageError("- stands for stdin and stands alone")
    codes = [_one(name, request, check=check, diff=diff) for name in files]
    if worst := max(codes):
        raise typer.Exit(worst)


def _values(**given: str | None) -> dict[str, Any]:
    from probe.manifests.options import parse_values

    problems: list[str] = []
    texts = {name.replace("_", "-"): text for name, text in given.items() if text is not None}
    found = parse_values(texts, problems)
    if problems:
        raise UsageError("\nprobe: ".join(problems))
    return {name.replace("-", "_"): value for name, value in found.items()}


def _delivery(*, inline: bool, script: Script | None, handler: Handler | None) -> str | None:
    if inline and script is Script.CONFIGMAP:
        raise UsageError("--inline: the check is the argument itself; leave out --script")
    if handler is Handler.HTTP and (inline or script is Script.CONFIGMAP):
        raise UsageError("--handler http: the kubelet asks; leave out --inline and --script")
    return "inline" if inline else None if script is None else script.value


def _request(
    values: dict[str, Any], *, delivery: str | None, handler: Handler | None, **rest: Any
) -> "Request":
    from probe.manifests import spec
    from probe.manifests.wiring.request import Request
    from probe.platforms.timings import Given
    from probe.scripts import inline
    from probe.scripts import script_text

    text = script_text()
    timings = {name: values.pop(name, None) for name in Given._fields}
    return Request(
        script=text,
        inline=inline(text),
        given=Given(**timings),
        delivery=None if delivery is None else spec.Delivery(delivery),
        handler=None if handler is None else spec.Handler(handler.value),
        **values,
        **rest,
    )


def _one(name: str, request: "Request", *, check: bool, diff: bool) -> int:
    """Do one file and return its exit code; what is wrong is told here, so that others go on."""
    from probe.manifests.wiring.errors import WireError
    from probe.manifests.wiring.fragments import fragment_for
    from probe.platforms.timings import TimingsError

    shown = "stdin" if name == _STDIN else name
    try:
        return _wire(name, shown, request, check=check, diff=diff)
    except WireError as error:
        _say(f"{shown}:{error.line}: {error.message}")
        if fragment := fragment_for(error, request):
            typer.echo(f"what is to stand there:\n{fragment}", err=True, nl=False)
    except TimingsError as error:
        for refusal in error.refusals:
            _say(f"{shown}: --{refusal}")
    except UsageError as error:
        _say(str(error))
    return _WRONG


def _wire(name: str, shown: str, request: "Request", *, check: bool, diff: bool) -> int:
    from probe.manifests.wiring.wire import wire as wire_text

    before = _read(name)
    hint = "" if name == _STDIN else name
    result = wire_text(before, hint, request, look_only=check and not diff)
    left = result.foreign and not request.replace
    for wired in result.containers:
        _tell(shown, wired, _done(wired, changed=result.text != before, check=check, left=left))
    if diff:
        _show_diff(before, result.text, shown)
    elif not check:
        _write(name, before, result.text, left=left)
    failed = not result.carries if check else left
    return _FAILED if failed else 0


def _read(name: str) -> str:
    from probe.cli.files import decode
    from probe.cli.files import read_text

    if name == _STDIN:
        return decode(sys.stdin.buffer.read(), "stdin")
    return read_text(Path(name))


def _write(name: str, before: str, after: str, *, left: bool) -> None:
    """Write the result. Where a foreign check was left, a pipe gets nothing to go on with."""
    from probe.cli.files import write_text

    if name != _STDIN:
        if after != before:
            write_text(Path(name), after)
    elif not left:
        sys.stdout.buffer.write(after.encode())
        sys.stdout.buffer.flush()


def _show_diff(before: str, after: str, shown: str) -> None:
    """Print a unified diff that `patch` takes, line ends included."""
    lines = difflib.unified_diff(_lines(before), _lines(after), shown, shown)
    text = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _lines(text: str) -> list[str]:
    """Split at line feeds alone, as `diff` does."""
    found = [line + "\n" for line in text.split("\n")]
    found[-1] = found[-1][:-1]
    return found if found[-1] else found[:-1]


def _done(wired: "Wired", *, changed: bool, check: bool, left: bool) -> str:
    """Return what was done, or is the matter, in a container."""
    from probe.manifests.wiring.request import State

    if wired.state is State.FOREIGN and (check or left):
        return f"a foreign check: {wired.shown} (left; --replace puts ours in its place)"
    if check:
        return "; ".join(wired.faults) or "carries our check"
    if wired.state is not State.OURS:
        return "put in" if wired.state is State.ABSENT else f"replaced: {wired.shown}"
    return "brought up to date" if changed else "up to date"


def _tell(shown: str, wired: "Wired", text: str) -> None:
    _say(f"{shown}:{wired.line}: {wired.name or 'container'}: {text}")
    for note in wired.notes:
        _say(f"note: {shown}:{wired.line}: {wired.name}: {note}")


def _say(text: str) -> None:
    typer.echo(f"probe: {text}", err=True)
