"""`probe image`: what is in an image, whether it is all there, and how to make a minimal one."""

import difflib
import sys
from datetime import UTC
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Annotated

import typer

from probe import __version__
from probe.cli.errors import UsageError
from probe.cli.extras import IMAGE
from probe.cli.extras import require_extra
from probe.cli.image_build import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.findings import Finding

app = typer.Typer(
    help="Build the minimized image, and prove for any image that what it runs is in it.",
    no_args_is_help=True,
)
app.command("build")(build)


class AuditFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


@app.command("audit")
def audit(
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE",
            help="A root directory, a docker-archive, an OCI layout (folder or tar),"
            " or - for a tar on stdin.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Say what a finding means, with a good and a bad example (all: every code).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        AuditFormat, typer.Option("--format", help="How to print the findings.")
    ] = AuditFormat.TEXT,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Leave out findings of this code; may be repeated."),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            metavar="ARCH",
            help="Of an image for several architectures the one to read (amd64, arm64, ...).",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Of an archive of several images the one to read."),
    ] = None,
) -> None:
    """Say what is missing in an image, or wrong with it. No engine, no root, nothing is run.

    Exit 1 when there is an error among the findings, 0 when there is none.
    """
    require_extra("image audit", "image", IMAGE)
    _check_codes(*(ignore or ()), *((explain,) if explain not in {None, "all"} else ()))
    if explain is not None:
        typer.echo(_explained(explain), nl=False)
        return
    if not image:
        raise UsageError("image audit: which image? A folder, an archive, or - for stdin")
    findings = [
        finding
        for finding in _findings(image, platform, reference)
        if finding.code not in (ignore or ())
    ]
    typer.echo(_renderer(output)(findings), nl=False)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


def _findings(image: str, platform: str | None, reference: str | None) -> "list[Finding]":
    from probe.image.archives import open_image
    from probe.image.audit import audit as judge
    from probe.image.view import ViewError

    try:
        with open_image(
            image,
            architecture=platform,
            reference=reference,
            stream=sys.stdin.buffer if image == "-" else None,
        ) as view:
            return judge(view, now=datetime.now(UTC), faults=view.faults)
    except ViewError as error:
        raise UsageError(str(error)) from error


def _check_codes(*codes: str | None) -> None:
    from probe.image.rules import RULES

    for code in codes:
        if code not in RULES:
            near = difflib.get_close_matches(str(code), RULES, n=3, cutoff=0.4)
            hint = f"; is it {' or '.join(near)}?" if near else ""
            raise UsageError(f"no finding has the code {code!r}{hint} (all: --explain all)")


def _explained(code: str) -> str:
    from probe.image.audit import explain
    from probe.image.rules import RULES

    rules = RULES.values() if code == "all" else (RULES[code],)
    return "\n".join(explain(rule) for rule in rules)


def _renderer(output: AuditFormat) -> "Callable[[list[Finding]], str]":
    from probe.findings import to_json
    from probe.findings import to_sarif
    from probe.findings import to_text
    from probe.image.rules import RULES

    titles = {code: rule.title for code, rule in RULES.items()}
    return {
        AuditFormat.TEXT: to_text,
        AuditFormat.JSON: to_json,
        AuditFormat.SARIF: lambda found: to_sarif(found, __version__, titles),
    }[output]
