"""Task definitions for Amazon ECS, as `aws ecs register-task-definition --cli-input-json` reads.

Field names and limits: Amazon ECS API reference, RegisterTaskDefinition. Everything that has a
default is written out, so that what is registered is what stands in the file.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from probe.manifests import command
from probe.manifests import ecs_options
from probe.manifests import ecs_reading
from probe.manifests import ecs_sizes
from probe.manifests import emit
from probe.manifests import sidecar
from probe.manifests.spec import Dependent
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.manifests.spec import environment
from probe.platforms import fargate
from probe.platforms.rows import ECS
from probe.platforms.timings import Timings
from probe.platforms.timings import startup
from probe.synchronizer.settings import SECRET

Document = dict[str, Any]

Options = ecs_options.Options
read = ecs_reading.read

# "Task definition size limit: 64 KB".
MAX_LENGTH = 64 * 1024
_QUOTAS = "Amazon ECS service quotas"

_ARCHITECTURES = {"x86_64": "X86_64", "arm64": "ARM64"}
_TMP = "/tmp"  # noqa: S108 # where split-proxy makes its database, not a file of ours
_TMP_VOLUME = {"tmp": _TMP}
# ECS Exec's agent writes here, which a read-only root forbids (aws/containers-roadmap#1359).
_EXEC_VOLUMES = {"ecs-exec-lib": "/var/lib/amazon", "ecs-exec-log": "/var/log/amazon"}

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PLACE = r"arn:aws[a-z-]*:{}:[a-z0-9-]+:[0-9]{{12}}:"
_SECRETS_MANAGER = re.compile(
    _PLACE.format("secretsmanager") + r"secret:[A-Za-z0-9/_+=.@-]+(:[^:]*:[^:]*:[^:]*)?"
)
_PARAMETER = re.compile(_PLACE.format("ssm") + r"parameter/[A-Za-z0-9_./-]+")
_ROLE = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+"


def render(plan: Plan, options: Options) -> str:
    return emit.to_json(build(plan, options))


def render_health_check(plan: Plan) -> str:
    """Return the bare healthCheck object, to be put into a container definition."""
    return emit.to_json(health_check(plan, name_port=True))


def build(plan: Plan, options: Options) -> Document:
    """Return the input of RegisterTaskDefinition."""
    containers = [_synchronizer(plan, options)]
    if plan.sidecar:
        containers.append(_sidecar(plan, options))
    if options.app:
        containers.append(_application(plan, options, options.app))
    volumes = _volumes(plan.workload, options)
    return {
        "family": options.family or plan.workload.name,
        **({"taskRoleArn": options.task_role} if options.task_role else {}),
        "executionRoleArn": options.execution_role,
        "networkMode": "awsvpc",
        "containerDefinitions": containers,
        **({"volumes": [{"name": name, "host": {}} for name in volumes]} if volumes else {}),
        "requiresCompatibilities": [options.launch_type],
        **ecs_sizes.task_size(plan.workload, options),
        "runtimePlatform": {
            "cpuArchitecture": _ARCHITECTURES[options.arch],
            "operatingSystemFamily": "LINUX",
        },
    }


def health_check(plan: Plan, *, name_port: bool = False) -> Document:
    """Return the healthCheck of a container definition; times in seconds.

    *name_port* names the port even where the container's own variables tell it.
    """
    health = plan.health
    words = command.argv(plan.workload, health, plan.inline, name_port=name_port)
    return {
        "command": command.to_docker(words),
        **_write_timings(health.timings),
    }


def _synchronizer(plan: Plan, options: Options) -> Document:
    workload = plan.workload
    waited = options.app and plan.checks_itself
    return {
        "name": workload.name,
        "image": workload.image,
        **ecs_sizes.container_size(plan, options),
        "essential": True,
        "portMappings": [_port_mapping(port) for port in workload.published_ports],
        "environment": _pairs(environment(workload, plan.health), "value"),
        "secrets": _pairs(workload.secrets, "valueFrom"),
        "user": f"{workload.uid}:{workload.uid}",
        "readonlyRootFilesystem": _is_readonly(workload, options),
        "linuxParameters": _linux_parameters(workload, options),
        "mountPoints": [
            {"sourceVolume": name, "containerPath": path, "readOnly": False}
            for name, path in _volumes(workload, options).items()
        ],
        "volumesFrom": [],
        "systemControls": [],
        **({"startTimeout": _start_timeout(plan.health.timings, options)} if waited else {}),
        "stopTimeout": workload.stop_seconds,
        "logConfiguration": _log_configuration(workload.name, options),
        **({"healthCheck": health_check(plan)} if plan.checks_itself else {}),
    }


def _application(plan: Plan, options: Options, app: Dependent) -> Document:
    """Return the container that waits; what it needs besides, its owner knows."""
    awaited = plan.workload.name if plan.checks_itself else sidecar.NAME
    return {
        "name": app.name,
        "image": app.image,
        **ecs_sizes.container_size(plan, options),
        "essential": True,
        "portMappings": [],
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        "dependsOn": [{"containerName": awaited, "condition": "HEALTHY"}],
        "logConfiguration": _log_configuration(app.name, options),
    }


def _sidecar(plan: Plan, options: Options) -> Document:
    """Return the container that checks the other one, by the task's loopback.

    It is essential, so that its health is the task's; it depends on the other, so that it is
    stopped first and tells of no failure that is a stop.
    """
    timings = sidecar.of(plan).division.sidecar
    waits = options.app and not plan.checks_itself
    return {
        "name": sidecar.NAME,
        "image": sidecar.of(plan).image,
        "cpu": ecs_sizes.SIDECAR_CPU,
        "memory": sidecar.MEMORY,
        "essential": True,
        "entryPoint": list(sidecar.ENTRYPOINT),
        "command": sidecar.arguments(plan),
        "portMappings": [],
        "environment": [],
        "user": f"{sidecar.UID}:{sidecar.UID}",
        "readonlyRootFilesystem": True,
        "linuxParameters": {
            "capabilities": {"add": [], "drop": ["ALL"]},
            "initProcessEnabled": True,
        },
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        "dependsOn": [{"containerName": plan.workload.name, "condition": "START"}],
        **({"startTimeout": _start_timeout(timings, options)} if waits else {}),
        "stopTimeout": sidecar.STOP_SECONDS,
        "logConfiguration": _log_configuration(sidecar.NAME, options),
        "healthCheck": {"command": sidecar.check(timings), **_write_timings(timings)},
    }


def _write_timings(timings: Timings) -> Document:
    return {field.key: getattr(timings, name) for name, field in ECS.fields.items()}


def _port_mapping(port: int) -> Document:
    """Return a mapping under awsvpc, where the host's port is the container's."""
    return {"containerPort": port, "hostPort": port, "protocol": "tcp"}


def _pairs(found: Mapping[str, str], key: str) -> list[dict[str, str]]:
    """Return variables sorted by name, as the API sorts nothing and diffs are read by people."""
    return [{"name": name, key: value} for name, value in sorted(found.items())]


def _linux_parameters(workload: Workload, options: Options) -> Document:
    """Return an init that reaps, no capabilities, and the proxy's temporary directory on EC2.

    The API stores `add` as an empty list where it is left out, which Terraform takes for a change.
    """
    tmpfs = {
        "containerPath": _TMP,
        "size": options.tmp_size,
        "mountOptions": ["nosuid", "nodev", "noexec"],
    }
    return {
        "capabilities": {"add": [], "drop": ["ALL"]},
        "initProcessEnabled": True,
        **({"tmpfs": [tmpfs]} if _has_tmpfs(workload, options) else {}),
    }


def _has_tmpfs(workload: Workload, options: Options) -> bool:
    return workload.needs_tmp and not options.is_fargate and not options.tmp_volume


def _is_readonly(workload: Workload, options: Options) -> bool:
    """Tell whether the root is read-only: not where split-proxy has no other place to write."""
    return not workload.needs_tmp or options.tmp_volume or _has_tmpfs(workload, options)


def _volumes(workload: Workload, options: Options) -> dict[str, str]:
    """Return the task's volumes and where they are mounted."""
    exec_needs = options.ecs_exec and _is_readonly(workload, options)
    return {
        **(_TMP_VOLUME if options.tmp_volume else {}),
        **(_EXEC_VOLUMES if exec_needs else {}),
    }


def _log_configuration(name: str, options: Options) -> Document:
    """Return awslogs, complete; in mode blocking a full buffer stops the application."""
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": options.log_group,
            "awslogs-region": options.region,
            "awslogs-stream-prefix": name,
            "mode": "non-blocking",
            "max-buffer-size": "25m",
        },
    }


def _start_timeout(timings: Timings, options: Options) -> int:
    """Return how long the application waits for HEALTHY: as long as a start may take.

    Without it a task stays PENDING for ever (aws/containers-roadmap#2379).
    """
    seconds = startup(timings)
    return fargate.bounded_timeout(seconds) if options.is_fargate else math.ceil(seconds)


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why ECS would refuse the task, or run it otherwise than meant."""
    return [
        *_option_problems(options),
        *_name_problems(plan.workload, options),
        *ecs_sizes.size_problems(plan, options),
        *_secret_problems(plan.workload),
        *_check_problems(plan, options),
        *_length_problems(plan, options),
    ]


def _check_problems(plan: Plan, options: Options) -> list[str]:
    found = []
    if plan.sidecar:
        others = [options.app.name] if options.app else []
        found += sidecar.problems(plan, sidecar.NAME, others)
    if plan.checks_itself:
        return [*found, *command.run_problems(plan, "ECS")]
    return [*found, *sidecar.script_problems(plan, "with --no-check no script runs")]


# Each option's form, and what it is for.
_FORMS = {
    "execution_role": (re.compile(_ROLE), "the ARN of a role that fetches secrets and writes logs"),
    "log_group": (re.compile(r"[A-Za-z0-9_./#-]{1,512}"), "the name of a CloudWatch log group"),
    "region": (re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+"), "a region, such as us-east-1"),
    "task_role": (re.compile(_ROLE), "the ARN of the role that the application has"),
}


def _option_problems(options: Options) -> list[str]:
    found = []
    for name, (form, meaning) in _FORMS.items():
        option, value = f"--{name.replace('_', '-')}", getattr(options, name)
        if value is None:
            continue
        if not value:
            found.append(f"{option}: needed on ECS: {meaning}")
        elif not form.fullmatch(value):
            found.append(f"{option}: {value!r} is not {meaning}")
    if options.ecs_exec and not options.task_role:
        found.append("--ecs-exec: needs --task-role, a role that may open ssmmessages channels")
    return found


def _name_problems(workload: Workload, options: Options) -> list[str]:
    names = {"--name": workload.name}
    if options.family is not None:
        names["--family"] = options.family
    if options.app:
        names["--app-name"] = options.app.name
    found = [
        f"{option}: {name!r} is not 1 to 255 letters, digits, hyphens and underscores"
        for option, name in names.items()
        if not _NAME.fullmatch(name)
    ]
    if options.app and options.app.name == workload.name:
        found.append(f"--app-name: {workload.name!r} is the name of the other container")
    return found


def _secret_problems(workload: Workload) -> list[str]:
    found = [
        f"{_secret_option(name, workload)}: {value!r} is not the ARN of a Secrets Manager secret "
        "or an SSM parameter"
        for name, value in sorted(workload.secrets.items())
        if not (_SECRETS_MANAGER.fullmatch(value) or _PARAMETER.fullmatch(value))
    ]
    for flag in sorted(SECRET) if workload.prefix else ():
        name = f"{workload.prefix}{flag.upper().replace('-', '_')}"
        if name in workload.settings:
            found.append(
                f"--env {name}: a secret must not stand in plain text: --secret {name}=ARN"
            )
    return found


def _secret_option(name: str, workload: Workload) -> str:
    """Return the option that a secret variable comes from."""
    return "--apikey-secret" if name == f"{workload.prefix}APIKEY" else f"--secret {name}"


def _length_problems(plan: Plan, options: Options) -> list[str]:
    length = len(emit.to_json(build(plan, options)).encode())
    if length <= MAX_LENGTH:
        return []
    limit = f"ECS takes up to {MAX_LENGTH} ({_QUOTAS})"
    return [f"--env: the task definition has {length} bytes, {limit}; keep long values elsewhere"]


def notes(plan: Plan, options: Options) -> list[str]:
    """Return what the user must know or do besides."""
    return [
        *_tmp_notes(plan.workload, options),
        *_role_notes(plan.workload, options),
        *_app_notes(plan, options),
        *_sidecar_notes(plan),
        f"the log group {options.log_group} must exist: nothing here makes it",
    ]


_WRITABLE = (
    "the root filesystem stays writable: split-proxy makes its database in /tmp, and a task volume "
    "there is root's and 0755 unless the image declares VOLUME /tmp; if it does, --tmp-volume "
    "mounts one and makes the root read-only"
)
_VOLUME = (
    "--tmp-volume: the image must declare VOLUME /tmp, else that directory is root's and 0755, and "
    "user {uid} cannot write there"
)
_UNCHECKED = (
    "{app} has no health check: ECS reports a task as UNKNOWN while an essential container has "
    "none, so give it one"
)
_SHORT = (
    "{app} waits {longest} s, Fargate's longest startTimeout, though a start may take {seconds} s"
)


def _tmp_notes(workload: Workload, options: Options) -> list[str]:
    if not _is_readonly(workload, options):
        return [_WRITABLE]
    return [_VOLUME.format(uid=workload.uid)] if options.tmp_volume else []


# Which permission fetches which kind of secret, by a part of its ARN.
_PERMISSIONS = {":secretsmanager:": "secretsmanager:GetSecretValue", ":ssm:": "ssm:GetParameters"}


def _role_notes(workload: Workload, options: Options) -> list[str]:
    found = []
    for part, permission in _PERMISSIONS.items():
        if arns := sorted({arn for arn in workload.secrets.values() if part in arn}):
            found.append(
                f"the execution role needs {permission} on {', '.join(arns)}: the managed policy "
                "AmazonECSTaskExecutionRolePolicy does not include it"
            )
    if options.ecs_exec:
        found.append(
            "--ecs-exec: the task role needs ssmmessages:CreateControlChannel, "
            "ssmmessages:CreateDataChannel, ssmmessages:OpenControlChannel and "
            "ssmmessages:OpenDataChannel; a shell: `aws ecs execute-command --interactive "
            '--command "/bin/bash"`'
        )
    return found


_NO_CHECK = (
    "--no-check: {name} stays without a health check, and ECS reports a task as UNKNOWN while an "
    "essential container has none; {sidecar} alone has the verdict"
)


def _sidecar_notes(plan: Plan) -> list[str]:
    if plan.sidecar is None:
        return []
    found = sidecar.notes(plan)
    if plan.sidecar.only:
        found.append(_NO_CHECK.format(name=plan.workload.name, sidecar=sidecar.NAME))
    return found


def _awaited(plan: Plan) -> Timings:
    """Return how the container is checked that the application waits for."""
    if plan.sidecar and plan.sidecar.only:
        return plan.sidecar.division.sidecar
    return plan.health.timings


def _app_notes(plan: Plan, options: Options) -> list[str]:
    if not options.app:
        return []
    app, longest, seconds = (
        options.app.name,
        fargate.MAX_TIMEOUT,
        math.ceil(startup(_awaited(plan))),
    )
    found = [_UNCHECKED.format(app=app)]
    if options.is_fargate and seconds > longest:
        found.append(_SHORT.format(app=app, longest=longest, seconds=seconds))
    return found
