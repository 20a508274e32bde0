"""The HEALTHCHECK instruction for a Dockerfile.

Dockerfile reference, HEALTHCHECK. In exec form, since an image without a shell runs no other; on
two lines, since JSON in a Dockerfile must stand on one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from probe.manifests import command
from probe.manifests.spec import Delivery
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.platforms.durations import Seconds
from probe.platforms.durations import go_duration
from probe.platforms.durations import parse_go_duration
from probe.platforms.rows import DOCKER
from probe.platforms.timings import Timings

_LOG = "ENV HEALTHCHECK_LOG=1"
_HEADER = """\
# Docker and Compose alone heed this: ECS and Kubernetes ignore an image's HEALTHCHECK, and a build
# in OCI format (podman's and buildah's default) drops it: podman build --format docker.
"""
_SCRIPT = """\
# The image needs /bin/bash and the script (probe script > healthcheck.sh):
#   COPY --chmod=0755 healthcheck.sh /healthcheck.sh
"""
_INLINE = "# The image needs /bin/bash.\n"
_CONTINUATION = re.compile(r"\\[ \t]*\n")
_CHECK = re.compile(r"HEALTHCHECK\s+(?P<flags>(?:--\S+\s+)*)CMD\s+(?P<words>\[.*\])\s*")
_FLAG = re.compile(r"--([a-z-]+)=(\S+)")
_TAG = re.compile(r"(?P<name>.*?)(?::(?P<tag>[^:/@]+))?(?P<digest>@.+)?")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing: what is in the image stands in the rest of the Dockerfile."""


def build(plan: Plan, options: Options) -> list[str]:
    """Return the instructions: FROM where an image is named, ENV where it logs, HEALTHCHECK."""
    del options
    workload, health = plan.workload, plan.health
    return [
        *([f"FROM {workload.image}"] if workload.image else []),
        *([_LOG] if health.log else []),
        _health_check(plan),
    ]


def render(plan: Plan, options: Options) -> str:
    inline = plan.health.delivery is Delivery.INLINE
    lines = "".join(f"{instruction}\n" for instruction in build(plan, options))
    return _HEADER + (_INLINE if inline else _SCRIPT) + lines


def _health_check(plan: Plan) -> str:
    words = command.argv(plan.workload, plan.health, plan.inline, name_port=True)
    return f"HEALTHCHECK {_flags(plan.health.timings)} \\\n  CMD {json.dumps(words)}"


def _flags(timings: Timings) -> str:
    """Return the flags; without a start period of 0, which builders before 2023 refuse."""
    values = {
        "interval": go_duration(timings.interval),
        "timeout": go_duration(timings.timeout),
        **({"start-period": go_duration(timings.start_period)} if timings.start_period else {}),
        "retries": str(timings.retries),
    }
    return " ".join(f"--{name}={value}" for name, value in values.items())


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why it cannot stand in a Dockerfile; nothing where it can."""
    del options
    found = command.run_problems(plan, "a Dockerfile")
    if re.search(r"[\s$#\\]", plan.workload.image):
        found.insert(
            0, f"--image {plan.workload.image!r}: no blanks, $, # or \\ in an image's name"
        )
    return found


def notes(plan: Plan, options: Options) -> list[str]:
    """Return what the user must know or do besides."""
    del options
    image = plan.workload.image
    found = ["an unhealthy container is only shown as such: Docker does not restart it"]
    if plan.health.delivery is Delivery.IMAGE:
        found.append(
            "the script comes by an instruction of yours: "
            "COPY --chmod=0755 healthcheck.sh /healthcheck.sh (probe script > healthcheck.sh)"
        )
    if not image:
        found.append("no --image: put the instructions into the last stage of your Dockerfile")
    elif _is_unpinned(image):
        found.append(f"--image {image}: a tag that moves (or none); another day builds another one")
    return found


def _is_unpinned(image: str) -> bool:
    found = cast("re.Match[str]", _TAG.fullmatch(image))
    return not found["digest"] and found["tag"] in {None, "latest"}


def read(text: str) -> tuple[Workload, HealthSpec]:
    """Return what a Dockerfile of ours was made of, of the workload the image and the port.

    It tells neither its name nor its settings; a port that is not the synchronizers' makes it
    generic. Raises SpecError where it is not ours.
    """
    lines = _CONTINUATION.sub(" ", text).splitlines()
    image = next((line.removeprefix("FROM ") for line in lines if line.startswith("FROM ")), "")
    check = next((found for line in lines if (found := _CHECK.fullmatch(line))), None)
    ours = command.read_argv(_words(check["words"])) if check else None
    if check is None or ours is None:
        raise SpecError(["no HEALTHCHECK of ours"])
    named = any(word.partition("=")[0] == "--port" for word in ours.options)
    kind = Kind.GENERIC if named else Kind.SYNC
    timings = _read_timings(dict(_FLAG.findall(check["flags"])))
    return (
        Workload(name="app", image=image, kind=kind, port=ours.port),
        HealthSpec(timings, ours.path, ours.expect, ours.delivery, log=_LOG in lines),
    )


def _words(text: str) -> list[str]:
    try:
        words = json.loads(text)
    except ValueError as error:
        raise SpecError([f"HEALTHCHECK: not in exec form: {error}"]) from error
    return [word for word in words if isinstance(word, str)]


def _read_timings(flags: Mapping[str, str]) -> Timings:
    """Return the timings; a flag that is not there has Docker's default."""

    def seconds(flag: str, default: Seconds) -> Seconds:
        return parse_go_duration(flags[flag]) if flag in flags else default

    try:
        return Timings(
            interval=seconds("interval", DOCKER.interval.default),
            timeout=seconds("timeout", DOCKER.timeout.default),
            retries=int(flags.get("retries", DOCKER.retries.default)),
            start_period=seconds("start-period", DOCKER.start_period.default),
        )
    except ValueError as error:
        raise SpecError([f"HEALTHCHECK: {error}"]) from error
