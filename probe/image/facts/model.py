"""What the rules judge: what an image starts, what that reaches, and what it looks for in vain.

Pure: the image is read through its view, nothing of it is run. Every way in (the command, the
health check; in a root without a config every program and script) is read as a command line;
programs lead to the files that their loader opens, scripts to the commands that they call.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from probe.image.facts.packages import Packages
from probe.image.loader.closure import Closure
from probe.image.shell import Dialect
from probe.image.shell import Redirection
from probe.image.shell import ScriptFacts
from probe.image.shell import Shebang
from probe.image.view import Fault
from probe.image.view import ImageConfig
from probe.image.view import View

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What engines set where the image's config has no PATH (moby oci/defaults, runc)."""


class Source(StrEnum):
    """Who makes the image run something."""

    COMMAND = "command"
    HEALTHCHECK = "health check"
    FILE = "file"
    """A root without a config: each program and script stands for itself."""


class Role(StrEnum):
    """What something is looked for as."""

    START = "start"
    """The first word of the command or the health check."""
    INTERPRETER = "interpreter"
    COMMAND = "command"
    SOURCED = "sourced file"


class Lack(StrEnum):
    """Why something cannot be run or read, though it is asked for."""

    MISSING = "is not there"
    DANGLING = "is a link that leads nowhere"
    NO_FILE = "is no file"
    NOT_EXECUTABLE = "is not executable"
    NO_FORMAT = "is neither a program nor begins with #!"


@dataclass(frozen=True, slots=True)
class Start:
    """One command line that the image runs; `shell_form` where Docker puts a shell before it."""

    source: Source
    words: tuple[str, ...]
    shell_form: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """One thing that is asked for by name.

    by: path of the script that asks, "" for the image's config; line: in that script, 0 without.
    found: the path it leads to, its links followed; None where `lack` says why there is none.
    guarded, tolerated: as in `Call`. unread: the script holds a part that could not be read.
    source: what started whatever asks, such as the health check.
    """

    name: str
    role: Role
    by: str
    source: Source
    found: str | None
    lack: Lack | None = None
    line: int = 0
    guarded: bool = False
    tolerated: bool = False
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """One script that is reached.

    interpreter: the file that runs it, links followed; facts: None where the language is not a
    shell's, or `error` says why it cannot be read.
    """

    path: str
    source: Source
    shebang: Shebang | None
    interpreter: str | None
    dialect: Dialect | None
    facts: ScriptFacts | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one image."""

    view: View
    now: datetime
    faults: Sequence[Fault]
    starts: tuple[Start, ...]
    lookups: tuple[Lookup, ...]
    scripts: Mapping[str, Script]
    lines: Mapping[Source, ScriptFacts]
    """The command lines of the config read as scripts, by who runs them."""
    programs: Mapping[str, Source]
    """ELF programs that are started, by path."""
    closure: Closure
    reached: frozenset[str]
    """Every path that is opened or run, with the links on the way."""
    packages: Packages

    @property
    def config(self) -> ImageConfig | None:
        return self.view.config

    @property
    def environment(self) -> Mapping[str, str]:
        return self.config.env if self.config else {}

    def started(self, source: Source) -> Start | None:
        return next((start for start in self.starts if start.source is source), None)

    def redirections(self) -> list[tuple[str, Redirection]]:
        """Return every file that a shell opens, with the script's path ("" in the config)."""
        found = [("", one) for line in self.lines.values() for one in line.redirections]
        for path, script in self.scripts.items():
            if script.facts is not None:
                found += [(path, one) for one in script.facts.redirections]
        return found
