"""What a platform's health check consists of, each limit with its source.

All times are in seconds, whatever unit the platform's documents use; emitters convert.
"""

from dataclasses import dataclass

_INT32 = 2**31 - 1
# Go's time.Duration is an int64 of nanoseconds: 292 years.
_GO_DURATION = 9_223_372_036


@dataclass(frozen=True, slots=True)
class Field:
    """One timing of a health check.

    `key` is the platform's own name; `default` is what it takes where the key is absent; `step` is
    1 where it takes whole numbers alone, 0 where fractions too; `source` is where that is written.
    Below `least` there is 0 alone.
    """

    key: str
    minimum: float
    maximum: int
    default: float
    step: int
    source: str
    least: float = 0


@dataclass(frozen=True, slots=True)
class Platform:
    """The timings of one platform. `start_interval` names what probes during the start, if any.

    `report_lag` is how long its control plane may take to see a state, in seconds.
    `fixed_rate` says that checks start on a ticker (the kubelet), not `interval` after the end of
    the one before (Docker).
    """

    name: str
    title: str
    interval: Field
    timeout: Field
    retries: Field
    start_period: Field
    report_lag: int = 0
    fixed_rate: bool = False

    @property
    def fields(self) -> dict[str, Field]:
        """The rows by the names that our options and values use, in the order of the options."""
        return {name: getattr(self, name) for name in TIMING_NAMES}


TIMING_NAMES = ("interval", "timeout", "retries", "start_period")

_MOBY = "moby daemon/health.go and daemon/container.go validateHealthCheck"
_BOTOCORE = "Amazon ECS API reference, HealthCheck"
_KUBERNETES = "Kubernetes pkg/apis/core/v1/defaults.go and pkg/apis/core/validation/validation.go"
_COMPOSE = "Compose specification, healthcheck"
_PODMAN = "podman-run(1), --health-*"

DOCKER = Platform(
    "docker",
    "Docker",
    interval=Field("Interval", 0.001, _GO_DURATION, 30, 0, _MOBY),
    timeout=Field("Timeout", 0.001, _GO_DURATION, 30, 0, _MOBY),
    retries=Field("Retries", 1, _INT32, 3, 1, _MOBY),
    start_period=Field("StartPeriod", 0, _GO_DURATION, 0, 0, _MOBY, 0.001),
)

ECS = Platform(
    "ecs",
    "Amazon ECS",
    interval=Field("interval", 5, 300, 30, 1, _BOTOCORE),
    timeout=Field("timeout", 2, 60, 5, 1, _BOTOCORE),
    retries=Field("retries", 1, 10, 3, 1, _BOTOCORE),
    start_period=Field("startPeriod", 0, 300, 0, 1, _BOTOCORE),
    # The agent reports each 20 s: amazon-ecs-agent DefaultContainerMetricsPublishInterval.
    report_lag=20,
)

KUBERNETES = Platform(
    "kubernetes",
    "Kubernetes",
    interval=Field("periodSeconds", 1, _INT32, 10, 1, _KUBERNETES),
    timeout=Field("timeoutSeconds", 1, _INT32, 1, 1, _KUBERNETES),
    retries=Field("failureThreshold", 1, _INT32, 3, 1, _KUBERNETES),
    start_period=Field("startupProbe", 0, _INT32, 0, 1, _KUBERNETES),
    fixed_rate=True,
)

COMPOSE = Platform(
    "compose",
    "Compose",
    interval=Field("interval", 0.001, _GO_DURATION, 30, 0, _COMPOSE),
    timeout=Field("timeout", 0.001, _GO_DURATION, 30, 0, _COMPOSE),
    retries=Field("retries", 1, _INT32, 3, 1, _COMPOSE),
    start_period=Field("start_period", 0, _GO_DURATION, 0, 0, _COMPOSE, 0.001),
)

# Podman reads Docker's images and Compose's files; its own minimum is a second.
PODMAN = Platform(
    "podman",
    "Podman",
    interval=Field("--health-interval", 0.001, _GO_DURATION, 30, 0, _PODMAN),
    timeout=Field("--health-timeout", 1, _GO_DURATION, 30, 0, _PODMAN),
    retries=Field("--health-retries", 1, _INT32, 3, 1, _PODMAN),
    start_period=Field("--health-start-period", 0, _GO_DURATION, 0, 0, _PODMAN, 0.001),
)

PLATFORMS = {row.name: row for row in (DOCKER, ECS, KUBERNETES, COMPOSE, PODMAN)}
