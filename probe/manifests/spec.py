"""What is deployed (Workload) and how it is checked (HealthSpec): all that builders need."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from fractions import Fraction

from probe.platforms.division import Division
from probe.platforms.timings import Timings
from probe.synchronizer.settings import PREFIXES

LOOPBACK = "127.0.0.1"
ADMIN_PORT = 3010
HEALTH_PATH = "/health/application"
NONROOT = 65532
"""The user that minimized images run as (distroless's nonroot)."""


class Kind(StrEnum):
    """What is deployed: one of the two synchronizers, or any HTTP service."""

    SYNC = "sync"
    PROXY = "proxy"
    GENERIC = "generic"


class Delivery(StrEnum):
    """How the probe comes into the container: in the image, as an argument, by a ConfigMap."""

    IMAGE = "image"
    INLINE = "inline"
    CONFIGMAP = "configmap"


class Handler(StrEnum):
    """Who asks on Kubernetes: our script in the container, or the kubelet over the network."""

    EXEC = "exec"
    HTTP = "http"


class SpecError(ValueError):
    """A description that cannot be deployed; `problems` has a sentence for each fault."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """How the workload is checked; `path` and `expect` as in the contract's table of inputs.

    `log` sends unhealthy lines to the container's log (HEALTHCHECK_LOG).
    """

    timings: Timings = field(default_factory=Timings)
    path: str = HEALTH_PATH
    expect: str = "200"
    delivery: Delivery = Delivery.IMAGE
    handler: Handler = Handler.EXEC
    log: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """What is deployed.

    `port` is where health is asked (the synchronizers' admin port); `traffic_port` is what clients
    use, None where there are none. `settings` are plain variables, without those that follow from
    other fields (see `environment`); `secrets` are variables with the platform's own reference:
    an ARN for ECS, `name:key` for Kubernetes, a file for Compose. `cpu` is in vCPUs, `memory` in
    MiB. `uid` is user and group.
    """

    name: str
    image: str
    kind: Kind = Kind.SYNC
    port: int = ADMIN_PORT
    traffic_port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    cpu: Fraction = Fraction(1, 4)
    memory: int = 512
    uid: int = NONROOT
    expose_admin: bool = False

    @property
    def prefix(self) -> str | None:
        """What the variables of the synchronizer's settings begin with."""
        return PREFIXES.get(self.kind)

    @property
    def stop_seconds(self) -> int:
        """How long a stop may take: the synchronizers wait up to 30 s for slow requests."""
        return 30 if self.kind is Kind.GENERIC else 45

    @property
    def needs_tmp(self) -> bool:
        """split-proxy makes its database in the temporary directory, else it exits with 4."""
        return self.kind is Kind.PROXY

    @property
    def published_ports(self) -> tuple[int, ...]:
        """What others may connect to."""
        ports = [self.traffic_port] if self.traffic_port else []
        if self.expose_admin and self.port not in ports:
            ports.append(self.port)
        return tuple(ports)


def environment(workload: Workload, health: HealthSpec) -> dict[str, str]:
    """Return the container's plain variables, by name.

    The admin port has a stop endpoint without a password, so it is bound to loopback unless it is
    to be exposed.
    """
    found = dict(workload.settings)
    if workload.prefix:
        exposed = workload.expose_admin or health.handler is Handler.HTTP
        found[f"{workload.prefix}ADMIN_HOST"] = "0.0.0.0" if exposed else LOOPBACK  # noqa: S104
        if workload.port != ADMIN_PORT:
            found[f"{workload.prefix}ADMIN_PORT"] = str(workload.port)
    if health.log:
        found["HEALTHCHECK_LOG"] = "1"
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class ReadEnvironment:
    """What `environment` wrote, read back."""

    settings: Mapping[str, str]
    port: int | None
    exposed: bool
    log: bool


def read_environment(found: Mapping[str, str], kind: Kind) -> ReadEnvironment:
    """Turn a container's plain variables back into the fields they came from."""
    settings = dict(found)
    log = settings.pop("HEALTHCHECK_LOG", "") == "1"
    prefix = PREFIXES.get(kind)
    if prefix is None:
        return ReadEnvironment(settings, port=None, exposed=False, log=log)
    exposed = settings.pop(f"{prefix}ADMIN_HOST", "") != LOOPBACK
    port = int(settings.pop(f"{prefix}ADMIN_PORT", ADMIN_PORT))
    return ReadEnvironment(settings, port, exposed, log)


def kind_of(variables: Mapping[str, str] | set[str]) -> Kind:
    """Tell the kind by the names of a container's variables."""
    for kind, prefix in PREFIXES.items():
        if any(name.startswith(prefix) for name in variables):
            return Kind(kind)
    return Kind.GENERIC


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A container beside the workload's that checks it over loopback.

    `division` is who asks whom how often. `only` says that the workload's own container is left
    without a check. `emf` writes metrics to the log in CloudWatch's embedded format.
    """

    image: str
    division: Division
    only: bool = False
    emf: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a builder needs; `script` is healthcheck.sh, `inline` its one-argument form."""

    workload: Workload
    health: HealthSpec
    script: str
    inline: str
    sidecar: Sidecar | None = None

    @property
    def checks_itself(self) -> bool:
        """Tell whether the workload's own container gets a check."""
        return self.sidecar is None or not self.sidecar.only


@dataclass(frozen=True, slots=True)
class Dependent:
    """An application that waits until the workload is healthy."""

    name: str
    image: str
