"""What AWS Fargate takes: sizes of tasks, bounds of timeouts, and what it does not take at all."""

from typing import NamedTuple

# Amazon ECS API reference, RegisterTaskDefinition `memory`: which MiB go with which CPU units.
# 8192 and 16384 need Linux platform 1.4.0, which is what LATEST means.
SIZES: dict[int, range | tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
SIZES_SOURCE = "Amazon ECS API reference, RegisterTaskDefinition"

# Amazon ECS API reference, ContainerDefinition startTimeout and stopTimeout: "The valid values for
# Fargate are 2-120 seconds".
MIN_TIMEOUT = 2
MAX_TIMEOUT = 120

# AWS Fargate developer guide, "Amazon ECS task definition differences for Fargate"; the API
# reference says it of privileged and dockerSecurityOptions itself.
UNSUPPORTED = frozenset(
    {
        "disableNetworking",
        "dnsSearchDomains",
        "dnsServers",
        "dockerSecurityOptions",
        "extraHosts",
        "links",
        "privileged",
    }
)
# Amazon ECS API reference, LinuxParameters. tmpfs stood there until January 2026
# (aws/containers-roadmap#736), so not every region and platform version can be relied on for it.
UNSUPPORTED_LINUX = frozenset({"devices", "maxSwap", "sharedMemorySize", "swappiness"})


class Size(NamedTuple):
    """A task's CPU in units (1024 are a vCPU) and memory in MiB."""

    cpu: int
    memory: int


def is_valid(size: Size) -> bool:
    return size.memory in SIZES.get(size.cpu, ())


def nearest(size: Size) -> Size:
    """Return the smallest size that holds what was asked for, or else the largest."""
    for cpu, memories in SIZES.items():
        if cpu >= size.cpu:
            for memory in memories:
                if memory >= size.memory:
                    return Size(cpu, memory)
    cpu, memories = list(SIZES.items())[-1]
    return Size(cpu, memories[-1])


def bounded_timeout(seconds: float) -> int:
    """Return whole seconds for startTimeout or stopTimeout: as asked where Fargate takes that."""
    return min(max(round(seconds), MIN_TIMEOUT), MAX_TIMEOUT)
