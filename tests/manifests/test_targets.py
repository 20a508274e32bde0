"""From the options' texts to documents: the valid read back, the others are refused by name."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from hypothesis.strategies import SearchStrategy
from ruamel.yaml import YAML

from probe.manifests.options import BY_NAME
from probe.manifests.options import Value
from probe.manifests.options import options_of
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.manifests.targets import TARGETS
from probe.manifests.targets import Made
from probe.manifests.targets import Script
from probe.manifests.targets import Target
from probe.manifests.targets import make
from probe.manifests.targets import plan_for
from probe.platforms.rows import TIMING_NAMES
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import EXPECTS
from tests.manifests.strategies import IMAGES
from tests.manifests.strategies import NAMES
from tests.manifests.strategies import ODD_TEXTS
from tests.manifests.strategies import SECRET_ARNS

SCRIPT = Script(script_text(), inline(script_text()))
ECS = ("ecs", "cloudformation", "terraform")
KUBERNETES = ("kubernetes", "kustomize", "helm")
ROLE = "arn:aws:iam::123456789012:role/exec"
EVERY = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
# The second has another traffic port than any of these.
_PORTS = st.integers(1, 65535).filter(lambda port: port != 3000).map(str)
_REFERENCES = {**dict.fromkeys(ECS, SECRET_ARNS),
               "kubernetes": st.just("split:apikey"), "helm": st.just("split:apikey"),
               "compose": st.sampled_from(("./apikey", "a b", "$X", "ü"))}  # fmt: skip
_SIZES = {**dict.fromkeys(ECS, (("256", "512"), ("0.5 vCPU", "1GB"), ("1024", "8192"))),
          **dict.fromkeys(("kubernetes", "helm", "compose"),
                          (("250m", "512Mi"), ("2", "1Gi"), ("0.125 vCPU", "64MB")))}  # fmt: skip
# Flags and options that have no part in the workload or the check.
_OTHERS: dict[str, SearchStrategy[Value]] = {
    "user": st.integers(1, 2**31 - 1).map(str),
    "tmp-size": st.integers(1, 65536).map(str),
    "arch": st.sampled_from(("x86_64", "arm64")),
    "family": st.just("some_Family-1"),
    "log-group": st.just("/ecs/a.b#c_d"),
    "task-role": st.just(ROLE),
    "tmp-volume": st.just(True),  # noqa: FBT003 # as a flag is given
    "app-image": IMAGES,
    "namespace": st.just("some-space"),
    "replicas": st.integers(0, 9).map(str),
    "expose-admin": st.just(True),  # noqa: FBT003 # as a flag is given
    "log-failures": st.just(True),  # noqa: FBT003 # as a flag is given
    "expect": EXPECTS,
}


def _timing_texts() -> SearchStrategy[dict[str, Value]]:
    """Return timings as texts, within the limits, in each way of writing them."""
    interval = st.integers(10, 60).map(lambda n: (f"{n}", f"{n}s", f"{n}.0s")[n % 3])
    timeout = st.integers(2, 10).map(lambda n: (f"{n}", f"{n}s")[n % 2])
    plain = {"interval": interval, "timeout": timeout, "retries": st.integers(1, 10).map(str)}
    start = st.sampled_from(["0", "1", "90s", "1.5m", "5m"])
    budget = st.integers(60, 600).map(str)
    chosen: SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
        {"detect-within": budget}, optional={"start-within": start}
    )
    given_: SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
        {}, optional={**plain, "start-period": start}
    )
    return given_ | chosen


_ENV: dict[str, dict[str, SearchStrategy[str]]] = {
    "sync": {"SPLIT_SYNC_REDIS_PREFIX": ODD_TEXTS, "SPLIT_SYNC_REDIS_DB": st.just("1")},
    "proxy": {"SPLIT_PROXY_SNAPSHOT": ODD_TEXTS},
    "generic": {"A": ODD_TEXTS, "b_2": ODD_TEXTS},
}


@st.composite
def valid(draw: DrawFn, target: Target) -> dict[str, Value]:
    """Return texts of options that a target takes together."""
    kind = draw(st.sampled_from(("sync", "proxy", "generic")))
    found: dict[str, Any] = {"kind": kind, "image": draw(IMAGES), "name": draw(NAMES)}
    if kind == "generic" or draw(st.booleans()):
        found["port"] = draw(_PORTS)
    found |= draw(_timing_texts())
    found |= draw(st.fixed_dictionaries({}, optional=_OTHERS))
    texts = draw(st.fixed_dictionaries({}, optional=_ENV[kind]))
    found["env"] = tuple(f"{name}={text}" for name, text in texts.items())
    if target.name in _REFERENCES and kind != "generic":
        found["apikey-secret"] = draw(_REFERENCES[target.name])
    if target.name in _SIZES and draw(st.booleans()):
        found["cpu"], found["memory"] = draw(st.sampled_from(_SIZES[target.name]))
    if target.name in ECS:
        found |= {"execution-role": ROLE, "region": "us-east-1"}
        found["launch"] = draw(st.sampled_from(("fargate", "ec2")))
    found |= draw(_deliveries(target))
    if found.get("handler") == "http":
        found = {n: v for n, v in found.items() if n not in {"expect", "log-failures"}}
    known = {row.name for row in options_of(target.name)}
    return {name: value for name, value in found.items() if name in known}


def _deliveries(target: Target) -> SearchStrategy[dict[str, Value]]:
    ways: list[dict[str, Value]] = [{}, {"inline": True}]
    if target.name in KUBERNETES:
        ways += [{"script": "configmap"}, {"handler": "http"}, {"handler": "exec"}]
    return st.sampled_from(ways)


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "ecs": json.loads,
    "terraform": json.loads,
    "kubernetes": lambda text: list(YAML(typ="safe", pure=True).load_all(text)),
    "kustomize": dict,
    "helm": dict,
    "dockerfile": str,
}


def _read(target: Target, made: Made) -> tuple[Workload, HealthSpec]:
    module: Any = target.format
    parse: Callable[[Any], Any] = _PARSERS.get(target.name, _yaml)
    found: tuple[Workload, HealthSpec] = module.read(parse(made.content))
    return found


def _held(target: str, workload: Workload) -> dict[str, Any]:
    """Return what of the workload stands in a target's documents."""
    names = {
        "kustomize": ("name",),
        "dockerfile": ("image", "port"),
    }.get(target, Workload.__slots__)
    return {name: getattr(workload, name) for name in names}


@EVERY
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_valid_reads_back(target: Target, data: st.DataObject) -> None:
    """Documents of valid options read back to the plan's workload and health."""
    options = data.draw(valid(target))
    plan, _ = plan_for(target, options, SCRIPT)
    workload, health = _read(target, make(target, options, SCRIPT))
    assert health == plan.health
    assert _held(target.name, workload) == _held(target.name, plan.workload)


_TIMES = st.sampled_from(("0", "0.0001", "0.5", "1", "1.5", "2", "4", "5", "9", "10", "11s", "29",
                          "61", "1m", "5m", "301", "10m", "2147483648", "9223372037"))  # fmt: skip
_TIMING_TEXTS = st.fixed_dictionaries(
    {},
    optional={
        "interval": _TIMES,
        "timeout": _TIMES,
        "retries": st.sampled_from(("0", "1", "3", "10", "11")),
        "start-period": _TIMES.filter(lambda text: text != "0.0001"),  # see below
        "detect-within": _TIMES,
    },
)
_REFUSAL = re.compile(
    r"--(?P<name>[a-z-]+) (?P<value>[0-9.e+-]+) does not fit: (?P<why>.+) \((?P<source>.+)\); "
    r"nearest that fits: (?P<nearest>[0-9.]+)"
)
_LEAST: dict[str, Value] = {"image": "example/x:1", "execution-role": ROLE, "region": "us-east-1"}


def _problems(target: Target, timings: dict[str, str]) -> list[str]:
    known = {name: value for name, value in _LEAST.items() if target.name in BY_NAME[name].targets}
    try:
        plan_for(target, {**known, **timings}, SCRIPT)
    except SpecError as error:
        return error.problems
    return []


def _outside(target: Target, timings: dict[str, str]) -> set[str]:
    """Return the options that are outside the platform's limits by themselves."""
    found = set()
    for name in TIMING_NAMES:
        option, row = name.replace("_", "-"), target.platform.fields[name]
        value: Any = BY_NAME[option].parse(timings[option]) if option in timings else row.minimum
        if not row.minimum <= value <= row.maximum or (row.step and value % 1):
            found.add(option)
    return found


@EVERY
@settings(deadline=None, max_examples=150)
@given(timings=_TIMING_TEXTS)
def test_timings_refused(target: Target, timings: dict[str, str]) -> None:
    """Each timing outside is refused by its option with source and nearest, which is accepted."""
    found = [_REFUSAL.fullmatch(text) for text in _problems(target, timings)]
    refusals = {match["name"]: match["nearest"] for match in found if match}
    assert len(refusals) == len(found), _problems(target, timings)
    assert _outside(target, timings) <= refusals.keys() <= timings.keys()
    again = _problems(target, timings | refusals)
    assert not [text for text in again if not text.startswith("--detect-within")]
    if again:  # the budget depends on the others, so it is told when they fit
        budget = _REFUSAL.fullmatch(again[0])
        assert budget
        assert _problems(target, timings | refusals | {budget["name"]: budget["nearest"]}) == []


def test_the_smallest_start_that_docker_takes() -> None:
    """Between 0 and a millisecond there is no start period for Docker."""
    assert _problems(TARGETS["compose"], {"start-period": "0.001"}) == []
    (problem,) = _problems(TARGETS["compose"], {"start-period": "0.0005"})
    assert problem.startswith(
        "--start-period 0.0005 does not fit: Compose takes 0, or from 0.001 to "
    )
    assert problem.endswith("; nearest that fits: 0.001")
