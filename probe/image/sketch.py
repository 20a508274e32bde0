"""Small images drawn as data: the good and the bad example that each rule carries.

A sketch is what `--explain` shows and what a test builds and judges, so no example can say what
the rule does not do.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from probe.image.view import ImageConfig

GLIBC_LOADER = "/lib64/ld-linux-x86-64.so.2"


@dataclass(frozen=True, slots=True)
class Program:
    """A 64-bit ELF file for amd64, by what its loader asks of it.

    `requires` are symbol versions by the library that must have them, `dlopen` what its note calls
    required later; `text` is data in it.
    """

    needed: tuple[str, ...] = ()
    interpreter: str | None = GLIBC_LOADER
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provides: tuple[str, ...] = ()
    soname: str | None = None
    dlopen: tuple[str, ...] = ()
    machine: int = 62
    text: str = ""
    mode: int = 0o755
    uid: int = 0


def library(soname: str, *needed: str, provides: tuple[str, ...] = ()) -> Program:
    return Program(needed=needed, interpreter=None, soname=soname, provides=provides)


def static(text: str = "") -> Program:
    """Return a program that loads nothing."""
    return Program(interpreter=None, text=text)


@dataclass(frozen=True, slots=True)
class Text:
    """A file of text."""

    text: str
    mode: int = 0o755
    uid: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    mode: int = 0o755
    uid: int = 0


@dataclass(frozen=True, slots=True)
class Cache:
    """An ld.so.cache: the file that each library's name leads to."""

    libraries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Device:
    mode: int = 0o666


Drawn = Cache | Device | Program | Text | Link | Folder


@dataclass(frozen=True, slots=True)
class Sketch:
    """Files by absolute path, and what the image says about running them (None: a bare root)."""

    files: Mapping[str, Drawn]
    config: ImageConfig | None = None


def render(sketch: Sketch) -> str:
    """Return the sketch as people read it: the config's words, then a line a file."""
    return "".join(f"{line}\n" for line in (*_config(sketch.config), *_files(sketch.files)))


def _config(config: ImageConfig | None) -> Iterator[str]:
    if config is None:
        return
    said: dict[str, object] = {
        "ENTRYPOINT": list(config.entrypoint),
        "CMD": list(config.cmd),
        "ENV": " ".join(f"{name}={value}" for name, value in config.env.items()),
        "USER": config.user,
        "WORKDIR": config.workdir,
        "VOLUME": list(config.volumes),
        "SHELL": list(config.shell),
        "HEALTHCHECK": dict(config.healthcheck or {}),
    }
    yield from (f"{word} {value}" for word, value in said.items() if value)


def _files(files: Mapping[str, Drawn]) -> Iterator[str]:
    for path, drawn in sorted(files.items()):
        match drawn:
            case Link(target):
                yield f"{path} -> {target}"
            case Device(mode):
                yield f"{path}  device, mode {mode:04o}"
            case Folder(mode):
                yield f"{path}/  mode {mode:04o}"
            case Text(text, mode):
                lines = text.splitlines() or ["(empty)"]
                yield f"{path}  mode {mode:04o}"
                yield from (f"    {line}" for line in lines[:_SHOWN])
                if len(lines) > _SHOWN:
                    yield "    ..."
            case Cache(libraries):
                yield f"{path}  ld.so.cache"
                yield from (f"    {name} => {file}" for name, file in libraries.items())
            case Program():
                yield f"{path}  {_program(drawn)}"


_SHOWN = 6


def _program(program: Program) -> str:
    kind = "ELF library" if program.soname else "ELF program"
    said = [kind if program.needed or program.interpreter or program.soname else "static program"]
    if program.mode != 0o755:  # noqa: PLR2004 - what programs have
        said.append(f"mode {program.mode:04o}")
    if program.interpreter:
        said.append(f"loaded by {program.interpreter}")
    if program.needed:
        said.append("needs " + " ".join(program.needed))
    said += [f"asks {name} for {' '.join(names)}" for name, names in program.requires.items()]
    if program.dlopen:
        said.append("loads later " + " ".join(program.dlopen))
    if program.provides:
        said.append("has " + " ".join(program.provides))
    return ", ".join(said)
