"""Rules, scrape configuration, routes: what Prometheus' own tools say, and what they stand on."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from probe.manifests import emit
from probe.manifests.kubernetes_sidecar import PORT_NAME
from probe.manifests.monitoring import grafana
from probe.manifests.monitoring import rules
from probe.manifests.monitoring import scrape
from probe.manifests.monitoring.alerts import ALERTS
from probe.manifests.monitoring.alerts import SIDECAR_JOB
from probe.manifests.monitoring.alerts import Alert
from probe.manifests.monitoring.make import Files
from probe.manifests.monitoring.make import make
from probe.manifests.options import Value
from probe.manifests.spec import SpecError
from probe.sidecar.metrics import OWN_FAMILIES
from probe.sidecar.metrics import TARGET_FAMILIES
from probe.sidecar.states import State
from probe.sidecar.store import BUCKETS
from tests.support.components import require

_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}
FAMILIES = (
    *((family.name, family.kind) for family in TARGET_FAMILIES),
    *((family.name, family.kind) for family in OWN_FAMILIES),
)
EXPORTED = {name + suffix for name, kind in FAMILIES for suffix in _SUFFIXES.get(kind, ("",))}
# Prometheus' own, and what rules record.
KNOWN = EXPORTED | {"up"} | set(rules.RECORDED)
# Functions, operators and their words.
_LANGUAGE = frozenset(
    {"sum", "by", "without", "on", "or", "and", "unless", "rate", "increase", "changes", "absent",
     "count", "time", "histogram_quantile", "label_values"}
)  # fmt: skip


def metrics_in(expression: str) -> set[str]:
    """Return the names of metrics in an expression: what is no word of the language or label."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(by|without|on)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - _LANGUAGE


def test_metrics_are_told_from_words() -> None:
    """What the next tests hang on: names are found, labels and words are not."""
    found = metrics_in('(probe_state{probe_state="x"} == 1) unless on (job) (a:b:rate5m[1h] * 0)')
    assert found == {"probe_state", "a:b:rate5m"}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alerts_stand_on_what_is_exported(alert: Alert) -> None:
    """A metric that nothing exports would never fire; so would a series that its test invents."""
    series = {re.match("[a-z_]+", name)[0] for name in (*alert.fires, *alert.quiet)}  # type: ignore[index]
    assert metrics_in(alert.expr) <= KNOWN
    assert metrics_in(alert.expr)
    assert series <= KNOWN


@pytest.mark.parametrize("expression", rules.RECORDED.values(), ids=rules.RECORDED)
def test_recorded_stand_on_what_is_exported(expression: str) -> None:
    """The same of the recording rules."""
    assert metrics_in(expression) <= KNOWN


def test_states_are_those_of_the_sidecar() -> None:
    """The dashboard's and the alerts' states are the machine's."""
    named = {
        word for alert in ALERTS for word in re.findall(r'probe_state=~?"([^"]+)"', alert.expr)
    }
    assert set(grafana.STATES) == set(State)
    assert {one for words in named for one in words.split("|")} <= set(State)


def test_buckets_of_the_test() -> None:
    """The histogram of CheckSlow's test has bounds that the sidecar has."""
    (slow,) = (alert for alert in ALERTS if alert.name == "CheckSlow")
    bounds = {match[1] for name in slow.fires if (match := re.search('le="([^"]+)"', name))}
    assert bounds <= {*map(str, BUCKETS), "+Inf"}


def test_each_alert_says_whom_it_is_about() -> None:
    """Names are unique; texts are whole with the alert's labels, and say no more than those."""
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        assert "{" not in alert.summary.format_map(alert.labels)
        assert alert.severity in {"critical", "warning"}


def _written(folder: Path, **given: Value) -> Files:
    found = make("prometheus", {name.replace("_", "-"): value for name, value in given.items()})
    for name, text in found.texts.items():
        (folder / name).write_text(text)
    return found


def _run(program: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [require(program), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.real
def test_promtool_rules(tmp_path: Path) -> None:
    """Promtool takes the rules, and every alert fires and is silent when its row says so."""
    _written(tmp_path)
    assert "SUCCESS" in _run("promtool", "check", "rules", rules.FILE, folder=tmp_path)
    _run("promtool", "test", "rules", rules.TEST_FILE, folder=tmp_path)


@pytest.mark.real
def test_promtool_finds_a_wrong_rule(tmp_path: Path) -> None:
    """The unit tests can fail: with any alert's condition turned round they do."""
    _written(tmp_path)
    document = rules.groups()
    document["groups"][1]["rules"][0]["expr"] = 'probe_state{probe_state="healthy"} == 1'
    (tmp_path / rules.FILE).write_text(emit.to_yaml(document))
    with pytest.raises(AssertionError, match="SynchronizerUnhealthy"):
        _run("promtool", "test", "rules", rules.TEST_FILE, folder=tmp_path)


CONFIGURATIONS: list[Any] = [
    pytest.param({}, id="default"),
    pytest.param({"target": ("127.0.0.1:3010", "[::1]:3010")}, id="targets"),
    pytest.param({"sidecar": ("a:1", "b:2"), "sidecar_file": ("s.json",)}, id="sidecars"),
    pytest.param({"target_file": ("t/*.yml",), "exporter": "sidecar:9310"}, id="files"),
    pytest.param({"alertmanager": ("a:9093",), "scrape_interval": "1"}, id="alertmanager"),
]


@pytest.mark.real
@pytest.mark.parametrize("given", CONFIGURATIONS)
def test_promtool_config(tmp_path: Path, given: dict[str, Value]) -> None:
    """Promtool takes every configuration, with the rules that it names."""
    _written(tmp_path, **given)
    found = _run("promtool", "check", "config", scrape.FILE, folder=tmp_path)
    assert "1 rule files found" in found


@pytest.mark.real
def test_amtool(tmp_path: Path) -> None:
    """Amtool takes the routes; a critical alert goes to whom is woken, others to the team."""
    _written(tmp_path)
    _run("amtool", "check-config", scrape.ROUTES_FILE, folder=tmp_path)
    route = ("config", "routes", "test", f"--config.file={scrape.ROUTES_FILE}")
    woken = _run("amtool", *route, "severity=critical", "job=x", folder=tmp_path)
    assert woken.strip() == "on-call"
    assert _run("amtool", *route, "severity=warning", folder=tmp_path).strip() == "team"


def test_routes_name_alerts_that_exist() -> None:
    """What inhibits, and what is inhibited, are alerts of the rules."""
    names = [alert.name for alert in ALERTS]
    for rule in scrape.routes()["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            if found := re.fullmatch(r'alertname =~? "(.+)"', matcher):
                assert any(re.fullmatch(found[1], name) for name in names)


def test_multi_target_relabelling() -> None:
    """The address becomes the question and the instance, the exporter the address asked."""
    options = scrape.Options(targets=("a:1",), exporter="sidecar:9310")
    _, job = scrape.configuration(options)["scrape_configs"]
    labels = {"__address__": "a:1"}
    for step in job["relabel_configs"]:
        source = "".join(labels[name] for name in step.get("source_labels", []))
        labels[step["target_label"]] = step.get("replacement", source)
    assert labels == {"__address__": "sidecar:9310", "__param_target": "a:1", "instance": "a:1"}
    assert job["metrics_path"] == "/probe"


def _objects(**given: Value) -> dict[str, dict[str, Any]]:
    text = make("prometheus", {"operator": True, **given}).texts[scrape.OPERATOR_FILE]
    return {row["kind"]: row for row in YAML(typ="safe", pure=True).load_all(text)}


def test_operator() -> None:
    """Pods are scraped by the port's name in generated pods, under the job that the rules know."""
    found = _objects(workload=("split-sync",), namespace="edge")
    assert list(found) == ["PodMonitor", "PrometheusRule"]
    assert {row["metadata"]["namespace"] for row in found.values()} == {"edge"}
    (endpoint,) = found["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == PORT_NAME
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": SIDECAR_JOB}]
    assert found["PrometheusRule"]["spec"] == rules.groups()
    probe = _objects(target=("a:1",), exporter="sidecar.edge.svc:9310")["Probe"]["spec"]
    assert probe["prober"] == {"url": "sidecar.edge.svc:9310", "path": "/probe"}
    assert probe["targets"] == {"staticConfig": {"static": ["a:1"]}}


REFUSED: list[Any] = [
    pytest.param({"sidecar": ("a",)}, "--sidecar: 'a' is not HOST:PORT", id="no port"),
    pytest.param({"target": ("a:65536",)}, "--target: 'a:65536'", id="high port"),
    pytest.param({"target-file": ("a/*/b.json",)}, "--target-file", id="folder pattern"),
    pytest.param({"sidecar-file": ("a.txt",)}, "ending in .json, .yml or .yaml", id="suffix"),
    pytest.param({"namespace": "a"}, "--namespace: for --operator alone", id="namespace"),
    pytest.param({"workload": ("a",)}, "--workload: for --operator alone", id="workload"),
    pytest.param({"operator": True, "sidecar": ("a:1",)}, "--sidecar: with --operator", id="pods"),
    pytest.param({"operator": True, "target": ("a:1",)}, "--exporter: needed", id="exporter"),
    pytest.param({"scrape-interval": "0"}, "from 1 to 3600", id="interval"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_refused(given: dict[str, Value], message: str) -> None:
    """What is wrong is told by the option."""
    with pytest.raises(SpecError) as caught:
        make("prometheus", given)
    (problem,) = caught.value.problems
    assert message in problem
