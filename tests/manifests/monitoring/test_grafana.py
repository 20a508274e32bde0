"""The dashboard: a document that Grafana takes, whose queries find something."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from probe.manifests import emit
from probe.manifests.monitoring import grafana
from probe.manifests.monitoring.make import make
from probe.sidecar.configuration.settings import RESERVED
from tests.manifests.monitoring.test_rules import EXPORTED
from tests.manifests.monitoring.test_rules import metrics_in
from tests.support.components import require

DASHBOARD = json.loads(make("grafana", {"title": "Some title"}).texts[grafana.FILE])
PANELS: list[dict[str, Any]] = [row for row in DASHBOARD["panels"] if row["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
KINDS = {"stat", "bargauge", "timeseries", "state-timeline", "heatmap"}


def test_document() -> None:
    """The title is the given one; time, refresh and schema stand where Grafana looks."""
    assert DASHBOARD["title"] == "Some title"
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD["uid"] == re.sub("[^a-zA-Z0-9_-]", "", DASHBOARD["uid"])[:40]
    assert DASHBOARD["id"] is None if "id" in DASHBOARD else True


def test_ids_are_unique() -> None:
    """Two panels of one id would be one."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(number, int) and number > 0 for number in ids)
    for panel in PANELS:
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names)


def test_panels_do_not_overlap() -> None:
    """Each has its place within the 24 columns."""
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel(panel: dict[str, Any]) -> None:
    """It asks the data source that is chosen, says what it shows, and is of a kind of Grafana's."""
    assert panel["type"] in KINDS
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert all(metrics_in(target["expr"]) <= EXPORTED for target in panel["targets"])
    assert all(metrics_in(target["expr"]) for target in panel["targets"])


def test_variables() -> None:
    """The data source comes first, and every variable that a query has is declared."""
    names = [row["name"] for row in DASHBOARD["templating"]["list"]]
    assert names[0] == "datasource"
    used = set(re.findall(r"\$(\w+)", " ".join(QUERIES)))
    assert used - {"__rate_interval", "__range"} == set(names) - {"datasource"}
    for row in DASHBOARD["templating"]["list"][1:]:
        assert metrics_in(row["query"].removeprefix("label_values(").split("{")[0].split(",")[0])


def test_labels_of_the_queries_exist() -> None:
    """Selectors and groupings name labels that the sidecar or Prometheus puts there."""
    known = RESERVED | {"job", "instance"}
    found = set()
    for query in QUERIES:
        for selector in re.findall(r"\{([^}]*)\}", query):
            found |= set(re.findall(r"(\w+)=", selector))
        for group in re.findall(r"\bby \(([^)]*)\)", query):
            found |= set(re.split(r",\s*", group))
    assert found <= known


def test_states_have_words_and_colours() -> None:
    """The timeline's numbers are mapped, one to each state."""
    (panel,) = (panel for panel in PANELS if panel["title"] == "State")
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    shown = {number: row["text"] for number, row in mapping["options"].items()}
    assert shown == {str(number): name for name, (number, _) in grafana.STATES.items()}
    assert len({row["color"] for row in mapping["options"].values()}) == len(grafana.STATES)


@pytest.mark.real
def test_promtool_parses_the_queries(tmp_path: Path) -> None:
    """Prometheus' own parser takes every query, as if it were a rule's."""
    plain = [re.sub(r"\$__(rate_interval|range)", "5m", query) for query in QUERIES]
    rows = [{"record": f"query_{place}", "expr": query} for place, query in enumerate(plain)]
    path = tmp_path / "rules.yml"
    path.write_text(emit.to_yaml({"groups": [{"name": "dashboard", "rules": rows}]}))
    done = subprocess.run(
        [require("promtool"), "check", "rules", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
