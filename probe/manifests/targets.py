"""The targets of `probe generate` as rows, and the way from options to text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
from fractions import Fraction
from typing import Any
from typing import Protocol

from probe.manifests import cloudformation
from probe.manifests import compose
from probe.manifests import dockerfile
from probe.manifests import ecs
from probe.manifests import helm
from probe.manifests import kubernetes
from probe.manifests import kustomize
from probe.manifests import terraform
from probe.manifests.command import run_problems
from probe.manifests.describe import Units
from probe.manifests.describe import health_spec
from probe.manifests.describe import remarks
from probe.manifests.describe import sidecar
from probe.manifests.describe import workload
from probe.manifests.options import WHOLE
from probe.manifests.options import Value
from probe.manifests.options import parse_values
from probe.manifests.spec import Dependent
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.platforms import rows
from probe.platforms.rows import Platform

Files = dict[str, str]
"""Texts by their path below the output folder."""

_ECS_UNITS = Units(Fraction(1, 1024), Fraction(1))
_OTHER_UNITS = Units(Fraction(1), Fraction(1, 2**20))


class Format(Protocol):
    """What each format's module gives; `Options` is what its platform alone knows."""

    Options: type[Any]

    def render(self, plan: Plan, options: Any, /) -> str | Files: ...
    def problems(self, plan: Plan, options: Any, /) -> list[str]: ...
    def notes(self, plan: Plan, options: Any, /) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Target:
    """One row; `output` is the file, or the folder where it ends with a slash."""

    name: str
    platform: Platform
    format: Format
    output: str
    units: Units = _OTHER_UNITS


TARGETS = {
    row.name: row
    for row in (
        Target("ecs", rows.ECS, ecs, "ecs.json", _ECS_UNITS),
        Target("cloudformation", rows.ECS, cloudformation, "cloudformation.yaml", _ECS_UNITS),
        Target("terraform", rows.ECS, terraform, "terraform.tf.json", _ECS_UNITS),
        Target("kubernetes", rows.KUBERNETES, kubernetes, "kubernetes.yaml"),
        Target("kustomize", rows.KUBERNETES, kustomize, "kustomize/"),
        Target("helm", rows.KUBERNETES, helm, "helm/"),
        Target("compose", rows.COMPOSE, compose, "compose.yaml"),
        Target("dockerfile", rows.DOCKER, dockerfile, "Dockerfile"),
    )
}


@dataclass(frozen=True, slots=True)
class Script:
    """healthcheck.sh and its one-argument form."""

    text: str
    inline: str

    @property
    def sidecar_image(self) -> str:
        """The image of the same version, by the line that tells old copies of the script."""
        found = re.search(r"^# healthcheck (\S+)", self.text, re.MULTILINE)
        return f"split-probe:{found[1]}" if found else "split-probe"


@dataclass(frozen=True, slots=True)
class Made:
    """What a target makes of a description: its text or files, and notes for the user."""

    content: str | Files
    notes: list[str]


def make(target: Target, given: Mapping[str, Value], script: Script) -> Made:
    """Make a target's documents of options as given. Raises SpecError with every fault."""
    plan, options = plan_for(target, given, script)
    notes = remarks(plan.workload) if target.name in WHOLE else []
    if given.get("healthcheck-only"):
        return Made(ecs.render_health_check(plan), [])
    return Made(target.format.render(plan, options), [*notes, *target.format.notes(plan, options)])


def plan_for(target: Target, given: Mapping[str, Value], script: Script) -> tuple[Plan, Any]:
    """Return the plan and the platform's own options. Raises SpecError with every fault."""
    problems: list[str] = []
    values = parse_values(given, problems)
    bare = values.get("healthcheck-only") is True
    if target.name in WHOLE and not bare and "image" not in values and not given.get("image"):
        problems.append("--image: needed: the image to run")
    described = workload(values, target.units, problems)
    health = health_spec(values, target.platform, problems)
    if "app-name" in values and "app-image" not in given:
        problems.append("--app-name: there is no application without --app-image")
    options = _options(target, values, described)
    beside = None if bare else sidecar(values, target.platform, problems, script.sidecar_image)
    plan = Plan(described, health, script.text, script.inline, beside)
    if not problems:
        problems += run_problems(plan, "ECS") if bare else target.format.problems(plan, options)
    if problems:
        raise SpecError(problems)
    return plan, options


def _options(target: Target, values: Mapping[str, Any], described: Workload) -> Any:
    """Fill the platform's options from the values of the same names."""
    named = {name.replace("-", "_"): value for name, value in values.items()}
    if target.platform is rows.ECS:
        named = _ecs_defaults(described) | named
    if "app-image" in values:
        named["app"] = Dependent(values.get("app-name", "app"), values["app-image"])
    known = [field.name for field in fields(target.format.Options)]
    return target.format.Options(**{name: named[name] for name in known if name in named})


def _ecs_defaults(described: Workload) -> dict[str, Any]:
    """Return the log group by the usual name, and the region that the secrets are in."""
    regions = [arn.split(":")[3] for arn in described.secrets.values() if arn.count(":") > 4]  # noqa: PLR2004 # arn:partition:service:region:account:resource
    return {"log_group": f"/ecs/{described.name}"} | ({"region": regions[0]} if regions else {})
