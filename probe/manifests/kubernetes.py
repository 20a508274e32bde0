"""A Deployment and what goes with it: ServiceAccount, Service, ConfigMap, NetworkPolicy.

Field names: Kubernetes API reference, apps/v1, core/v1, networking.k8s.io/v1. The pods keep to the
restricted Pod Security Standard.
"""

import hashlib
import ipaddress
import math
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from typing import NamedTuple

from probe.manifests import command
from probe.manifests import emit
from probe.manifests import kubernetes_sidecar
from probe.manifests.kubernetes_probes import PORT_NAME
from probe.manifests.kubernetes_probes import has_tls
from probe.manifests.kubernetes_probes import probes
from probe.manifests.kubernetes_probes import read_call
from probe.manifests.kubernetes_probes import read_probes
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import environment
from probe.manifests.spec import kind_of
from probe.manifests.spec import read_environment
from probe.platforms.resources import parse_cpu
from probe.platforms.resources import parse_memory
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import Timings
from probe.platforms.timings import startup
from probe.synchronizer.settings import TRUE

Document = dict[str, Any]

NAME_LABEL = "app.kubernetes.io/name"
TRAFFIC_PORT = "traffic"
VOLUME = "healthcheck"
SCRIPT_FILE = "healthcheck.sh"

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_TMP = "/tmp"  # noqa: S108 # where split-proxy makes its database, not a file of ours
_READ_EXECUTE = 0o555
_LAST_PORT = 65535
_MILLI = 1000
# Deployment.spec.progressDeadlineSeconds: the default, below which we never are.
_PROGRESS_DEADLINE = 600

# k8s.io/apimachinery pkg/util/validation: IsDNS1035Label (Services before 1.34),
# IsDNS1123Subdomain, IsConfigMapKey, IsQualifiedName, IsValidLabelValue.
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_PART}(?:\.{_PART})*")
_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[-._a-zA-Z0-9]{1,253}")
_WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_POD_LABEL = re.compile(rf"((?:{_PART}(?:\.{_PART})*/)?{_WORD})=({_WORD}|)")
# What the kubelet asks for as it stands: it parses the path as a reference (pkg/probe/http
# formatURL), so that `//a/b` would be /b of a host, `#` the end, and `"` %22.
_HTTP_PATH = re.compile(r"/(?!/)(?:[A-Za-z0-9/._~!$&'()*+,;=:@?-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class Options:
    """What Kubernetes alone knows. `tmp_size` is in MiB.

    `admin_from` are who may reach the admin port: CIDR, LABEL=VALUE of pods, namespace:NAME.
    """

    namespace: str | None = None
    replicas: int = 1
    admin_from: tuple[str, ...] = ()
    tmp_size: int = 128


def render(plan: Plan, options: Options) -> str:
    return emit.to_yaml(*build(plan, options))


def build(plan: Plan, options: Options) -> list[Document]:
    """Return the documents in the order in which they are to be made."""
    documents = [
        _service_account(plan),
        *([_config_map(plan)] if plan.health.delivery is Delivery.CONFIGMAP else []),
        _deployment(plan, options),
        *([_service(plan)] if plan.workload.published_ports else []),
        *([_network_policy(plan, options)] if limits_admin(plan, options) else []),
    ]
    for document in documents:
        if options.namespace:
            document["metadata"]["namespace"] = options.namespace
    return documents


def _metadata(plan: Plan, name: str) -> Document:
    return {"name": name, "labels": _labels(plan)}


def _labels(plan: Plan) -> dict[str, str]:
    return {NAME_LABEL: plan.workload.name}


def _service_account(plan: Plan) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(plan, plan.workload.name),
        "automountServiceAccountToken": False,
    }


def config_map_name(name: str, script: str) -> str:
    """Return a name that changes with the script, so that pods are replaced when it does."""
    return f"{name}-healthcheck-{hashlib.sha256(script.encode()).hexdigest()[:10]}"


def _config_map(plan: Plan) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(plan, config_map_name(plan.workload.name, plan.script)),
        "data": {SCRIPT_FILE: plan.script},
    }


def _deployment(plan: Plan, options: Options) -> Document:
    labels = _labels(plan)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(plan, plan.workload.name),
        "spec": {
            "replicas": options.replicas,
            "progressDeadlineSeconds": _progress_deadline(plan),
            "selector": {"matchLabels": labels},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": {"metadata": {"labels": dict(labels)}, "spec": _pod(plan, options)},
        },
    }


def _progress_deadline(plan: Plan) -> int:
    """Return how long a roll-out may stand still: longer than one start takes."""
    timings = plan.sidecar.division.sidecar if plan.sidecar else plan.health.timings
    longest = math.ceil(startup(timings)) + _PROGRESS_DEADLINE
    return min(longest, KUBERNETES.interval.maximum)


def _pod(plan: Plan, options: Options) -> Document:
    workload = plan.workload
    volumes = [volume for volume, _ in _mounts(plan, options)]
    return {
        "serviceAccountName": workload.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": workload.stop_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": workload.uid,
            "runAsGroup": workload.uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"initContainers": [kubernetes_sidecar.container(plan)]} if plan.sidecar else {}),
        "containers": [_container(plan, options)],
        **({"volumes": volumes} if volumes else {}),
    }


def _container(plan: Plan, options: Options) -> Document:
    workload = plan.workload
    ports = container_ports(plan)
    env = _variables(plan)
    mounts = [mount for _, mount in _mounts(plan, options)]
    return {
        "name": workload.name,
        "image": workload.image,
        "imagePullPolicy": "IfNotPresent",
        **({"env": env} if env else {}),
        **({"ports": ports} if ports else {}),
        "resources": _resources(workload),
        "securityContext": dict(kubernetes_sidecar.RESTRICTED),
        **(kubernetes_sidecar.workload_probes(plan) if plan.sidecar else probes(plan)),
        **({"volumeMounts": mounts} if mounts else {}),
    }


def _variables(plan: Plan) -> list[Document]:
    workload = plan.workload
    return variables(environment(workload, plan.health), secret_references(workload))


def variables(plain: Mapping[str, str], secrets: Mapping[str, Document]) -> list[Document]:
    """Return a container's variables; Kubernetes expands `$(NAME)` in a plain one's value."""
    return [
        *({"name": name, "value": command.double_dollars(text)} for name, text in plain.items()),
        *(
            {"name": name, "valueFrom": {"secretKeyRef": reference}}
            for name, reference in secrets.items()
        ),
    ]


def secret_references(workload: Workload) -> dict[str, Document]:
    """Return the Secret's name and key of each secret variable."""
    found = {}
    for name, reference in sorted(workload.secrets.items()):
        secret, _, key = reference.partition(":")
        found[name] = {"name": secret, "key": key}
    return found


def container_ports(plan: Plan) -> list[Document]:
    """Return the ports that the kubelet or a Service asks by name, each once."""
    return [
        {"name": _port_name(plan, port), "containerPort": port, "protocol": "TCP"}
        for port in _open_ports(plan)
    ]


def _open_ports(plan: Plan) -> tuple[int, ...]:
    published, port = plan.workload.published_ports, plan.workload.port
    asked = plan.health.handler is Handler.HTTP and port not in published
    return (*published, port) if asked else published


def _port_name(plan: Plan, port: int) -> str:
    """Return a port's name in the container: the kubelet's goes first where clients share it."""
    workload = plan.workload
    is_traffic = port == workload.traffic_port
    if port == workload.port and (plan.health.handler is Handler.HTTP or not is_traffic):
        return PORT_NAME
    return TRAFFIC_PORT


def _resources(workload: Workload) -> Document:
    """Return the requests, and a limit of memory alone: one of CPU would slow the probes down."""
    memory = f"{workload.memory}Mi"
    return {
        "requests": {"cpu": _cpu(workload.cpu), "memory": memory},
        "limits": {"memory": memory},
    }


def _cpu(cpu: Fraction) -> str:
    """Return a quantity in its canonical form, so that a diff with the cluster shows nothing."""
    return str(cpu) if cpu.denominator == 1 else f"{cpu * _MILLI}m"


def _mounts(plan: Plan, options: Options) -> list[tuple[Document, Document]]:
    """Return volumes with where they are mounted."""
    found = []
    if plan.workload.needs_tmp:
        size = f"{options.tmp_size}Mi"
        found.append(
            (
                {"name": "tmp", "emptyDir": {"sizeLimit": size}},
                {"name": "tmp", "mountPath": _TMP},
            )
        )
    if plan.health.delivery is Delivery.CONFIGMAP:
        name = config_map_name(plan.workload.name, plan.script)
        found.append((script_volume(name), script_mount()))
    return found


def script_volume(config_map: str) -> Document:
    return {"name": VOLUME, "configMap": {"name": config_map, "defaultMode": _READ_EXECUTE}}


def script_mount() -> Document:
    return {
        "name": VOLUME,
        "mountPath": command.SCRIPT_PATH,
        "subPath": SCRIPT_FILE,
        "readOnly": True,
    }


def _service(plan: Plan) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(plan, plan.workload.name),
        "spec": {
            "type": "ClusterIP",
            "selector": _labels(plan),
            "ports": [
                {
                    "name": TRAFFIC_PORT if port == plan.workload.traffic_port else PORT_NAME,
                    "port": port,
                    "targetPort": _port_name(plan, port),
                    "protocol": "TCP",
                }
                for port in plan.workload.published_ports
            ],
        },
    }


def limits_admin(plan: Plan, options: Options) -> bool:
    """Tell whether a NetworkPolicy limits the admin port.

    Not where clients use the same port, which it would cut; nor where the port is to be exposed to
    everyone.
    """
    workload = plan.workload
    is_open = plan.health.handler is Handler.HTTP or workload.expose_admin
    to_everyone = workload.expose_admin and not options.admin_from
    return is_open and not to_everyone and workload.port != workload.traffic_port


def _network_policy(plan: Plan, options: Options) -> Document:
    port = plan.workload.port
    named = {
        "from": list(map(peer, options.admin_from)),
        "ports": [{"protocol": "TCP", "port": port}],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(plan, plan.workload.name),
        "spec": {
            "podSelector": {"matchLabels": _labels(plan)},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": other_ports(port)}, *([named] if options.admin_from else [])],
        },
    }


def other_ports(port: int) -> list[Document]:
    """Return every port but one of TCP: they stay as open as they were without a policy."""
    ranges = [(1, port - 1), (port + 1, _LAST_PORT)]
    return [
        *(
            {"protocol": "TCP", "port": first, "endPort": last}
            for first, last in ranges
            if first <= last
        ),
        {"protocol": "UDP"},
        {"protocol": "SCTP"},
    ]


def peer(text: str) -> Document:
    """Read a peer: CIDR, LABEL=VALUE of pods, namespace:NAME. Raises ValueError."""
    kind, colon, name = text.partition(":")
    if kind == "namespace" and colon and _NAMESPACE.fullmatch(name):
        return {"namespaceSelector": {"matchLabels": {_NAMESPACE_LABEL: name}}}
    if label := _POD_LABEL.fullmatch(text):
        return {"podSelector": {"matchLabels": {label[1]: label[2]}}}
    try:
        return {"ipBlock": {"cidr": _cidr(text)}}
    except ValueError:
        raise ValueError(
            f"{text!r} is no CIDR such as 10.0.0.0/8, no LABEL=VALUE of pods, no namespace:NAME"
        ) from None


def _cidr(text: str) -> str:
    """Return a network as it stands. Raises ValueError."""
    if "/" not in text:
        raise ValueError(text)
    ipaddress.ip_network(text)
    return text


def problems(plan: Plan, options: Options) -> list[str]:
    """Return why it cannot be deployed on Kubernetes; nothing where it can."""
    return [
        *_name_problems(plan.workload, options),
        *_size_problems(plan.workload),
        *_secret_problems(plan.workload),
        *_peer_problems(plan, options),
        *(kubernetes_sidecar.problems(plan) if plan.sidecar else probe_problems(plan)),
    ]


def _name_problems(workload: Workload, options: Options) -> list[str]:
    found = name_problems(workload)
    if options.namespace is not None and not _NAMESPACE.fullmatch(options.namespace):
        found.append(
            f"--namespace {options.namespace!r}: up to 63 lower-case letters, digits and hyphens"
        )
    return found


def name_problems(workload: Workload) -> list[str]:
    """Return what is wrong with the name, which containers, Services and labels bear."""
    if _LABEL_1035.fullmatch(workload.name):
        return []
    wanted = "up to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last"
    return [f"--name {workload.name!r}: {wanted}"]


def _size_problems(workload: Workload) -> list[str]:
    if (workload.cpu * _MILLI).denominator == 1:
        return []
    nearest = max(1, round(workload.cpu * _MILLI))
    return [f"--cpu {float(workload.cpu)}: Kubernetes takes whole thousandths, such as {nearest}m"]


def _secret_problems(workload: Workload) -> list[str]:
    return [
        f"{_secret_option(workload, name)} {reference!r}: not SECRET:KEY, the name of a Secret and "
        "a key in it, such as split:apikey"
        for name, reference in workload.secrets.items()
        if not _is_secret(reference)
    ]


def _secret_option(workload: Workload, name: str) -> str:
    return "--apikey-secret" if name == f"{workload.prefix}APIKEY" else f"--secret {name}:"


def _is_secret(reference: str) -> bool:
    name, _, key = reference.partition(":")
    return bool(_SUBDOMAIN.fullmatch(name) and _KEY.fullmatch(key))


def _peer_problems(plan: Plan, options: Options) -> list[str]:
    found = []
    for text in options.admin_from:
        try:
            peer(text)
        except ValueError as error:
            found.append(f"--admin-from: {error}")
    if options.admin_from and not limits_admin(plan, options):
        found.append(f"--admin-from: {_why_no_policy(plan)}")
    return found


def _why_no_policy(plan: Plan) -> str:
    if plan.workload.port == plan.workload.traffic_port:
        return (
            f"health is asked on port {plan.workload.port}, which clients use too; leave it out, "
            "or give another --port"
        )
    return "only --handler http and --expose-admin open the admin port; leave it out"


def probe_problems(plan: Plan) -> list[str]:
    """Return why the kubelet could not run the probe, or would take another answer for healthy."""
    rules = _HTTP_RULES if plan.health.handler is Handler.HTTP else _EXEC_RULES
    return [rule.say(plan) for rule in rules if rule.holds(plan)]


class _Rule(NamedTuple):
    """What a handler cannot do: when, the option with its value, why and the way out."""

    holds: Callable[[Plan], bool]
    option: str
    why: str

    def say(self, plan: Plan) -> str:
        health, prefix = plan.health, plan.workload.prefix
        option = self.option.format(prefix=prefix, path=health.path, expect=health.expect)
        return f"{option}: {self.why}"


def _validates_clients(plan: Plan) -> bool:
    name = f"{plan.workload.prefix}ADMIN_TLS_CLIENT_VALIDATION"
    return has_tls(plan.workload) and plan.workload.settings.get(name) in TRUE


_EXEC_RULES = (
    _Rule(
        lambda plan: has_tls(plan.workload),
        "--env {prefix}ADMIN_TLS_ENABLED",
        "the shell probe cannot speak TLS; leave it out (the admin port is on loopback), use "
        "--handler http, or check from a container of its own with `probe check --tls`",
    ),
)
_NO_SCRIPT = "with --handler http no script runs; leave it out, or use --handler exec"
_HTTP_RULES = (
    _Rule(
        _validates_clients,
        "--env {prefix}ADMIN_TLS_CLIENT_VALIDATION",
        "the kubelet has no certificate to show; leave it out, or check from a container of its "
        "own with `probe check --tls --cert --key`",
    ),
    _Rule(
        lambda plan: plan.health.expect != "200",
        "--expect {expect}",
        "with --handler http the kubelet takes any code from 200 to 399; leave it out, or use "
        "--handler exec",
    ),
    _Rule(
        lambda plan: not _HTTP_PATH.fullmatch(plan.health.path),
        "--path {path}",
        "the kubelet would ask for another path than this; use --handler exec, or a path of "
        "letters, digits and the marks that stand in URLs",
    ),
    _Rule(lambda plan: plan.health.delivery is Delivery.INLINE, "--inline", _NO_SCRIPT),
    _Rule(
        lambda plan: plan.health.delivery is Delivery.CONFIGMAP, "--script configmap", _NO_SCRIPT
    ),
    _Rule(
        lambda plan: plan.health.log,
        "--log-failures",
        "with --handler http no script runs that could write; the pod's events have the reason",
    ),
)


def notes(plan: Plan, options: Options) -> list[str]:
    """Return what the user must know or do besides."""
    asked = kubernetes_sidecar.notes(plan) if plan.sidecar else handler_notes(plan)
    found = [*asked, *_policy_notes(plan, options)]
    if plan.workload.kind is Kind.GENERIC:
        found.append("the root file system is read-only: what the application writes needs volumes")
    return found


def handler_notes(plan: Plan) -> list[str]:
    """Return the price of the way in which health is asked."""
    workload = plan.workload
    if plan.health.handler is Handler.EXEC:
        price = (
            "each check starts bash in the container, which costs CPU time there and on the node"
        )
        return [f"{price}; --handler http costs less, but opens the port"]
    found = ["--handler http: the kubelet takes any code from 200 to 399 for healthy"]
    if workload.kind is not Kind.GENERIC:
        found.append(
            f"--handler http binds the admin port {workload.port} to every address of the pod; "
            "its stop endpoint needs no password by default"
        )
    return found


def _policy_notes(plan: Plan, options: Options) -> list[str]:
    port = plan.workload.port
    if limits_admin(plan, options):
        who = ", ".join(options.admin_from) or "nobody else"
        node = "the pod's own node (Kubernetes always lets the kubelet in)"
        where = "it works only where the cluster's network plug-in enforces policies"
        return [f"the NetworkPolicy leaves port {port} to {node} and to {who}; {where}"]
    if plan.workload.expose_admin:
        opened = f"port {port} is open to every pod of the cluster, its stop endpoint too"
        return [f"--expose-admin: {opened}; --admin-from says who may reach it"]
    return []


def read(documents: Iterable[Document]) -> tuple[Workload, HealthSpec]:
    """Return what documents of ours were made of. Raises SpecError where they are not ours."""
    try:
        return _read(list(documents))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError([f"no Deployment of ours: {error!r}"]) from error


def _read(documents: list[Document]) -> tuple[Workload, HealthSpec]:
    pod = _one(documents, "Deployment")["spec"]["template"]["spec"]
    container, timings = _find(pod["containers"])
    plain, secrets = read_variables(container.get("env", []))
    kind = kind_of(plain.keys() | secrets.keys())
    found = read_environment(plain, kind)
    ports = _read_service(documents)
    workload = Workload(
        name=container["name"],
        image=container["image"],
        kind=kind,
        port=found.port or _read_port(container),
        traffic_port=ports.get(TRAFFIC_PORT),
        settings=found.settings,
        secrets=secrets,
        cpu=parse_cpu(container["resources"]["requests"]["cpu"], Fraction(1)),
        memory=parse_memory(container["resources"]["limits"]["memory"], Fraction(1, 2**20)),
        uid=pod["securityContext"]["runAsUser"],
        expose_admin=PORT_NAME in ports,
    )
    return workload, read_health(container, timings, log=found.log)


def _find(containers: list[Document]) -> tuple[Document, Timings]:
    """Return the container whose probes are ours. Raises SpecError where there is none."""
    for container in containers:
        if timings := read_probes(container):
            return container, timings
    raise SpecError(["no container has our probes"])


def _one(documents: list[Document], kind: str) -> Document:
    found = [document for document in documents if document["kind"] == kind]
    if len(found) != 1:
        raise SpecError([f"{len(found)} documents of kind {kind}, not one of ours"])
    return found[0]


def read_variables(variables: list[Document]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the plain variables as the container gets them, and the secret ones' references."""
    plain = {
        row["name"]: command.undouble_dollars(row["value"]) for row in variables if "value" in row
    }
    secrets = {
        row["name"]: "{name}:{key}".format_map(row["valueFrom"]["secretKeyRef"])
        for row in variables
        if row.get("valueFrom")
    }
    return plain, secrets


def read_health(container: Document, timings: Timings, *, log: bool) -> HealthSpec:
    """Return how a container of ours is checked."""
    if ours := read_call(container):
        paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        delivery = Delivery.CONFIGMAP if command.SCRIPT_PATH in paths else ours.delivery
        return HealthSpec(timings, ours.path, ours.expect, delivery, log=log)
    path = container["livenessProbe"]["httpGet"]["path"]
    return HealthSpec(timings, path, handler=Handler.HTTP, log=log)


def _read_port(container: Document) -> int:
    """Return the port that is asked: the command has it, or the container's list of ports."""
    if ours := read_call(container):
        return ours.port
    ports = {row["name"]: row["containerPort"] for row in container["ports"]}
    return int(ports[PORT_NAME])


def _read_service(documents: list[Document]) -> Mapping[str, int]:
    services = [document for document in documents if document["kind"] == "Service"]
    return {row["name"]: row["port"] for service in services for row in service["spec"]["ports"]}
