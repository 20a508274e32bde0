"""Recording and alerting rules as Prometheus reads them, and their unit tests for promtool."""

import re
from typing import Any

from probe.manifests.monitoring.alerts import ALERTS
from probe.manifests.monitoring.alerts import SIDECAR_ALERTS
from probe.manifests.monitoring.alerts import TARGET
from probe.manifests.monitoring.alerts import TARGET_ALERTS
from probe.manifests.monitoring.alerts import Alert
from probe.manifests.monitoring.alerts import Series
from probe.manifests.monitoring.alerts import series

Document = dict[str, Any]

FILE = "probe.rules.yml"
TEST_FILE = "probe.rules.test.yml"

_CHECKS = "job_instance_target:probe_checks:rate5m"
_BAD = "job_instance_target:probe_checks_unhealthy:rate5m"

# Names by Prometheus' convention: level:metric:operations.
RECORDED = {
    _CHECKS: "sum without (verdict, reason) (rate(probe_checks_total[5m]))",
    # A verdict that never was has no series: 0 of so many.
    _BAD: (
        'sum without (verdict, reason) (rate(probe_checks_total{verdict="unhealthy"}[5m]))'
        f" or {_CHECKS} * 0"
    ),
    "job_instance_target:probe_checks_unhealthy:ratio_rate5m": f"{_BAD} / {_CHECKS}",
    "job_instance_target:probe_check_duration_seconds:p95_rate5m": (
        "histogram_quantile(0.95, rate(probe_check_duration_seconds_bucket[5m]))"
    ),
}


def groups() -> Document:
    """Return the rules, those that are recorded first: alerts stand on them."""
    recorded = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    return {
        "groups": [
            {"name": "probe-recorded", "rules": recorded},
            {"name": "probe-targets", "rules": list(map(_rule, TARGET_ALERTS))},
            {"name": "probe-sidecar", "rules": list(map(_rule, SIDECAR_ALERTS))},
        ]
    }


def _rule(alert: Alert) -> Document:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": _templated(alert.summary),
            "description": _templated(alert.description),
        },
    }


def _templated(text: str) -> str:
    return re.sub(r"\{(\w+)\}", r"{{ $labels.\1 }}", text)


def tests() -> Document:
    """Return promtool's tests: each alert fires once and stays silent once; what is recorded."""
    return {
        "rule_files": [FILE],
        "evaluation_interval": "1m",
        "tests": [
            *(_alert_test(a, a.fires, fires=True) for a in ALERTS),
            *(_alert_test(a, a.quiet, fires=False) for a in ALERTS),
            _recorded_test(),
        ],
    }


def _alert_test(alert: Alert, values: Series, *, fires: bool) -> Document:
    firing = {
        "exp_labels": alert.labels | {"severity": alert.severity},
        "exp_annotations": {
            "summary": alert.summary.format_map(alert.labels),
            "description": alert.description.format_map(alert.labels),
        },
    }
    return {
        "name": f"{alert.name} {'fires' if fires else 'is silent'}",
        "interval": "1m",
        "input_series": _input(values),
        "alert_rule_test": [
            {
                "eval_time": f"{alert.minutes}m",
                "alertname": alert.name,
                "exp_alerts": [firing] if fires else [],
            }
        ],
    }


def _input(values: Series) -> list[Document]:
    return [{"series": name, "values": text} for name, text in values.items()]


def _recorded_test() -> Document:
    """Return the test of the recorded rates: 10 checks a minute, a fifth of which fail."""
    checks = "probe_checks_total"
    expected = {
        _CHECKS: 10 / 60,
        "job_instance_target:probe_checks_unhealthy:ratio_rate5m": 0.2,
    }
    return {
        "name": "what is recorded",
        "interval": "1m",
        "input_series": _input(
            {
                series(checks, TARGET, verdict="healthy", reason="200"): "0+8x20",
                series(checks, TARGET, verdict="unhealthy", reason="status"): "0+1x20",
                series(checks, TARGET, verdict="unhealthy", reason="timeout"): "0+1x20",
            }
        ),
        "promql_expr_test": [
            {
                "expr": f"round({name}, 0.0001)",
                "eval_time": "10m",
                "exp_samples": [{"labels": series("", TARGET), "value": round(value, 4)}],
            }
            for name, value in expected.items()
        ],
    }
