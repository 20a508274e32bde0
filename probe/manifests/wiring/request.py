"""What the user asks of `probe wire`, and what comes of it."""

from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum

from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.platforms.timings import Given


@dataclass(frozen=True, slots=True)
class Request:
    """The options. None where nothing was asked: what a check of ours has then stays.

    `script` is healthcheck.sh, `inline` its one-argument form.
    """

    script: str
    inline: str
    container: str | None = None
    replace: bool = False
    for_register: bool = False
    delivery: Delivery | None = None
    handler: Handler | None = None
    given: Given = field(default_factory=Given)
    port: int | None = None
    path: str | None = None
    expect: str | None = None
    log: bool = False


class State(StrEnum):
    """What stood in a container before."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Wired:
    """One container: its place, what stood there, why that does not do, what is to be known."""

    name: str
    line: int
    state: State
    shown: str = ""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def carries(self) -> bool:
        return self.state is State.OURS and not self.faults


@dataclass(frozen=True, slots=True)
class Result:
    """A text with the check in it; `text` is the old one where there was nothing to do."""

    text: str
    kind: str
    containers: tuple[Wired, ...]

    @property
    def foreign(self) -> bool:
        return any(wired.state is State.FOREIGN for wired in self.containers)

    @property
    def carries(self) -> bool:
        return all(wired.carries for wired in self.containers)
