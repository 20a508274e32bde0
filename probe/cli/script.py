"""`probe script`: gives out healthcheck.sh, or its one-argument form."""

from typing import Annotated

import typer

from probe.scripts import inline as make_inline
from probe.scripts import script_text


def script(
    inline: Annotated[
        bool, typer.Option("--inline", help="The same probe as one argument for `bash -p -c`.")
    ] = False,
) -> None:
    """Print healthcheck.sh: pure bash, for images that hold nothing else.

    With --inline it is one argument, for images that cannot be rebuilt:
    bash -p -c "$(probe script --inline)" healthcheck --port 3010
    """
    text = script_text()
    typer.echo(make_inline(text) if inline else text, nl=inline)
