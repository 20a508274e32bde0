"""Kubernetes documents: the vendor's schemas, the kubelet's expansion, and back to the plan."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from hypothesis.strategies import SearchStrategy
from ruamel.yaml import YAML

from probe.manifests import command
from probe.manifests import kubernetes
from probe.manifests.kubernetes import Options
from probe.manifests.kubernetes_probes import liveness_delay
from probe.manifests.kubernetes_probes import probes
from probe.manifests.kubernetes_probes import read_probes
from probe.manifests.kubernetes_probes import startup_period
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.spec import environment
from probe.platforms.rows import KUBERNETES
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import health_specs
from tests.manifests.strategies import workloads
from tests.support.kubectl import program

SCRIPT = script_text()
INLINE = inline(SCRIPT)
INT32 = 2**31 - 1
NONE = Options()
SYNC = Workload("split-sync", "example/split-sync:1", secrets={"SPLIT_SYNC_APIKEY": "split:apikey"})
PROXY = Workload("split-proxy", "example/split-proxy:1", Kind.PROXY, traffic_port=3000)
GENERIC = Workload("web", "example/web:1", Kind.GENERIC, port=8080, traffic_port=8080)
APART = replace(GENERIC, traffic_port=80)
HTTP: dict[str, Any] = {"handler": Handler.HTTP}
SECRETS = st.sampled_from(("split:apikey", "a.b-c:.dot_-Key", "x" * 253 + ":k"))
HTTP_PATHS = st.sampled_from(("/health/application", "/", "/a%20b?x=$(Y)&z", "/~a;b=c,d/@:!"))


def _plan(workload: Workload = SYNC, **health: Any) -> Plan:
    return Plan(workload, HealthSpec(**health), SCRIPT, INLINE)


@st.composite
def health_checks(draw: DrawFn) -> HealthSpec:
    """Return checks of either handler, without what the kubelet's httpGet cannot say."""
    spec = draw(health_specs(KUBERNETES, deliveries=tuple(Delivery)))
    if draw(st.booleans()):
        return spec
    return HealthSpec(spec.timings, draw(HTTP_PATHS), handler=Handler.HTTP)


def plans(checks: SearchStrategy[HealthSpec]) -> SearchStrategy[Plan]:
    kinds = st.sampled_from(Kind).flatmap(lambda kind: workloads(kind, secrets=SECRETS))
    return st.builds(Plan, kinds, checks, st.just(SCRIPT), st.just(INLINE))


PLANS = plans(health_checks())


def _of(kind: str, plan: Plan, options: Options = NONE) -> dict[str, Any]:
    """Return the document of a kind; empty where there is none."""
    documents = kubernetes.build(plan, options)
    return next((document for document in documents if document["kind"] == kind), {})


def _pod(plan: Plan, options: Options = NONE) -> dict[str, Any]:
    pod: dict[str, Any] = _of("Deployment", plan, options)["spec"]["template"]["spec"]
    return pod


def _container(plan: Plan, options: Options = NONE) -> dict[str, Any]:
    container: dict[str, Any] = _pod(plan, options)["containers"][0]
    return container


def _load(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def expand(text: str, value: Callable[[str], str]) -> str:
    """Expand as the kubelet does: third_party/forked/golang/expansion/expand.go Expand."""
    found = []
    rest = text
    while rest:
        here, rest = rest[0], rest[1:]
        if here != "$" or not rest:
            found.append(here)
        elif rest[0] == "(" and ")" in rest:
            name, _, rest = rest[1:].partition(")")
            found.append(value(name))
        else:
            found.append({"$": "$", "(": "$("}.get(rest[0], f"${rest[0]}"))
            rest = rest[1:]
    return "".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "<A>"),
        ("$$(A)", "$(A)"),
        ("$$$(A)$", "$<A>$"),
        ("$x$(A", "$x$(A"),
        ("a$()", "a<>"),
        ("$$$$", "$$"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    """The cases of Kubernetes' expand_test.go, for our copy of it."""
    assert expand(text, "<{}>".format) == expected


@settings(deadline=None, max_examples=100)
@given(PLANS)
def test_back(plan: Plan) -> None:
    """What is read back is what it was made of, from the documents and from their text."""
    documents = kubernetes.build(plan, NONE)
    assert kubernetes.read(documents) == (plan.workload, plan.health)
    assert _load(kubernetes.render(plan, NONE)) == documents


@settings(deadline=None, max_examples=100)
@given(PLANS)
def test_expanded(plan: Plan) -> None:
    """The container gets our words and variables, with each `$` that they have."""
    container = _container(plan)
    if plan.health.handler is Handler.EXEC:
        expected = command.argv(plan.workload, plan.health, INLINE)
        for probe in probes(plan).values():
            assert [expand(word, "<{}>".format) for word in probe["exec"]["command"]] == expected
    plain = {
        row["name"]: expand(row["value"], "<{}>".format)
        for row in container.get("env", [])
        if "value" in row
    }
    assert plain == environment(plan.workload, plan.health)


@settings(deadline=None, max_examples=100)
@given(PLANS)
def test_no_problems(plan: Plan) -> None:
    """What is within the limits has none."""
    assert not kubernetes.problems(plan, NONE)


VARIANTS = [
    pytest.param(_plan(), NONE, id="sync"),
    pytest.param(_plan(PROXY), Options(namespace="split", replicas=2), id="proxy"),
    pytest.param(_plan(GENERIC, delivery=Delivery.INLINE, log=True), NONE, id="generic inline"),
    pytest.param(_plan(PROXY, delivery=Delivery.CONFIGMAP), NONE, id="config map"),
    pytest.param(_plan(PROXY, **HTTP), Options(admin_from=("10.0.0.0/8", "app=web", "namespace:a")),
                 id="http"),
    pytest.param(_plan(replace(SYNC, expose_admin=True, port=65535), **HTTP),
                 Options(admin_from=("2001:db8::/32",)), id="exposed"),
    pytest.param(_plan(timings=Timings(INT32, INT32, INT32, INT32)), NONE, id="longest"),
    pytest.param(_plan(timings=Timings(1, 1, 1, 0)), NONE, id="shortest"),
]  # fmt: skip
VERSIONS = sorted(set(kubernetes_validate.utils.all_versions()))


@pytest.mark.parametrize(("plan", "options"), VARIANTS)
def test_schema(plan: Plan, options: Options) -> None:
    """The strict schema of the newest Kubernetes knows every field, and takes every value."""
    assert not kubernetes.problems(plan, options)
    assert kubernetes.read(kubernetes.build(plan, options)) == (plan.workload, plan.health)
    for document in kubernetes.build(plan, options):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_versions(version: str) -> None:
    """So does that of every version since 1.25, which first had endPort for good."""
    options = Options(admin_from=("app=web",))
    plan = _plan(replace(PROXY, expose_admin=True), delivery=Delivery.CONFIGMAP)
    documents = kubernetes.build(plan, options)
    assert len(documents) == 5
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(("plan", "options"), VARIANTS)
def test_kubectl(plan: Plan, options: Options) -> None:
    """The types of kubectl hold all of the Deployment: a field that they lack would be lost."""
    deployment = _of("Deployment", plan, options)
    done = subprocess.run(
        [program("kubectl"), "set", "image", "--local", "-f", "-", "-o", "yaml",
         f"{plan.workload.name}=example/other:2"],
        input=kubernetes.render(plan, options).split("---\n")[_place("Deployment", plan, options)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    (found,) = _load(done.stdout)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container.pop("image") == "example/other:2"
    container["image"] = plan.workload.image
    found.pop("status", None)
    assert found == _without_zeros(deployment)


def _without_zeros(value: Any) -> Any:
    """Leave out the delays that Go's types cannot tell from none; other zeros are pointers'."""
    if isinstance(value, dict):
        kept = {key for key, item in value.items() if (key, item) != ("initialDelaySeconds", 0)}
        return {key: _without_zeros(item) for key, item in value.items() if key in kept}
    return [_without_zeros(item) for item in value] if isinstance(value, list) else value


def _place(kind: str, plan: Plan, options: Options) -> int:
    return [row["kind"] for row in kubernetes.build(plan, options)].index(kind)


def test_restricted() -> None:
    """Each control of the restricted Pod Security Standard, and no more rights than needed."""
    pod = _pod(_plan(PROXY, delivery=Delivery.CONFIGMAP))
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "projected", "secret"}
    assert all(volume.keys() - {"name"} <= allowed for volume in pod["volumes"])
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}
    assert not any("hostPort" in port for port in pod["containers"][0]["ports"])


def test_pod() -> None:
    """No token, no variables of other Services, and time for slow requests at the end."""
    pod = _pod(_plan())
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["terminationGracePeriodSeconds"] == 45
    account = _of("ServiceAccount", _plan())
    assert pod["serviceAccountName"] == account["metadata"]["name"] == "split-sync"
    assert account["automountServiceAccountToken"] is False


def test_selected() -> None:
    """The Deployment, the Service and the policy select the labels that the pods have."""
    plan = _plan(PROXY, **HTTP)
    spec = _of("Deployment", plan)["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels == {"app.kubernetes.io/name": "split-proxy"}
    assert _of("Service", plan)["spec"]["selector"] == labels
    assert _of("NetworkPolicy", plan)["spec"]["podSelector"]["matchLabels"] == labels


def test_namespace() -> None:
    """A namespace stands in every document, or in none."""
    documents = kubernetes.build(_plan(PROXY, **HTTP), Options(namespace="split"))
    assert {document["metadata"]["namespace"] for document in documents} == {"split"}
    assert not any("namespace" in row["metadata"] for row in kubernetes.build(_plan(), NONE))


def test_secrets() -> None:
    """A secret is referred to by the name of its Secret and the key."""
    assert _container(_plan())["env"] == [
        {"name": "SPLIT_SYNC_ADMIN_HOST", "value": "127.0.0.1"},
        {
            "name": "SPLIT_SYNC_APIKEY",
            "valueFrom": {"secretKeyRef": {"name": "split", "key": "apikey"}},
        },
    ]


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [(Fraction(1, 4), "250m"), (Fraction(2), "2"), (Fraction(1, 1000), "1m")],
)
def test_resources(cpu: Fraction, expected: str) -> None:
    """CPU is asked for and not limited; memory is both."""
    assert _container(_plan(replace(SYNC, cpu=cpu)))["resources"] == {
        "requests": {"cpu": expected, "memory": "512Mi"},
        "limits": {"memory": "512Mi"},
    }


def test_tmp() -> None:
    """split-proxy has a temporary directory with a limit; split-sync has none."""
    pod = _pod(_plan(PROXY), Options(tmp_size=64))
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert "volumes" not in _pod(_plan())


def test_config_map() -> None:
    """The script is mounted alone, may be run by all, and another has another name."""
    plan = _plan(delivery=Delivery.CONFIGMAP)
    document = _of("ConfigMap", plan)
    assert document["data"] == {"healthcheck.sh": SCRIPT}
    assert _pod(plan)["volumes"][0]["configMap"] == {
        "name": document["metadata"]["name"],
        "defaultMode": 0o555,
    }
    assert _container(plan)["volumeMounts"] == [
        {
            "name": "healthcheck",
            "mountPath": "/healthcheck.sh",
            "subPath": "healthcheck.sh",
            "readOnly": True,
        }
    ]
    other = _of("ConfigMap", replace(plan, script="# other\n"))
    assert other["metadata"]["name"] != document["metadata"]["name"]


PORTS = [
    pytest.param(SYNC, {}, {}, {}, id="sync"),
    pytest.param(PROXY, {}, {"traffic": 3000}, {"traffic": (3000, "traffic")}, id="proxy"),
    pytest.param(PROXY, HTTP, {"traffic": 3000, "healthcheck": 3010},
                 {"traffic": (3000, "traffic")}, id="proxy http"),
    pytest.param(replace(PROXY, expose_admin=True), {}, {"traffic": 3000, "healthcheck": 3010},
                 {"traffic": (3000, "traffic"), "healthcheck": (3010, "healthcheck")},
                 id="proxy exposed"),
    pytest.param(SYNC, HTTP, {"healthcheck": 3010}, {}, id="sync http"),
    pytest.param(GENERIC, {}, {"traffic": 8080}, {"traffic": (8080, "traffic")}, id="generic"),
    pytest.param(GENERIC, HTTP, {"healthcheck": 8080}, {"traffic": (8080, "healthcheck")},
                 id="generic http, one port for both"),
    pytest.param(APART, {}, {"traffic": 80}, {"traffic": (80, "traffic")}, id="generic apart"),
]  # fmt: skip


@pytest.mark.parametrize(("workload", "health", "container", "service"), PORTS)
def test_ports(
    workload: Workload,
    health: dict[str, Any],
    container: dict[str, int],
    service: dict[str, tuple[int, str]],
) -> None:
    """A port is open where the kubelet or clients ask it; a Service has what clients ask."""
    plan = _plan(workload, **health)
    listed = _container(plan).get("ports", [])
    assert {row["name"]: row["containerPort"] for row in listed} == container
    rows = _of("Service", plan).get("spec", {"ports": []})["ports"]
    assert {row["name"]: (row["port"], row["targetPort"]) for row in rows} == service


def test_admin_host() -> None:
    """The admin port is on loopback, unless the kubelet asks it."""
    hosts = [_container(_plan(**health))["env"][0] for health in ({}, HTTP)]
    assert [row["name"] for row in hosts] == ["SPLIT_SYNC_ADMIN_HOST"] * 2
    assert [row["value"] for row in hosts] == ["127.0.0.1", "0.0.0.0"]


def test_https() -> None:
    """With admin TLS the kubelet asks by TLS."""
    workload = replace(SYNC, settings={"SPLIT_SYNC_ADMIN_TLS_ENABLED": "true"})
    plan = _plan(workload, **HTTP)
    assert not kubernetes.problems(plan, NONE)
    assert probes(plan)["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert kubernetes.read(kubernetes.build(plan, NONE)) == (workload, plan.health)


def _admits(policy: dict[str, Any], protocol: str, port: int) -> list[Any]:
    """Return from where a port is open: None is everywhere (NetworkPolicyIngressRule)."""
    return [
        rule.get("from")
        for rule in policy["spec"]["ingress"]
        for row in rule["ports"]
        if row["protocol"] == protocol
        and row.get("port", 0) <= port <= row.get("endPort", row.get("port", 65535))
    ]


@pytest.mark.parametrize("port", [1, 2, 3010, 65534, 65535])
def test_policy(port: int) -> None:
    """The admin port is for those named, every other as open as without a policy."""
    plan = _plan(replace(SYNC, port=port), **HTTP)
    policy = _of("NetworkPolicy", plan, Options(admin_from=("app=web",)))
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    named = [[{"podSelector": {"matchLabels": {"app": "web"}}}]]
    ports = {1, 2, 3, 3009, 3010, 3011, 65533, 65534, 65535}
    assert _admits(policy, "TCP", port) == named
    assert all(_admits(policy, "TCP", other) == [None] for other in ports - {port})
    assert all(_admits(policy, kind, any_) == [None] for kind in ("UDP", "SCTP") for any_ in ports)


def test_policy_of_nobody() -> None:
    """Where nobody is named, the kubelet alone comes through: Kubernetes always lets it in."""
    assert _admits(_of("NetworkPolicy", _plan(PROXY, **HTTP)), "TCP", 3010) == []


@pytest.mark.parametrize(
    ("workload", "health", "names", "expected"),
    [
        pytest.param(SYNC, {}, (), False, id="exec"),
        pytest.param(SYNC, HTTP, (), True, id="http"),
        pytest.param(APART, HTTP, (), True, id="generic"),
        pytest.param(GENERIC, HTTP, (), False, id="would cut the clients' port"),
        pytest.param(replace(SYNC, expose_admin=True), {}, (), False, id="for everyone"),
        pytest.param(replace(SYNC, expose_admin=True), HTTP, (), False, id="for everyone, http"),
        pytest.param(replace(SYNC, expose_admin=True), {}, ("a=b",), True, id="for some"),
    ],
)
def test_policy_where(
    workload: Workload, health: dict[str, Any], names: tuple[str, ...], *, expected: bool
) -> None:
    """A policy is there where the admin port is open, not to everyone, and not the clients'."""
    plan = _plan(workload, **health)
    assert bool(_of("NetworkPolicy", plan, Options(admin_from=names))) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", {"ipBlock": {"cidr": "10.0.0.0/8"}}),
        ("::/0", {"ipBlock": {"cidr": "::/0"}}),
        ("a.b/app=web", {"podSelector": {"matchLabels": {"a.b/app": "web"}}}),
        ("app=", {"podSelector": {"matchLabels": {"app": ""}}}),
        (
            "namespace:monitoring",
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
        ),
    ],
)
def test_peer(text: str, expected: dict[str, Any]) -> None:
    """A peer is a network, pods by a label, or a namespace by its name."""
    assert kubernetes.peer(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1", "10.0.0.1/8", "10.0.0.0/33", "web", "namespace:", "namespace:A", "=a", "a=b c",
     "-a=b", "a=b=c"],
)  # fmt: skip
def test_no_peer(text: str) -> None:
    """Anything else is refused, by its text."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        kubernetes.peer(text)


def test_probes() -> None:
    """Every field is written out; readiness leaves the Service before the restart."""
    words = ["/bin/bash", "-p", "/healthcheck.sh", "--timeout", "4"]
    assert probes(_plan()) == {
        key: {
            "exec": {"command": words},
            "initialDelaySeconds": 0,
            "periodSeconds": period,
            "timeoutSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": failures,
        }
        for key, period, failures in (
            ("startupProbe", 5, 13),
            ("livenessProbe", 10, 3),
            ("readinessProbe", 10, 2),
        )
    }


TIMINGS = st.builds(
    Timings,
    interval=st.integers(1, 20) | st.just(INT32),
    timeout=st.integers(1, 20) | st.just(INT32),
    retries=st.integers(1, 5) | st.just(INT32),
    start_period=st.integers(0, 200) | st.just(INT32),
)


@settings(deadline=None, max_examples=300)
@given(TIMINGS)
def test_timings_back(timings: Timings) -> None:
    """Timings are read back, and every number fits an int32."""
    made = probes(_plan(timings=timings))
    assert read_probes(made) == timings
    counts = [value for probe in made.values() for key, value in probe.items() if key != "exec"]
    assert all(0 <= count <= INT32 for count in counts)
    assert ("startupProbe" in made) is bool(timings.start_period)


@pytest.mark.parametrize("budget", [1, 4, 5, 6, 60, 61, 299])
@pytest.mark.parametrize("interval", [1, 3, 5, 30])
def test_startup_budget(budget: int, interval: int) -> None:
    """What never starts is killed when the budget is used up, at most a period later.

    A model of pkg/kubelet/prober/worker.go: a look on every tick, the first of which comes up to a
    period after the container's start; none before the initial delay.
    """
    probe = probes(_plan(timings=Timings(interval, 1, 3, budget)))["startupProbe"]
    period = probe["periodSeconds"]
    for first in range(period + 1):
        ticks = range(first, first + 1000, period)
        failures = [tick for tick in ticks if tick >= probe["initialDelaySeconds"]]
        killed = failures[probe["failureThreshold"] - 1]
        assert budget <= killed <= budget + period


def _failures(timings: Timings, delay: int) -> int:
    """Return how often liveness may fail, at worst, before a restarted container is gated.

    The same model: liveness runs ungated from the container's start until the startup probe's next
    tick, a period later at most, and later by the timeout where its worker is still busy.
    """
    gate = startup_period(timings) + int(timings.timeout)
    phases = range(int(timings.interval))
    return max(
        sum(tick >= delay for tick in range(phase, gate + 1, int(timings.interval)))
        for phase in phases
    )


GRID = [
    Timings(interval, timeout, retries, 60)
    for interval in range(1, 16)
    for timeout in range(1, interval + 1)
    for retries in range(1, 6)
]


def test_ungated() -> None:
    """No restarted container is killed while it goes ungated, whatever the phases."""
    for timings in GRID:
        assert _failures(timings, liveness_delay(timings)) < timings.retries, timings


def test_delay_needed() -> None:
    """Liveness waits only where it would kill otherwise."""
    delayed = [timings for timings in GRID if liveness_delay(timings)]
    assert delayed
    for timings in delayed:
        assert _failures(timings, 0) >= timings.retries, timings


def test_no_delay_without_gate() -> None:
    """Without a startup probe nothing is gated, and liveness counts from the start."""
    assert liveness_delay(Timings(1, 1, 1, 0)) == 0


def test_progress_deadline() -> None:
    """A roll-out is not given up while a pod may still be starting."""
    spec = _of("Deployment", _plan(timings=Timings(10, 5, 3, 3600)))["spec"]
    assert spec["progressDeadlineSeconds"] > 3600 + 45


def _on(*names: str) -> dict[str, str]:
    return {f"SPLIT_SYNC_{name}": "true" for name in names}


TLS = replace(SYNC, settings=_on("ADMIN_TLS_ENABLED"))
MUTUAL = replace(SYNC, settings=_on("ADMIN_TLS_ENABLED", "ADMIN_TLS_CLIENT_VALIDATION"))
PROBLEMS = [
    pytest.param(_plan(TLS), NONE,
                 r"--env SPLIT_SYNC_ADMIN_TLS_ENABLED: .*leave it out.*--handler http.*--tls",
                 id="tls"),
    pytest.param(_plan(MUTUAL, **HTTP), NONE,
                 r"--env SPLIT_SYNC_ADMIN_TLS_CLIENT_VALIDATION: .*certificate.*--cert",
                 id="client validation"),
    pytest.param(_plan(**HTTP, expect="200,204"), NONE, r"--expect 200,204: .*200 to 399.*exec",
                 id="codes"),
    pytest.param(_plan(**HTTP, path="//a"), NONE, r"--path //a: .*--handler exec", id="host"),
    pytest.param(_plan(**HTTP, path="/a#b"), NONE, r"--path /a#b: ", id="fragment"),
    pytest.param(_plan(**HTTP, path='/"'), NONE, r'--path /": ', id="quote"),
    pytest.param(_plan(**HTTP, path="/%zz"), NONE, r"--path /%zz: ", id="escape"),
    pytest.param(_plan(**HTTP, delivery=Delivery.INLINE), NONE, r"--inline: .*no script.*exec",
                 id="inline"),
    pytest.param(_plan(**HTTP, delivery=Delivery.CONFIGMAP), NONE,
                 r"--script configmap: .*no script.*exec", id="config map"),
    pytest.param(_plan(**HTTP, log=True), NONE, r"--log-failures: .*events", id="log"),
    pytest.param(_plan(replace(SYNC, name="1a")), NONE, r"--name '1a': .*a letter first",
                 id="digit first"),
    pytest.param(_plan(replace(SYNC, name="a.b")), NONE, r"--name 'a.b': ", id="dot"),
    pytest.param(_plan(replace(SYNC, name="a" * 64)), NONE, r"--name 'a{64}': up to 63", id="long"),
    pytest.param(_plan(), Options(namespace="A"), r"--namespace 'A': ", id="namespace"),
    pytest.param(_plan(replace(SYNC, cpu=Fraction(1, 3))), NONE, r"--cpu 0\.3.*: .*such as 333m",
                 id="cpu"),
    pytest.param(_plan(replace(SYNC, secrets={"SPLIT_SYNC_APIKEY": "arn:aws:x"})), NONE,
                 r"--apikey-secret 'arn:aws:x': .*split:apikey", id="arn"),
    pytest.param(_plan(replace(GENERIC, secrets={"KEY": "split"})), NONE,
                 r"--secret KEY: 'split': not SECRET:KEY", id="no key"),
    pytest.param(_plan(replace(GENERIC, secrets={"KEY": "Split:a"})), NONE,
                 r"--secret KEY: 'Split:a'", id="name of the Secret"),
    pytest.param(_plan(replace(GENERIC, secrets={"KEY": "a:.."})), NONE, r"--secret KEY: 'a:\.\.'",
                 id="key"),
    pytest.param(_plan(**HTTP), Options(admin_from=("web",)),
                 r"--admin-from: 'web' is no CIDR", id="peer"),
    pytest.param(_plan(), Options(admin_from=("a=b",)),
                 r"--admin-from: only --handler http and --expose-admin", id="nothing to limit"),
    pytest.param(_plan(GENERIC, **HTTP), Options(admin_from=("a=b",)),
                 r"--admin-from: .*port 8080, which clients use too", id="clients' port"),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "options", "message"), PROBLEMS)
def test_problems(plan: Plan, options: Options, message: str) -> None:
    """What cannot be deployed is told once, by its option, with the way out."""
    (problem,) = kubernetes.problems(plan, options)
    assert re.fullmatch(f"{message}.*", problem)


NOTES = [
    pytest.param(_plan(GENERIC), NONE, "root file system is read-only", id="read-only"),
    pytest.param(_plan(), NONE, "starts bash in the container", id="price of exec"),
    pytest.param(_plan(**HTTP), NONE, "stop endpoint needs no password", id="price of http"),
    pytest.param(_plan(**HTTP), NONE, "any code from 200 to 399", id="codes of http"),
    pytest.param(_plan(**HTTP), NONE, "always lets the kubelet in) and to nobody else", id="node"),
    pytest.param(_plan(**HTTP), Options(admin_from=("a=b",)), "and to a=b; it works only where",
                 id="plug-in"),
    pytest.param(_plan(replace(SYNC, expose_admin=True)), NONE, "--admin-from says who",
                 id="exposed"),
]  # fmt: skip


def test_generic_notes() -> None:
    """Another application's health port has no stop endpoint of which we know."""
    assert not [text for text in kubernetes.notes(_plan(APART, **HTTP), NONE) if "stop" in text]


@pytest.mark.parametrize(("plan", "options", "note"), NOTES)
def test_notes(plan: Plan, options: Options, note: str) -> None:
    """What the user must know besides is said."""
    assert [text for text in kubernetes.notes(plan, options) if note in text]


def _without(*path: str | int) -> list[Any]:
    documents = kubernetes.build(_plan(), NONE)
    inner: Any = _deployment(documents)
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return documents


def _deployment(documents: list[Any]) -> Any:
    return next(row for row in documents if row["kind"] == "Deployment")


_CONTAINER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param([], id="empty"),
        pytest.param([None], id="null"),
        pytest.param([{}], id="no kind"),
        pytest.param([{"kind": "Pod"}], id="another kind"),
        pytest.param([{"kind": "Deployment"}, {"kind": "Deployment"}], id="two"),
        pytest.param(_without("spec"), id="no spec"),
        pytest.param(_without(*_CONTAINER, "livenessProbe"), id="no liveness"),
        pytest.param(_without(*_CONTAINER, "livenessProbe", "periodSeconds"), id="no period"),
        pytest.param(_without(*_CONTAINER, "livenessProbe", "exec", "command", 2), id="foreign"),
        pytest.param(_without(*_CONTAINER, "resources"), id="no resources"),
        pytest.param(_without(*_CONTAINER), id="no container"),
    ],
)
def test_foreign(documents: list[Any]) -> None:
    """Documents that are not ours are refused, whatever they are."""
    with pytest.raises(SpecError, match=r"\bours?\b"):
        kubernetes.read(documents)
