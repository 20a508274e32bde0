"""Spec files: which documents they ask for, and every fault with its place."""

import pytest

from probe.manifests.options import OPTIONS
from probe.manifests.options import WHAT
from probe.manifests.spec import SpecError
from probe.manifests.specfile import read_spec

SPEC = """
defaults: {interval: 20, log-failures: true}
workloads:
  a:
    kind: sync
    interval: 30s
    env: {X: 1, Y: true}
    targets:
      ecs: {launch: ec2, interval: 40}
      helm: false
"""


def test_left_beats_right() -> None:
    """A target's own options beat the workload's, which beat the defaults."""
    jobs = {job.target: job.given for job in read_spec(SPEC)}
    assert set(jobs) == set(WHAT) - {"helm"}
    assert jobs["ecs"] == {"name": "a", "kind": "sync", "interval": "40", "log-failures": True,
                           "env": ("X=1", "Y=true"), "launch": "ec2"}  # fmt: skip
    assert jobs["dockerfile"]["interval"] == "30s"
    assert "env" not in jobs["dockerfile"]


@pytest.mark.parametrize("text", ["1.10", "010", "1e3", "0x1F", "1_000", "2024-01-01", "true"])
def test_as_written(text: str) -> None:
    """A value is the text in the file, whatever YAML would make of it."""
    (job, *_) = read_spec(f"workloads: {{a: {{image: {text}, env: {{X: {text}}}}}}}")
    assert (job.given["image"], job.given["env"]) == (text, (f"X={text}",))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a mapping"),
        ("a: [", "line 1: "),
        ("a: 1\na: 2\n", "line 2: found duplicate key"),
        ("workloads: {}", "workloads: needed"),
        ("hosts: 1\nworkloads: {a: {}}", "hosts: unknown"),
        ("workloads: {../a: {}}", "workloads.../a: a name of letters, digits"),
        ("workloads: {'': {}}", "workloads.: a name of letters, digits"),
        ("workloads: {a: 1}", "workloads.a: not a mapping"),
        ("workloads: {a: {colour: 1}}", "workloads.a.colour: no such option"),
        ("workloads: {a: {targets: {nomad: {}}}}", "workloads.a.targets.nomad: no target"),
        ("workloads: {a: {targets: {ecs: {namespace: x}}}}", "targets.ecs.namespace: no such"),
        ("workloads: {a: {inline: 1}}", "workloads.a.inline: '1' is not true or false"),
        ("workloads: {a: {env: {X: null}}}", "workloads.a.env: {'X': None} is not a list or a"),
        ("workloads: {a: {env: [[x]]}}", "workloads.a.env: [['x']] is not a list or a mapping"),
        ("workloads: " + "[" * 3000, "nested too deeply"),
        ("workloads: {a: {image: [x]}}", "workloads.a.image: ['x'] is not one IMAGE"),
        ("workloads: {a: {env: x}}", "workloads.a.env: 'x' is not a list or a mapping"),
    ],
)
def test_faults(text: str, problem: str) -> None:
    """Each fault is told with its place."""
    with pytest.raises(SpecError) as error:
        read_spec(text)
    assert any(problem in found for found in error.value.problems)


def test_every_option_has_targets_that_exist() -> None:
    """The table of options names no target that is not there."""
    assert all(row.targets <= set(WHAT) and row.targets for row in OPTIONS)
