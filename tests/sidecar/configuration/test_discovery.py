"""Prometheus' file_sd documents as targets."""

import json
from dataclasses import replace

import pytest

from probe import Target
from probe.sidecar.configuration.discovery import read_discovery
from probe.sidecar.configuration.discovery import with_discovered
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings

DEFAULTS = TargetSettings(
    "", Target(path="/h", timeout=1), kind="sync", interval=5, labels={"env": "prod"}
)


def read(document: object) -> tuple[TargetSettings, ...]:
    return read_discovery(json.dumps(document), "sd.json", DEFAULTS)


def test_group() -> None:
    """Each address is a target, with the defaults and the group's labels."""
    (one, two) = read([{"targets": ["10.0.0.7:3010", "[fd00::7]:3011"], "labels": {"team": "x"}}])

    labels = {"env": "prod", "team": "x"}
    assert one == replace(
        DEFAULTS,
        name="10.0.0.7:3010",
        target=Target("10.0.0.7", 3010, "/h", 1),
        labels=labels,
    )
    assert (two.name, two.target.host) == ("[fd00::7]:3011", "fd00::7")


@pytest.mark.parametrize(
    ("labels", "name", "kept"),
    [
        ({"name": "flags"}, "flags", {}),
        ({"instance": "i-1"}, "i-1", {"instance": "i-1"}),
        ({"name": "flags", "instance": "i-1"}, "flags", {"instance": "i-1"}),
        ({"__meta_zone": "a", "__address__": "x", "zone": "b"}, "a:1", {"zone": "b"}),
        ({"target": "x", "reason": "y"}, "a:1", {}),
        ({"name": ""}, "a:1", {}),
    ],
)
def test_labels(labels: dict[str, str], name: str, kept: dict[str, str]) -> None:
    """A label names the target; those for relabelling, and those that are ours, are dropped."""
    (target,) = read([{"targets": ["a:1"], "labels": labels}])

    assert (target.name, target.labels) == (name, {"env": "prod", **kept})


def test_group_of_several_with_a_name() -> None:
    """One name cannot be several targets': there, each has its address."""
    found = read([{"targets": ["a:1", "b:1"], "labels": {"name": "flags"}}])

    assert [target.name for target in found] == ["a:1", "b:1"]


def test_yaml() -> None:
    (target,) = read_discovery("- targets: [a:1]\n  labels: {n: 010}\n", "sd.yml", DEFAULTS)

    assert target.labels["n"] == "010"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "sd.yml:1:1: the file is empty"),
        ("{}", "sd.yml:1:1: needs a list"),
        ("[a]", "sd.yml:1:2: [0]: needs a mapping"),
        ("[{targets: [a]}]", "sd.yml:1:13: [0].targets[0]: 'a' is not HOST:PORT"),
        ("[{targets: ['a:0']}]", "[0].targets[0]: '0' is not a valid port"),
        ("[{targets: ['http://a:1/x']}]", "[0].targets[0]: 'http://a:1/x' is not HOST:PORT"),
        ("[{target: [a]}]", "[0].target: unknown key; is it targets?"),
        ("[{targets: ['a:1'], labels: {a: [1]}}]", "[0].labels.a: a list where"),
        ("[{targets: ['a:1'], labels: {a-b: x}}]", "[0].labels.a-b: a label's name is letters"),
    ],
)
def test_faults(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_discovery(text, "sd.yml", DEFAULTS)
    assert any(problem in found for found in error.value.problems)


def test_empty_list() -> None:
    """No targets is a state of the world, not a fault."""
    assert read([]) == ()


def test_together() -> None:
    """The same found twice is one; two that differ under one name are refused."""
    own = TargetSettings("a", Target(port=1))
    found = TargetSettings("b", Target(port=2))
    settings = Settings(targets=(own,))

    assert with_discovered(settings, [found, own, found]).targets == (own, found)
    with pytest.raises(ConfigError, match="a: two targets have this name"):
        with_discovered(settings, [replace(found, name="a")])
