"""Build a minimized image: bash, libc, a program and what it needs, and nothing else, in one layer.

Bit for bit the same from the same inputs: nothing of the folder, the user, the clock or the
environment goes into it.
"""

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from probe.findings import Finding
from probe.findings import has_error
from probe.image.archives import Image
from probe.image.archives import open_image
from probe.image.archives import parse_config
from probe.image.builder.contents import Contents
from probe.image.builder.contents import Sources
from probe.image.builder.contents import gather
from probe.image.builder.dpkg import Package
from probe.image.builder.errors import BuildError
from probe.image.builder.formats import Format
from probe.image.builder.formats import docker_archive
from probe.image.builder.formats import oci_layout
from probe.image.builder.items import Origin
from probe.image.builder.output import FileOutput
from probe.image.builder.output import open_output
from probe.image.builder.recipe import Recipe
from probe.image.builder.recipe import configuration
from probe.image.builder.recipe import kind_of
from probe.image.builder.writers import compress
from probe.image.builder.writers import spool
from probe.image.builder.writers import write_folder
from probe.image.builder.writers import write_layer
from probe.image.builder.writers import write_layout
from probe.image.builder.writers import write_tar
from probe.image.view import Kind

__all__ = [
    "BuildError",
    "Built",
    "Format",
    "Judge",
    "Recipe",
    "RefusedError",
    "Request",
    "Sources",
    "build",
    "kind_of",
]

Judge = Callable[[Image], list[Finding]]
"""Looks at the image once it is written, before it is put in its place."""

_NO_HEALTHCHECK = (
    "OCI format has no place for a health check: take --format docker, or give it to the platform "
    "(probe generate, probe wire)"
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to build of what, and where to; `output` and `sbom` are paths, `output` may be "-"."""

    sources: Sources
    output: str
    recipe: Recipe
    format: Format = Format.DOCKER
    compress: bool = True
    force: bool = False
    sbom: str = ""

    @property
    def folder(self) -> bool:
        """Whether the output is a folder."""
        layout = self.format is Format.OCI and self.output != "-"
        return self.format is Format.DIR or (layout and not self.output.endswith(".tar"))


@dataclass(frozen=True, slots=True)
class Built:
    """What was made.

    `size` is that of the plain layer in bytes, `root_size` that of its files but the program;
    `digest` is Docker's image ID, the digest of OCI's manifest, or of a folder's layer.
    """

    digest: str
    size: int
    root_size: int
    files: int
    packages: tuple[Package, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]


class RefusedError(BuildError):
    """The audit found errors in what was built, so nothing was put in place."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("the image that was built does not pass its audit: nothing is written")


def build(
    request: Request, *, judge: Judge, progress: Callable[[str], None] = lambda _: None
) -> Built:
    """Build an image.

    Raises:
        RefusedError: *judge* found errors.
        BuildError: the program, the root or what is asked for does not make an image.
        ViewError: the root cannot be read.
        OSError: the output cannot be written.
    """
    # First, so that no folder that is included holds what is being written.
    contents = gather(request.recipe, request.sources, progress)
    with ExitStack() as stack:
        output = stack.enter_context(
            open_output(request.output, folder=request.folder, force=request.force)
        )
        bill = stack.enter_context(FileOutput(Path(request.sbom))) if request.sbom else None
        progress("writing the image")
        built = _write(request, contents, output.path, stack)
        progress("auditing the image")
        findings = _audit(request, contents, built, output.path, judge)
        if bill is not None:
            progress("writing the SBOM")
            bill.path.write_text(_bill(request, contents, built), encoding="utf-8")
        output.commit()
        if bill is not None:
            bill.commit()
    return _summary(request, contents, built, findings)


# Writing it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Written:
    digest: str
    size: int
    config: dict[str, object]


def _write(request: Request, contents: Contents, path: Path, stack: ExitStack) -> _Written:
    recipe = request.recipe
    plain = stack.enter_context(spool(path.parent))
    blob = write_layer(contents.items, recipe.epoch, plain)
    config = configuration(
        recipe,
        contents.architecture,
        blob.digest,
        contents.program,
        healthcheck=request.format is not Format.OCI,
    )
    if request.format is Format.DIR:
        write_folder(contents.items, recipe.epoch, path)
        return _Written(blob.digest, blob.size, config)
    stored: BinaryIO = plain
    size = blob.size
    if request.format is Format.DOCKER:
        archive = docker_archive(config, blob, recipe.reference)
    else:
        if request.compress:
            stored = stack.enter_context(spool(path.parent))
            blob = compress(plain, stored)
        archive = oci_layout(config, blob, recipe.reference)
    write = write_layout if request.folder else write_tar
    write(archive, stored, recipe.epoch, path)
    return _Written(archive.digest, size, config)


def _audit(
    request: Request, contents: Contents, built: _Written, path: Path, judge: Judge
) -> tuple[Finding, ...]:
    """Read back what was written and have it judged. Raises RefusedError."""
    with open_image(str(path), architecture=contents.architecture) as image:
        if request.format is Format.DIR:
            image.config = parse_config(built.config, "docker")
        findings = tuple(judge(image))
    if has_error(findings):
        raise RefusedError(findings)
    return findings


def _bill(request: Request, contents: Contents, built: _Written) -> str:
    try:
        from probe.image.builder.sbom import make_sbom  # noqa: PLC0415 - an optional library
    except ImportError as error:
        raise BuildError(
            "--sbom needs the package cyclonedx-python-lib: pip install 'split-probe[image]'"
        ) from error
    return make_sbom(request.recipe, built.digest, contents)


def _summary(
    request: Request, contents: Contents, built: _Written, findings: tuple[Finding, ...]
) -> Built:
    sizes = [len(one.data) for one in contents.items if one.origin is not Origin.APPLICATION]
    notes = (*contents.notes, _NO_HEALTHCHECK) if request.format is Format.OCI else contents.notes
    return Built(
        built.digest,
        built.size,
        sum(sizes),
        sum(one.kind is not Kind.DIRECTORY for one in contents.items),
        contents.packages,
        notes,
        findings,
    )
