"""The three probes of a Kubernetes container, and back to timings.

The startup probe gives the application its budget, liveness restarts it, readiness takes it out of
its Services one failure before that. What the kubelet does with them: pkg/kubelet/prober/worker.go.
"""

from typing import Any

from probe.manifests import command
from probe.manifests.spec import Handler
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import Timings
from probe.synchronizer.settings import TRUE

Probe = dict[str, Any]

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
"""The container's keys, in the order in which the probes begin to count."""

PORT_NAME = "healthcheck"
"""The container port that the kubelet asks; its name tells our httpGet from another's."""

_STARTUP_PERIOD = 5
_MAX_COUNT = KUBERNETES.retries.maximum
_MAX_SECONDS = KUBERNETES.interval.maximum


def probes(plan: Plan, *, name_port: bool = False) -> dict[str, Probe]:
    """Return the probes by the container's keys, every field written out.

    A start period of 0 gives no startup probe. *name_port*: see `command.argv`.
    """
    handler = _handler(plan, name_port=name_port)
    timings = plan.health.timings
    ready = max(1, timings.retries - 1)
    found = {
        "startupProbe": startup_timing(timings),
        "livenessProbe": _timing(timings, liveness_delay(timings), timings.retries),
        "readinessProbe": _timing(timings, 0, ready),
    }
    return {key: {**handler, **timing} for key, timing in found.items() if timing}


def _handler(plan: Plan, *, name_port: bool) -> Probe:
    if plan.health.handler is Handler.HTTP:
        scheme = "HTTPS" if has_tls(plan.workload) else "HTTP"
        return {"httpGet": {"path": plan.health.path, "port": PORT_NAME, "scheme": scheme}}
    words = command.argv(plan.workload, plan.health, plan.inline, name_port=name_port)
    return {"exec": {"command": [command.double_dollars(word) for word in words]}}


def has_tls(workload: Workload) -> bool:
    """Tell whether the settings switch the admin port to TLS."""
    return workload.settings.get(f"{workload.prefix}ADMIN_TLS_ENABLED") in TRUE


def _timing(timings: Timings, delay: int, failures: int) -> Probe:
    return {
        "initialDelaySeconds": delay,
        "periodSeconds": timings.interval,
        "timeoutSeconds": timings.timeout,
        "successThreshold": 1,
        "failureThreshold": failures,
    }


def startup_period(timings: Timings) -> int:
    """Return how often a start is looked at, in seconds: often, so that it is ready soon."""
    return min(_STARTUP_PERIOD, int(timings.interval))


def startup_timing(timings: Timings) -> Probe:
    """Return the timing of the startup probe; empty where there is none.

    The container is killed at the last of its failures, `start_period` seconds after its start at
    the earliest: the delay, and a period between each two of them.
    """
    budget, period = int(timings.start_period), startup_period(timings)
    if not budget:
        return {}
    failures = min(budget // period + 1, _MAX_COUNT)
    delay = budget - (failures - 1) * period
    return _timing(timings, delay, failures) | {"periodSeconds": period}


def liveness_delay(timings: Timings) -> int:
    """Return the liveness probe's initial delay: 0, or longer than a start goes ungated.

    Since 1.35 a restarted container counts as started until the startup probe's next tick
    (kubernetes/kubernetes issue 141155), and liveness runs meanwhile. Where that is long enough
    for all of its retries, it would kill what is still starting, again and again.
    """
    if not timings.start_period:
        return 0
    ungated = startup_period(timings) + int(timings.timeout)
    if (timings.retries - 1) * timings.interval > ungated:
        return 0
    return min(ungated + 1, _MAX_SECONDS)


def read_call(container: Probe) -> command.Command | None:
    """Return our command of the liveness probe as the kubelet expands it, else None."""
    words = container.get("livenessProbe", {}).get("exec", {}).get("command")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return command.read_argv([command.undouble_dollars(word) for word in words])


def read_http(container: Probe) -> Probe | None:
    """Return the liveness probe's httpGet where it is ours, else None."""
    found = container.get("livenessProbe", {}).get("httpGet")
    is_ours = isinstance(found, dict) and found.get("port") == PORT_NAME
    return found if is_ours else None


def read_probes(container: Probe) -> Timings | None:
    """Return the timings of a container's probes; None where its liveness probe is not ours.

    Raises KeyError where one of ours lacks a field that we write.
    """
    if read_call(container) is None and read_http(container) is None:
        return None
    live, start = container["livenessProbe"], container.get("startupProbe")
    budget = 0
    if start:
        between = (start["failureThreshold"] - 1) * start["periodSeconds"]
        budget = start["initialDelaySeconds"] + between
    return Timings(live["periodSeconds"], live["timeoutSeconds"], live["failureThreshold"], budget)
