"""The known mistakes in health checks: nothing that is generated has one of them.

The rows are the ids of the project's catalogue of mistakes. Each has a detector that knows nothing
of how documents are made, only of how their consumers read them, and an example that it must flag.
"""

import copy
import functools
import json
import re
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from probe.manifests.options import BY_NAME
from probe.manifests.options import Value
from probe.manifests.targets import TARGETS
from probe.manifests.targets import Script
from probe.manifests.targets import make
from probe.scripts import inline
from probe.scripts import script_text

SCRIPT = Script(script_text(), inline(script_text()))
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:split-AbCdEf"
ROLE = "arn:aws:iam::123456789012:role/exec"
ECS = ("ecs", "cloudformation", "terraform")
KUBERNETES = ("kubernetes", "kustomize", "helm")
REFERENCES = {"ecs": ARN, "cloudformation": ARN, "terraform": ARN, "kubernetes": "split:apikey",
              "helm": "split:apikey", "compose": "./apikey"}  # fmt: skip
KINDS: dict[str, dict[str, Value]] = {
    "sync": {"redis-host": "redis.internal"},
    "proxy": {},
    "generic": {"port": "8080", "path": "/a$(X)${Y}$Z%{if}{{z}}"},
}
VARIANTS: dict[str, dict[str, Value]] = {
    "default": {},
    "inline": {"inline": True},
    "log": {"log-failures": True},
    "budget": {"detect-within": "100s", "start-within": "2m"},
    "short": {"interval": "5", "timeout": "2", "retries": "2", "start-period": "1"},
    "expose": {"expose-admin": True},
    "port": {"port": "3011"},
    "ec2": {"launch": "ec2"},
    "app": {"app-image": "example/app:1"},
    "exec": {"ecs-exec": True, "task-role": ROLE},
    "volume": {"tmp-volume": True},
    "http": {"handler": "http"},
    "configmap": {"script": "configmap"},
}


@dataclass(frozen=True)
class Check:
    """One check as its platform runs it; `prefix` is CMD or its like, `raw` the fields."""

    argv: tuple[str, ...] = ()
    prefix: str | None = "CMD"
    interval: Any = 10
    timeout: Any = 5
    retries: Any = 3
    start: Any = 60
    raw: Any = field(default_factory=dict)


@dataclass(frozen=True)
class Surface:
    """What one call gave, read as its consumer reads it.

    `container` is the one that is checked, `others` stand beside it, `around` holds both.
    """

    target: str
    kind: str = "sync"
    given: dict[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = (Check(),)
    variables: dict[str, str] = field(default_factory=dict)
    container: Any = field(default_factory=dict)
    others: tuple[Any, ...] = ()
    around: Any = field(default_factory=dict)
    service: Any = None
    text: str = ""
    notes: tuple[str, ...] = ()


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _lowered(value: Any) -> Any:
    """Return CloudFormation's names as the API's."""
    if isinstance(value, list):
        return [_lowered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key[0].lower() + key[1:]: item if key == "Options" else _lowered(item)
            for key, item in value.items()}  # fmt: skip


def _read_ecs(target: str, text: str) -> dict[str, Any]:
    """Return the fields of a surface on ECS."""
    service = None
    if target == "ecs":
        task = json.loads(text)
    elif target == "cloudformation":
        resources = _yaml(text)["Resources"]
        task = _lowered(resources["TaskDefinition"]["Properties"])
        service = _lowered(resources["Service"]["Properties"])
    else:
        task, service = _read_terraform(json.loads(text)["resource"])
    container, *others = task["containerDefinitions"]
    return {
        "container": container,
        "others": tuple(others),
        "around": task,
        "service": service,
        "variables": {row["name"]: row["value"] for row in container["environment"]},
        "checks": (_docker_check(container["healthCheck"], "command", "startPeriod"),),
    }


def _read_terraform(resource: Any) -> tuple[Any, Any]:
    def camel(name: str) -> str:
        return re.sub("_([a-z])", lambda found: found[1].upper(), name)

    found = resource["aws_ecs_task_definition"]["this"]
    text = found.pop("container_definitions").replace("$${", "${").replace("%%{", "%{")
    task = {camel(key): value for key, value in found.items()}
    service = {camel(k): v for k, v in resource["aws_ecs_service"]["this"].items()}
    return task | {"containerDefinitions": json.loads(text)}, service


def _docker_check(raw: Any, words: str, start: str) -> Check:
    test = raw[words]
    if not isinstance(test, list):
        return Check((str(test),), None, raw=raw)
    interval, timeout, retries = (raw.get(name) for name in ("interval", "timeout", "retries"))
    return Check(tuple(test[1:]), test[0], interval, timeout, retries, raw.get(start), raw)


def _seconds(text: Any) -> Any:
    found = re.fullmatch(r"([0-9.]+)s", str(text))
    return float(found[1]) if found else text


def _read_compose(text: str) -> dict[str, Any]:
    document = _yaml(text)
    (container, *others) = document["services"].values()
    raw = container["healthcheck"]
    check = _docker_check(raw, "test", "start_period")
    words = tuple(re.sub(r"\$(\$|)", r"\1", word) for word in check.argv)
    names = ("interval", "timeout", "retries", "start_period")
    interval, timeout, retries, start = (_seconds(raw[name]) for name in names)
    return {
        "container": container,
        "others": tuple(others),
        "around": document,
        "variables": container.get("environment", {}),
        "checks": (Check(words, check.prefix, interval, timeout, retries, start, raw),),
    }


def _read_dockerfile(text: str) -> dict[str, Any]:
    lines = [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]
    (line,) = [line for line in lines if line.startswith("HEALTHCHECK")]
    flags = dict(re.findall(r"--([a-z-]+)=(\S+)", line.partition(" CMD ")[0]))
    words = tuple(json.loads(line.partition(" CMD ")[2]))
    names = ("interval", "timeout", "retries", "start-period")
    interval, timeout, retries, start = (_seconds(flags.get(name, 0)) for name in names)
    check = Check(words, "CMD", interval, timeout, int(retries), start, flags)
    return {"container": {"lines": lines}, "checks": (check,)}


_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _read_kubernetes(target: str, content: Any) -> dict[str, Any]:
    if target == "kubernetes":
        documents = list(YAML(typ="safe", pure=True).load_all(content))
        (pod,) = [d["spec"]["template"]["spec"] for d in documents if d["kind"] == "Deployment"]
        container = pod["containers"][0]
    elif target == "kustomize":
        pod = _yaml(content["probes.yaml"])["spec"]["template"]["spec"]
        container = pod["containers"][0]
    else:
        pod = _yaml(content["values.yaml"])
        container = {**pod["probes"], "ports": pod["ports"],
                     "env": [{"name": k, "value": v} for k, v in pod["env"].items()]}  # fmt: skip
    return {
        "container": container,
        "around": pod,
        "variables": {r["name"]: r["value"] for r in container.get("env", []) if "value" in r},
        "checks": tuple(_kubelet_check(container[key]) for key in _PROBES if container.get(key)),
    }


def _kubelet_check(raw: Any) -> Check:
    words = tuple(word.replace("$$", "$") for word in raw.get("exec", {}).get("command", ()))
    times = (raw.get("periodSeconds"), raw.get("timeoutSeconds"), raw.get("failureThreshold"))
    return Check(words, None, *times, None, raw)


def _given(target: str, kind: str, variant: str) -> dict[str, Value] | None:
    """Return the options of a call; None where the target or the kind lacks one of the variant."""
    wanted: dict[str, Value] = KINDS[kind] | VARIANTS[variant]
    if any(target not in BY_NAME[name].targets for name in VARIANTS[variant]):
        return None
    known = {name: value for name, value in wanted.items() if target in BY_NAME[name].targets}
    if kind == "generic" and variant == "http":
        known["path"] = "/a"
    needed: dict[str, Value] = {"kind": kind, "image": "example/x:1"}
    if target in ECS:
        needed |= {"execution-role": ROLE, "region": "us-east-1"}
    if kind != "generic" and target in REFERENCES:
        needed["apikey-secret"] = REFERENCES[target]
    return needed | known


def _surface(target: str, kind: str, given: dict[str, Value]) -> Surface:
    made = make(TARGETS[target], given, SCRIPT)
    content: Any = made.content
    text = "".join(content.values()) if isinstance(content, dict) else content
    if target in ECS:
        fields = _read_ecs(target, content)
    elif target in KUBERNETES:
        fields = _read_kubernetes(target, content)
    else:
        fields = (_read_compose if target == "compose" else _read_dockerfile)(content)
    return Surface(target, kind, given, text=text, notes=tuple(made.notes), **fields)


@functools.cache
def surfaces() -> dict[str, Surface]:
    """Return every target with every kind and variant that it has."""
    calls = ((t, k, v, _given(t, k, v)) for t in TARGETS for k in KINDS for v in VARIANTS)
    return {f"{t}-{k}-{v}": _surface(t, k, given) for t, k, v, given in calls if given}


# What the detectors look for.


def _options(check: Check) -> tuple[str, ...]:
    """Return what is given to our script, or everything where it is not ours."""
    words = check.argv
    for call in (OURS, (*OURS_INLINE, "healthcheck")):
        if words[: len(call)] == call:
            return words[len(call) :]
    return words


OURS = ("/bin/bash", "-p", "/healthcheck.sh")
OURS_INLINE = ("/bin/bash", "-p", "-c", SCRIPT.inline)


def _after(check: Check, option: str) -> str | None:
    words = _options(check)
    return words[words.index(option) + 1] if option in words else None


def _is_docker(surface: Surface) -> bool:
    return surface.target not in KUBERNETES


def any_check(rule: Callable[[Check], Any]) -> Callable[[Surface], bool]:
    """Flag a surface where a check that runs a command is one of these."""
    return lambda surface: any(bool(rule(c)) for c in surface.checks if "httpGet" not in c.raw)


def on(*targets: str) -> Callable[[Callable[[Surface], Any]], Callable[[Surface], bool]]:
    """Limit a detector to some targets."""
    return lambda rule: lambda surface: surface.target in targets and bool(rule(surface))


on_ecs, on_kubernetes = on(*ECS), on(*KUBERNETES)
on_compose, on_dockerfile = on("compose"), on("dockerfile")

foreign = any_check(lambda c: c.argv[:3] != OURS and c.argv[:5] != (*OURS_INLINE, "healthcheck"))
_OPERATOR = re.compile(r"\|\|?|&&?|[;<>]|\$\w+")
_COMMA = re.compile(r'\s*\[?"?CMD(-SHELL)?"?\s*,')
_KEY = re.compile(r"(?i)api_?key|authorization|password|token|secret|arn:")


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of a document with its value."""
    if isinstance(value, dict):
        yield from value.items()
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


def _asked_port(surface: Surface, check: Check) -> int:
    if request := check.raw.get("httpGet"):
        named = {row["name"]: row["containerPort"] for row in surface.container.get("ports", [])}
        return int(named.get(request["port"], request["port"]))
    admin = [value for name, value in surface.variables.items() if name.endswith("_ADMIN_PORT")]
    return int(_after(check, "--port") or (admin or ["3010"])[0])


def _port_mismatch(surface: Surface) -> bool:
    wanted = int(surface.given.get("port", 3010))
    return any(_asked_port(surface, check) != wanted for check in surface.checks)


def _published(surface: Surface) -> bool:
    ports = [text.split(":") for text in surface.container.get("ports", [])]
    asked = {str(_asked_port(surface, check)) for check in surface.checks}
    return any(host in asked and inside not in asked for host, inside in ports)


def _bind_mismatch(surface: Surface) -> bool:
    hosts = {value for name, value in surface.variables.items() if name.endswith("_ADMIN_HOST")}
    asked_outside = any("httpGet" in check.raw for check in surface.checks)
    return bool(hosts - {"0.0.0.0", "127.0.0.1"} or (asked_outside and "127.0.0.1" in hosts))


def _endpoint(surface: Surface) -> bool:
    if surface.kind == "generic":
        return False
    paths = [check.raw["httpGet"]["path"] if "httpGet" in check.raw
             else _after(check, "--path") or "/health/application"
             for check in surface.checks]  # fmt: skip
    return set(paths) != {"/health/application"}


def _scheme(surface: Surface) -> bool:
    tls = any(name.endswith("_ADMIN_TLS_ENABLED") and value == "true"
              for name, value in surface.variables.items())  # fmt: skip
    return tls and any(c.raw.get("httpGet", {}).get("scheme") != "HTTPS" for c in surface.checks)


def _no_inner_timeout(check: Check) -> bool:
    own = _after(check, "--timeout")
    return own is None or not 0 < float(own) < float(check.timeout)


def _undefined_port(surface: Surface) -> bool:
    names = {row["name"] for row in surface.container.get("ports", [])}
    ports = [c.raw["httpGet"]["port"] for c in surface.checks if "httpGet" in c.raw]
    return any(isinstance(port, str) and port not in names for port in ports)


_RANGES = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "start": (0, 300)}


def _out_of_range(surface: Surface) -> bool:
    values = [(getattr(c, name), *r) for c in surface.checks for name, r in _RANGES.items()]
    return any(not isinstance(v, int) or not low <= v <= high for v, low, high in values)


def _stray_key(surface: Surface) -> bool:
    keys = [key for key, _ in _walk(surface.around)]
    stray = [k for k in keys if re.sub("_", "", k.lower()) == "healthcheck" and k != "healthCheck"]
    return bool(stray) or "healthCheck" in surface.around


def _containers(surface: Surface) -> dict[str, Any]:
    return {row["name"]: row for row in (surface.container, *surface.others)}


def _unchecked(surface: Surface) -> bool:
    """Tell whether an essential container has no check and the user is not told."""
    names = [name for name, row in _containers(surface).items()
             if row.get("essential", True) and "healthCheck" not in row]  # fmt: skip
    return any(not any(note.startswith(f"{n} has no") for note in surface.notes) for n in names)


def _dependencies(surface: Surface) -> list[tuple[str, Any]]:
    known = _containers(surface)
    return [(dep["condition"], known.get(dep["containerName"], {}))
            for row in known.values() for dep in row.get("dependsOn", [])]  # fmt: skip


def _grace(surface: Surface) -> bool:
    found = surface.service and surface.service.get("healthCheckGracePeriodSeconds", 0)
    return found is not None and any(found < (c.start or 0) for c in surface.checks)


def _exec_readonly(surface: Surface) -> bool:
    if not surface.given.get("ecs-exec"):
        return False
    mounted = {row["containerPath"] for row in surface.container.get("mountPoints", [])}
    is_readonly = surface.container.get("readonlyRootFilesystem")
    lacks = is_readonly and not mounted >= {"/var/lib/amazon", "/var/log/amazon"}
    return bool(lacks or "taskRoleArn" not in surface.around)


_SIZES = {256: (512, 1024, 2048), 512: range(1024, 4097, 1024), 1024: range(2048, 8193, 1024)}


def _is_fargate(surface: Surface) -> bool:
    return "FARGATE" in surface.around.get("requiresCompatibilities", [])


def _fargate_size(surface: Surface) -> bool:
    cpu, memory = int(surface.around.get("cpu", 0)), int(surface.around.get("memory", 0))
    return _is_fargate(surface) and memory not in _SIZES.get(cpu, ())


_REQUIRED = {"networkMode", "cpu", "memory", "family", "containerDefinitions"}


def _fargate_required(surface: Surface) -> bool:
    task = surface.around
    return _is_fargate(surface) and not (
        task.keys() >= _REQUIRED and task["networkMode"] == "awsvpc"
    )


def _log_options(surface: Surface) -> bool:
    rows = [row.get("logConfiguration", {}) for row in _containers(surface).values()]
    wanted = {"awslogs-group", "awslogs-region", "awslogs-stream-prefix"}
    return any(not wanted <= row.get("options", {}).keys() for row in rows)


def _plaintext(surface: Surface) -> bool:
    pairs = surface.variables.items()
    return any(re.search("(?i)apikey", name) and not name.endswith("_FILE") and value
               for name, value in pairs)  # fmt: skip


def _healthy_unchecked(surface: Surface) -> bool:
    services = surface.around.get("services", {})
    needs = [name for row in services.values() for name, dep in _depends_on(row).items()
             if dep.get("condition") == "service_healthy"]  # fmt: skip
    return any("healthcheck" not in services.get(name, {}) for name in needs)


def _depends_on(service: Any) -> dict[str, Any]:
    found = service.get("depends_on", {})
    return found if isinstance(found, dict) else {name: {} for name in found}


def _no_condition(surface: Surface) -> bool:
    rows = [dep for row in surface.others for dep in _depends_on(row).values()]
    return any(dep.get("condition") != "service_healthy" for dep in rows)


def _lone_dollar(surface: Surface) -> bool:
    return "$" in surface.text.replace("$$", "")


def _has_note(words: str) -> Callable[[Surface], bool]:
    return lambda surface: not any(words in note for note in surface.notes)


def _stages(surface: Surface) -> bool:
    kinds = [line.split()[0] for line in surface.container["lines"]]
    last = kinds.index("HEALTHCHECK")
    return kinds.count("HEALTHCHECK") > 1 or "FROM" in kinds[last:]


def _identical(surface: Surface) -> bool:
    found = [surface.container.get(key) for key in ("livenessProbe", "readinessProbe")]
    return bool(found[0] == found[1])


class Rule(NamedTuple):
    """What finds a mistake, and what has it."""

    finds: Callable[[Surface], bool]
    bad: Surface


def _with(target: str, **changes: Any) -> Surface:
    """Return a surface with the one check, changed."""
    return Surface(target, checks=(Check(**changes),))


CURL = _with("compose", argv=("curl", "-f", "http://localhost/"))
_HTTP: dict[str, Any] = {"httpGet": {"path": "/health/application", "port": 3010}}
_TASK: dict[str, Any] = {"requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "700"}
_MAIN = {"name": "a", "essential": True}


def _app(condition: str, **main: Any) -> Surface:
    app = {"name": "b", "dependsOn": [{"containerName": "a", "condition": condition}]}
    return Surface("ecs", container=_MAIN | main, others=(app,))


def _services(**app: Any) -> Surface:
    services = {"a": {}, "b": app}
    return Surface("compose", around={"services": services}, others=(app,))


# What only a command of another kind can have: ours is bash with our script, whose own tests
# (tests/contract, tests/shell) prove what it does.
FOREIGN = [
    "probe-tool-missing", "dev-tcp-needs-bash", "probe-script-perms", "http-fail-flag-missing",
    "tcp-only-probe", "status-line-unchecked", "raw-http-keepalive", "raw-http-no-host",
    "wget-spider-head", "wget-writes-file", "pipeline-masks-status", "always-true-tail",
    "exit-not-normalised", "exit-code-reserved", "noisy-probe", "proxy-env-hijack",
    "run-health-cmd-needs-sh",
]  # fmt: skip
RULES = {id_: Rule(foreign, CURL) for id_ in FOREIGN} | {
    # Command form
    "cmd-shell-without-sh": Rule(
        lambda s: _is_docker(s) and any(c.prefix != "CMD" for c in s.checks),
        _with("ecs", prefix="CMD-SHELL"),
    ),
    "shell-instruction-not-inherited": Rule(
        on_dockerfile(lambda s: re.search(r"(?m)^SHELL", s.text)),
        Surface("dockerfile", text='SHELL ["/bin/bash"]\n'),
    ),
    "exec-form-single-string": Rule(
        any_check(lambda c: len(c.argv) == 1 and " " in c.argv[0]),
        _with("ecs", argv=("curl -f x",)),
    ),
    "exec-form-shell-syntax": Rule(
        any_check(lambda c: "bash" not in c.argv[0] and any(map(_OPERATOR.fullmatch, c.argv))),
        _with("ecs", argv=("curl", "||", "exit")),
    ),
    "cmd-shell-extra-args": Rule(
        any_check(lambda c: c.prefix == "CMD-SHELL" and len(c.argv) > 1),
        _with("compose", prefix="CMD-SHELL", argv=("curl", "-f")),
    ),
    "bad-test-prefix": Rule(
        lambda s: _is_docker(s) and any(c.prefix not in {"CMD", "CMD-SHELL"} for c in s.checks),
        _with("ecs", prefix="/bin/bash"),
    ),
    "console-comma-string": Rule(
        any_check(lambda c: any(_COMMA.match(str(w)) for w in (c.prefix, *c.argv))),
        _with("ecs", prefix="CMD-SHELL, curl"),
    ),
    "string-test-starts-with-cmd": Rule(
        on_compose(lambda s: any(isinstance(c.raw.get("test"), str) for c in s.checks)),
        _with("compose", raw={"test": "CMD curl"}),
    ),
    "compose-unescaped-dollar": Rule(
        on_compose(_lone_dollar), Surface("compose", text="test: [CMD, echo, $X]")
    ),
    "k8s-exec-needs-shell": Rule(
        on_kubernetes(any_check(lambda c: any(map(_OPERATOR.search, _options(c)[:1])))),
        _with("kubernetes", argv=("a|b",)),
    ),
    # HTTP
    "wrong-endpoint": Rule(
        _endpoint, _with("ecs", argv=(*OURS, "--path", "/health/dependencies"))
    ),
    "scheme-mismatch": Rule(
        _scheme, Surface("ecs", variables={"SPLIT_SYNC_ADMIN_TLS_ENABLED": "true"})
    ),
    "secret-in-probe": Rule(
        any_check(lambda c: any(map(_KEY.search, _options(c)))),
        _with("ecs", argv=(*OURS, "--path", "/?apikey=1")),
    ),
    "no-inner-timeout": Rule(
        any_check(_no_inner_timeout), _with("ecs", argv=(*OURS, "--timeout", "5"))
    ),
    # Addressing
    "localhost-ipv6": Rule(
        any_check(lambda c: {"localhost", "::1", "[::1]", "--host"} & set(_options(c))),
        _with("ecs", argv=(*OURS, "--host", "localhost")),
    ),
    "port-mismatch": Rule(_port_mismatch, _with("ecs", argv=(*OURS, "--port", "3000"))),
    "published-port-probe": Rule(
        on_compose(_published),
        Surface("compose", checks=(Check(("--port", "8080")),),
                container={"ports": ["8080:3010"]}),
    ),
    "bind-address-mismatch": Rule(
        _bind_mismatch,
        Surface("kubernetes", checks=(Check(raw=_HTTP),),
                variables={"SPLIT_SYNC_ADMIN_HOST": "127.0.0.1"}),
    ),
    "k8s-httpget-host-loopback": Rule(
        on_kubernetes(lambda s: any("host" in c.raw.get("httpGet", {}) for c in s.checks)),
        _with("kubernetes", raw={"httpGet": {"host": "127.0.0.1"}}),
    ),
    "k8s-named-port-undefined": Rule(
        on_kubernetes(_undefined_port), _with("kubernetes", raw={"httpGet": {"port": "http"}})
    ),
    # Timing
    "timeout-ge-interval": Rule(
        lambda s: any(c.timeout > c.interval for c in s.checks), _with("ecs", timeout=11)
    ),
    "start-period-missing": Rule(
        lambda s: _is_docker(s) and any(not c.start for c in s.checks), _with("ecs", start=None)
    ),
    "ecs-range": Rule(on_ecs(_out_of_range), _with("ecs", interval=4)),
    "ecs-timeout-default-5": Rule(
        on_ecs(lambda s: any(c.timeout is None for c in s.checks)), _with("ecs", timeout=None)
    ),
    "duration-without-unit": Rule(
        on("compose", "dockerfile")(
            lambda s: any(not re.fullmatch("[0-9.]+s", str(value)) for c in s.checks
                          for key, value in c.raw.items()
                          if key in {"interval", "timeout", "start_period", "start-period"})
        ),
        _with("compose", raw={"interval": 5}),
    ),
    **{
        id_: Rule(
            lambda s: any("interval" in k.lower() and "start" in k.lower()
                          for c in s.checks for k in c.raw),
            _with("compose", raw={"start_interval": "5s"}),
        )
        for id_ in ("start-interval-without-start-period", "start-interval-engine",
                    "start-interval-gt-period")
    },
    "zero-means-inherit": Rule(
        on("compose", "dockerfile")(
            lambda s: any(not v for c in s.checks for v in (c.interval, c.timeout, c.retries))
        ),
        _with("compose", retries=0),
    ),
    "detection-budget": Rule(
        lambda s: s.checks[0].retries * (s.checks[0].interval + s.checks[0].timeout) > 120
        or s.checks[0].retries == 1,
        _with("ecs", retries=1),
    ),
    "k8s-exec-timeout-default": Rule(
        on_kubernetes(lambda s: any(c.timeout is None for c in s.checks)),
        _with("kubernetes", timeout=None),
    ),
    "k8s-success-threshold": Rule(
        on_kubernetes(lambda s: any(c.raw.get("successThreshold") != 1 for c in s.checks)),
        _with("kubernetes", raw={"successThreshold": 2}),
    ),
    "k8s-liveness-without-startup": Rule(
        on_kubernetes(lambda s: not s.container.get("startupProbe")), Surface("kubernetes")
    ),
    # Wiring on ECS
    "ecs-image-healthcheck-only": Rule(
        on_ecs(lambda s: "healthCheck" not in s.container), Surface("ecs")
    ),
    "ecs-healthcheck-key": Rule(
        on_ecs(_stray_key), Surface("ecs", around={"containerDefinitions": [{"health_check": 1}]})
    ),
    "ecs-essential-unchecked": Rule(on_ecs(_unchecked), Surface("ecs", container=_MAIN)),
    "ecs-check-on-nonessential": Rule(
        on_ecs(lambda s: not s.container.get("essential")),
        Surface("ecs", container={"essential": False}),
    ),
    "ecs-dependson-healthy-unchecked": Rule(
        on_ecs(lambda s: any("healthCheck" not in row for _, row in _dependencies(s))),
        _app("HEALTHY"),
    ),
    "ecs-dependson-complete-essential": Rule(
        on_ecs(lambda s: any(condition != "HEALTHY" for condition, _ in _dependencies(s))),
        _app("COMPLETE", healthCheck={}),
    ),
    "ecs-dependson-no-starttimeout": Rule(
        on_ecs(lambda s: any("startTimeout" not in row for _, row in _dependencies(s))),
        _app("HEALTHY", healthCheck={}),
    ),
    "ecs-restartpolicy-expectation": Rule(
        on_ecs(lambda s: any(key == "restartPolicy" for key, _ in _walk(s.around))),
        Surface("ecs", around={"restartPolicy": {}}),
    ),
    "ecs-standalone": Rule(
        on("cloudformation", "terraform")(lambda s: s.service is None), Surface("terraform")
    ),
    "ecs-grace-period": Rule(
        on("cloudformation", "terraform")(_grace),
        Surface("terraform", service={"healthCheckGracePeriodSeconds": 59}),
    ),
    "ecs-exec-readonly": Rule(
        on_ecs(_exec_readonly),
        Surface("ecs", given={"ecs-exec": True}, around={"taskRoleArn": ROLE},
                container={"readonlyRootFilesystem": True}),
    ),
    "probe-zombies": Rule(
        on(*ECS, "compose")(
            lambda s: not (s.container.get("init")
                           or s.container.get("linuxParameters", {}).get("initProcessEnabled"))
        ),
        Surface("compose"),
    ),
    "plaintext-apikey": Rule(
        _plaintext, Surface("ecs", variables={"SPLIT_PROXY_CLIENT_APIKEYS": "abc"})
    ),
    "ecs-fargate-required": Rule(on_ecs(_fargate_required), Surface("ecs", around=_TASK)),
    "ecs-fargate-size": Rule(on_ecs(_fargate_size), Surface("ecs", around=_TASK)),
    "ecs-exec-role": Rule(
        on_ecs(lambda s: "executionRoleArn" not in s.around), Surface("ecs")
    ),
    "ecs-awslogs-prefix": Rule(on_ecs(_log_options), Surface("ecs", container=_MAIN)),
    "ecs-classic-elb": Rule(
        on_ecs(lambda s: any(k.lower() == "loadbalancername" for k, _ in _walk(s.service))),
        Surface("ecs", service={"loadBalancers": [{"loadBalancerName": "x"}]}),
    ),
    # Wiring elsewhere
    "depends-on-no-condition": Rule(on_compose(_no_condition), _services(depends_on=["a"])),
    "service-healthy-unchecked": Rule(
        on_compose(_healthy_unchecked),
        _services(depends_on={"a": {"condition": "service_healthy"}}),
    ),
    "healthcheck-disabled": Rule(
        lambda s: any("disable" in c.raw or c.prefix == "NONE" for c in s.checks),
        _with("compose", prefix="NONE"),
    ),
    "unhealthy-no-restart": Rule(
        on("compose", "dockerfile")(_has_note("an unhealthy container is only shown as such")),
        Surface("compose"),
    ),
    "multiple-healthcheck": Rule(
        on_dockerfile(_stages),
        Surface("dockerfile", container={"lines": ["HEALTHCHECK NONE", "HEALTHCHECK CMD x"]}),
    ),
    "wrong-stage": Rule(
        on_dockerfile(_stages),
        Surface("dockerfile", container={"lines": ["FROM a", "HEALTHCHECK CMD x", "FROM b"]}),
    ),
    "oci-format-drops": Rule(
        on_dockerfile(lambda s: "--format docker" not in s.text), Surface("dockerfile")
    ),
    "k8s-image-healthcheck-only": Rule(
        on_kubernetes(lambda s: not s.container.get("livenessProbe")), Surface("kubernetes")
    ),
    "k8s-exec-where-http": Rule(
        on_kubernetes(
            lambda s: any("exec" in c.raw for c in s.checks)
            and _has_note("--handler http costs less")(s)
        ),
        _with("kubernetes", raw={"exec": {"command": ["x"]}}),
    ),
    "k8s-liveness-on-dependencies": Rule(
        on_kubernetes(lambda s: "/health/dependencies" in s.text),
        Surface("kubernetes", text="path: /health/dependencies"),
    ),
    "same-as-readiness": Rule(
        on_kubernetes(_identical), Surface("kubernetes", container=dict.fromkeys(_PROBES, _HTTP))
    ),
}  # fmt: skip


@pytest.mark.parametrize("id_", RULES)
def test_nothing_has_it(id_: str) -> None:
    """No target, kind or variant has the mistake."""
    assert [name for name, surface in surfaces().items() if RULES[id_].finds(surface)] == []


@pytest.mark.parametrize("id_", RULES)
def test_detector_looks(id_: str) -> None:
    """The detector flags what has the mistake."""
    assert RULES[id_].finds(copy.deepcopy(RULES[id_].bad))


def test_every_target_is_looked_at() -> None:
    """Each target is there with each kind, and every variant that any target has."""
    names = [name.split("-") for name in surfaces()]
    assert {(target, kind) for target, kind, _ in names} == {(t, k) for t in TARGETS for k in KINDS}
    assert {variant for _, _, variant in names} == VARIANTS.keys()
