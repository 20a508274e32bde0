"""The check is put into files of every kind, or brought up to date, and nothing else changes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from probe.manifests import cloudformation as generate_cloudformation
from probe.manifests import compose as generate_compose
from probe.manifests import dockerfile as generate_dockerfile
from probe.manifests import ecs as generate_ecs
from probe.manifests import kubernetes as generate_kubernetes
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.manifests.wiring import ecs
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.fragments import fragment
from probe.manifests.wiring.recognise import Fragment
from probe.manifests.wiring.recognise import NotWiredError
from probe.manifests.wiring.request import Request
from probe.manifests.wiring.request import Result
from probe.manifests.wiring.request import State
from probe.manifests.wiring.wire import wire
from probe.platforms.timings import Given
from probe.platforms.timings import Timings
from probe.platforms.timings import TimingsError
from probe.scripts import inline
from probe.scripts import script_text

DATA = Path(__file__).parents[2] / "data" / "wire"
REQUEST = Request(script_text(), inline(script_text()))
ODD = sorted(path for path in DATA.glob("*/*") if ".wired" not in path.name)


def ask(**options: Any) -> Request:
    return replace(REQUEST, **options)


def expected(path: Path) -> Path:
    return path.with_name(f"{path.name}.wired")


def text_of(path: Path) -> str:
    return path.read_bytes().decode()


def name_of(path: Path) -> str:
    return str(path.relative_to(DATA))


@pytest.mark.parametrize("path", ODD, ids=name_of)
def test_odd_files(path: Path) -> None:
    """Each file becomes exactly what stands beside it, every untouched byte included."""
    result = wire(text_of(path), path.name, REQUEST)
    assert result.text == text_of(expected(path))


@pytest.mark.parametrize("path", ODD, ids=name_of)
def test_second_run(path: Path) -> None:
    """What was wired carries our check, and wiring it again changes nothing."""
    wired = text_of(expected(path))
    again = wire(wired, path.name, REQUEST)
    assert (again.text, again.carries) == (wired, True)


@pytest.mark.parametrize("path", ODD, ids=name_of)
def test_untouched_bytes(path: Path) -> None:
    """Without the lines that came, what is left is a part of the old file, in its order."""
    old = text_of(path).splitlines(keepends=True)
    new = text_of(expected(path)).splitlines(keepends=True)
    gone = [line for line in old if line not in new]
    assert len(gone) <= 4
    assert {line.endswith("\r\n") for line in old[:-1]} == {
        line.endswith("\r\n") for line in new[:-1]
    }
    assert text_of(path).endswith("\n") == text_of(expected(path)).endswith("\n")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"delivery": Delivery.INLINE}, id="inline"),
        pytest.param(
            {"given": Given(interval=20, timeout=8, retries=2, start_period=30)}, id="times"
        ),
        pytest.param({"given": Given(detect_within=60, start_within=90)}, id="budgets"),
        pytest.param({"port": 4010, "path": "/ping", "expect": "200-299"}, id="what is asked"),
        pytest.param({"log": True}, id="log"),
    ],
)
@pytest.mark.parametrize("path", ODD, ids=name_of)
def test_options(path: Path, options: dict[str, Any]) -> None:
    """Every option holds for every kind, and the second run with it changes nothing."""
    first = wire(text_of(path), path.name, ask(**options))
    again = wire(first.text, path.name, ask(**options))
    assert (again.text, again.carries) == (first.text, True)
    assert first.text != text_of(path)


@settings(deadline=None, max_examples=25)
@given(
    path=st.sampled_from(ODD),
    timeout=st.integers(2, 60),
    longer=st.integers(0, 60),
    retries=st.integers(1, 10),
    start=st.integers(0, 300),
    inline_=st.booleans(),
)
def test_any_timings(
    path: Path, timeout: int, longer: int, retries: int, start: int, *, inline_: bool
) -> None:
    """Whatever fits is written so that the file carries our check, and stays with a plain run."""
    timings = Given(max(5, timeout + longer), timeout, retries, start)
    delivery = Delivery.INLINE if inline_ else None
    first = wire(text_of(path), path.name, ask(given=timings, delivery=delivery))
    again = wire(first.text, path.name, REQUEST)
    assert (again.text, again.carries) == (first.text, True)


def ecs_text(**container: Any) -> str:
    definition = {"name": "split-sync", "image": "split-sync:1"} | container
    return json.dumps({"family": "f", "containerDefinitions": [definition]}, indent=2)


def pod_text(extra: str = "", name: str = "split-sync") -> str:
    head = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n"
    return head + f"  - name: {name}\n    image: {name}:1\n{extra}"


def compose_text(*lines: str) -> str:
    return "services:\n  web:\n    image: web\n" + "".join(f"    {line}\n" for line in lines)


def check_of(result: Result) -> Any:
    return json.loads(result.text)["containerDefinitions"][0]["healthCheck"]


OURS = ["CMD", "/bin/bash", "-p", "/healthcheck.sh"]
FOUR = {"interval": 20, "timeout": 5, "retries": 4, "startPeriod": 30}
COMMANDS = [
    pytest.param([*OURS, "--timeout", "4"], [*OURS, "--timeout", "4"], id="as it is"),
    pytest.param([*OURS, "--timeout", "2"], [*OURS, "--timeout", "2"], id="an earlier deadline"),
    pytest.param([*OURS, "--timeout=5"], [*OURS, "--timeout=4"], id="too late, in its own form"),
    pytest.param(OURS, [*OURS, "--timeout", "4"], id="no deadline"),
    pytest.param(["CMD", "/opt/healthcheck.sh"], ["CMD", "/bin/bash", "-p", "/opt/healthcheck.sh",
                 "--timeout", "4"], id="another folder"),
    pytest.param(["CMD", "/usr/bin/bash", "/healthcheck.sh"], ["CMD", "/usr/bin/bash", "-p",
                 "/healthcheck.sh", "--timeout", "4"], id="another bash, without -p"),
    pytest.param(OURS[1:], [*OURS, "--timeout", "4"], id="without CMD"),
    pytest.param(["CMD-SHELL", "/healthcheck.sh --port 1 || exit 1"], [*OURS, "--timeout", "4",
                 "--port", "1"], id="through a shell"),
    pytest.param([*OURS, "--port", "9", "--path=/x", "--log", "--expect", "204"],
                 [*OURS, "--timeout", "4", "--port", "9", "--path=/x", "--log", "--expect", "204"],
                 id="a user's options"),
    pytest.param(["CMD", "bash", "-p", "-c", "# healthcheck 0.0.1\nold", "x", "--port", "1"],
                 ["CMD", "bash", "-p", "-c", REQUEST.inline, "healthcheck", "--timeout", "4",
                  "--port", "1"], id="an old inline text"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), COMMANDS)
def test_command_brought_up_to_date(before: list[str], after: list[str]) -> None:
    """The call and the deadline are of today; what a user chose stays, timings too."""
    result = wire(ecs_text(healthCheck={"command": before, **FOUR}), "", REQUEST)
    assert check_of(result) == {"command": after, **FOUR}


TIMINGS = [
    pytest.param({"interval": 3}, {"interval": 10}, id="below the limit"),
    pytest.param({"timeout": 61}, {"timeout": 5}, id="above the limit"),
    pytest.param({"retries": 0}, {"retries": 3}, id="no retries"),
    pytest.param({"startPeriod": 301}, {"startPeriod": 60}, id="too long a start"),
    pytest.param({"interval": 5, "timeout": 9}, {"interval": 5, "timeout": 9}, id="within limits"),
]


@pytest.mark.parametrize(("before", "after"), TIMINGS)
def test_timings_within_limits_are_kept(before: dict[str, int], after: dict[str, int]) -> None:
    text = ecs_text(healthCheck={"command": OURS, **FOUR, **before})
    found = check_of(wire(text, "", REQUEST))
    assert {key: found[key] for key in FOUR} == FOUR | after


def test_options_beat_what_is_there() -> None:
    text = ecs_text(healthCheck={"command": [*OURS, "--timeout", "2", "--port", "1"], **FOUR})
    asked = ask(given=Given(timeout=9), port=2, expect="204", log=True)
    options = ["--timeout", "8", "--port", "2", "--expect", "204", "--log"]
    assert check_of(wire(text, "", asked)) == {"command": [*OURS, *options], **FOUR, "timeout": 9}


def test_refused_timings() -> None:
    """A timing that the platform does not take is refused by name."""
    with pytest.raises(TimingsError, match="timeout 99 does not fit"):
        wire(ecs_text(), "", ask(given=Given(timeout=99)))


FOREIGN = [
    pytest.param(ecs_text(healthCheck={"command": ["CMD-SHELL", "curl -f localhost"]}),
                 "CMD-SHELL curl -f localhost", id="ECS"),
    pytest.param(ecs_text(healthCheck={"command": ["CMD-SHELL", "/healthcheck.sh; true"]}),
                 "CMD-SHELL /healthcheck.sh; true", id="more than our script"),
    pytest.param(compose_text("healthcheck: {test: curl x}"), "curl x", id="Compose string"),
    pytest.param(compose_text("healthcheck: {test: [NONE]}"), "NONE", id="Compose NONE"),
    pytest.param(compose_text("healthcheck:", "  disable: true"), "disable: true", id="disabled"),
    pytest.param(pod_text("    livenessProbe:\n      tcpSocket: {port: 80}\n"),
                 "livenessProbe: tcpSocket port=80", id="tcpSocket"),
    pytest.param(pod_text("    readinessProbe:\n      httpGet: {path: /x, port: 80}\n"),
                 "readinessProbe: httpGet path=/x port=80", id="httpGet"),
    pytest.param("Resources:\n  T:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n"
                 "      ContainerDefinitions:\n      - Name: a\n        HealthCheck: !If [A, "
                 "{Command: [CMD-SHELL, !Sub 'curl ${X}']}, !Ref 'AWS::NoValue']\n",
                 "HealthCheck is made by !If", id="CloudFormation function"),
    pytest.param("FROM a\nHEALTHCHECK CMD curl -f x\n", "curl -f x", id="Dockerfile"),
    pytest.param("FROM a\nHEALTHCHECK NONE\n", "NONE", id="Dockerfile NONE"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), FOREIGN)
def test_foreign_is_left(text: str, shown: str) -> None:
    """A check of others is shown and left, to the byte."""
    result = wire(text, "", REQUEST)
    assert (result.text, result.foreign, result.carries) == (text, True, False)
    assert shown in result.containers[0].shown


@pytest.mark.parametrize(("text", "shown"), FOREIGN)
def test_foreign_is_replaced(text: str, shown: str) -> None:
    """With --replace ours takes its place, whole."""
    result = wire(text, "", ask(replace=True))
    again = wire(result.text, "", REQUEST)
    assert (again.text, again.carries) == (result.text, True)
    assert shown not in result.text


NOT_CARRIED = [
    pytest.param(ecs_text(), "no health check", id="nothing"),
    pytest.param(ecs_text(healthCheck={"command": OURS, "timeout": 3}),
                 "its own deadline of 3 s is not below timeout, 3 s", id="the probe's default"),
    pytest.param(ecs_text(healthCheck={"command": [*OURS, "--timeout", "5"]}),
                 "its own deadline of 5 s is not below timeout, 5 s", id="the platform's default"),
    pytest.param(ecs_text(healthCheck={"command": OURS}, environment=[
        {"name": "HEALTHCHECK_TIMEOUT", "value": "7"}]),
        "its own deadline of 7 s is not below timeout, 5 s", id="the variable"),
    pytest.param(ecs_text(healthCheck={"command": [*OURS, "--timeout", "x"]}),
                 "its --timeout is no number of seconds", id="no number"),
    pytest.param(ecs_text(healthCheck={"command": OURS[1:]}), "never runs", id="without CMD"),
    pytest.param(ecs_text(healthCheck={"command": OURS, "interval": 1}),
                 "interval 1 is not within 5 and 300", id="limits"),
    pytest.param(ecs_text(healthCheck={"command": OURS}, environment=[
        {"name": "SPLIT_SYNC_ADMIN_TLS_ENABLED", "value": "true"}]), "speak TLS", id="TLS"),
    pytest.param(pod_text("    livenessProbe: {exec: {command: [bash, /healthcheck.sh]}}\n"),
                 "no startupProbe; no readinessProbe; livenessProbe: its own deadline of 3 s",
                 id="one probe of three"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), NOT_CARRIED)
def test_check(text: str, fault: str) -> None:
    """--check says why a file does not carry our check, and changes nothing."""
    result = wire(text, "", REQUEST, look_only=True)
    assert (result.text, result.carries) == (text, False)
    assert fault in "; ".join(result.containers[0].faults)


TWO = '{"containerDefinitions": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]}'
CHOICE = [
    pytest.param(TWO, None, "which container? --container NAME: a, b", id="several"),
    pytest.param(TWO, "c", "no container 'c'; there are: a, b", id="not there"),
    pytest.param("FROM a AS x\nFROM b\n", "y", "x", id="no such stage"),
    pytest.param('{"containerDefinitions": []}', None, "no container in it", id="none"),
]


@pytest.mark.parametrize(("text", "container", "said"), CHOICE)
def test_choice_is_asked_for(text: str, container: str | None, said: str) -> None:
    with pytest.raises(WireError) as raised:
        wire(text, "", ask(container=container))
    assert said in raised.value.message


def test_every_workload_of_a_file() -> None:
    """In each workload in which one container is the synchronizer's, that one is wired."""
    text = pod_text() + "---\n" + pod_text(name="web") + "---\n" + pod_text(name="split-proxy")
    result = wire(text, "", REQUEST)
    assert [wired.name for wired in result.containers] == ["split-sync", "split-proxy"]


BAD = [
    pytest.param('{"containerDefinitions":\n "x"}', "containerDefinitions is a string", 2,
                 id="list"),
    pytest.param(ecs_text(healthCheck="x"), "healthCheck is a string, not a mapping", 7,
                 id="object"),
    pytest.param(ecs_text(healthCheck={"command": OURS, "interval": "5"}),
                 "containerDefinitions[0].healthCheck.interval is a string", 14, id="number"),
    pytest.param("services: [a]\n", "services is a list, not a mapping", 1, id="services"),
    pytest.param(compose_text("healthcheck:", "  test: [CMD, /healthcheck.sh]", "  interval: 10"),
                 "services.web.healthcheck.interval is a number, not a duration", 6, id="unit"),
    pytest.param(pod_text("    livenessProbe: x\n"), "spec.containers[0].livenessProbe is a string",
                 8, id="probe"),
    pytest.param(ecs_text(environment=[{"name": "SPLIT_PROXY_ADMIN_TLS_ENABLED", "value": "T"}]),
                 "speak TLS", 4, id="TLS"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said", "line"), BAD)
def test_bad(text: str, said: str, line: int) -> None:
    """What is of a wrong type is told with its place."""
    with pytest.raises(WireError) as raised:
        wire(text, "", REQUEST)
    assert said in raised.value.message
    assert raised.value.line == line


LEFT = [
    pytest.param("Resources:\n  T:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n"
                 "      ContainerDefinitions:\n      - Name: a\n        Image: a\n      - !If\n"
                 "        - C\n        - Name: b\n          Image: b\n        - !Ref X\n",
                 "ContainerDefinitions[1] is chosen by !If", Fragment.CLOUDFORMATION, id="!If"),
    pytest.param("x: &b {image: b}\nservices:\n  b: *b\n", "services.b is the alias *b",
                 Fragment.COMPOSE, id="alias"),
    pytest.param("services:\n  b: &b {image: b}\n  c: {<<: *b}\n", "anchor", Fragment.COMPOSE,
                 id="anchor"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said", "syntax"), LEFT)
def test_left_to_the_owner(text: str, said: str, syntax: Fragment) -> None:
    """What others share, or a function chooses, is refused with what may be pasted."""
    with pytest.raises(NotWiredError) as raised:
        wire(text, "", ask(container="b"))
    assert said in raised.value.message
    assert raised.value.fragment is syntax


def load_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


FRAGMENTS: list[tuple[Fragment, Callable[[str], Any], list[str]]] = [
    (Fragment.ECS, json.loads, ["healthCheck", "command"]),
    (Fragment.TERRAFORM_JSON, json.loads, ["healthCheck", "command"]),
    (Fragment.CLOUDFORMATION, load_yaml, ["HealthCheck", "Command"]),
    (Fragment.COMPOSE, load_yaml, ["healthcheck", "test"]),
    (Fragment.KUBERNETES, load_yaml, ["livenessProbe", "exec", "command"]),
]


@pytest.mark.parametrize(
    ("syntax", "load", "path"), FRAGMENTS, ids=[str(row[0]) for row in FRAGMENTS]
)
def test_fragments(syntax: Fragment, load: Callable[[str], Any], path: list[str]) -> None:
    """A fragment is the check in the syntax of the file it is for."""
    found = load(fragment(syntax, REQUEST))
    for key in path:
        found = found[key]
    assert found[-4:] == ["-p", "/healthcheck.sh", "--timeout", "4"]


def test_hcl_fragment() -> None:
    """In HCL strings are templates: `${` is doubled."""
    text = fragment(Fragment.HCL, ask(delivery=Delivery.INLINE))
    assert text.startswith('healthCheck = {\n  command     = ["CMD", "/bin/bash", "-p", "-c", "')
    assert "$${" in text
    assert text.replace("$${", "").count("${") == 0


def test_http_handler() -> None:
    """The kubelet asks a port that has a name, in all three probes."""
    result = wire(pod_text(), "", ask(handler=Handler.HTTP, port=4010))
    container = load_yaml(result.text)["spec"]["containers"][0]
    assert container["ports"] == [{"name": "healthcheck", "containerPort": 4010}]
    assert {container[key]["httpGet"]["port"] for key in ("startupProbe", "livenessProbe")} == {
        "healthcheck"
    }
    again = wire(result.text, "", REQUEST)
    assert (again.text, again.carries) == (result.text, True)


def test_http_handler_on_loopback() -> None:
    env = "    env:\n    - {name: SPLIT_SYNC_ADMIN_HOST, value: 127.0.0.1}\n"
    with pytest.raises(WireError, match="binds the admin port to loopback"):
        wire(pod_text(env), "", ask(handler=Handler.HTTP))


@pytest.mark.parametrize("name", ["many.yaml", "sidecar.yaml", "list.json"])
def test_configmap(name: str) -> None:
    """The script comes by a ConfigMap that is added, mounted, and brought up to date."""
    asked = ask(delivery=Delivery.CONFIGMAP)
    first = wire(text_of(DATA / "kubernetes" / name), name, asked)
    again = wire(first.text, name, asked)
    assert (again.text, again.carries) == (first.text, True)
    assert first.text.count("subPath") == 1
    old = first.text.replace("# healthcheck 0", "# healthcheck old 0")
    assert old != first.text
    assert wire(old, name, REQUEST).text == first.text


def test_configmap_in_json() -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a"}]}})
    with pytest.raises(WireError, match="JSON holds one"):
        wire(text, "", ask(delivery=Delivery.CONFIGMAP))


def test_for_register() -> None:
    """Describe's answer becomes an input that register's own model takes."""
    path = DATA / "ecs" / "described.json"
    result = wire(text_of(path), path.name, ask(for_register=True))
    task = json.loads(result.text)
    assert task["tags"] == [{"key": "team", "value": "flags"}]
    assert task["family"] == "split"
    assert task.keys() <= members("RegisterTaskDefinitionRequest")
    assert result.text.startswith('{\n    "containerDefinitions": [\n        {\n')
    assert wire(result.text, "", ask(for_register=True)).text == result.text


def members(shape: str) -> set[str]:
    model = Loader().load_service_model("ecs", "service-2")
    return set(model["shapes"][shape]["members"])


def test_what_register_refuses() -> None:
    """What is dropped is just what describe has and register has not."""
    assert set(ecs.DESCRIBED_ONLY) == members("TaskDefinition") - members(
        "RegisterTaskDefinitionRequest"
    )


GENERATED: dict[str, Any] = {
    "ecs.json": generate_ecs,
    "cloudformation.yaml": generate_cloudformation,
    "compose.yaml": generate_compose,
    "kubernetes.yaml": generate_kubernetes,
    "Dockerfile": generate_dockerfile,
}


@pytest.mark.parametrize("start", [0, 60])
@pytest.mark.parametrize("delivery", [Delivery.IMAGE, Delivery.INLINE])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", GENERATED)
def test_generated(name: str, kind: Kind, delivery: Delivery, start: int) -> None:
    """What `generate` writes carries our check, and wiring it changes nothing."""
    workload = Workload(f"split-{kind}", "example/x:1", kind, 8080 if kind == "generic" else 3010)
    health = HealthSpec(Timings(start_period=start), "/p$x", delivery=delivery)
    plan = Plan(workload, health, REQUEST.script, REQUEST.inline)
    text = GENERATED[name].render(plan, GENERATED[name].Options())
    result = wire(text, name, REQUEST)
    assert (result.text, result.carries) == (text, True)


def test_inherited_stage() -> None:
    """A HEALTHCHECK of ours in the stage that the last one is built from counts, and is edited."""
    text = 'FROM a AS base\nHEALTHCHECK CMD ["/healthcheck.sh"]\nFROM base\nUSER 1\n'
    result = wire(text, "Dockerfile", REQUEST)
    assert result.text.count("HEALTHCHECK") == 1
    assert wire(result.text, "Dockerfile", REQUEST).text == result.text


def test_named_stage() -> None:
    text = "FROM a AS one\nUSER 1\n\nFROM b\n"
    result = wire(text, "Dockerfile", ask(container="one"))
    assert result.text.startswith("FROM a AS one\nUSER 1\nHEALTHCHECK --interval=10s ")
    assert result.text.endswith("\n\nFROM b\n")


def test_unfinished_dockerfile() -> None:
    """Behind a continuation that never ends nothing can be put."""
    with pytest.raises(WireError, match="does not end"):
        wire("FROM a\nRUN x \\\n# comment", "Dockerfile", REQUEST)


def test_no_start_period() -> None:
    """A start period of 0 takes the startup probe away."""
    first = wire(pod_text(), "", REQUEST)
    assert "startupProbe" in first.text
    second = wire(first.text, "", ask(given=Given(start_period=0)))
    assert "startupProbe" not in second.text
    assert wire(second.text, "", REQUEST).text == second.text


def test_states() -> None:
    """What stood there is told: nothing, ours, a foreign check."""
    texts = [ecs_text(), ecs_text(healthCheck={"command": OURS}), FOREIGN[0].values[0]]
    states = [wire(str(text), "", REQUEST).containers[0].state for text in texts]
    assert states == [State.ABSENT, State.OURS, State.FOREIGN]
