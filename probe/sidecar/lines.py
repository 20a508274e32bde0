"""What the sidecar writes to its log: one line for each event, in JSON or logfmt, and EMF. Pure.

EMF: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any

from probe.sidecar.configuration.settings import LogFormat
from probe.sidecar.states import Condition
from probe.sidecar.states import State
from probe.sidecar.store import Record

NAMESPACE = "Probe"
"""CloudWatch's namespace for our metrics."""

_LEVELS = {State.UNHEALTHY: "error", State.DEGRADED: "warning"}
_BARE = re.compile(r"[!#-<>-\[\]-~]+")
_METRICS = {
    "probe_success": "None",
    "probe_ready": "None",
    "probe_degraded": "None",
    "probe_duration_seconds": "Seconds",
    "probe_consecutive_failures": "Count",
}
"""Their units are CloudWatch's own words (MetricDatum, Unit)."""


def event_line(level: str, event: str, now: float, form: LogFormat, **fields: Any) -> str:
    """Return the line of an event at UNIX time *now*; fields that are None are left out."""
    all_fields = {"time": _time(now), "level": level, "event": event, **fields}
    given = {name: value for name, value in all_fields.items() if value is not None}
    return _json(given) if form == "json" else _logfmt(given)


def state_line(record: Record, before: Condition, form: LogFormat) -> str:
    """Return the line of a target whose state has changed."""
    condition, last = record.condition, record.last
    health = last.health if last else None
    return event_line(
        _LEVELS.get(condition.state, "info"),
        "state",
        condition.since,
        form,
        target=record.settings.name,
        state=str(condition.state),
        before=str(before.state),
        verdict=last.line if last else None,
        reason=last.reason if last else None,
        degraded=",".join(health.reasons) if health and health.reasons else None,
        seconds=round(last.seconds, 6) if last else None,
        failures=condition.failures,
        successes=condition.successes,
    )


def emf_line(record: Record, now: float, *, ready: bool) -> str | None:
    """Return a target's metrics as CloudWatch reads them; None before the first check."""
    if record.last is None:
        return None
    metrics = [{"Name": name, "Unit": unit} for name, unit in _METRICS.items()]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["target"]], "Metrics": metrics}
    return _json(
        {
            "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]},
            # a dimension's value must be ASCII (CloudWatch API, Dimension)
            "target": record.settings.name.encode("ascii", "replace").decode(),
            "state": str(record.condition.state),
            "reason": record.last.reason,
            "probe_success": int(record.last.healthy),
            "probe_ready": int(ready),
            "probe_degraded": int(record.condition.state is State.DEGRADED),
            "probe_duration_seconds": round(record.last.seconds, 6),
            "probe_consecutive_failures": record.condition.failures,
        }
    )


def _time(now: float) -> str:
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))  # ASCII: nobody's name can end the line


def _logfmt(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in fields.items())


def _logfmt_value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)
