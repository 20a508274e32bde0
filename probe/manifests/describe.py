"""From the options' values to what is deployed and how it is checked; every fault is told."""

import difflib
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from fractions import Fraction
from typing import Any
from typing import TypeVar
from typing import cast

from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import LOOPBACK
from probe.manifests.spec import NONROOT
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Sidecar
from probe.manifests.spec import Workload
from probe.platforms.division import Division
from probe.platforms.division import divide
from probe.platforms.resources import parse_cpu
from probe.platforms.resources import parse_memory
from probe.platforms.rows import KUBERNETES
from probe.platforms.rows import Platform
from probe.platforms.timings import Given
from probe.platforms.timings import Refusal
from probe.platforms.timings import Timings
from probe.platforms.timings import TimingsError
from probe.platforms.timings import fit
from probe.synchronizer.settings import FALSE
from probe.synchronizer.settings import PREFIXES
from probe.synchronizer.settings import SECRET
from probe.synchronizer.settings import SETTINGS
from probe.synchronizer.settings import TRUE
from probe.synchronizer.settings import URLS
from probe.synchronizer.settings import Setting

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMES = {Kind.SYNC: "split-sync", Kind.PROXY: "split-proxy"}
_PROXY_PORT = 3000
_REDIS_HOST = "SPLIT_SYNC_REDIS_HOST"
_EVERY_ADDRESS = frozenset({"", "0.0.0.0"})  # noqa: S104 # compared with, not listened on
_PORTS = frozenset({"admin-port", "server-port"})
_DERIVED = _PORTS | {"admin-host", "admin-tls-enabled"}
# Whole words, so that TOKENIZERS_PARALLELISM is none; where a secret lies may stand in plain text.
_SECRET_WORD = re.compile(
    r"(?i)(?<![A-Z])(?:api_?keys?|password|passwd|secrets?|tokens?|private_?key|credentials?)"
    r"(?![A-Z])(?!.*_(?:FILE|PATH|DIR|URL|ARN|NAME)$)"
)

Amount = TypeVar("Amount", Fraction, int)
Chosen = TypeVar("Chosen", Timings, Division)


@dataclass(frozen=True, slots=True)
class Units:
    """What a bare number means on a platform: of CPU in vCPUs, of memory in MiB."""

    cpu: Fraction
    memory: Fraction


class _Reader:
    """The values of one description, and what was found wrong with them."""

    def __init__(self, values: Mapping[str, Any], problems: list[str]) -> None:
        self.values = values
        self.problems = problems

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def wrong(self, name: str, message: object) -> None:
        self.problems.append(f"--{name}: {message}")


def health_spec(values: Mapping[str, Any], platform: Platform, problems: list[str]) -> HealthSpec:
    """Return how it is checked; what does not fit goes to *problems*."""
    given = _given(values)
    if None not in (starts := {given.start_period, given.start_within}) and len(starts) > 1:
        problems.append("--start-within: contradicts --start-period: leave one of them out")
    spec = HealthSpec(
        path=values.get("path", HEALTH_PATH),
        expect=values.get("expect", "200"),
        delivery=_delivery(values, platform, problems),
        handler=Handler(values.get("handler", "exec")),
        log=values.get("log-failures") is True,
    )
    refusals: list[Refusal] = []
    timings = _fitting(fit, given, platform, refusals)
    if values.get("sidecar"):
        _fitting(divide, given, platform, refusals)
    problems += [f"--{refusal}" for refusal in _widest(refusals)]
    return spec if timings is None else replace(spec, timings=timings)


def _fitting(
    choose: Callable[[Given, Platform], Chosen],
    given: Given,
    platform: Platform,
    refusals: list[Refusal],
) -> Chosen | None:
    try:
        return choose(given, platform)
    except TimingsError as error:
        refusals += error.refusals
        return None


def _widest(refusals: list[Refusal]) -> list[Refusal]:
    """Return one refusal of each value: the check and the sidecar may both have one.

    Only a budget can have two that differ, and the larger fits both.
    """
    by_name: dict[str, Refusal] = {}
    for refusal in refusals:
        other = by_name.get(refusal.name)
        if other is None or refusal.nearest > other.nearest:
            by_name[refusal.name] = refusal
    return list(by_name.values())


def sidecar(
    values: Mapping[str, Any], platform: Platform, problems: list[str], image: str
) -> Sidecar | None:
    """Return the container beside it, None where there is none; what is wrong to *problems*.

    *image* is what it runs where nothing else is given.
    """
    if not values.get("sidecar"):
        problems += [
            f"--{name}: there is no sidecar without --sidecar"
            for name in ("sidecar-image", "no-check", "sidecar-emf")
            if name in values
        ]
        return None
    division = _fitting(divide, _given(values), platform, [])  # refused by health_spec
    if division is None:
        return None
    return Sidecar(
        values.get("sidecar-image", image),
        division,
        only=values.get("no-check") is True,
        emf=values.get("sidecar-emf") is True,
    )


def _given(values: Mapping[str, Any]) -> Given:
    return Given(**{name: values.get(name.replace("_", "-")) for name in Given._fields})


def _delivery(values: Mapping[str, Any], platform: Platform, problems: list[str]) -> Delivery:
    script = values.get("script", "image")
    # A sidecar is for images that nobody touches: what they are asked brings its script along.
    checked = not values.get("no-check") and platform is not KUBERNETES
    if values.get("inline", bool(values.get("sidecar")) and checked):
        if script == "configmap":
            problems.append("--inline: the check is the argument itself; leave out --script")
        return Delivery.INLINE
    return Delivery(script)


def workload(values: Mapping[str, Any], units: Units, problems: list[str]) -> Workload:
    """Return what is deployed; what is wrong goes to *problems*."""
    reader = _Reader(values, problems)
    kind = Kind(reader.get("kind", "sync"))
    settings = _settings(reader, kind)
    port = _port(reader, kind, settings)
    traffic = _traffic_port(reader, kind, port, settings)
    return Workload(
        name=reader.get("name") or _NAMES.get(kind) or _image_name(reader.get("image", "")),
        image=reader.get("image", ""),
        kind=kind,
        port=port,
        traffic_port=traffic,
        settings=dict(sorted(settings.items())),
        secrets=_secrets(reader, kind, settings),
        cpu=_amount(reader, "cpu", parse_cpu, units.cpu) or Fraction(1, 4),
        memory=_amount(reader, "memory", parse_memory, units.memory) or 512,
        uid=_uid(reader),
        expose_admin=reader.get("expose-admin") is True and port != traffic,
    )


def _image_name(image: str) -> str:
    """Return the last part of an image's name, fit to name a container everywhere."""
    last = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return re.sub(r"[^a-z0-9-]+", "-", last.lower()).strip("-")[:63] or "app"


def _amount(
    reader: _Reader, name: str, parse: Callable[[str, Fraction], Amount], bare: Fraction
) -> Amount | None:
    text = reader.get(name)
    try:
        return None if text is None else parse(text, bare)
    except ValueError as error:
        reader.wrong(name, error)
        return None


def _uid(reader: _Reader) -> int:
    uid = cast("int", reader.get("user", NONROOT))
    if uid == 0:
        reader.wrong("user", "0 is root; give the user that the image is made for")
    return uid


def _pairs(reader: _Reader, name: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in reader.get(name, ()):
        variable, equals, value = text.partition("=")
        if not equals or not _VARIABLE.fullmatch(variable):
            reader.wrong(name, f"{text!r} is not NAME=VALUE")
        elif variable in pairs:
            reader.wrong(name, f"{variable} is given twice")
        else:
            pairs[variable] = value
    return pairs


def _settings(reader: _Reader, kind: Kind) -> dict[str, str]:
    settings = _pairs(reader, "env")
    host = reader.get("redis-host")
    if host is not None and kind is not Kind.SYNC:
        reader.wrong("redis-host", "split-sync alone uses Redis: --kind sync")
    elif host is not None and settings.setdefault(_REDIS_HOST, host) != host:
        reader.wrong("redis-host", f"{host} contradicts {_REDIS_HOST}={settings[_REDIS_HOST]}")
    for name, value in settings.items():
        if problem := _fault(name, value, kind):
            reader.wrong("env", problem)
    if prefix := PREFIXES.get(kind):
        _admin_host(reader, f"{prefix}ADMIN_HOST", settings)
    return settings


def _admin_host(reader: _Reader, variable: str, settings: dict[str, str]) -> None:
    """Take the admin host out of the settings: it follows from who is to reach the port."""
    if (own := settings.pop(variable, None)) is None:
        return
    is_open = reader.get("expose-admin") is True or reader.get("handler") == "http"
    if is_open and own not in _EVERY_ADDRESS:
        reader.wrong("env", f"{variable}={own} contradicts what opens the admin port; leave it out")
    elif not is_open and own not in {LOOPBACK, "localhost"}:
        reader.wrong("env", f"{variable}={own} opens the admin port: --expose-admin")


def _fault(name: str, value: str, kind: Kind) -> str | None:
    """Return what is wrong with a plain variable, if anything."""
    if name.startswith("HEALTHCHECK_"):
        return f"{name} follows from the options: --port, --path, --timeout, --log-failures"
    prefix = PREFIXES.get(kind, "")
    if prefix and name.startswith(prefix):
        return _setting_fault(name, value, kind)
    if any(name.startswith(other) for other in PREFIXES.values()):
        return f"{name} does not belong to --kind {kind}"
    if _SECRET_WORD.search(name):
        return f"{name} looks like a secret: --secret {name}=REF"
    return None


def _setting_fault(name: str, value: str, kind: Kind) -> str | None:
    prefix = PREFIXES[kind]
    rows = {prefix + row.flag.upper().replace("-", "_"): row for row in SETTINGS[kind]}
    known = _known(kind)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        return f"{name} is no setting of split-{kind}" + (f"; {close[0]}?" if close else "")
    return _value_fault(name, value, kind, rows[name]) if name in rows else None


def _value_fault(name: str, value: str, kind: Kind, row: Setting) -> str | None:
    if row.flag in SECRET:
        way = "--apikey-secret REF" if row.flag == "apikey" else f"--secret {name}=REF"
        return f"{name} is a secret and must not stand in plain text: {way}"
    if row.flag in _PORTS:
        return None  # read apart
    if row.type == "int" and not re.fullmatch(r"-?(0|[1-9][0-9]*)", value):
        return f"{name}={value!r} is no whole number (split-{kind} would exit with 2)"
    if row.type == "bool" and value not in TRUE | FALSE:
        return f"{name}={value!r} is neither true nor false (split-{kind} would exit with 2)"
    return None


def _port(reader: _Reader, kind: Kind, settings: dict[str, str]) -> int:
    port = cast("int | None", reader.get("port"))
    if kind is Kind.GENERIC:
        if port is None:
            reader.wrong("port", "needed with --kind generic: the port that answers the check")
        return port or ADMIN_PORT
    return _from_setting(reader, "port", f"{PREFIXES[kind]}ADMIN_PORT", settings) or ADMIN_PORT


def _traffic_port(reader: _Reader, kind: Kind, port: int, settings: dict[str, str]) -> int | None:
    if kind is Kind.GENERIC:
        return cast("int", reader.get("traffic-port", port))
    if kind is Kind.SYNC:
        if reader.get("traffic-port"):
            reader.wrong("traffic-port", "split-sync serves no clients")
        return None
    variable = "SPLIT_PROXY_SERVER_PORT"
    found = _from_setting(reader, "traffic-port", variable, settings) or _PROXY_PORT
    if found != _PROXY_PORT:
        settings[variable] = str(found)
    if found == port:
        reader.wrong("port", f"{port} is the port for clients too: split-proxy needs both")
    return found


def _from_setting(
    reader: _Reader, option: str, variable: str, settings: dict[str, str]
) -> int | None:
    """Return a port that an option or the synchronizer's own variable may set, but not both."""
    given = cast("int | None", reader.get(option))
    text = settings.pop(variable, None)
    if text is None or not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:  # noqa: PLR2004 # RFC 9293
        if text is not None:
            reader.wrong("env", f"{variable}={text!r} is no port")
        return given
    if given is not None and given != int(text):
        reader.wrong(option, f"{given} contradicts {variable}={text}")
    return int(text)


def _secrets(reader: _Reader, kind: Kind, settings: Mapping[str, str]) -> dict[str, str]:
    secrets = _pairs(reader, "secret")
    apikey = reader.get("apikey-secret")
    if apikey is not None and kind is Kind.GENERIC:
        reader.wrong("apikey-secret", "the synchronizers alone have one: --secret NAME=REF")
    elif apikey is not None:
        name = f"{PREFIXES[kind]}APIKEY"
        if secrets.setdefault(name, apikey) != apikey:
            reader.wrong("apikey-secret", f"contradicts --secret {name}: leave one of them out")
    for name in secrets:
        if problem := _secret_fault(name, kind):
            reader.wrong("secret", problem)
        elif name in settings:
            reader.wrong("secret", f"{name} is a plain variable too: leave one of them out")
    return dict(sorted(secrets.items()))


def _secret_fault(name: str, kind: Kind) -> str | None:
    """Return what is wrong with the name of a secret variable, if anything."""
    derived = {f"{PREFIXES.get(kind)}{flag.upper().replace('-', '_')}" for flag in _DERIVED}
    if name in derived:
        return f"{name} is no secret: the check must know it; --env {name}=VALUE"
    if name.startswith("HEALTHCHECK_") or (
        name.startswith(tuple(PREFIXES.values())) and name not in _known(kind)
    ):
        return _fault(name, "", kind)
    return None


def _known(kind: Kind) -> list[str]:
    """Return the variables of a kind's settings."""
    prefix = PREFIXES.get(kind, "")
    rows = SETTINGS[kind] if prefix else ()
    urls = URLS if prefix else ()
    return [*(prefix + row.flag.upper().replace("-", "_") for row in rows),
            *(prefix + url for url in urls)]  # fmt: skip


def remarks(described: Workload) -> list[str]:
    """Return what the user must know of the workload, whatever the platform."""
    found = []
    prefix = described.prefix
    if prefix and f"{prefix}APIKEY" not in described.secrets:
        found.append(f"no --apikey-secret: split-{described.kind} exits with 1 without an API key")
    if described.kind is Kind.SYNC and not any("_REDIS_" in n for n in described.settings):
        found.append("no --redis-host: split-sync looks for Redis on localhost and exits with 3")
    found += [
        f"{name} has a blank: upstream's entrypoint splits it and loses every later setting; "
        "the entrypoint of probe's images does not"
        for name, value in described.settings.items()
        if prefix and name.startswith(prefix) and re.search(r"\s", value)
    ]
    return found
