"""A small Helm chart: the documents of `kubernetes`, with values and a schema for them.

Installed under the chart's own name it gives the same objects, but for Helm's labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from probe.manifests import chart
from probe.manifests import emit
from probe.manifests import kubernetes
from probe.manifests.kubernetes import Document
from probe.manifests.kubernetes_probes import PROBES
from probe.manifests.spec import Delivery
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import environment

Files = dict[str, str]

VALUES = "values.yaml"
CHART = "Chart.yaml"
_VERSION = "0.1.0"
# NetworkPolicy's endPort, which every other port needs, is stable since then.
_KUBERNETES = ">=1.25.0-0"
_HEADER = """\
env are plain variables, taken as they stand; secrets name a Secret and a key in it.
service without ports makes no Service. mountScript brings healthcheck.sh into an image that
has bash but not the script. networkPolicy limits one port to `from` (NetworkPolicy peers) and
leaves every other port as it is; the kubelet of a pod's own node always comes through.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """As for Kubernetes, but the namespace: Helm has `--namespace` for it."""

    replicas: int = 1
    admin_from: tuple[str, ...] = ()
    tmp_size: int = 128

    @property
    def kubernetes(self) -> kubernetes.Options:
        return kubernetes.Options(None, self.replicas, self.admin_from, self.tmp_size)


def render(plan: Plan, options: Options) -> Files:
    return build(plan, options)


def build(plan: Plan, options: Options) -> Files:
    """Return the chart: texts by their paths."""
    return {
        CHART: emit.to_yaml(_chart(plan.workload)),
        VALUES: emit.to_yaml(values(plan, options), header=_HEADER),
        "values.schema.json": emit.to_json(chart.schema()),
        **chart.templates(plan.workload.name),
        chart.SCRIPT: plan.script,
    }


def _chart(workload: Workload) -> Document:
    tag = _image(workload.image)["tag"]
    return {
        "apiVersion": "v2",
        "name": workload.name,
        "description": f"{workload.name} with health checks",
        "type": "application",
        "version": _VERSION,
        **({"appVersion": tag} if tag else {}),
        "kubeVersion": _KUBERNETES,
    }


def values(plan: Plan, options: Options) -> Document:
    """Return the chart's values: what may differ between releases, as `kubernetes` makes it."""
    workload = plan.workload
    documents = kubernetes.build(plan, options.kubernetes)
    deployment = _spec(documents, "Deployment")
    pod = deployment["template"]["spec"]
    container = pod["containers"][0]
    return {
        "fullnameOverride": "",
        "replicas": options.replicas,
        "image": {**_image(workload.image), "pullPolicy": container["imagePullPolicy"]},
        "imagePullSecrets": [],
        "podAnnotations": {},
        "nodeSelector": {},
        "tolerations": [],
        "affinity": {},
        "user": workload.uid,
        "env": environment(workload, plan.health),
        "secrets": kubernetes.secret_references(workload),
        "ports": container.get("ports", []),
        "resources": container["resources"],
        "probes": {key: container[key] for key in PROBES if key in container},
        "terminationGracePeriodSeconds": pod["terminationGracePeriodSeconds"],
        "progressDeadlineSeconds": deployment["progressDeadlineSeconds"],
        "tmp": {"enabled": workload.needs_tmp, "sizeLimit": f"{options.tmp_size}Mi"},
        "mountScript": plan.health.delivery is Delivery.CONFIGMAP,
        "service": {
            "type": "ClusterIP",
            "ports": _spec(documents, "Service").get("ports", []),
        },
        "networkPolicy": {
            "enabled": kubernetes.limits_admin(plan, options.kubernetes),
            "port": workload.port,
            "from": list(map(kubernetes.peer, options.admin_from)),
        },
    }


def _spec(documents: list[Document], kind: str) -> Document:
    """Return the spec of the document of a kind; empty where there is none."""
    return next((document["spec"] for document in documents if document["kind"] == kind), {})


def _image(reference: str) -> dict[str, str]:
    """Take an image's reference apart, as those who update charts look for it."""
    named, _, digest = reference.partition("@")
    repository, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:  # a port of the registry
        repository, tag = named, ""
    return {"repository": repository, "tag": tag, "digest": digest}


def _reference(image: Mapping[str, str]) -> str:
    tag = image["tag"] and f":{image['tag']}"
    digest = image["digest"] and f"@{image['digest']}"
    return f"{image['repository']}{tag}{digest}"


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why it cannot be deployed on Kubernetes; nothing where it can."""
    return kubernetes.problems(plan, options.kubernetes)


def notes(plan: Plan, options: Options) -> list[str]:
    """Return what the user must know or do besides."""
    return kubernetes.notes(plan, options.kubernetes)


def read(files: Mapping[str, str]) -> tuple[Workload, HealthSpec]:
    """Return what a chart of ours was made of. Raises SpecError where it is not ours."""
    try:
        name = _load(files[CHART])["name"]
        return kubernetes.read(_documents(name, _load(files[VALUES])))
    except (KeyError, TypeError, ValueError, AttributeError, YAMLError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError([f"no chart of ours: {error!r}"]) from error


def _load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _documents(name: str, found: Document) -> list[Document]:
    """Return what the templates make of the values, as far as it is read back."""
    mounts = [kubernetes.script_mount()] if found["mountScript"] else []
    container = {
        "name": name,
        "image": _reference(found["image"]),
        "env": kubernetes.variables(found["env"], found["secrets"]),
        "ports": found["ports"],
        "resources": found["resources"],
        "volumeMounts": mounts,
        **found["probes"],
    }
    pod = {"securityContext": {"runAsUser": found["user"]}, "containers": [container]}
    return [
        {"kind": "Deployment", "spec": {"template": {"spec": pod}}},
        {"kind": "Service", "spec": {"ports": found["service"]["ports"]}},
    ]
