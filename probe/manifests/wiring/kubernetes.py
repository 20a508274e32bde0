"""Containers of Kubernetes workloads: three probes, and for --script configmap what mounts it.

Each workload of a file is a group of its own: in each in which exactly one container is the
synchronizer's (or bears the name that was given), that one is wired.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from probe.manifests.command import Command
from probe.manifests.command import double_dollars
from probe.manifests.command import undouble_dollars
from probe.manifests.kubernetes_probes import PORT_NAME
from probe.manifests.kubernetes_probes import PROBES
from probe.manifests.kubernetes_probes import probes
from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.manifests.spec import kind_of
from probe.manifests.wiring import check
from probe.manifests.wiring.check import Call
from probe.manifests.wiring.check import Present
from probe.manifests.wiring.configmap import mount_changes
from probe.manifests.wiring.configmap import mount_of
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import plain
from probe.manifests.wiring.request import Request
from probe.manifests.wiring.request import State
from probe.manifests.wiring.request import Wired
from probe.manifests.wiring.tree import REMOVE
from probe.manifests.wiring.tree import Change
from probe.manifests.wiring.tree import Path
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import append_to
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import descend
from probe.manifests.wiring.tree import dotted
from probe.manifests.wiring.tree import items
from probe.manifests.wiring.tree import mapping
from probe.manifests.wiring.tree import resolved
from probe.manifests.wiring.tree import text_of
from probe.manifests.wiring.tree import title
from probe.manifests.wiring.tree import variables_of
from probe.platforms.durations import Seconds
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import Timings

_TEMPLATE: Path = ("spec", "template", "spec")
POD_SPECS: dict[str, Path] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
} | dict.fromkeys(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"),
    _TEMPLATE,
)
_KEYS = {"interval": "periodSeconds", "timeout": "timeoutSeconds", "retries": "failureThreshold"}
# Left as they are, or absent, in a probe that is there.
_UNWRITTEN = frozenset({"initialDelaySeconds", "successThreshold"})
_NO_CALL = Call([], Command(None))
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Probes:
    """The probes of a container by key; `http` where the kubelet asks for us."""

    found: dict[str, Present]
    http: frozenset[str] = frozenset()

    @property
    def ours(self) -> dict[str, Present]:
        return {
            key: present
            for key, present in self.found.items()
            if present.call is not None or key in self.http
        }

    @property
    def foreign(self) -> dict[str, Present]:
        return {key: value for key, value in self.found.items() if key not in self.ours}


def sites(documents: list[Any]) -> Iterator[Site]:
    """Walk the containers that may have probes. Raises WireError for a wrong type."""
    for number, document in enumerate(documents):
        if isinstance(document.node, Mapping):
            yield from _of_object(document.node, (), number)


def _of_object(node: Mapping, path: Path, document: int) -> Iterator[Site]:
    kind = text_of(child(node, "kind"))
    if kind.endswith("List") and kind not in POD_SPECS:
        for place, item in items(child(node, "items"), (*path, "items")):
            yield from _of_object(mapping(item, place), place, document)
    if kind not in POD_SPECS:
        return
    spec = descend(node, POD_SPECS[kind], path)
    if spec is None:
        return
    base = (*path, *POD_SPECS[kind])
    pod = mapping(spec, base)
    for key in ("containers", "initContainers"):
        for place, item in items(child(pod, key), (*base, key)):
            container = mapping(item, place)
            if key == "containers" or text_of(child(container, "restartPolicy")) == "Always":
                yield _site(container, place, document, path)


def _site(node: Mapping, path: Path, document: int, group: Path) -> Site:
    name, image = text_of(child(node, "name")), text_of(child(node, "image"))
    variables = variables_of(node, path, "env")
    return Site(document, path, node, name, image, variables, (document, *group))


def look(site: Site) -> Probes:
    """Return the probes of a container. Raises WireError for a wrong type."""
    container = mapping(site.node, site.path)
    found = {}
    http = set()
    for key in PROBES:
        if (node := child(container, key)) is None:
            continue
        line = node.line
        place = (*site.path, key)
        probe = mapping(resolved(node) or node, place)
        found[key] = _read(probe, place, line)
        if found[key].call is None and _is_http_ours(probe):
            http.add(key)
    return Probes(found, frozenset(http))


def _is_http_ours(probe: Mapping) -> bool:
    request = child(probe, "httpGet")
    if not isinstance(request, Mapping):
        return False
    names = (text_of(child(request, "port")), text_of(child(request, "path")))
    return names[0] == PORT_NAME or names[1] == HEALTH_PATH


def _read(probe: Mapping, path: Path, line: int) -> Present:
    numbers = {
        name: _number(child(probe, key), (*path, key))
        for name, key in {**_KEYS, "delay": "initialDelaySeconds"}.items()
    }
    delay = numbers.pop("delay")
    timings = {name: value for name, value in numbers.items() if value}
    command = (
        child(mapping(exec_, (*path, "exec")), "command")
        if (exec_ := child(probe, "exec"))
        else None
    )
    raw: list[str] | None = None
    call = None
    if command is not None:
        place = (*path, "exec", "command")
        raw = [text_of(item) for _, item in items(command, place)]
        call = check.read_words([undouble_dollars(word) for word in raw])
        call = call and check.with_escapes(call, raw, double_dollars)
    return Present(line, _show(probe, raw), call, timings, raw=raw, delay=delay)


def _number(node: Node | None, path: Path) -> Seconds:
    value = None if node is None else plain(node)
    if node is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise WireError(f"{dotted(path)} is {title(node)}, not a whole number", node.line)
    # The API server takes 0 as not set (pkg/apis/core/v1/defaults.go SetDefaults_Probe).
    return value or 0


def _show(probe: Mapping, raw: list[str] | None) -> str:
    if raw is not None:
        return check.show(["exec", *raw])
    handler = next((key for key in _HANDLERS if child(probe, key) is not None), None)
    if handler is None:
        return "no handler"
    node = child(probe, handler)
    values = node.entries if isinstance(node, Mapping) else ()
    return check.show([handler, *(f"{text_of(e.key)}={text_of(e.value)}" for e in values)])


def judge(site: Site, found: Probes, request: Request) -> Wired:
    """Return what is to be said of a container."""
    if not found.found:
        return Wired(site.name, site.line, State.ABSENT, faults=("no probes",))
    if found.foreign:
        key, present = next(iter(found.foreign.items()))
        shown = "; ".join(f"{key}: {present.shown}" for key, present in found.foreign.items())
        return Wired(site.name, present.line, State.FOREIGN, shown, (f"a foreign {key}",))
    faults = [f"no {key}" for key in _needed(found, request) if key not in found.found]
    for key, present in found.ours.items():
        faults += [f"{key}: {fault}" for fault in _faults(key, present, found, site)]
    first = next(iter(found.found.values()))
    return Wired(site.name, first.line, State.OURS, first.shown, tuple(faults))


def _needed(found: Probes, request: Request) -> tuple[str, ...]:
    """Return which probes there must be: no startup probe means a start period of 0."""
    start = request.given.start_period or request.given.start_within
    if start or (start is None and _is_partial(found)):
        return PROBES
    return PROBES[1:]


def _is_partial(found: Probes) -> bool:
    """Tell whether a probe besides the startup probe is missing: then none was left out by will."""
    return not {"livenessProbe", "readinessProbe"} <= found.found.keys()


def _faults(key: str, present: Present, found: Probes, site: Site) -> list[str]:
    return [] if key in found.http else check.faults(present, KUBERNETES, site.variables)


def changes(
    site: Site, found: Probes, request: Request, documents: list[Any], *, is_json: bool
) -> list[Change]:
    """Return what makes the probes ours and of today. Raises TimingsError, WireError."""
    handler = _handler(found, request)
    delivery = _delivery(site, found, request)
    if handler is Handler.HTTP:
        _must_be_reachable(site, request)
    wanted = _wanted(site, found, request, handler)
    result = []
    for key in PROBES:
        if key in wanted:
            result += _probe_changes(site, key, found, wanted[key], request)
        elif key in found.found:  # a start period of 0 was asked for
            result.append(Change(site.document, site.path, key, REMOVE))
    if handler is Handler.HTTP:
        result += _port_changes(site, request)
    elif delivery is Delivery.CONFIGMAP:
        result += mount_changes(site, request.script, documents, is_json=is_json)
    return result


def by_kubelet(found: Probes, request: Request) -> bool:
    """Tell whether the kubelet asks, which speaks TLS, and not our script."""
    return _handler(found, request) is Handler.HTTP


def _handler(found: Probes, request: Request) -> Handler:
    if request.handler is not None:
        return request.handler
    if request.delivery is not None:  # how our script comes there was asked for
        return Handler.EXEC
    return Handler.HTTP if found.http and len(found.http) == len(found.ours) else Handler.EXEC


def _delivery(site: Site, found: Probes, request: Request) -> Delivery:
    if request.delivery is not None:
        return request.delivery
    return Delivery.CONFIGMAP if mount_of(site) is not None and found.ours else Delivery.IMAGE


def _must_be_reachable(site: Site, request: Request) -> None:
    for name in ("SPLIT_SYNC_ADMIN_HOST", "SPLIT_PROXY_ADMIN_HOST"):
        if site.variables.get(name) in _LOOPBACK:
            raise WireError(
                f"--handler http: {name}={site.variables[name]} binds the admin port to loopback, "
                "where the kubelet cannot ask it; --handler exec can, or bind it to 0.0.0.0",
                site.line,
            )
    if request.log or request.expect is not None:
        option = "--log-failures" if request.log else "--expect"
        raise WireError(
            f"{option} is for our script; with --handler http the kubelet asks", site.line
        )


def _port(site: Site, request: Request) -> int:
    for name in ("SPLIT_SYNC_ADMIN_PORT", "SPLIT_PROXY_ADMIN_PORT"):
        if request.port is None and site.variables.get(name, "").isdigit():
            return int(site.variables[name])
    return request.port or ADMIN_PORT


def _wanted(
    site: Site, found: Probes, request: Request, handler: Handler
) -> dict[str, dict[str, Any]]:
    """Return the probes as they are generated, with what a user chose kept."""
    timings = check.timings(request, KUBERNETES, _as_one(found))
    health = HealthSpec(
        timings,
        path=request.path or HEALTH_PATH,
        expect=request.expect or "200",
        handler=handler,
    )
    kind = kind_of(set(site.variables))
    workload = Workload(site.name, site.image, kind, _port(site, request), settings=site.variables)
    made = probes(Plan(workload, health, request.script, request.inline))
    return {
        key: _kept(key, made[key], found.ours.get(key), request, handler)
        for key in PROBES
        if key in made
    }


def _as_one(found: Probes) -> Present | None:
    """Return liveness with the start's budget, as one check that has timings to keep."""
    present = found.ours.get("livenessProbe") or next(iter(found.ours.values()), None)
    if present is None:
        return None
    timings = dict(present.timings) if "livenessProbe" in found.ours else {}
    start = found.ours.get("startupProbe")
    if start is not None and {"interval", "retries"} <= start.timings.keys():
        failures = int(start.timings["retries"]) - 1
        timings["start_period"] = start.delay + failures * start.timings["interval"]
    elif "startupProbe" not in found.found and not _is_partial(found):
        timings["start_period"] = 0
    return replace(present, timings=timings, call=present.call or _NO_CALL)


def _kept(
    key: str, made: dict[str, Any], present: Present | None, request: Request, handler: Handler
) -> dict[str, Any]:
    """Return a probe with the timings that it has within limits, and its command of today."""
    probe = dict(made)
    if present is not None:
        probe = {name: value for name, value in made.items() if name not in _UNWRITTEN}
        kept = _KEYS.keys() - _asked(key, request)
        probe |= {_KEYS[name]: present.timings[name] for name in kept & present.timings.keys()}
        if key == "startupProbe" and "retries" not in kept:
            probe["initialDelaySeconds"] = made["initialDelaySeconds"]
    if handler is Handler.EXEC:
        timeout = probe["timeoutSeconds"]
        words = check.words(request, present, timeout, Timings(timeout=timeout).own_timeout)
        probe["exec"] = {"command": check.escaped(words, present, double_dollars, undouble_dollars)}
    return probe


def _asked(key: str, request: Request) -> set[str]:
    """Return which timings of a probe the options give."""
    given = request.given
    names = {name for name in _KEYS if getattr(given, name) is not None}
    if given.detect_within is not None:
        names |= set(_KEYS)
    if key != "startupProbe":
        return names
    start = given.start_period is not None or given.start_within is not None
    return names & {"timeout"} | ({"interval", "retries"} if start else set())


def _probe_changes(
    site: Site, key: str, found: Probes, wanted: dict[str, Any], request: Request
) -> list[Change]:
    present, http = found.ours.get(key), key in found.http
    container = mapping(site.node, site.path)
    node = child(container, key)
    same_handler = present is not None and ("httpGet" in wanted) == http
    if not same_handler or not isinstance(node, Mapping):
        return [Change(site.document, site.path, key, wanted)]
    path = (*site.path, key)
    result: list[Change] = []
    for name, value in wanted.items():
        here = child(node, name)
        if name == "exec" and here is not None:
            if plain(mapping(here, path)).get("command") != value["command"]:
                result.append(Change(site.document, (*path, name), "command", value["command"]))
        elif name == "httpGet" and here is not None:
            result += _http_changes((*path, name), site.document, here, request)
        elif here is None or plain(here) != value:
            result.append(Change(site.document, path, name, value))
    return result


def _http_changes(path: Path, document: int, node: Node, asked: Request) -> list[Change]:
    """Return what an option changes in an httpGet of ours."""
    request = mapping(node, path)
    if asked.path is None or text_of(child(request, "path")) == asked.path:
        return []
    return [Change(document, path, "path", asked.path)]


def _port_changes(site: Site, request: Request) -> list[Change]:
    container = mapping(site.node, site.path)
    place = (*site.path, "ports")
    for path, item in items(child(container, "ports"), place):
        if isinstance(item, Mapping) and text_of(child(item, "name")) == PORT_NAME:
            port = request.port
            if port is None or text_of(child(item, "containerPort")) == str(port):
                return []
            return [Change(site.document, path, "containerPort", port)]
    value = {"name": PORT_NAME, "containerPort": _port(site, request)}
    return [append_to(site.document, container, site.path, "ports", value)]
