"""The sidecar's container, as far as every platform has the same: what it runs, how it is asked.

It shares the workload's loopback (a task's awsvpc network, a pod, `network_mode: service:`), so
the workload's port stays as closed as it was.
"""

from collections.abc import Iterable

from probe.manifests import command
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import LOOPBACK
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import Sidecar
from probe.platforms.durations import go_duration
from probe.platforms.timings import Timings
from probe.synchronizer.settings import TRUE

NAME = "probe-sidecar"
PORT = 9310
"""Every route, on loopback."""
METRICS_PORT = 9311
"""/metrics, /livez and /readyz, for the kubelet and Prometheus."""
UID = 65532
"""The user of deploy/sidecar/Dockerfile."""
MEMORY = 128
"""MiB: one target takes 55, each run of the health check 20 for a moment."""
STOP_SECONDS = 10
"""The sidecar ends within 5 s of a signal by itself."""
RESTART_SECONDS = 20
"""How long a sidecar that hangs may be away: noticed, killed, started, the first check made."""

# The sidecar's own defaults, which need not be said (probe/sidecar/configuration/settings.py).
_FAILURES = 3
# What it takes (probe/sidecar/configuration/fields.py), in seconds.
_INTERVAL = (0.1, 86400)
_RETRIES = (1, 9999)
_START = (0, 86400)


def of(plan: Plan) -> Sidecar:
    assert plan.sidecar is not None
    return plan.sidecar


ENTRYPOINT = ("probe",)


def arguments(plan: Plan, *, metrics: bool = False) -> list[str]:
    """Return what follows the program; *metrics* opens the second listener to the pod's network."""
    target = of(plan).division.target
    words = [
        "sidecar",
        "--target", f"{LOOPBACK}:{plan.workload.port}",
        *_kind(plan),
        *_asked(plan),
        "--interval", go_duration(target.interval),
        "--timeout", go_duration(target.timeout),
        "--start-period", go_duration(target.start_period),
    ]  # fmt: skip
    if target.retries != _FAILURES:
        words += ["--failure-threshold", str(target.retries)]
    words += ["--listen", f"{LOOPBACK}:{PORT}"]
    if metrics:
        words += ["--metrics-listen", f"0.0.0.0:{METRICS_PORT}"]
    if of(plan).emf:
        words += ["--emit", "emf"]
    return words


def _kind(plan: Plan) -> list[str]:
    """Return whether it reads the bodies: the synchronizers alone have some."""
    kind = plan.workload.kind
    return ["--no-read-body"] if kind is Kind.GENERIC else ["--kind", kind.value, "--read-body"]


def _asked(plan: Plan) -> list[str]:
    words = []
    if plan.health.path != HEALTH_PATH:
        words += ["--path", plan.health.path]
    if plan.health.expect != "200":
        words += ["--expect", plan.health.expect]
    return words


def check(timings: Timings) -> list[str]:
    """Return the sidecar's own health check in exec form: its verdict on the target."""
    return command.to_docker(
        [
            "probe", "check", "--host", LOOPBACK, "--no-tls", "--port", str(PORT),
            "--path", "/readyz", "--timeout", f"{timings.own_timeout}",
        ]
    )  # fmt: skip


def problems(plan: Plan, name: str, others: Iterable[str]) -> list[str]:
    """Return why no sidecar of this *name* can stand beside the workload and the *others*."""
    workload, found = plan.workload, []
    if plan.workload.settings.get(f"{workload.prefix}ADMIN_TLS_ENABLED") in TRUE:
        found.append(
            "--sidecar: the admin port speaks TLS, and these documents hold no certificates; run "
            "the sidecar with a --config of your own (tls: true), or leave TLS out: it is loopback"
        )
    rows = (("--port", workload.port), ("--traffic-port", workload.traffic_port))
    found += [
        f"{option} {port}: the sidecar listens there; give another"
        for option, port in rows
        if port in {PORT, METRICS_PORT}
    ]
    found += _timing_problems(of(plan).division.target)
    if name in {workload.name, *others}:
        found.append(f"--sidecar: a container is called {name} already; give that another name")
    return found


def _timing_problems(timings: Timings) -> list[str]:
    """Return which timings the sidecar does not take, though the platform may."""
    rows = (
        ("--interval", timings.interval, _INTERVAL, "s"),
        ("--retries", timings.retries, _RETRIES, ""),
        ("--start-period", timings.start_period, _START, "s"),
    )
    return [
        f"{option} {value}: the sidecar takes {least}{unit} to {most}{unit}"
        for option, value, (least, most), unit in rows
        if not least <= value <= most
    ]


def script_problems(plan: Plan, why: str) -> list[str]:
    """Return the options that are for a script in the container, where none runs."""
    health = plan.health
    rows = (
        (health.delivery is Delivery.INLINE, "--inline"),
        (health.delivery is Delivery.CONFIGMAP, "--script configmap"),
        (health.handler is Handler.HTTP, "--handler http"),
        (health.log, "--log-failures"),
    )
    return [f"{option}: {why}; leave it out" for holds, option in rows if holds]


def notes(plan: Plan) -> list[str]:
    """Return what the user must know of the sidecar, whatever the platform."""
    found = [
        f"the image {of(plan).image} must be pulled from somewhere: build deploy/sidecar/Dockerfile"
    ]
    if plan.workload.kind is not Kind.GENERIC:
        found.append(
            "the sidecar reads the bodies too: stale data makes the synchronizer degraded, in "
            "metrics and on the page; it stays ready"
        )
    return found
