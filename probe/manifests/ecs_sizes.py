"""How a task's CPU and memory are shared out, and which sizes ECS takes."""

import math
from fractions import Fraction

from probe.manifests import sidecar
from probe.manifests.ecs_options import Options
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.platforms import fargate
from probe.platforms.resources import UNITS_PER_VCPU

# RegisterTaskDefinition `cpu`, on EC2: "between 128 CPU units and 196608 CPU units".
EC2_TASK_CPU = range(128, 196608 + 1)
# ContainerDefinition `cpu` and `memory`: the least that Linux and Docker 20.10 take.
MIN_CONTAINER_CPU = 2
MIN_CONTAINER_MEMORY = 6
# Units: a share that counts only where the others leave nothing; a check a second takes far less.
SIDECAR_CPU = 32


def _units(workload: Workload) -> int:
    return math.ceil(workload.cpu * UNITS_PER_VCPU)


def container_size(plan: Plan, options: Options) -> dict[str, int]:
    """Return a container's share of the task: all of it, or a soft half beside an application.

    What a sidecar has is taken off first.
    """
    cpu, memory = _units(plan.workload), plan.workload.memory
    if plan.sidecar:
        cpu, memory = cpu - SIDECAR_CPU, memory - sidecar.MEMORY
    if options.app:
        return {"cpu": cpu // 2, "memoryReservation": memory // 2}
    return {"cpu": cpu, "memory": memory}


def task_size(workload: Workload, options: Options) -> dict[str, str]:
    """Return the task's CPU and memory; on EC2 a small CPU stands with the container alone."""
    units = _units(workload)
    has_cpu = options.is_fargate or units in EC2_TASK_CPU
    return {**({"cpu": str(units)} if has_cpu else {}), "memory": str(workload.memory)}


_SIZE = (
    "--cpu {cpu} with --memory {memory} is no size that {taker} takes ({source}); "
    "nearest that fits: --cpu {fits.cpu} --memory {fits.memory}"
)


def size_problems(plan: Plan, options: Options) -> list[str]:
    """Return why the task would be refused for its size, with the nearest that is not."""
    workload = plan.workload
    cpu, memory = workload.cpu * UNITS_PER_VCPU, workload.memory
    fits = _fargate_fit(workload) if options.is_fargate else _ec2_fit(plan, options)
    if cpu == fits.cpu and memory == fits.memory:
        return []
    taker = "Fargate" if options.is_fargate else "ECS on EC2"
    source = fargate.SIZES_SOURCE
    return [_SIZE.format(cpu=_plain(cpu), memory=memory, taker=taker, source=source, fits=fits)]


def _fargate_fit(workload: Workload) -> fargate.Size:
    return fargate.nearest(fargate.Size(_units(workload), workload.memory))


def _ec2_fit(plan: Plan, options: Options) -> fargate.Size:
    """Return what is asked for within the limits; several containers share what the task has."""
    workload, shared = plan.workload, 2 if options.app else 1
    least = EC2_TASK_CPU[0] if options.app or plan.sidecar else MIN_CONTAINER_CPU
    cpu = min(max(_units(workload), least), EC2_TASK_CPU[-1])
    memory = MIN_CONTAINER_MEMORY * shared + (sidecar.MEMORY if plan.sidecar else 0)
    return fargate.Size(cpu, max(workload.memory, memory))


def _plain(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):g}"
