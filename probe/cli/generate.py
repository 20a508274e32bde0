"""`probe generate`: documents for every platform, right on the first try."""

import inspect
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated

import typer

from probe.cli.errors import UsageError
from probe.cli.parameters import parameter
from probe.manifests.monitoring import options as monitoring
from probe.manifests.options import BY_NAME
from probe.manifests.options import WHAT
from probe.manifests.options import Option
from probe.manifests.options import Value
from probe.manifests.options import options_of

if TYPE_CHECKING:
    from probe.manifests.targets import Made
    from probe.manifests.targets import Script

app = typer.Typer(
    help="Write documents that hold the health check, for ECS, Kubernetes and their relatives.",
    no_args_is_help=True,
)
_Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="PATH", help="file (or folder) to write")
]


def _command(target: str) -> Callable[..., None]:
    def command(output: str | None, **values: str | bool | list[str] | None) -> None:
        given = _given(values)
        if "sidecar" in given and target not in BY_NAME["sidecar"].targets:
            raise UsageError(f"--sidecar: {target} has none; {_NO_SIDECAR}")
        _generate(target, given, None if output is None else _path(output))

    return _declared(command, WHAT[target], [*options_of(target), *_lacking(target)])


def _lacking(target: str) -> list[Option]:
    """Return what other targets have and people look for here; it is refused with a sentence."""
    row = BY_NAME["sidecar"]
    return [] if target in row.targets else [replace(row, help=_NO_SIDECAR)]


_NO_SIDECAR = f"only {', '.join(sorted(BY_NAME['sidecar'].targets))} have one"


def _declared(command: Callable[..., None], what: str, rows: list[Option]) -> Callable[..., None]:
    command.__doc__ = f"Write {what}."
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            *(parameter(row, many=row.many) for row in rows),
            inspect.Parameter(
                "output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Output
            ),
        ]
    )
    return command


def _monitoring_command(target: str) -> Callable[..., None]:
    def command(output: str | None, **values: str | bool | list[str] | None) -> None:
        _monitor(target, _given(values), None if output is None else _path(output))

    return _declared(command, monitoring.WHAT[target], monitoring.options_of(target))


def _given(values: Mapping[str, str | bool | list[str] | None]) -> dict[str, Value]:
    return {
        name.replace("_", "-"): tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None and value is not False
    }


for _target in WHAT:
    app.command(_target)(_command(_target))
for _target in monitoring.WHAT:
    app.command(_target)(_monitoring_command(_target))


def _path(text: str) -> Path:
    """Return where to write: an empty text is a variable that was not set, not this folder."""
    if not text:
        raise UsageError("--output: the value is empty")
    return Path(text)


def _script() -> "Script":
    from probe.manifests.targets import Script
    from probe.scripts import inline
    from probe.scripts import script_text

    text = script_text()
    return Script(text, inline(text))


def _make(target: str, given: Mapping[str, Value], place: str = "") -> "Made":
    """Make a target's documents; what is wrong is told with its *place*."""
    from probe.manifests.spec import SpecError
    from probe.manifests.targets import TARGETS
    from probe.manifests.targets import make

    try:
        return make(TARGETS[target], given, _script())
    except SpecError as error:
        raise UsageError(_lines(place, error.problems)) from None


def _lines(place: str, problems: list[str]) -> str:
    """Return an error's text, each fault on a line of its own."""
    return "\nprobe: ".join(place + problem for problem in problems)


def _generate(target: str, given: Mapping[str, Value], output: Path | None) -> None:
    from probe.cli.files import write_files
    from probe.cli.files import write_text

    made = _make(target, given)
    if isinstance(made.content, dict):
        if output is None:
            raise UsageError(f"{target} is a folder: name it with -o DIR")
        write_files({output / path: text for path, text in made.content.items()})
    elif output is None:
        _print(made.content)
    else:
        write_text(output, made.content)
    _tell(made.notes)


def _monitor(target: str, given: Mapping[str, Value], output: Path | None) -> None:
    from probe.cli.files import write_files
    from probe.manifests.monitoring.make import make
    from probe.manifests.spec import SpecError

    try:
        made = make(target, given)
    except SpecError as error:
        raise UsageError(_lines("", error.problems)) from None
    if output is None:
        _print(made.texts[made.main])
    else:
        write_files({output / name: text for name, text in made.texts.items()})
    _tell(list(made.notes))


def _print(text: str) -> None:
    """Write UTF-8 to stdout, whatever the locale says. Raises UsageError."""
    try:
        typer.echo(text.encode(), nl=False)
    except BrokenPipeError:
        raise  # whoever reads it has enough
    except OSError as error:
        raise UsageError(f"stdout: cannot write: {(error.strerror or '').lower()}") from error


def _tell(notes: list[str]) -> None:
    for note in notes:
        typer.echo(f"probe: note: {note}", err=True)


@app.command("all")
def everything(
    spec: Annotated[Path, typer.Option("--spec", metavar="FILE", help="spec file (YAML)")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="DIR", help="folder to write")],
) -> None:
    """Write every target's documents for every workload of a spec file.

    Its keys are the options' names: defaults for all, workloads by name, targets within them.
    """
    from probe.cli.files import read_text
    from probe.cli.files import write_files
    from probe.manifests.spec import SpecError
    from probe.manifests.specfile import read_spec
    from probe.manifests.targets import TARGETS

    folder = _path(output)
    try:
        jobs = read_spec(read_text(spec))
    except SpecError as error:
        raise UsageError(_lines(f"{spec}: ", error.problems)) from None
    files: dict[Path, str] = {}
    notes: list[str] = []
    faults: list[str] = []
    for job in jobs:
        place = f"{job.workload}: {job.target}: "
        try:
            made = _make(job.target, job.given, f"{spec}: {place}")
        except UsageError as error:
            faults.append(str(error))
            continue
        path = folder / job.workload / TARGETS[job.target].output
        texts = made.content if isinstance(made.content, dict) else {"": made.content}
        files |= {path / name: text for name, text in texts.items()}
        notes += [place + note for note in made.notes]
    if faults:
        raise UsageError("\nprobe: ".join(faults))
    write_files(files)
    _tell(notes)
