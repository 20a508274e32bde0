"""`probe check` as typer sees it: for --help and completion. `check.py` does the work."""

import inspect

import typer

from probe.cli.check import run
from probe.cli.check_options import OPTIONS
from probe.cli.parameters import parameter


def check(context: typer.Context, **values: str | bool | None) -> None:
    given = [
        f"--{name.replace('_', '-')}" + (f"={value}" if isinstance(value, str) else "")
        for name, value in values.items()
        if value is not None and value is not False
    ]
    raise typer.Exit(run([*given, *context.args]))


check.__doc__ = """Ask one endpoint for its status line: exit 0 when healthy, 1 when not.

Inputs come from the options, then HEALTHCHECK_HOST, _PORT, _PATH, _TIMEOUT, _EXPECT, _TLS, then
the synchronizer's own SPLIT_SYNC_ADMIN_* and SPLIT_PROXY_ADMIN_* settings, then the defaults:
127.0.0.1, 3010, /health/application, 3, 200.
"""
check.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        ),
        *map(parameter, OPTIONS),
    ]
)
