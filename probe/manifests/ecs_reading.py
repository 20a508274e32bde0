"""Task definitions of ours read back: what was deployed, and how it is checked."""

from fractions import Fraction
from typing import Any

from probe.manifests import command
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import kind_of
from probe.manifests.spec import read_environment
from probe.platforms.resources import UNITS_PER_VCPU
from probe.platforms.rows import ECS
from probe.platforms.timings import Timings

Document = dict[str, Any]


def read(document: Document) -> tuple[Workload, HealthSpec]:
    """Return what a task definition of ours was made of. Raises SpecError where it is not ours."""
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError([f"not a task definition of ours: {error!r}"]) from error


def _read(document: Document) -> tuple[Workload, HealthSpec]:
    container, ours = _find(document["containerDefinitions"])
    variables = {row["name"]: row["value"] for row in container["environment"]}
    secrets = {row["name"]: row["valueFrom"] for row in container["secrets"]}
    kind = kind_of(variables.keys() | secrets.keys())
    found = read_environment(variables, kind)
    port = ours.port if found.port is None else found.port
    mapped = [row["containerPort"] for row in container["portMappings"]]
    clients = mapped if kind is Kind.GENERIC else [other for other in mapped if other != port]
    workload = Workload(
        name=container["name"],
        image=container["image"],
        kind=kind,
        port=port,
        traffic_port=clients[0] if clients else None,
        settings=found.settings,
        secrets=secrets,
        cpu=Fraction(int(document.get("cpu") or container["cpu"]), UNITS_PER_VCPU),
        memory=int(document["memory"]),
        uid=int(container["user"].partition(":")[0]),
        expose_admin=port in mapped[1:] or (kind is not Kind.GENERIC and port in mapped),
    )
    return workload, HealthSpec(
        timings=_read_timings(container["healthCheck"]),
        path=ours.path,
        expect=ours.expect,
        delivery=ours.delivery,
        log=found.log,
    )


def _find(containers: list[Document]) -> tuple[Document, command.Command]:
    """Return the container whose health check is ours. Raises SpecError where there is none."""
    for container in containers:
        words = command.from_docker(container.get("healthCheck", {}).get("command"))
        if words and (ours := command.read_argv(words)):
            return container, ours
    raise SpecError(["no container has our health check"])


def _read_timings(check: Document) -> Timings:
    return Timings(
        **{name: check.get(field.key, field.default) for name, field in ECS.fields.items()}
    )
