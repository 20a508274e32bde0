"""A kustomize component that puts the probes into an existing Deployment.

A folder: kustomization.yaml, the patch probes.yaml, and for --script configmap healthcheck.sh.
`$patch: replace` and null take away what stood there before, be it another handler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from probe.manifests import command
from probe.manifests import emit
from probe.manifests.kubernetes import SCRIPT_FILE
from probe.manifests.kubernetes import handler_notes
from probe.manifests.kubernetes import name_problems
from probe.manifests.kubernetes import probe_problems
from probe.manifests.kubernetes import read_health
from probe.manifests.kubernetes import read_variables
from probe.manifests.kubernetes import script_mount
from probe.manifests.kubernetes import script_volume
from probe.manifests.kubernetes_probes import PORT_NAME
from probe.manifests.kubernetes_probes import PROBES
from probe.manifests.kubernetes_probes import Probe
from probe.manifests.kubernetes_probes import probes
from probe.manifests.kubernetes_probes import read_call
from probe.manifests.kubernetes_probes import read_probes
from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import environment
from probe.manifests.spec import kind_of
from probe.manifests.spec import read_environment

Document = dict[str, Any]
Files = dict[str, str]

KUSTOMIZATION = "kustomization.yaml"
PATCH = "probes.yaml"


@dataclass(frozen=True, slots=True)
class Options:
    """A component knows nothing besides the health check."""


def render(plan: Plan, options: Options) -> Files:
    return build(plan, options)


def build(plan: Plan, options: Options) -> Files:
    """Return the folder: texts by their names."""
    del options
    is_mounted = plan.health.delivery is Delivery.CONFIGMAP
    return {
        KUSTOMIZATION: emit.to_yaml(_kustomization(plan), header=_usage(plan)),
        PATCH: emit.to_yaml(_patch(plan)),
        **({SCRIPT_FILE: plan.script} if is_mounted else {}),
    }


def _usage(plan: Plan) -> str:
    name = plan.workload.name
    return f"""\
Puts health checks into the container {name} of the Deployment {name}.
Name this folder in the kustomization.yaml that has the Deployment:

  components:
    - ./path/to/this/folder

Where the Deployment has another name than its container, change the target's name below.
"""


def _config_map(plan: Plan) -> str:
    return f"{plan.workload.name}-healthcheck"


def _kustomization(plan: Plan) -> Document:
    generator = [{"name": _config_map(plan), "files": [SCRIPT_FILE]}]
    is_mounted = plan.health.delivery is Delivery.CONFIGMAP
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        **({"configMapGenerator": generator} if is_mounted else {}),
        "patches": [
            {"path": PATCH, "target": {"kind": "Deployment", "name": plan.workload.name}},
        ],
    }


def _patch(plan: Plan) -> Document:
    volumes = [script_volume(_config_map(plan))]
    is_mounted = plan.health.delivery is Delivery.CONFIGMAP
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": plan.workload.name},
        "spec": {
            "template": {
                "spec": {
                    "enableServiceLinks": False,
                    "containers": [_container(plan)],
                    **({"volumes": volumes} if is_mounted else {}),
                }
            }
        },
    }


def _container(plan: Plan) -> Document:
    variables = _variables(plan)
    mounts = [script_mount()] if plan.health.delivery is Delivery.CONFIGMAP else []
    made = probes(plan, name_port=True)
    return {
        "name": plan.workload.name,
        **({"env": variables} if variables else {}),
        **{key: _replacing(made.get(key), plan) for key in PROBES},
        **({"volumeMounts": mounts} if mounts else {}),
    }


def _variables(plan: Plan) -> list[Document]:
    """Return the variables that the check needs; the port stays as the Deployment has it."""
    return [
        {"name": name, "value": command.double_dollars(value), "valueFrom": None}
        for name, value in environment(plan.workload, plan.health).items()
        if name != f"{plan.workload.prefix}ADMIN_PORT"
    ]


def _replacing(probe: Probe | None, plan: Plan) -> Document | None:
    """Return what takes the place of a probe; None takes it away.

    The kubelet asks by number: a name would rename a port that Services may ask by its own.
    """
    if probe is None:
        return None
    patch = {"$patch": "replace", **probe}
    if "httpGet" in probe:
        patch["httpGet"] = probe["httpGet"] | {"port": plan.workload.port}
    return patch


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why the probes cannot be put into a Deployment; nothing where they can."""
    del options
    return [*name_problems(plan.workload), *probe_problems(plan)]


def notes(plan: Plan, options: Options) -> list[str]:
    """Return what the user must know or do besides."""
    del options
    workload, health = plan.workload, plan.health
    where = f"it patches container {workload.name} of Deployment {workload.name}"
    found = [
        f"{where}: --name is the container's, the Deployment's stands in {KUSTOMIZATION}",
        *handler_notes(plan),
    ]
    if health.handler is Handler.HTTP:
        found.append(
            f"no NetworkPolicy limits port {workload.port}, for a component does not know the "
            "pods' labels; with admin TLS, scheme in probes.yaml must be HTTPS"
        )
    elif health.delivery is Delivery.IMAGE:
        found.append(
            f"the image must hold {command.SCRIPT_PATH}; --script configmap mounts it, --inline "
            "needs none"
        )
    return found


def read(files: Mapping[str, str]) -> tuple[Workload, HealthSpec]:
    """Return what a component of ours was made of; of the workload, what it holds.

    Raises SpecError where it is not ours.
    """
    try:
        return _read(files)
    except (KeyError, TypeError, ValueError, AttributeError, YAMLError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError([f"no component of ours: {error!r}"]) from error


def _read(files: Mapping[str, str]) -> tuple[Workload, HealthSpec]:
    patch = YAML(typ="safe", pure=True).load(files[PATCH])
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    variables, _ = read_variables(container.get("env", []))
    kind = kind_of(set(variables))
    found = read_environment(variables, kind)
    port, named = _by_name(container)
    timings = read_probes(named)
    if timings is None:
        raise SpecError([f"the probes in {PATCH} are not ours"])
    health = read_health(named, timings, log=found.log)
    workload = Workload(
        name=container["name"],
        image="",
        kind=kind,
        port=port,
        settings=found.settings,
        expose_admin=found.exposed and health.handler is Handler.EXEC,
    )
    return workload, health


def _by_name(container: Probe) -> tuple[int, Probe]:
    """Return the port that is asked, and the container with httpGet as `probes` made it."""
    live = container["livenessProbe"]
    if request := live.get("httpGet"):
        named = {**live, "httpGet": {**request, "port": PORT_NAME}}
        return request["port"], {**container, "livenessProbe": named}
    ours = read_call(container)
    return ours.port if ours else ADMIN_PORT, container
