"""Workloads and health checks within the limits, for the property tests of every format."""

import math
import string
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from hypothesis.strategies import SearchStrategy

from probe.contract.target import VALID
from probe.manifests import ecs
from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import HEALTH_PATH
from probe.manifests.spec import Delivery
from probe.manifests.spec import Dependent
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.platforms import fargate
from probe.platforms import rows
from probe.platforms.durations import Seconds
from probe.platforms.durations import plain
from probe.platforms.resources import UNITS_PER_VCPU
from probe.platforms.rows import Field
from probe.platforms.rows import Platform
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from probe.synchronizer.settings import FALSE
from probe.synchronizer.settings import PREFIXES
from probe.synchronizer.settings import SECRET
from probe.synchronizer.settings import SETTINGS
from probe.synchronizer.settings import TRUE
from probe.synchronizer.settings import Setting

_LETTERS = string.ascii_letters + "_"
_PROXY_PORT = 3000
# Above a day nothing new happens, except at the limit itself.
_DAY = 86400

# What carriers escape, what YAML reads as something else, what shells split.
_ODD = (
    "", " ", "no", "on", "null", "~", "012", "1e3", "12:30", "0x1f", "true", "-", "- a", "a: b",
    "#", "a #b", "'", '"', "\\", "\\n", "$", "$$", "${HOME}", "$${HOME}", "$$${x}", "$(NAME)",
    "$$(NAME)", "%{if x}", "%%{x}", "{{ .Values.x }}", "`id`", "a\nb", "a\n", "\n", "a\r\nb", "\t",
    " leading", "trailing ", "{", "[", "&a", "*a", "!a", "%a", "@a", "|", ">", "?", "a,b", "ü",
    "日本", "\U0001f600", "\u2028", "\x7f", "redis.internal:6379",
)  # fmt: skip

ODD_TEXTS = st.sampled_from(_ODD) | st.text(
    st.characters(exclude_categories=("Cs", "Cn", "Cc"), include_characters="\n\t$%{}\"'\\"),
    max_size=20,
)
NAMES = st.from_regex(r"[a-z](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
IMAGES = st.sampled_from(
    (
        "example/split-sync:1",
        "alpine",
        "registry.example:5000/team/app:2024.01-rc_1",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/app@sha256:" + "0123456789abcdef" * 4,
    )
)
PORTS = st.sampled_from((1, 80, ADMIN_PORT, _PROXY_PORT, 65535)) | st.integers(1, 65535)
SIZES = st.tuples(
    st.integers(1, 64).map(lambda eighths: Fraction(eighths, 8)), st.integers(6, 65536)
)
PATHS = st.just(HEALTH_PATH) | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30
).map(lambda text: "/" + text).filter(VALID["path"])
EXPECTS = st.sampled_from(("200", "200,204", "200-299", "204,300-399,500"))


def _variable(prefix: str, row: Setting) -> str:
    return prefix + row.flag.upper().replace("-", "_")


def _values(row: Setting) -> SearchStrategy[str]:
    """Return what a setting takes; without admin TLS, which the shell probe cannot speak."""
    if row.flag == "admin-tls-enabled":
        return st.sampled_from(sorted(FALSE))
    if row.type == "bool":
        return st.sampled_from(sorted(TRUE | FALSE))
    if row.type == "int":
        return st.integers(-1, 2**31 - 1).map(str)
    return ODD_TEXTS


# They follow from other fields of the workload, or are secrets.
_DERIVED = frozenset({"admin-host", "admin-port", "server-port"}) | SECRET


def variables(kind: Kind) -> SearchStrategy[dict[str, str]]:
    """Return plain variables of a kind, with odd but valid values."""
    prefix = PREFIXES.get(kind)
    if prefix is None:
        names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
            lambda name: not name.startswith(("SPLIT_", "HEALTHCHECK_"))
        )
        return st.dictionaries(names, ODD_TEXTS, max_size=4)
    rows = [row for row in SETTINGS[kind] if row.flag not in _DERIVED]
    chosen = st.lists(st.sampled_from(rows), max_size=4, unique=True)
    return chosen.flatmap(
        lambda some: st.fixed_dictionaries({_variable(prefix, row): _values(row) for row in some})
    )


def _secret_names(kind: Kind) -> list[str]:
    if prefix := PREFIXES.get(kind):
        return [_variable(prefix, row) for row in SETTINGS[kind] if row.flag in SECRET]
    return ["SECRET_A", "SECRET_B", "PASSWORD"]


@st.composite
def workloads(
    draw: DrawFn,
    kind: Kind,
    *,
    secrets: SearchStrategy[str],
    sizes: SearchStrategy[tuple[Fraction, int]] = SIZES,
) -> Workload:
    """Return a workload that every platform takes.

    *secrets* are the platform's references; *sizes* are vCPUs and MiB. Names are DNS labels.
    A service of kind generic is asked on a port that is always published, or has another for its
    clients.
    """
    port = draw(PORTS)
    traffic = None if kind is Kind.SYNC else draw(PORTS)
    if kind is Kind.PROXY and traffic == port:
        traffic = port % 65535 + 1
    found = draw(variables(kind))
    if kind is Kind.PROXY and traffic != _PROXY_PORT:
        found["SPLIT_PROXY_SERVER_PORT"] = str(traffic)
    cpu, memory = draw(sizes)
    named = st.dictionaries(st.sampled_from(_secret_names(kind)), secrets, max_size=3)
    return Workload(
        name=draw(NAMES),
        image=draw(IMAGES),
        kind=kind,
        port=port,
        traffic_port=traffic,
        settings=found,
        secrets={name: ref for name, ref in draw(named).items() if name not in found},
        cpu=cpu,
        memory=memory,
        uid=draw(st.sampled_from((1, 1000, 65532))),
        expose_admin=draw(st.booleans()) and traffic != port,
    )


def _times(field: Field, most: float, least: float = 0) -> SearchStrategy[Seconds]:
    """Return seconds within a field's limits: whole ones, and thousandths where it takes them."""
    least = max(field.minimum, least)
    most = min(field.maximum, most)
    first, last = math.ceil(least), math.floor(most)
    whole = st.integers(first, last) if first <= last else st.nothing()
    if field.step:
        return whole
    thousandths = st.integers(math.ceil(least * 1000), math.floor(most * 1000))
    return whole | thousandths.map(lambda n: plain(Fraction(n, 1000)))


@st.composite
def timings(draw: DrawFn, platform: Platform) -> Timings:
    """Return timings within a platform's limits, the timeout not above the interval."""
    interval = draw(_times(platform.interval, _DAY, platform.timeout.minimum))
    return Timings(
        interval=interval,
        timeout=draw(_times(platform.timeout, interval)),
        retries=draw(st.integers(1, min(platform.retries.maximum, 1000))),
        start_period=draw(_times(platform.start_period, _DAY)),
    )


def health_specs(
    platform: Platform,
    *,
    deliveries: tuple[Delivery, ...] = (Delivery.IMAGE, Delivery.INLINE),
    handlers: tuple[Handler, ...] = (Handler.EXEC,),
) -> SearchStrategy[HealthSpec]:
    """Return checks within a platform's limits."""
    return st.builds(
        HealthSpec,
        timings=timings(platform),
        path=PATHS,
        expect=EXPECTS,
        delivery=st.sampled_from(deliveries),
        handler=st.sampled_from(handlers),
        log=st.booleans(),
    )


SECRET_ARNS = st.sampled_from(
    (
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:split-AbCdEf",
        "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a/b@c-AbCdEf:key::",
        "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/split/apikey",
    )
)
FARGATE_SIZES = st.sampled_from(
    [
        (Fraction(cpu, UNITS_PER_VCPU), memory)
        for cpu, memories in fargate.SIZES.items()
        for memory in memories
    ]
)
EC2_SIZES = st.tuples(
    st.integers(128, 196608).map(lambda units: Fraction(units, UNITS_PER_VCPU)),
    st.integers(12, 1_000_000),
)


@st.composite
def ecs_options(draw: DrawFn, launch: str) -> ecs.Options:
    """Return options that ECS takes, an application of its own name among them."""
    task_role = draw(st.none() | st.just("arn:aws:iam::123456789012:role/team/task"))
    return ecs.Options(
        launch=launch,
        log_group="/ecs/split",
        region="us-east-1",
        execution_role="arn:aws:iam::123456789012:role/exec",
        task_role=task_role,
        arch=draw(st.sampled_from(("x86_64", "arm64"))),
        tmp_volume=draw(st.booleans()),
        tmp_size=draw(st.integers(1, 1024)),
        ecs_exec=task_role is not None and draw(st.booleans()),
        app=draw(st.none() | st.just(Dependent("App", "example/app:1"))),
        family=draw(st.none() | st.just("some_Family-1")),
    )


@st.composite
def ecs_cases(draw: DrawFn) -> tuple[Plan, ecs.Options]:
    """Return what can be deployed on ECS as it is."""
    launch = draw(st.sampled_from(("fargate", "ec2")))
    sizes = FARGATE_SIZES if launch == "fargate" else EC2_SIZES
    workload = draw(workloads(draw(st.sampled_from(Kind)), secrets=SECRET_ARNS, sizes=sizes))
    text = script_text()
    plan = Plan(workload, draw(health_specs(rows.ECS)), text, inline(text))
    return plan, draw(ecs_options(launch))
