"""The tree of commands and the one error boundary."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from probe import __version__
from probe.cli import check_command
from probe.cli import demo
from probe.cli import generate
from probe.cli import image
from probe.cli import mock
from probe.cli import script
from probe.cli import sidecar
from probe.cli import watch
from probe.cli import wire
from probe.cli.errors import ProbeError

INTERRUPTED = 130

app = typer.Typer(
    name="probe",
    help="Health checks for containers that hold bash and nothing else.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("check", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
    check_command.check
)
app.command("watch", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
    watch.watch
)
app.command("script")(script.script)
app.command("demo")(demo.demo)
app.add_typer(mock.app, name="mock")
app.add_typer(generate.app, name="generate")
app.command("sidecar")(sidecar.sidecar)
app.add_typer(image.app, name="image")
app.command("wire")(wire.wire)


def _print_version(asked: bool) -> None:  # typer's callback
    if asked:
        typer.echo(f"probe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str]) -> int:
    """Run a command. Returns 0 done, 1 what was asked did not hold, 2 usage, 130 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(app(args=list(arguments), prog_name="probe", standalone_mode=False) or 0)
    except (ProbeError, TyperException) as error:
        text = error.format_message() if isinstance(error, TyperException) else str(error)
        if text:  # without a command it is the help
            typer.echo(text if text.startswith("Usage:") else f"probe: {text}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # `probe script | head`: Python must not complain of it at its end
        sys.stderr.close()
        return 1


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """Leave as `kill` asks, through every `finally` on the way."""
    sys.exit(128 + signal.SIGTERM)
