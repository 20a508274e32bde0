"""The sidecar in a pod: a native sidecar container, and who asks it for what.

Native sidecars (an init container with `restartPolicy: Always`) are on since Kubernetes 1.29. The
sidecar's own startup and liveness ask `/livez`, which hangs on no target: a startup probe that did
would wait for a container that starts after it. Its readiness is the target's, and so the pod's.
The workload's liveness asks the sidecar too, so that the kubelet restarts the right container.
"""

from typing import Any

from probe.manifests import sidecar
from probe.manifests.command import double_dollars
from probe.manifests.spec import Plan
from probe.platforms.division import bridges_restart
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import Timings

Document = dict[str, Any]

PORT_NAME = "probe-metrics"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""What the restricted Pod Security Standard wants of a container, and a read-only root."""

# Soon noticed and soon killed, so that the sidecar is back before the workload's liveness gives up.
_STARTUP = Timings(interval=1, timeout=2, retries=60)
_LIVENESS = Timings(interval=5, timeout=2, retries=2)
_READINESS = Timings(interval=5, timeout=2, retries=1)
_GRACE = 5
_CPU = "30m"


def container(plan: Plan) -> Document:
    """Return the sidecar's container. The kubelet asks the pod's address, hence the listener."""
    memory = f"{sidecar.MEMORY}Mi"
    words = sidecar.arguments(plan, metrics=True)
    grace = {"terminationGracePeriodSeconds": _GRACE}
    return {
        "name": sidecar.NAME,
        "image": sidecar.of(plan).image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": list(sidecar.ENTRYPOINT),
        "args": [double_dollars(word) for word in words],
        "ports": [
            {"name": PORT_NAME, "containerPort": sidecar.METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {"cpu": _CPU, "memory": memory},
            "limits": {"memory": memory},
        },
        "securityContext": dict(RESTRICTED) | {"runAsUser": sidecar.UID, "runAsGroup": sidecar.UID},
        "startupProbe": _ask("/livez", _STARTUP) | grace,
        "livenessProbe": _ask("/livez", _LIVENESS) | grace,
        "readinessProbe": _ask("/readyz", _READINESS),
    }


def workload_probes(plan: Plan) -> Document:
    """Return the probes of the workload's container: liveness, by the sidecar's verdict.

    A delay, not a startup probe, gives it its time to start: when it is restarted, the sidecar
    still has the old verdict, and a startup probe would end at once by it.
    """
    if not plan.checks_itself:
        return {}
    timings = sidecar.of(plan).division.sidecar
    delay = min(int(timings.start_period), KUBERNETES.start_period.maximum)
    return {"livenessProbe": _ask("/readyz", timings, delay)}


def _ask(path: str, timings: Timings, delay: int = 0) -> Document:
    """Return a probe; the port is a number, for names are those of the probed container alone."""
    return {
        "httpGet": {"path": path, "port": sidecar.METRICS_PORT, "scheme": "HTTP"},
        "initialDelaySeconds": delay,
        "periodSeconds": timings.interval,
        "timeoutSeconds": timings.timeout,
        "successThreshold": 1,
        "failureThreshold": timings.retries,
    }


def problems(plan: Plan) -> list[str]:
    """Return why the pod could not be checked by a sidecar."""
    found = sidecar.problems(plan, sidecar.NAME, ())
    return found + sidecar.script_problems(plan, "with --sidecar no script runs on Kubernetes")


def notes(plan: Plan) -> list[str]:
    """Return what the user must know of native sidecars."""
    found = [
        "native sidecars need Kubernetes 1.29 or newer; before, the pod would never start",
        *sidecar.notes(plan),
        f"the pod's port {sidecar.METRICS_PORT} has /metrics, /livez and /readyz",
    ]
    if not plan.checks_itself:
        found.append(
            f"--no-check: {plan.workload.name} stays without probes; unready alone, never restarted"
        )
    elif not bridges_restart(sidecar.of(plan).division.sidecar, sidecar.RESTART_SECONDS):
        found.append(
            "the budget is so short that a restart of the sidecar restarts the synchronizer too: "
            f"it may be away for {sidecar.RESTART_SECONDS} s"
        )
    return found
