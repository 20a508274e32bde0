"""`probe check`: the reference probe as a command, with the script's line and exit code.

Exit 0 when healthy, 1 when not, nothing else ever, so that it can stand in a HEALTHCHECK. What is
imported at the top is what a plain check costs at its start: the rest comes where it is used.
"""

import os
import signal
from collections.abc import Mapping
from collections.abc import Sequence
from types import FrameType

from probe.cli.check_options import OPTIONS
from probe.cli.check_options import parse
from probe.cli.output import write_log
from probe.cli.output import write_stdout
from probe.client.blocking import check
from probe.contract.inputs import find_inputs
from probe.contract.inputs import make_target
from probe.contract.target import TLS
from probe.contract.target import InvalidInputError
from probe.contract.target import Target
from probe.contract.verdict import Verdict

SIGNALS = ("HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM")
WRITE_SECONDS = 0.1
"""How long a blocked stdout may hold up the exit."""

VIEWS = ("compare", "trace", "explain", "format", "via")


class SignalledError(BaseException):
    """One of SIGNALS came."""


def run(arguments: Sequence[str], environment: Mapping[bytes, bytes] = os.environb) -> int:
    """Check once and print the line. Returns the exit code."""
    options: dict[str, str] = {}
    text = ""
    try:
        _catch_signals()
        try:
            options, unknown = parse(arguments)
            verdict, text = _run(options, unknown, environment)
        except InvalidInputError as error:
            verdict = Verdict(error.reason)
        except Exception:  # noqa: BLE001 # never another exit code
            verdict = Verdict("internal")
        _block_signals()
    except SignalledError:
        verdict = Verdict("signal")
    write_stdout(f"{text or _without_target(verdict, options)}\n", WRITE_SECONDS)
    log = options.get("log") or environment.get(b"HEALTHCHECK_LOG") == b"1"
    if log and not verdict.healthy:
        write_log(verdict.line)
    return int(not verdict.healthy)


def _run(
    options: Mapping[str, str], unknown: str | None, environment: Mapping[bytes, bytes]
) -> tuple[Verdict, str]:
    target = read_target(options, environment)
    for row in OPTIONS:
        if row.metavar and options.get(row.name) == "":
            raise InvalidInputError(row.name, "")
        if row.choices and options.get(row.name, row.choices[0]) not in row.choices:
            raise InvalidInputError(row.name, options[row.name])
    if unknown is not None:
        raise InvalidInputError("option", _bytewise(unknown))
    if options.keys() & set(VIEWS):
        from probe.cli.check_views import run_view

        return run_view(options, target)
    verdict = check(target)
    return verdict, verdict.line


def _without_target(verdict: Verdict, options: Mapping[str, str]) -> str:
    if options.get("format") != "json":
        return verdict.line
    import json

    from probe.cli.check_views import make_document

    return json.dumps(make_document(verdict, None))


def read_target(options: Mapping[str, str], environment: Mapping[bytes, bytes]) -> Target:
    """Make the target of options and environment. Raises InvalidInputError."""
    variables = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in environment.items()
    }
    texts = {name: _bytewise(value) for name, value in options.items()}
    tls = TLS(
        ca=options.get("ca"),
        cert=options.get("cert"),
        key=options.get("key"),
        server_name=options.get("server-name"),
        insecure="insecure" in options,
    )
    return make_target(find_inputs(texts, variables), tls)


def _bytewise(text: str) -> str:
    """Return one character for each byte, as the contract's texts have it."""
    return os.fsencode(text).decode("latin-1")


def _catch_signals() -> None:
    told = False

    def raise_signalled(_number: int, _frame: FrameType | None) -> None:
        nonlocal told
        _block_signals()
        if not told:
            told = True
            raise SignalledError

    for name in SIGNALS:
        number = getattr(signal, f"SIG{name}")
        # As in bash, a signal that is ignored at entry stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, raise_signalled)


def _block_signals() -> None:
    """Let no signal disturb what is left: at its end Python takes its own handlers away."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, f"SIG{name}") for name in SIGNALS})
