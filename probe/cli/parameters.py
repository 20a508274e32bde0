"""Rows of option tables as typer sees them."""

import inspect
from typing import Annotated
from typing import Protocol

import typer


class Row(Protocol):
    """What a row of an option table has; without a metavar it is a flag."""

    @property
    def name(self) -> str: ...
    @property
    def help(self) -> str: ...
    @property
    def metavar(self) -> str: ...
    @property
    def choices(self) -> tuple[str, ...]: ...


def parameter(row: Row, *, many: bool = False) -> inspect.Parameter:
    """Return the parameter of a command's signature; *many* says that it may stand repeatedly."""
    choices = list(row.choices)
    declared = typer.Option(
        f"--{row.name}",
        help=row.help + (f" [{'|'.join(choices)}]" if choices else ""),
        metavar=row.metavar or None,
        autocompletion=(lambda: choices) if choices else None,
    )
    kind: object = (list[str] | None if many else str | None) if row.metavar else bool
    return inspect.Parameter(
        row.name.replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=None if row.metavar else False,
        annotation=Annotated[kind, declared],
    )
