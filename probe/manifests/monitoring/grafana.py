"""Grafana's dashboard: what the sidecars know of their targets, and how they are themselves.

The JSON model of Grafana 9 and newer (schemaVersion 37). It hangs on no recorded rule, so that it
works with any Prometheus that scrapes sidecars.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

Document = dict[str, Any]

FILE = "probe.json"
SCHEMA_VERSION = 37
UID = "probe-sidecar"

_WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_OWN = 'job=~"$job",instance=~"$instance"'
_TARGET = f'{_OWN},target=~"$target"'
_BAD = ',verdict="unhealthy"'
_BY_TARGET = "sum by (instance, target)"

# A state as a number, which is what a timeline can draw: the number, its colour.
STATES = {
    "unknown": (0, "#8e8e8e"),
    "unhealthy": (1, "#d0312d"),
    "degraded": (2, "#e0a100"),
    "starting": (3, "#3d71d9"),
    "healthy": (4, "#2e8b57"),
}
_YES_NO = {"no": (0, "#d0312d"), "yes": (1, "#2e8b57")}
_STALE = {"no": (0, "#2e8b57"), "yes": (1, "#e0a100")}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: queries as (expression, legend). `words` say what numbers mean, and their colour.

    `width` is of 24 columns, `height` in rows of Grafana's grid.
    """

    title: str
    about: str
    kind: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    words: dict[str, tuple[int, str]] = field(default_factory=dict)
    width: int = 12
    height: int = 8
    options: Document = field(default_factory=dict)
    custom: Document = field(default_factory=dict)
    format: str = "time_series"
    most: float | None = None


def _state() -> str:
    parts = (f'probe_state{{{_TARGET},probe_state="{name}"}} * {number}'
             for name, (number, _) in STATES.items())  # fmt: skip
    return f"{_BY_TARGET} ({' or '.join(parts)})"


def _buckets(function: str) -> str:
    buckets = f"probe_check_duration_seconds_bucket{{{_TARGET}}}"
    return f"sum by (le) ({function}({buckets}[$__rate_interval]))"


def _quantile(share: float) -> str:
    return f"histogram_quantile({share}, {_buckets('rate')})"


def _share(total: str, function: str, window: str) -> str:
    """Return the share of healthy checks; a verdict that never was has no series."""
    every = f"{total} ({function}(probe_checks_total{{{_TARGET}}}[{window}]))"
    bad = f"{total} ({function}(probe_checks_total{{{_TARGET}{_BAD}}}[{window}]))"
    return f"1 - ({bad} or {every} * 0) / {every}"


def _rate(metric: str, selector: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


_LAST_VALUE = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
_TABLE_LEGEND = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                 "tooltip": {"mode": "multi", "sort": "desc"}}  # fmt: skip
_TIMELINE = {"showValue": "auto", "rowHeight": 0.8, "mergeValues": True, "alignValue": "left",
             **_TABLE_LEGEND}  # fmt: skip
_STACKED = {"drawStyle": "bars", "fillOpacity": 60, "stacking": {"mode": "normal", "group": "A"}}

ROWS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        Panel("Targets ready", "By /readyz: a good state, checked lately.", "stat",
              ((f"sum(probe_ready{{{_TARGET}}})", "ready"),
               (f"count(probe_ready{{{_TARGET}}})", "all")),
              width=4, height=5, options=_LAST_VALUE),
        Panel("Checks that pass", "Share of healthy checks in the time shown.", "stat",
              ((_share("sum", "increase", "$__range"), "healthy"),),
              unit="percentunit", width=4, height=5, options=_LAST_VALUE, most=1),
        Panel("In maintenance", "Targets whose last ready state is held.", "stat",
              ((f"sum(probe_maintenance{{{_TARGET}}})", "maintenance"),),
              width=4, height=5, options=_LAST_VALUE),
        Panel("Failures in a row", "Since the last healthy check.", "bargauge",
              ((f"probe_consecutive_failures{{{_TARGET}}}", "{{target}}"),),
              width=6, height=5, options=_LAST_VALUE | {"orientation": "horizontal"}),
        Panel("In its state for", "Time since the last change of state.", "bargauge",
              ((f"time() - probe_state_since_timestamp_seconds{{{_TARGET}}}", "{{target}}"),),
              unit="s", width=6, height=5, options=_LAST_VALUE | {"orientation": "horizontal"}),
    ),
    "Targets": (
        Panel("State", "By the sidecar's thresholds.", "state-timeline",
              ((_state(), "{{target}} ({{instance}})"),), words=STATES, width=24,
              options=_TIMELINE),
        Panel("Share of checks that pass", "Each target's own.", "timeseries",
              ((_share("sum by (target)", "rate", "$__rate_interval"), "{{target}}"),),
              unit="percentunit", options=_TABLE_LEGEND, most=1),
        Panel("Why checks fail", "Failed checks a second by their reason.", "timeseries",
              ((_rate("probe_checks_total", _TARGET + _BAD, "reason"),
                "{{reason}}"),),
              unit="cps", options=_TABLE_LEGEND, custom=_STACKED),
    ),
    "Duration": (
        Panel("How long checks take", "All checks of the targets shown, by the histogram.",
              "heatmap",
              ((_buckets("increase"), "{{le}}"),),
              unit="s", format="heatmap",
              options={"calculate": False, "yAxis": {"unit": "s"},
                       "color": {"mode": "scheme", "scheme": "Blues", "steps": 64}}),
        Panel("Quantiles", "Half, 95 and 99 in a hundred checks were faster.", "timeseries",
              tuple((_quantile(share), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)),
              unit="s", options=_TABLE_LEGEND),
    ),
    "Data": (
        Panel("Age of the sync loops' last attempts", "An attempt, not a success.", "timeseries",
              ((f"time() - synchronizer_item_last_hit_timestamp_seconds{{{_TARGET}}}",
                "{{target}} {{item}}"),),
              unit="s", options=_TABLE_LEGEND),
        Panel("Errors of the sync loops", "By its own count, which it forgets hourly.",
              "timeseries",
              ((f"synchronizer_item_errors{{{_TARGET}}}", "{{target}} {{item}}"),),
              options=_TABLE_LEGEND),
        Panel("Sync loops are healthy", "By the synchronizer's own word.", "state-timeline",
              ((f"synchronizer_item_healthy{{{_TARGET}}}", "{{target}} {{item}}"),),
              words=_YES_NO, width=8, options=_TIMELINE),
        Panel("Sync loops are stale", "Last attempted too long ago.", "state-timeline",
              ((f"synchronizer_item_stale{{{_TARGET}}}", "{{target}} {{item}}"),),
              words=_STALE, width=8, options=_TIMELINE),
        Panel("Dependencies are reached", "Looked at once an hour.", "state-timeline",
              ((f"synchronizer_dependency_healthy{{{_TARGET}}}", "{{target}} {{service}}"),),
              words=_YES_NO, width=8, options=_TIMELINE),
    ),
    "The sidecar itself": (
        Panel("Lateness of its loop", "How late the polling loop's last turn was.", "timeseries",
              ((f"probe_sidecar_loop_lag_seconds{{{_OWN}}}", "{{instance}}"),),
              unit="s", width=8, options=_TABLE_LEGEND),
        Panel("Checks in flight, and skipped a second", "What is skipped is not made up for.",
              "timeseries",
              ((f"probe_sidecar_checks_in_flight{{{_OWN}}}", "{{instance}} in flight"),
               (_rate("probe_checks_skipped_total", _OWN, "instance, reason"),
                "{{instance}} skipped: {{reason}}")),
              width=8, options=_TABLE_LEGEND),
        Panel("CPU", "Share of one core.", "timeseries",
              ((f"rate(process_cpu_seconds_total{{{_OWN}}}[$__rate_interval])", "{{instance}}"),),
              unit="percentunit", width=8, options=_TABLE_LEGEND),
        Panel("Memory", "Resident.", "timeseries",
              ((f"process_resident_memory_bytes{{{_OWN}}}", "{{instance}}"),),
              unit="bytes", width=8, options=_TABLE_LEGEND),
        Panel("Open files", "And their limit.", "timeseries",
              ((f"process_open_fds{{{_OWN}}}", "{{instance}}"),
               (f"process_max_fds{{{_OWN}}}", "{{instance}} limit")),
              width=8, options=_TABLE_LEGEND),
        Panel("Configuration is the newest", "No: the last reload was refused.", "state-timeline",
              ((f"probe_sidecar_config_last_reload_successful{{{_OWN}}}", "{{instance}}"),),
              words=_YES_NO, width=8, options=_TIMELINE),
    ),
}  # fmt: skip


def dashboard(title: str) -> Document:
    """Return the dashboard, to be imported or provisioned."""
    return {
        "uid": UID,
        "title": title,
        "description": "States, checks and data of split-sync and split-proxy, by probe's sidecar.",
        "tags": ["split", "healthcheck"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels()),
    }


def _variables() -> Iterator[Document]:
    """Yield the data source, and the labels that choose what is shown."""
    yield {"name": "datasource", "label": "Data source", "type": "datasource",
           "query": "prometheus", "hide": 0}  # fmt: skip
    for name, label, query in (
        ("job", "Job", "label_values(probe_sidecar_targets, job)"),
        ("instance", "Sidecar", 'label_values(probe_sidecar_targets{job=~"$job"}, instance)'),
        ("target", "Target", f"label_values(probe_ready{{{_OWN}}}, target)"),
    ):
        yield {
            "name": name, "label": label, "type": "query", "datasource": _SOURCE, "query": query,
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
            "hide": 0,
        }  # fmt: skip


def _panels() -> Iterator[Document]:
    """Yield a row's title and its panels, from the top, each with an id of its own."""
    number, top = 0, 0
    for title, row in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
               "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1}}  # fmt: skip
        top += 1
        left = 0
        for panel in row:
            number += 1
            if left + panel.width > _WIDTH:
                left, top = 0, top + panel.height
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            left += panel.width
        top += row[-1].height


def _panel(panel: Panel, number: int, place: Document) -> Document:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": panel.options,
        "targets": _targets(panel),
    }


def _defaults(panel: Panel) -> Document:
    return {
        "unit": panel.unit,
        "min": 0,
        **({} if panel.most is None else {"max": panel.most}),
        "custom": panel.custom,
        "mappings": _mappings(panel.words),
    }


def _mappings(words: dict[str, tuple[int, str]]) -> Sequence[Document]:
    if not words:
        return []
    options = {
        str(number): {"text": word, "color": colour, "index": number}
        for word, (number, colour) in words.items()
    }
    return [{"type": "value", "options": options}]


def _targets(panel: Panel) -> list[Document]:
    return [
        {
            "refId": chr(ord("A") + place),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "format": panel.format,
            "range": True,
        }
        for place, (expression, legend) in enumerate(panel.queries)
    ]
