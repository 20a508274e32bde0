"""Where a name leads in an image: as execvp looks a program up, as a shell a file that it reads."""

from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import join

from probe.image.facts.model import DEFAULT_PATH
from probe.image.facts.model import Lack
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import View

EXECUTABLE = 0o111
"""Any of the three bits: whether the user's own is among them is a rule's question."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a name leads: `opened` as it is asked for, `found` with its links followed."""

    opened: str
    found: str | None
    lack: Lack | None = None


class Names:
    """Look-ups in one image, with its PATH and working directory."""

    def __init__(self, view: View) -> None:
        self.view = view
        config = view.config or ImageConfig()
        self.workdir = join("/", config.workdir)
        self.path = tuple(
            join(self.workdir, place)
            for place in (config.env.get("PATH") or DEFAULT_PATH).split(":")
        )
        self._programs: dict[str, Target] = {}

    def program(self, name: str) -> Target:
        """Look a program up: the first in PATH that may be run, else the first that is there."""
        if name not in self._programs:
            self._programs[name] = self._first(self._candidates(name), executable=True)
        return self._programs[name]

    def text(self, name: str) -> Target:
        """Look up a file that a shell reads: without a slash in PATH, then where it stands."""
        places = [*self._candidates(name), join(self.workdir, name)]
        return self._first(dict.fromkeys(places), executable=False)

    def _candidates(self, name: str) -> list[str]:
        if "/" in name:
            return [join(self.workdir, name)]
        return [join(place, name) for place in self.path]

    def _first(self, paths: Iterable[str], *, executable: bool) -> Target:
        worse: list[Target] = []
        for path in paths:
            target = self._examine(path, executable=executable)
            if target.found is not None:
                return target
            worse.append(target)
        there = (target for target in worse if target.lack is not Lack.MISSING)
        return next(there, worse[0] if worse else Target("", None, Lack.MISSING))

    def _examine(self, path: str, *, executable: bool) -> Target:
        entry = self.view.resolve(path)
        if entry is None:
            dangling = self.view.lstat(path) is not None
            return Target(path, None, Lack.DANGLING if dangling else Lack.MISSING)
        if entry.kind is not Kind.FILE:
            return Target(path, None, Lack.NO_FILE)
        if executable and not entry.mode & EXECUTABLE:
            return Target(path, None, Lack.NOT_EXECUTABLE)
        return Target(path, entry.path)
