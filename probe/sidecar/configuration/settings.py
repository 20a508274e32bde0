"""What a sidecar is told: its targets, thresholds, listeners. Values only; `config` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from probe.contract.target import Target

Kind = Literal["sync", "proxy", "generic"]
LogFormat = Literal["json", "logfmt"]
Emit = Literal["none", "emf"]


RESERVED = frozenset({"target", "verdict", "reason", "probe_state", "le", "item", "service"})
"""Labels that the metrics give a meaning: a target's own cannot have these names."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many checks in a row change a state, as Kubernetes has it; `success` also from start.

    Until `start_period` seconds after its first check a target that was never healthy is
    `starting`, whatever fails (Docker's and ECS's startPeriod).
    """

    failure: int = 3
    success: int = 1
    start_period: float = 0.0


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """One target. `interval` in seconds, from start to start; `max_age` of data, in seconds.

    `max_age` None means the synchronizer's own thresholds (`synchronizer.meaning.STALE_AFTER`).
    """

    name: str
    target: Target
    kind: Kind = "generic"
    interval: float = 10.0
    thresholds: Thresholds = Thresholds()
    read_body: bool = False
    max_age: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Addresses HOST:PORT; `metrics` None: no second one. `web_config` as exporters have it."""

    main: str = "127.0.0.1:9310"
    metrics: str | None = None
    web_config: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    targets: tuple[TargetSettings, ...] = ()
    allow: tuple[str, ...] = ()
    """Networks whose addresses /probe may be asked for."""
    sd_files: tuple[str, ...] = ()
    """Globs of Prometheus file_sd files, whose targets are added; watched."""
    defaults: TargetSettings | None = None
    """What a target of a file_sd file has where the file says nothing."""
    listeners: Listeners = Listeners()
    max_concurrency: int = 512
    """Checks in flight at once; targets that hang may take half of it."""
    grace: float = 5.0
    """Seconds from the first signal to the exit."""
    log_format: LogFormat = "json"
    emit: Emit = "none"
