"""Compose files, as docker-compose 1.29 and Compose v2 read them.

Field names: Compose specification, services, healthcheck, secrets. Neither limits the resources
under `deploy` alike, so they stand in `mem_limit` and `cpus`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from probe.manifests import command
from probe.manifests import emit
from probe.manifests import sidecar
from probe.manifests.spec import Dependent
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import environment
from probe.manifests.spec import kind_of
from probe.manifests.spec import read_environment
from probe.platforms.durations import go_duration
from probe.platforms.durations import parse_go_duration
from probe.platforms.durations import plain
from probe.platforms.rows import COMPOSE
from probe.platforms.rows import Field
from probe.platforms.timings import Timings

Document = dict[str, Any]

# moby daemon/daemon_unix.go verifyPlatformContainerResources: linuxMinMemory and the CPU quota.
MIN_MEMORY = 6
MIN_CPU = Fraction(1, 100)

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SECRETS = "/run/secrets"
_FILE = "_FILE"
_SIDECAR_CPU = 0.25
_TMP = "/tmp"  # noqa: S108 # where split-proxy makes its database, not a file of ours


@dataclass(frozen=True, slots=True)
class Options:
    """What Compose alone knows. `tmp_size` is in MiB; `app` waits until the workload is healthy."""

    tmp_size: int = 128
    app: Dependent | None = None


def render(plan: Plan, options: Options) -> str:
    return emit.to_yaml(build(plan, options))


def build(plan: Plan, options: Options) -> Document:
    """Return the Compose file, its `$` doubled: every string in it is interpolated."""
    services = {plan.workload.name: _service(plan, options)}
    if plan.sidecar:
        services[_sidecar_name(plan)] = _sidecar(plan)
    if options.app:
        services[options.app.name] = _application(plan, options.app)
    secrets = {name: {"file": path} for name, path in sorted(plan.workload.secrets.items())}
    document = {"services": services, **({"secrets": secrets} if secrets else {})}
    escaped: Document = _map_strings(document, command.double_dollars)
    return escaped


def _service(plan: Plan, options: Options) -> Document:
    workload = plan.workload
    tmpfs = [f"{_TMP}:size={options.tmp_size}m,mode=1777,nosuid,nodev,noexec"]
    ports = [f"{port}:{port}" for port in workload.published_ports]
    variables = _variables(plan)
    return {
        "image": workload.image,
        "init": True,
        "user": f"{workload.uid}:{workload.uid}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        **({"tmpfs": tmpfs} if workload.needs_tmp else {}),
        "cpus": plain(workload.cpu),
        "mem_limit": f"{workload.memory}m",
        **({"environment": variables} if variables else {}),
        **({"secrets": sorted(workload.secrets)} if workload.secrets else {}),
        **({"ports": ports} if ports else {}),
        "restart": "unless-stopped",
        "stop_grace_period": go_duration(workload.stop_seconds),
        **({"healthcheck": health_check(plan)} if plan.checks_itself else {}),
    }


def _sidecar_name(plan: Plan) -> str:
    return f"{plan.workload.name}-sidecar"


def _sidecar(plan: Plan) -> Document:
    """Return the service that checks the other one, in the network of its container."""
    timings = sidecar.of(plan).division.sidecar
    return {
        "image": sidecar.of(plan).image,
        "init": True,
        "network_mode": f"service:{plan.workload.name}",
        "depends_on": {plan.workload.name: {"condition": "service_started"}},
        "user": f"{sidecar.UID}:{sidecar.UID}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "cpus": _SIDECAR_CPU,
        "mem_limit": f"{sidecar.MEMORY}m",
        "entrypoint": list(sidecar.ENTRYPOINT),
        "command": sidecar.arguments(plan, metrics=True),
        "restart": "unless-stopped",
        "stop_grace_period": go_duration(sidecar.STOP_SECONDS),
        "healthcheck": {"test": sidecar.check(timings), **_write_timings(timings)},
    }


def _variables(plan: Plan) -> dict[str, str]:
    """Return the environment; a secret's variable names the file that it is mounted as."""
    files = {f"{name}{_FILE}": f"{_SECRETS}/{name}" for name in plan.workload.secrets}
    return dict(sorted((environment(plan.workload, plan.health) | files).items()))


def health_check(plan: Plan) -> Document:
    """Return the healthcheck of a service, its `$` not yet doubled; times with their unit."""
    words = command.argv(plan.workload, plan.health, plan.inline)
    return {"test": command.to_docker(words), **_write_timings(plan.health.timings)}


def _write_timings(timings: Timings) -> Document:
    return {
        field.key: _write_timing(getattr(timings, name), field)
        for name, field in COMPOSE.fields.items()
    }


def _write_timing(value: float, field: Field) -> str | int:
    """Return a count as it is and a time with its unit: the schema refuses one without."""
    return int(value) if field is COMPOSE.retries else go_duration(value)


def _application(plan: Plan, app: Dependent) -> Document:
    """Return the service that waits; what it needs besides, its owner knows."""
    awaited = plan.workload.name if plan.checks_itself else _sidecar_name(plan)
    return {
        "image": app.image,
        "depends_on": {awaited: {"condition": "service_healthy"}},
        "restart": "unless-stopped",
    }


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Change every string value; keys are not interpolated."""
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_strings(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why it cannot be deployed with Compose; nothing where it can."""
    return [
        *_name_problems(plan.workload, options),
        *_size_problems(plan.workload),
        *_secret_problems(plan.workload),
        *_check_problems(plan, options),
    ]


def _check_problems(plan: Plan, options: Options) -> list[str]:
    found = []
    if plan.sidecar:
        others = [options.app.name] if options.app else []
        found += sidecar.problems(plan, _sidecar_name(plan), others)
    if plan.checks_itself:
        return [*found, *command.run_problems(plan, "Compose")]
    return [*found, *sidecar.script_problems(plan, "with --no-check no script runs")]


def _name_problems(workload: Workload, options: Options) -> list[str]:
    named = {"name": workload.name} | ({"app-name": options.app.name} if options.app else {})
    found = [
        f"--{option} {name!r}: a service's name has letters, digits, dots, _ and - alone"
        for option, name in named.items()
        if not _NAME.fullmatch(name)
    ]
    if options.app and options.app.name == workload.name:
        found.append(
            f"--app-name {workload.name!r}: that is the name of the workload; take another"
        )
    return found


def _size_problems(workload: Workload) -> list[str]:
    found = []
    if workload.cpu < MIN_CPU:
        found.append(
            f"--cpu {plain(workload.cpu)}: Docker takes {plain(MIN_CPU)} and more; such as 0.25"
        )
    if workload.memory < MIN_MEMORY:
        found.append(
            f"--memory {workload.memory}m: Docker takes {MIN_MEMORY}m and more; such as 512m"
        )
    return found


def _secret_problems(workload: Workload) -> list[str]:
    found = [
        f"--secret {name}: the value is empty; give the path of a file, such as ./{name.lower()}"
        for name, path in workload.secrets.items()
        if not path
    ]
    found += [
        f"--env {name}{_FILE}: it follows from --secret {name}; leave one of them out"
        for name in workload.secrets
        if f"{name}{_FILE}" in workload.settings
    ]
    return found


def notes(plan: Plan, options: Options) -> list[str]:
    """Return what the user must know or do besides."""
    workload = plan.workload
    found = [
        "an unhealthy container is only shown as such: neither Docker nor Compose restarts it",
        *_secret_notes(workload),
    ]
    if plan.sidecar:
        found += _sidecar_notes(plan)
    if workload.expose_admin:
        found.append(
            f"--expose-admin: port {workload.port} is open on every address of the host, and "
            "Docker's rules go before those of a host's firewall"
        )
    if options.app:
        found.append(
            f"{options.app.name} waits at `up` alone: a restart of {workload.name} does not stop it"
        )
    return found


def _sidecar_notes(plan: Plan) -> list[str]:
    name, beside = plan.workload.name, _sidecar_name(plan)
    found = [
        *sidecar.notes(plan),
        f"{beside} has the network of {name}'s container: restart it whenever that is restarted",
        f"its metrics are at {name}:{sidecar.METRICS_PORT} for other services",
    ]
    if not plan.checks_itself:
        found.append(f"--no-check: {name} stays without a health check; {beside} has the verdict")
    return found


def _secret_notes(workload: Workload) -> list[str]:
    if not workload.secrets:
        return []
    files = ", ".join(path for _, path in sorted(workload.secrets.items()))
    first = min(workload.secrets)
    reader = (
        "the application must read them there"
        if workload.kind is Kind.GENERIC
        else "the entrypoint of probe's images reads them there, upstream's does not"
    )
    return [
        f"user {workload.uid} must be able to read {files}: Compose mounts a secret as it is",
        f"secrets come as files, named by variables such as {first}{_FILE}: {reader}",
    ]


def read(document: Document) -> tuple[Workload, HealthSpec]:
    """Return what a Compose file of ours was made of. Raises SpecError where it is not ours."""
    try:
        return _read(_map_strings(document, command.undouble_dollars))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError([f"not a Compose file of ours: {error!r}"]) from error


def _read(document: Document) -> tuple[Workload, HealthSpec]:
    name, service, ours = _find(document["services"])
    secrets = {key: document["secrets"][key]["file"] for key in service.get("secrets", [])}
    variables = dict(service.get("environment", {}))
    for key in secrets:
        del variables[f"{key}{_FILE}"]
    kind = kind_of(variables.keys() | secrets.keys())
    found = read_environment(variables, kind)
    port = ours.port if found.port is None else found.port
    mapped = [int(text.rpartition(":")[2]) for text in service.get("ports", [])]
    clients = mapped if kind is Kind.GENERIC else [other for other in mapped if other != port]
    workload = Workload(
        name=name,
        image=service["image"],
        kind=kind,
        port=port,
        traffic_port=clients[0] if clients else None,
        settings=found.settings,
        secrets=secrets,
        cpu=Fraction(str(service["cpus"])),
        memory=int(service["mem_limit"].removesuffix("m")),
        uid=int(service["user"].partition(":")[0]),
        expose_admin=port in mapped[1:] or (kind is not Kind.GENERIC and port in mapped),
    )
    timings = _read_timings(service["healthcheck"])
    return workload, HealthSpec(timings, ours.path, ours.expect, ours.delivery, log=found.log)


def _find(services: Document) -> tuple[str, Document, command.Command]:
    """Return the service whose check is ours. Raises SpecError where there is none."""
    for name, service in services.items():
        words = command.from_docker(service.get("healthcheck", {}).get("test"))
        if words and (ours := command.read_argv(words)):
            return name, service, ours
    raise SpecError(["no service has our health check"])


def _read_timings(check: Document) -> Timings:
    return Timings(
        interval=parse_go_duration(check["interval"]),
        timeout=parse_go_duration(check["timeout"]),
        retries=check["retries"],
        start_period=parse_go_duration(check["start_period"]),
    )
