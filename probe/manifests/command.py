"""The probe's command line: written for a platform, recognised in a file, read back."""

import re
from dataclasses import dataclass

from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.platforms.durations import Seconds
from probe.synchronizer.settings import TRUE

SCRIPT_PATH = "/healthcheck.sh"
SHELL = ("/bin/bash", "-p")
_NAME = "healthcheck"
_OURS = re.compile(r"^# healthcheck [0-9]", re.MULTILINE)
_SCRIPT = re.compile(r"(.*/)?healthcheck\.sh")


@dataclass(frozen=True, slots=True)
class Command:
    """Our command line, taken apart. `script` is the inline text, None where a file is called.

    `own_timeout` is the probe's deadline in seconds; None where the command has none.
    `options` are what follows, as they stand.
    """

    own_timeout: Seconds | None
    port: int = ADMIN_PORT
    path: str = HEALTH_PATH
    expect: str = "200"
    script: str | None = None
    options: tuple[str, ...] = ()

    @property
    def delivery(self) -> Delivery:
        return Delivery.IMAGE if self.script is None else Delivery.INLINE


def argv(
    workload: Workload, health: HealthSpec, inline: str, *, name_port: bool = False
) -> list[str]:
    """Return the program and its arguments, without a platform's prefix and escapes.

    *inline* is the one-argument form of the script. In the synchronizers' containers the probe
    follows the application's own variables; *name_port* names the port all the same, for documents
    that hold no variables.
    """
    options = ["--timeout", f"{health.timings.own_timeout}"]
    if workload.kind is Kind.GENERIC or (name_port and workload.port != ADMIN_PORT):
        options += ["--port", str(workload.port)]
    if health.path != HEALTH_PATH:
        options += ["--path", health.path]
    if health.expect != "200":
        options += ["--expect", health.expect]
    return [*call(health.delivery, inline), *options]


def call(delivery: Delivery, inline: str) -> list[str]:
    """Return how the script is called, its own options left out."""
    if delivery is Delivery.INLINE:
        return [*SHELL, "-c", inline, _NAME]
    return [*SHELL, SCRIPT_PATH]


def read_argv(words: list[str]) -> Command | None:
    """Take a program and its arguments apart; None where it is not our probe.

    Ours is healthcheck.sh, called directly or by bash, and `bash -c` with our inline text.
    """
    rest = list(words)
    script = None
    if rest and re.fullmatch(r"(.*/)?bash", rest[0]):
        rest = rest[1:]
        while rest and rest[0] in {"-p", "--"}:
            rest = rest[1:]
        if rest[:1] == ["-c"]:
            if len(rest) < 2 or not _OURS.search(rest[1]):  # noqa: PLR2004 # -c and its text
                return None
            script, rest = rest[1], rest[2:] or [_NAME]
    if not rest or not (script is not None or _SCRIPT.fullmatch(rest[0])):
        return None
    return _read_options(rest[1:], script)


def _read_options(words: list[str], script: str | None) -> Command:
    values: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in {"--timeout", "--port", "--path", "--expect"}:
            values[name] = value if equals else next(rest, "")
    return Command(
        own_timeout=_number(values.get("--timeout", "")),
        port=int(port) if (port := values.get("--port", "")).isdigit() else ADMIN_PORT,
        path=values.get("--path", HEALTH_PATH),
        expect=values.get("--expect", "200"),
        script=script,
        options=tuple(words),
    )


def _number(text: str) -> Seconds | None:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        return None
    return int(seconds) if seconds.is_integer() else seconds


def run_problems(plan: Plan, title: str) -> list[str]:
    """Return why a platform that runs commands, and nothing else, cannot run the probe."""
    tls = f"{plan.workload.prefix}ADMIN_TLS_ENABLED"
    found = []
    if plan.workload.settings.get(tls) in TRUE:
        found.append(
            f"--env {tls}: the shell probe cannot speak TLS; leave it out (the admin port is on "
            "loopback), or check from a container of its own with `probe check --tls`, or use "
            "kubernetes with --handler http"
        )
    if plan.health.delivery is Delivery.CONFIGMAP:
        found.append(f"--script configmap: {title} has none; use --inline, or --script image")
    if plan.health.handler is Handler.HTTP:
        found.append(f"--handler http: {title} runs commands alone; use --handler exec")
    return found


def to_docker(words: list[str]) -> list[str]:
    """Return the `test` or `command` of Docker, Compose and ECS: without CMD it would never run."""
    return ["CMD", *words]


def from_docker(test: object) -> list[str] | None:
    """Return the program and its arguments of a `test` in exec form, else None."""
    if isinstance(test, list) and test[:1] == ["CMD"] and all(isinstance(w, str) for w in test):
        return test[1:]
    return None


def double_dollars(text: str) -> str:
    """Escape for Compose's interpolation and Kubernetes' expansion: `$` is `$$`.

    Compose specification, "Interpolation"; Kubernetes third_party/forked/golang/expansion.
    """
    return text.replace("$", "$$")


def undouble_dollars(text: str) -> str:
    return text.replace("$$", "$")


def escape_terraform(text: str) -> str:
    """Escape a string for Terraform's JSON syntax, where strings are templates."""
    return text.replace("${", "$${").replace("%{", "%%{")


def unescape_terraform(text: str) -> str:
    return text.replace("$${", "${").replace("%%{", "%{")
