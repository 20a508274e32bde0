"""The configuration file: what it gives, and every fault at once, each with its place."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import Target
from probe.contract.target import TLS
from probe.sidecar.configuration.config import read_config
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.settings import Listeners
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.configuration.settings import Thresholds

WHOLE = """
defaults:
  interval: 1s
  kind: sync
  labels: {env: prod, team: none}
targets:
  - name: flags
    host: 10.0.0.7
    port: 3011
    path: /health
    timeout: 2.5
    expect: 200,204
    tls: true
    ca: ca.pem
    cert: /etc/ssl/c.pem
    key: keys/k.pem
    server_name: flags.example
    insecure: false
    labels: {team: edge}
    interval: 1m30s
    failure_threshold: 5
    success_threshold: 2
    start_period: 30
    read_body: true
    max_age: 5m
  - port: 3012
  - {host: "::1", kind: proxy}
file_sd_configs:
  - files: [targets/*.json, /etc/probe/*.yml]
  - files: [more.yml]
probe: {allow: [10.0.0.0/8, "fd00::/8", 192.0.2.7]}
web:
  listen: 127.0.0.1:9999
  metrics_listen: "[::]:9311"
  config_file: web.yml
max_concurrency: 64
grace: 10s
log_format: logfmt
emit: emf
"""


def test_whole() -> None:
    """Every key, with paths beside the file, and targets above defaults."""
    base = TargetSettings("", Target(), "sync", 1.0, labels={"env": "prod", "team": "none"})
    tls = TLS("/srv/ca.pem", "/etc/ssl/c.pem", "/srv/keys/k.pem", "flags.example")

    assert read_config(WHOLE, "/srv/probe.yml") == Settings(
        targets=(
            TargetSettings(
                "flags",
                Target("10.0.0.7", 3011, "/health", 2.5, "200,204", tls),
                kind="sync",
                interval=90.0,
                thresholds=Thresholds(5, 2, 30.0),
                read_body=True,
                max_age=300.0,
                labels={"env": "prod", "team": "edge"},
            ),
            replace(base, name="127.0.0.1:3012", target=Target(port=3012)),
            replace(base, name="[::1]:3010", target=Target("::1"), kind="proxy"),
        ),
        allow=("10.0.0.0/8", "fd00::/8", "192.0.2.7/32"),
        sd_files=("/srv/targets/*.json", "/etc/probe/*.yml", "/srv/more.yml"),
        defaults=replace(base, name="127.0.0.1:3010"),
        listeners=Listeners("127.0.0.1:9999", "[::]:9311", "/srv/web.yml"),
        max_concurrency=64,
        grace=10.0,
        log_format="logfmt",
        emit="emf",
    )


def test_json() -> None:
    """JSON is YAML."""
    settings = read_config('{"targets": [{"name": "a", "port": 3011, "tls": false}]}', "probe.json")

    assert settings.targets == (TargetSettings("a", Target(port=3011)),)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_config(text, "p.yml")
    return error.value.problems


TARGET_FAULTS = {
    "port: 03010": "'03010' is not a valid port: 1 to 65535",
    "port: 0": "'0' is not a valid port",
    "port: 65536": "'65536' is not a valid port",
    "port: 3_010": "'3_010' is not a valid port",
    "port: [1]": "a list where one value is needed",
    "port: {a: 1}": "a mapping where one value is needed",
    "port:": "needs a value",
    "port: ~": "needs a value",
    "host: '[::1]'": "'[::1]' is not a valid host",
    "host: a b": "'a b' is not a valid host",
    "path: health": "'health' is not a valid path",
    "timeout: 0": "'0' is not a valid timeout",
    "timeout: 1m": "'1m' is not a valid timeout",
    "timeout: .inf": "'.inf' is not a valid timeout",
    "expect: 20": "'20' is not a valid expect",
    "expect: 299-200": "'299-200' is not a valid expect",
    "kind: redis": "'redis' is none of sync, proxy, generic",
    "tls: 1": "'1' is neither true nor false",
    "tls: yes": "'yes' is neither true nor false",
    "ca: x.pem": "only with tls: true",
    "insecure: true": "only with tls: true",
    "interval: 0": "'0' is not between 0.1s and 86400s",
    "interval: 0.05s": "'0.05s' is not between",
    "interval: -1s": "'-1s' is not a duration",
    "interval: soon": "'soon' is not a duration",
    "interval: 2d": "'2d' is not a duration",
    "failure_threshold: 0": "'0' is not a whole number from 1 to 9999",
    "success_threshold: 1.5": "'1.5' is not a whole number",
    "start_period: -1": "'-1' is not a duration",
    "max_age: 60": "only with read_body: true",
    "labels: [a]": "needs a mapping",
    "name: ''": "'' is not 1 to 200 characters",
    'name: "a\\nb"': "'a\\nb' is not 1 to 200 characters",
    "colour: red": "unknown key; there are name, kind, host",
    "intervall: 1s": "unknown key; is it interval?",
}


@pytest.mark.parametrize(("line", "message"), TARGET_FAULTS.items())
def test_target_faults(line: str, message: str) -> None:
    """Each is told once, at its line and column, with its path."""
    key = line.partition(":")[0]
    (problem,) = problems(f"targets:\n  - name: first\n    port: 1\n  - {line}\n")

    place = "p.yml:5:1" if line.endswith(":") else f"p.yml:4:{len('  - : ') + len(key) + 1}"
    assert problem.startswith(f"{place}: targets[1].{key}: {message}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "p.yml:1:1: the file is empty"),
        ("# nothing", "p.yml:1:1: the file is empty"),
        ("a: [", "p.yml:1:5: no YAML: "),
        ("x\n  y: 1", "p.yml:2:4: no YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 1\n", "p.yml:2:1: no YAML: but found another document"),
        ("\tx: 1", "p.yml:1:1: no YAML: "),
        ("a: *b", "p.yml:1:4: no YAML: found undefined alias 'b'"),
        ("targets: '\x00'", "p.yml:1:11: no YAML: "),
        ("[" * 3000, "p.yml:1:1: nested too deep"),
        ("- a", "p.yml:1:1: needs a mapping of keys to values"),
        ("targets: {a: 1}", "p.yml:1:10: targets: needs a list"),
        ("targets: [7]", "p.yml:1:11: targets[0]: needs a mapping of keys to values"),
        ("targets: [&a [*a]]", "p.yml:1:11: targets[0]: needs a mapping of keys to values"),
        ("? [a]\n: 1", "p.yml:1:3: a key must be one text"),
        ("hosts: 1", "p.yml:1:8: hosts: unknown key; there are targets, defaults"),
        ("defaults: {name: a}", "p.yml:1:18: defaults.name: unknown key; there are kind"),
        ("targets: []\ntargets: []", "p.yml:2:1: targets: stands in line 1 already"),
        ("probe: {allow: 10.0.0.0/8}", "p.yml:1:16: probe.allow: needs a list"),
        ("probe: {allow: [10.0.0.1/8]}", "p.yml:1:17: probe.allow[0]: '10.0.0.1/8' is not a net"),
        ("probe: {allow: [localhost]}", "p.yml:1:17: probe.allow[0]: 'localhost' is not a network"),
        ("file_sd_configs: [{files: ['']}]", "p.yml:1:28: file_sd_configs[0].files[0]: '' is no"),
        ("web: {listen: 9310}", "p.yml:1:15: web.listen: '9310' is not HOST:PORT"),
        ("web: {listen: '::1:9310'}", "p.yml:1:15: web.listen: '::1:9310' is not HOST:PORT"),
        ("web: {listen: '[x]:1'}", "p.yml:1:15: web.listen: "),
        ("emit: xml", "p.yml:1:7: emit: 'xml' is none of none, emf"),
        ("max_concurrency: 0", "p.yml:1:18: max_concurrency: '0' is not a whole number"),
    ],
)
def test_faults(text: str, problem: str) -> None:
    assert problem in "\n".join(problems(text))


def test_all_at_once() -> None:
    """All faults come together, in the order of the file."""
    found = problems(
        "defaults: {interval: 0}\n"
        "targets:\n"
        "  - {name: a, port: x}\n"
        "  - {name: a, colour: red}\n"
        "emit: xml\n"
    )

    assert [problem.split(": ")[1] for problem in found] == [
        "defaults.interval", "targets[0].port", "targets[1]", "targets[1].colour", "emit",
    ]  # fmt: skip
    assert "'a' is that of line 3" in found[2]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("{1a: x}", "targets[0].labels.1a: a label's name is"),
        ("{__address__: x}", "targets[0].labels.__address__: a label's name is"),
        ("{target: x}", "targets[0].labels.target: the label target is the sidecar's own"),
        ("{a: [x]}", "targets[0].labels.a: a list where"),
        (f"{{{', '.join(f'l{number}: x' for number in range(17))}}}", "17 labels are more than 16"),
    ],
)
def test_labels(labels: str, problem: str) -> None:
    """Labels are few, and none of ours."""
    assert problem in "\n".join(problems(f"targets: [{{name: a, labels: {labels}}}]"))


def test_off_again() -> None:
    """A target without TLS may stand under defaults with TLS."""
    settings = read_config(
        "defaults: {tls: true, ca: /ca.pem}\ntargets: [{tls: false, port: 1}, {port: 2}]", "p.yml"
    )

    assert [target.target.tls for target in settings.targets] == [None, TLS(ca="/ca.pem")]


NEARLY = st.from_regex(r"(?:targets|probe|web): ?[\[{\-\n a-z:&*!|>'\"]{0,60}", fullmatch=True)


@given(text=st.text(max_size=80) | NEARLY)
def test_any_text(text: str) -> None:
    """Whatever the text, there are settings or faults with a place, and nothing else."""
    try:
        read_config(text, "p.yml")
    except ConfigError as error:
        assert all(problem.startswith("p.yml:") for problem in error.problems)  # noqa: PT017
