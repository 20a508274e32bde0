"""The options of `probe generate`, declared once: for the command line and for spec files."""

import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass

from probe.contract.target import VALID
from probe.platforms.durations import parse_duration

ECS = frozenset({"ecs", "cloudformation", "terraform"})
KUBERNETES = frozenset({"kubernetes", "kustomize", "helm"})
EVERY = ECS | KUBERNETES | {"compose", "dockerfile"}
WHOLE = EVERY - {"kustomize", "dockerfile"}
"""Targets that describe the whole container, not its health check alone."""
WITH_SIDECAR = ECS | {"kubernetes", "compose"}
"""Targets that can put a second container beside it."""

WHAT = {
    "ecs": "a task definition for `aws ecs register-task-definition --cli-input-json`",
    "cloudformation": "a CloudFormation template with task definition and service",
    "terraform": "Terraform's JSON syntax with task definition and service",
    "kubernetes": "a Deployment and what goes with it",
    "kustomize": "a component that adds the probes to an existing Deployment (a folder)",
    "helm": "a small chart with a schema for its values (a folder)",
    "compose": "a Compose file",
    "dockerfile": "the HEALTHCHECK instruction",
}

Value = str | bool | tuple[str, ...]
"""An option as given: its text, a flag, or every text where it may stand more than once."""


def _plain(text: str) -> str:
    """Return a text that every document can hold, and every variable. Raises ValueError."""
    if re.search("[\0\ud800-\udfff]", text):
        raise ValueError(f"{text!r} is not UTF-8 without a NUL")
    return text


@dataclass(frozen=True, slots=True)
class Option:
    """One row; without a metavar it is a flag. `parse` raises ValueError."""

    name: str
    help: str
    metavar: str = ""
    targets: frozenset[str] = EVERY
    choices: tuple[str, ...] = ()
    many: bool = False
    parse: Callable[[str], object] = _plain


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not minimum <= int(text) <= maximum:
            raise ValueError(f"{text!r} is no whole number from {minimum} to {maximum}")
        return int(text)

    return parse


def _input(name: str, valid: str) -> Callable[[str], str]:
    """Return a parser of an input of the contract (its table has what is valid)."""

    def parse(text: str) -> str:
        if not VALID[name](text):
            raise ValueError(f"{text!r} is not valid: {valid}")
        return text

    return parse


def text_of(form: str, valid: str) -> Callable[[str], str]:
    """Return a parser of texts of a form, a regular expression."""

    def parse(text: str) -> str:
        if not re.fullmatch(form, text):
            raise ValueError(f"{text!r} is not {valid}")
        return text

    return parse


# distribution/reference regexp.go: host and port, path, tag, digest.
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_IMAGE = text_of(
    rf"(?=.{{1,500}}\Z)(?:{_HOST}/)?{_PATH_PART}(?:/{_PATH_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@[A-Za-z0-9_+.-]+:[0-9A-Fa-f]{32,})?",
    "the reference of an image, such as registry.example/team/app:1",
)
# A name, an address, or the path of a socket.
_REDIS = text_of(r"[0-9A-Za-z_/:.\[][0-9A-Za-z._:/\[\]-]{0,252}", "a host, such as redis.internal")
_LINE = text_of(r"[^\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]+", "one line of text")

_PORT = whole_number(1, 65535)
_COUNT = whole_number(0, 2**31 - 1)

OPTIONS = (
    Option("kind", "what is deployed", "KIND", choices=("sync", "proxy", "generic")),
    Option("name", "name of the container (default: split-sync, split-proxy, the image)", "NAME",
           parse=_LINE),
    Option("image", "the image to run", "IMAGE", parse=_IMAGE),
    Option("port", "port that answers the health check (default: 3010)", "PORT", parse=_PORT),
    Option("path", "path to ask for (default: /health/application)", "PATH",
           parse=_input("path", "it begins with / and holds no blanks")),
    Option("expect", "accepted codes and ranges (default: 200)", "CODES",
           parse=_input("expect", "such as 200 or 200,300-399")),
    Option("interval", "time between checks (default: 10s)", "TIME", parse=parse_duration),
    Option("timeout", "the platform's timeout (default: 5s); the probe's own is below it", "TIME",
           parse=parse_duration),
    Option("retries", "failures in a row until it is unhealthy (default: 3)", "N", parse=_COUNT),
    Option("start-period", "time to start in which failures do not count (default: 60s)", "TIME",
           parse=parse_duration),
    Option("detect-within", "choose timings that find a fault within this time", "TIME",
           parse=parse_duration),
    Option("start-within", "the same as --start-period, in words of a budget", "TIME",
           parse=parse_duration),
    Option("inline", "the check as one argument of bash, for images without our script"),
    Option("log-failures", "unhealthy lines go to the container's log too"),
    Option("apikey-secret", "where the API key is: an ARN on ECS, SECRET:KEY on Kubernetes, a file "
           "for Compose", "REF", WHOLE, parse=_LINE),
    Option("secret", "another secret variable, in the same way", "NAME=REF", WHOLE, many=True,
           parse=_LINE),
    Option("env", "a plain variable", "NAME=VALUE", WHOLE, many=True),
    Option("redis-host", "Redis of split-sync", "HOST", WHOLE, parse=_REDIS),
    Option("traffic-port", "port for clients (default: 3000 for the proxy, --port for generic)",
           "PORT", WHOLE, parse=_PORT),
    Option("expose-admin", "let others reach the admin port: its stop endpoint needs no password",
           targets=EVERY - {"dockerfile"}),
    Option("user", "numeric user and group (default: 65532)", "UID", WHOLE, parse=_COUNT),
    Option("cpu", "CPU: 256 (ECS units), 250m, 0.25 vCPU", "CPU", WHOLE),
    Option("memory", "memory: 512 (MiB on ECS), 512Mi, 0.5GB", "SIZE", WHOLE),
    Option("tmp-size", "size of the proxy's temporary directory (default: 128)", "MIB", WHOLE,
           parse=whole_number(1, 65536)),
    Option("launch", "who runs it (default: fargate)", "TYPE", ECS, ("fargate", "ec2")),
    Option("arch", "CPU architecture (default: x86_64)", "ARCH", ECS, ("x86_64", "arm64")),
    Option("family", "family of the task definition (default: the name)", "NAME", ECS),
    Option("log-group", "CloudWatch log group (default: /ecs/NAME)", "GROUP", ECS),
    Option("region", "AWS region (default: that of the secret)", "REGION", ECS),
    Option("execution-role", "ARN of the role that fetches secrets and writes logs", "ARN", ECS),
    Option("task-role", "ARN of the role that the application has", "ARN", ECS),
    Option("tmp-volume", "the image declares VOLUME /tmp: use a task volume on Fargate", "", ECS),
    Option("ecs-exec", "allow `aws ecs execute-command`", "", ECS),
    Option("app-image", "image of an application that waits until it is healthy", "IMAGE",
           ECS | {"compose"}, parse=_IMAGE),
    Option("app-name", "name of that application (default: app)", "NAME", ECS | {"compose"},
           parse=_LINE),
    Option("namespace", "namespace", "NAME", frozenset({"kubernetes"})),
    Option("replicas", "how many (default: 1)", "N", frozenset({"kubernetes", "helm"}),
           parse=_COUNT),
    Option("handler", "exec: our script asks on loopback; http: the kubelet asks the pod's port "
           "(default: exec)", "HANDLER", KUBERNETES, ("exec", "http")),
    Option("script", "image: it holds healthcheck.sh; configmap: it is mounted (default: image)",
           "WHERE", KUBERNETES, ("image", "configmap")),
    Option("admin-from", "with --handler http, who else may reach the admin port: CIDR, "
           "LABEL=VALUE of pods, namespace:NAME", "PEER", frozenset({"kubernetes", "helm"}),
           many=True),
    Option("sidecar", "a second container beside it: checks it over loopback, remembers, exports "
           "metrics", "", WITH_SIDECAR),
    Option("sidecar-image", "the sidecar's image (default: split-probe:VERSION, built from "
           "deploy/sidecar/Dockerfile)", "IMAGE", WITH_SIDECAR, parse=_IMAGE),
    Option("no-check", "with --sidecar: leave the container itself without a check", "",
           WITH_SIDECAR),
    Option("sidecar-emf", "the sidecar's metrics go to CloudWatch by its log (embedded metric "
           "format)", "", ECS),
    Option("healthcheck-only", "print the bare healthCheck object", "", frozenset({"ecs"})),
)  # fmt: skip

BY_NAME = {row.name: row for row in OPTIONS}


def options_of(target: str) -> list[Option]:
    """Return the rows that a target knows, in order."""
    return [row for row in OPTIONS if target in row.targets]


def parse_values(given: Mapping[str, Value], problems: list[str]) -> dict[str, object]:
    """Turn texts into values; what is wrong goes to *problems* by the option's name."""
    return parse_rows(BY_NAME, given, problems)


def parse_rows(
    rows: Mapping[str, Option], given: Mapping[str, Value], problems: list[str]
) -> dict[str, object]:
    """Turn texts into values by these *rows*; what is wrong goes to *problems*."""
    values: dict[str, object] = {}
    for name, value in given.items():
        try:
            values[name] = _parse(rows[name], value)
        except ValueError as error:
            problems.append(f"--{name}: {error}")
    return values


def _parse(row: Option, value: Value) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, tuple):
        return tuple(map(row.parse, value))
    if row.choices and value not in row.choices:
        raise ValueError(f"{value!r} is none of {', '.join(row.choices)}")
    if not value:
        raise ValueError("the value is empty")
    return row.parse(value)
