"""`probe image build`: a minimized image of one binary and what it needs of a Debian root."""

import os
import posixpath
import re
import sys
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Self

import typer

from probe.cli.errors import ProbeError
from probe.cli.errors import UsageError
from probe.cli.extras import IMAGE
from probe.cli.extras import require_extra
from probe.findings import printable
from probe.manifests.spec import Kind

if TYPE_CHECKING:
    from probe.findings import Finding
    from probe.image.archives import Image
    from probe.image.builder import Built
    from probe.image.builder import Recipe
    from probe.image.builder import Request

_LAST_EPOCH = 8_589_934_591
"""The seconds that a tar's header has room for."""
_KINDS = "|".join(Kind)
_FORMATS = ("docker", "oci", "dir")


def build(
    binary: Annotated[str, typer.Option("--binary", metavar="PATH", help="The program.")],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Where to write: a tar (- for stdout), for oci a folder unless it ends in .tar, "
            "for dir a folder.",
        ),
    ],
    kind: Annotated[
        str, typer.Option(metavar=_KINDS, help="What it is.  [default: by its file name]")
    ] = "",
    root: Annotated[
        str,
        typer.Option("--from", metavar="ROOT", help="Debian root: a directory, or an image's tar."),
    ] = "/",
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A file or folder of the root, with its libraries."),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE:PATH", help="A file of this machine, put at PATH, with its libraries."
        ),
    ] = None,
    ca: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Certificates (PEM) for the image's CA bundle."),
    ] = None,
    image_format: Annotated[
        str, typer.Option("--format", metavar="|".join(_FORMATS), help="How it is written.")
    ] = "docker",
    tag: Annotated[str, typer.Option(metavar="NAME:TAG", help="The image's name.")] = "",
    with_sh: Annotated[
        bool, typer.Option("--with-sh", help="/bin/sh as a link to bash, for shell forms.")
    ] = False,
    with_tmp: Annotated[
        bool, typer.Option("--with-tmp", help="A volume for temporary files (the proxy has it).")
    ] = False,
    entrypoint: Annotated[
        bool, typer.Option("--entrypoint", help="ENTRYPOINT in place of CMD: arguments follow it.")
    ] = False,
    user: Annotated[str, typer.Option(metavar="UID[:GID]", help="Who runs it.")] = "65532:65532",
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label of the image.")
    ] = None,
    compress: Annotated[
        bool, typer.Option("--compress/--no-compress", help="Whether the layer of oci is gzipped.")
    ] = True,
    sbom: Annotated[
        str, typer.Option(metavar="FILE", help="Write a bill of materials (CycloneDX JSON).")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Replace a folder that is not empty.")
    ] = False,
) -> None:
    """Build a minimized image: bash, libc, CA bundle, the program, our scripts, nothing else.

    The same inputs give the same bytes; SOURCE_DATE_EPOCH (seconds) sets its time, else 1970.
    """
    require_extra("image build", "image", IMAGE)
    from probe.image.builder import Format
    from probe.image.builder import Request
    from probe.image.builder import Sources

    if not output:
        raise UsageError("--output: the value is empty")
    if image_format not in _FORMATS:
        raise UsageError(f"--format {image_format!r} is not {', '.join(_FORMATS)}")
    if output == "-":
        _check_stdout(image_format)
    request = Request(
        sources=Sources(
            binary, root, tuple(include or ()), tuple(map(_added, add or ())), tuple(ca or ())
        ),
        output=output,
        recipe=_recipe(
            binary, _kind(kind, binary), user, tag, _labels(label or []),
            with_sh=with_sh, with_tmp=with_tmp, entrypoint=entrypoint,
        ),
        format=Format(image_format),
        compress=compress,
        force=force,
        sbom=sbom,
    )  # fmt: skip
    _tell(request, _run(request))


def _check_stdout(image_format: str) -> None:
    if image_format == "dir":
        raise UsageError("--format dir is a folder: name it with -o DIR")
    if sys.stdout.isatty():
        raise UsageError("-o -: stdout is a terminal; send it to a file or a pipe")


def _kind(given: str, binary: str) -> Kind:
    from probe.image.builder import kind_of

    if given:
        if given not in set(Kind):
            raise UsageError(f"--kind {given!r} is not {', '.join(Kind)}")
        return Kind(given)
    kind = kind_of(os.path.basename(binary))  # noqa: PTH119 - a name, not a path
    if kind is Kind.GENERIC:
        _note("the file is not called split-sync or split-proxy: taken as --kind generic")
    return kind


def _recipe(
    binary: str, kind: Kind, user: str, tag: str, labels: dict[str, str],
    *, with_sh: bool, with_tmp: bool, entrypoint: bool,
) -> "Recipe":  # fmt: skip
    from probe.image.builder import BuildError
    from probe.image.builder import Recipe

    try:
        return Recipe(
            kind,
            os.path.basename(binary),  # noqa: PTH119 - likewise
            user,
            tag,
            with_sh,
            with_tmp,
            entrypoint,
            labels,
            _epoch(os.environ.get("SOURCE_DATE_EPOCH", "")),
        )
    except BuildError as error:
        raise UsageError("\nprobe: ".join(error.problems)) from error


def _labels(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--label {text!r} is not NAME=VALUE")
        found[name] = value
    return found


def _added(text: str) -> tuple[str, str]:
    file, colon, path = text.rpartition(":")
    if not file or not colon or not path.startswith("/") or posixpath.normpath(path) != path:
        raise UsageError(f"--add {text!r} is not FILE:PATH, such as app.conf:/etc/app.conf")
    return file, path


def _epoch(text: str) -> int:
    """Read SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/)."""
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _LAST_EPOCH:
        raise UsageError(
            f"SOURCE_DATE_EPOCH={text!r} is not a whole number of seconds up to {_LAST_EPOCH}; "
            "unset it, or set it as git log -1 --format=%ct prints it"
        )
    return int(text)


def _run(request: "Request") -> "Built":
    from probe.findings import to_text
    from probe.image.builder import BuildError
    from probe.image.builder import RefusedError
    from probe.image.builder import build as build_image
    from probe.image.view import ViewError

    with _Progress() as progress:
        try:
            return build_image(request, judge=_judge, progress=progress)
        except RefusedError as error:
            progress.clear()
            grave = [one for one in error.findings if one.severity != "info"]
            typer.echo(to_text(grave), err=True, nl=False)
            raise ProbeError(f"{request.output}: {error}") from error
        except BuildError as error:
            progress.clear()
            raise ProbeError("\nprobe: ".join(error.problems)) from error
        except ViewError as error:
            progress.clear()
            raise ProbeError(str(error)) from error
        except BrokenPipeError:
            raise  # whoever reads it has enough
        except OSError as error:
            progress.clear()
            where = error.filename or request.output
            why = (error.strerror or str(error)).lower()
            raise ProbeError(f"{where}: cannot build: {why}") from error


def _judge(image: "Image") -> "list[Finding]":
    from datetime import UTC
    from datetime import datetime

    from probe.image.audit import audit

    return audit(image, now=datetime.now(UTC), faults=image.faults)


class _Progress:
    """One line on a terminal that says what is done now; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, text: str) -> None:
        if self._shown:
            typer.echo(f"\r{text} ...".ljust(60), nl=False, err=True)

    def clear(self) -> None:
        if self._shown:
            typer.echo("\r" + " " * 60 + "\r", nl=False, err=True)


def _tell(request: "Request", built: "Built") -> None:
    for note in built.notes:
        _note(note)
    for finding in built.findings:
        if finding.severity == "warning":
            text = f"{finding.path}: {finding.message} [{finding.code}]"
            typer.echo(f"probe: warning: {printable(text.removeprefix(': '))}", err=True)
    typer.echo(
        f"{printable(request.output)}: {built.digest} {built.size} bytes, {built.files} files",
        err=request.output == "-",
    )


def _note(text: str) -> None:
    typer.echo(f"probe: note: {printable(text)}", err=True)
