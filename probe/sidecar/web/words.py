"""A target's condition in words: what is, why, and what to do. Pure; for the page and the API."""

from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime

from probe.contract.verdict import REASONS
from probe.sidecar.states import State
from probe.sidecar.store import Check
from probe.sidecar.store import Health
from probe.sidecar.store import Record
from probe.synchronizer.meaning import NOT_CRITICAL
from probe.synchronizer.meaning import NOTES
from probe.synchronizer.meaning import Note
from probe.synchronizer.meaning import explain_reason

_OWN_NOTES = {
    "unread": Note(
        "unread",
        "the status line is good, but a body did not come whole, in time and below 1 MiB",
        "raise the timeout, or look at what stands between",
    ),
    "stale-check": Note(
        "stale-check",
        "the last check is too old to say anything",
        "look at probe_checks_skipped_total and probe_sidecar_loop_lag_seconds",
    ),
}

# What to do about a target of which we know nothing more, where the synchronizer's notes say more.
_GENERIC_TODO = {
    "refused": "look whether the process runs, and on which address and port it listens",
    "status": "look at the server's log",
}

# Which names stand in a note's `{items}`.
_CONCERNED: dict[str, Callable[[Health], list[str]]] = {
    "sticky-500": lambda health: [
        item.name for item in health.items if not item.healthy and item.name not in NOT_CRITICAL
    ],
    "never-synced": lambda health: [
        item.name for item in health.items if item.healthy and item.last_hit is None
    ],
    "stale": lambda health: [item.name for item in health.items if item.stale],
    "dependencies-down": lambda health: [
        row.service for row in health.dependencies if not row.healthy
    ],
}

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_YEAR_10000 = 253402300800.0
"""No datetime goes so far."""


def span(seconds: float) -> str:
    """Say how long: `0 s`, `59 s`, `3 min`, `2 h`, `5 d`; what is below zero is zero."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(seconds, 0))} s"


def moment(unix: float, timespec: str = "seconds") -> str:
    """Write a UNIX time as RFC 3339 has it, in UTC; *timespec* as datetime's isoformat has it."""
    inside = datetime.fromtimestamp(min(max(unix, 0.0), _YEAR_10000 - 1), UTC)
    return f"{inside.replace(tzinfo=None).isoformat(timespec=timespec)}Z"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004


def percentile(seconds: list[float], share: float) -> float:
    """Return the value that *share* (0 to 1) of a filled list does not exceed."""
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def progress(record: Record) -> str:
    """Say how far a streak is on its way to another state; empty where there is none."""
    condition, thresholds = record.condition, record.settings.thresholds
    state = condition.state
    if state is State.UNKNOWN:
        return "not checked yet"
    if condition.ready and condition.failures:
        return (
            f"{_counted(condition.failures, 'failure')} in a row, unhealthy at {thresholds.failure}"
        )
    if not condition.ready and condition.successes:
        return (
            f"{_counted(condition.successes, 'success')} in a row, healthy at {thresholds.success}"
        )
    if state is State.STARTING and condition.failures:
        return f"{_counted(condition.failures, 'failure')} in a row since the start"
    return ""


def notes(record: Record, *, fresh: bool) -> Iterator[Note]:
    """Yield what there is to know of a target that is not simply healthy, the verdict's first."""
    last = record.last
    if last is None:
        return
    if not fresh:
        yield _OWN_NOTES["stale-check"]
    if not last.healthy:
        yield _of_verdict(last, generic=record.settings.kind == "generic")
    if last.health is not None:
        for code in last.health.reasons:
            yield _of_bodies(code, last.health)


def _of_verdict(check: Check, *, generic: bool) -> Note:
    status = check.status if check.reason == "status" else None
    found = next(explain_reason(check.reason, status, b""), None)
    means = REASONS.get(check.reason, check.reason)
    if generic and check.reason in _GENERIC_TODO:
        return Note(check.reason, means, _GENERIC_TODO[check.reason])
    return found or Note(check.reason, means, "")


def _of_bodies(code: str, health: Health) -> Note:
    note = NOTES.get(code) or _OWN_NOTES.get(code) or Note(code, code, "")
    if code not in _CONCERNED:
        return note
    names = ", ".join(_CONCERNED[code](health))
    return Note(code, note.means.replace("{items}", names), note.todo)


def _counted(count: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{count} {what}{'' if count == 1 else plural}"
