"""A target as /api/v1/targets tells it, of schema 1. Pure."""

from typing import Any

from probe.sidecar.metrics import MOST_ROWS
from probe.sidecar.store import Check
from probe.sidecar.store import Health
from probe.sidecar.store import Record
from probe.sidecar.web import words


def described(record: Record, wall: float, *, ready: bool, fresh: bool) -> dict[str, Any]:
    """Return what is known of a target; times are RFC 3339 in UTC, *wall* is UNIX time."""
    settings, condition, last = record.settings, record.condition, record.last
    target = settings.target
    until = condition.maintenance_until if condition.in_maintenance(wall) else None
    return {
        "name": settings.name,
        "kind": settings.kind,
        "labels": dict(settings.labels),
        "target": {
            "host": target.host,
            "port": target.port,
            "path": target.path,
            "timeout": target.timeout,
            "expect": target.expect,
            "tls": target.tls is not None,
        },
        "interval": settings.interval,
        "state": condition.state,
        "since": _time(condition.since) if last else None,
        "ready": ready,
        "fresh": fresh,
        "verdict": last.verdict if last else None,
        "reason": last.reason if last else None,
        "line": last.line if last else None,
        "last_check": _time(last.started) if last else None,
        "seconds": last.seconds if last else None,
        "consecutive_successes": condition.successes,
        "consecutive_failures": condition.failures,
        "maintenance_until": None if until is None else _time(until),
        "notes": [
            {"code": note.code, "means": note.means, "todo": note.todo}
            for note in words.notes(record, fresh=fresh)
        ],
        "health": _health(last.health) if last and last.health else None,
        "history": [_check(check) for check in record.history],
        "failures": [_check(check) for check in record.failures],
    }


def _time(unix: float) -> str:
    return words.moment(unix, "milliseconds")


def _check(check: Check) -> dict[str, Any]:
    return {
        "started": _time(check.started),
        "seconds": round(check.seconds, 6),
        "verdict": check.verdict,
        "reason": check.reason,
        "status": check.status,
    }


def _health(health: Health) -> dict[str, Any]:
    return {
        "degraded": health.degraded,
        "reasons": list(health.reasons),
        "items": [
            {
                "item": item.name,
                "healthy": item.healthy,
                "last_hit": None if item.last_hit is None else _time(item.last_hit),
                "age_seconds": None if item.age is None else round(item.age, 1),
                "stale": item.stale,
                "errors": item.errors,
            }
            for item in health.items[:MOST_ROWS]
        ],
        "dependencies": [
            {"service": row.service, "healthy": row.healthy, "message": row.message}
            for row in health.dependencies[:MOST_ROWS]
        ],
    }
