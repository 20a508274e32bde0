"""The metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0, written from what the store holds.

A writer of our own, for prometheus_client needs 0.2 s for 1,000 targets, in one piece: this one
gives the text in pieces, so that checks get their turn between them. One family's samples stand
together, as both formats want it; a piece holds whole targets, so that no histogram is torn.
"""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from itertools import accumulate
from itertools import islice
from typing import Generic
from typing import TypeVar

from probe.sidecar.configuration.settings import RESERVED
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.states import State
from probe.sidecar.store import BUCKETS
from probe.sidecar.store import Check
from probe.sidecar.store import DependencyHealth
from probe.sidecar.store import ItemHealth
from probe.sidecar.store import Record

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"

PIECE = 25
"""Targets in one piece of the text."""

MOST_ROWS = 50
"""Items, or dependencies, of a target that are shown: a peer must not make series without end."""

LONGEST_VALUE = 128
"""Characters of a label's value that comes from a peer."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Sample = tuple[str, str, float]
"""What stands behind the family's name, the labels beyond the target's own as text, the value."""


@dataclass(frozen=True, slots=True)
class View:
    """One target at the time of the scrape."""

    record: Record
    ready: bool = False
    in_maintenance: bool = False


@dataclass(frozen=True, slots=True)
class Own:
    """What the sidecar says of itself, in seconds, bytes and UNIX times; None: not known."""

    version: str
    targets: int = 0
    lag: float = 0.0
    in_flight: int = 0
    reload_successful: bool = True
    reloaded_at: float | None = None
    reloads: Mapping[str, int] = field(default_factory=dict)
    probes: Mapping[str, int] = field(default_factory=dict)
    connections_refused: int = 0
    lines_lost: int = 0
    cpu_seconds: float | None = None
    resident_bytes: float | None = None
    open_fds: float | None = None
    max_fds: float | None = None
    started: float | None = None


Source = TypeVar("Source")


@dataclass(frozen=True, slots=True)
class Family(Generic[Source]):
    """One family. `name` is without `_total`, which its samples have behind it."""

    name: str
    kind: str
    help: str
    samples: Callable[[Source], Iterable[Sample]]


def escape(value: str) -> str:
    """Write a label's value as both formats want it."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def label(name: str, value: str) -> str:
    return f'{name}="{escape(value)}"'


# --- what each target tells ----------------------------------------------------------------------

_STATES = [(state, label("probe_state", state)) for state in State]
_BOUNDS = (*(f'le="{bound}"' for bound in BUCKETS), 'le="+Inf"')


def _always(read: Callable[[View], float]) -> Callable[[View], Iterator[Sample]]:
    def samples(view: View) -> Iterator[Sample]:
        yield "", "", read(view)

    return samples


def _of_last(read: Callable[[Check], float]) -> Callable[[View], Iterator[Sample]]:
    def samples(view: View) -> Iterator[Sample]:
        if view.record.last is not None:
            yield "", "", read(view.record.last)

    return samples


def _checks(view: View) -> Iterator[Sample]:
    for (verdict, reason), count in view.record.counts.items():
        yield "_total", f"{label('verdict', verdict)},{label('reason', reason)}", count


def _skipped(view: View) -> Iterator[Sample]:
    for reason, count in view.record.skipped.items():
        yield "_total", label("reason", reason), count


def _durations(view: View) -> Iterator[Sample]:
    sums = list(accumulate(view.record.buckets))
    for bound, total in zip(_BOUNDS, sums, strict=True):
        yield "_bucket", bound, total
    yield "_count", "", sums[-1]
    yield "_sum", "", view.record.seconds_sum


def _states(view: View) -> Iterator[Sample]:
    now = view.record.condition.state
    for state, text in _STATES:
        yield "", text, state is now


def _since(view: View) -> Iterator[Sample]:
    if view.record.condition.state is not State.UNKNOWN:
        yield "", "", view.record.condition.since


def _maintenance_until(view: View) -> Iterator[Sample]:
    until = view.record.condition.maintenance_until
    if view.in_maintenance and until is not None:
        yield "", "", until


def _items(read: Callable[[ItemHealth], float | None]) -> Callable[[View], Iterator[Sample]]:
    def samples(view: View) -> Iterator[Sample]:
        last = view.record.last
        items = last.health.items if last and last.health else ()
        for name, item in _bounded(items, _item_name):
            value = read(item)
            if value is not None:
                yield "", label("item", name), value

    return samples


def _dependencies(view: View) -> Iterator[Sample]:
    last = view.record.last
    rows = last.health.dependencies if last and last.health else ()
    for service, row in _bounded(rows, _service):
        yield "", label("service", service), row.healthy


def _item_name(row: ItemHealth) -> str:
    return row.name


def _service(row: DependencyHealth) -> str:
    return row.service


Row = TypeVar("Row", ItemHealth, DependencyHealth)


def _bounded(rows: Iterable[Row], name: Callable[[Row], str]) -> Iterable[tuple[str, Row]]:
    """Return the first rows by their names cut short, each name once: the worse of two counts."""
    named: dict[str, Row] = {}
    for row in islice(sorted(rows, key=lambda row: row.healthy), MOST_ROWS):
        named.setdefault(name(row)[:LONGEST_VALUE], row)
    return named.items()


_LAST: tuple[Family[View], ...] = (
    Family("probe_success", "gauge", "Whether the last check was healthy.",
                 _of_last(lambda check: check.healthy)),
    Family("probe_duration_seconds", "gauge", "How long the last check took.",
                 _of_last(lambda check: check.seconds)),
    Family("probe_http_status_code", "gauge",
                 "Code of the last check's status line, 0 where none came.",
                 _of_last(lambda check: check.status or 0)),
    Family("synchronizer_item_healthy", "gauge",
                 "Whether the synchronizer calls the sync loop healthy.",
                 _items(lambda item: item.healthy)),
    Family("synchronizer_item_stale", "gauge",
                 "Whether the sync loop's last attempt began too long ago.",
                 _items(lambda item: item.stale)),
    Family("synchronizer_item_errors", "gauge",
                 "Errors that the synchronizer counts for the sync loop; it forgets them hourly.",
                 _items(lambda item: item.errors)),
    Family("synchronizer_item_last_hit_timestamp_seconds", "gauge",
                 "When the sync loop's last attempt began; an attempt, not a success.",
                 _items(lambda item: item.last_hit)),
    Family("synchronizer_dependency_healthy", "gauge",
                 "Whether the synchronizer reaches the service; it looks once an hour.",
                 _dependencies),
)  # fmt: skip

TARGET_FAMILIES: tuple[Family[View], ...] = (
    *_LAST,
    Family("probe_ready", "gauge",
                 "Whether /readyz calls the target ready: by its state, and checked lately.",
                 _always(lambda view: view.ready)),
    Family("probe_state", "stateset", "The target's state by its thresholds.", _states),
    Family("probe_state_since_timestamp_seconds", "gauge",
                 "When the target came into its state.", _since),
    Family("probe_consecutive_failures", "gauge", "Failed checks since the last healthy one.",
                 _always(lambda view: view.record.condition.failures)),
    Family("probe_last_check_timestamp_seconds", "gauge", "When the last check began.",
                 _of_last(lambda check: check.started)),
    Family("probe_maintenance", "gauge",
                 "Whether the target is in maintenance, which holds its last ready state.",
                 _always(lambda view: view.in_maintenance)),
    Family("probe_maintenance_until_timestamp_seconds", "gauge", "When maintenance ends.",
                 _maintenance_until),
    Family("probe_checks", "counter", "Checks made.", _checks),
    Family("probe_checks_skipped", "counter",
                 "Checks that were due and not made: the one before still ran, or too many did.",
                 _skipped),
    Family("probe_check_duration_seconds", "histogram", "How long the checks took.",
                 _durations),
)  # fmt: skip


# --- what the sidecar tells of itself ------------------------------------------------------------


def _value(read: Callable[[Own], float | None], suffix: str = "") -> Callable[
    [Own], Iterator[Sample]
]:  # fmt: skip
    def samples(own: Own) -> Iterator[Sample]:
        value = read(own)
        if value is not None:
            yield suffix, "", value

    return samples


def _by(name: str, read: Callable[[Own], Mapping[str, int]]) -> Callable[[Own], Iterator[Sample]]:
    def samples(own: Own) -> Iterator[Sample]:
        for key, count in read(own).items():
            yield "_total", label(name, key), count

    return samples


def _build(own: Own) -> Iterator[Sample]:
    yield "_info", label("version", own.version), 1


OWN_FAMILIES: tuple[Family[Own], ...] = (
    Family("probe_sidecar_build", "info", "The sidecar's version.", _build),
    Family("probe_sidecar_targets", "gauge", "Targets that are checked.",
                _value(lambda own: own.targets)),
    Family("probe_sidecar_checks_in_flight", "gauge", "Checks that run now.",
                _value(lambda own: own.in_flight)),
    Family("probe_sidecar_loop_lag_seconds", "gauge",
                "How late the polling loop's last turn was.", _value(lambda own: own.lag)),
    Family("probe_sidecar_config_last_reload_successful", "gauge",
                "Whether the last reload took; if not, what was valid before still runs.",
                _value(lambda own: own.reload_successful)),
    Family("probe_sidecar_config_last_reload_success_timestamp_seconds", "gauge",
                "When the settings in use were read.", _value(lambda own: own.reloaded_at)),
    Family("probe_sidecar_reloads", "counter", "Reloads by how they ended.",
                _by("result", lambda own: own.reloads)),
    Family("probe_sidecar_probe_requests", "counter", "Requests of /probe by their result.",
                _by("result", lambda own: own.probes)),
    Family("probe_sidecar_connections_refused", "counter",
                "Connections to our own listeners beyond their limit, or too slow.",
                _value(lambda own: own.connections_refused, "_total")),
    Family("probe_sidecar_lines_lost", "counter",
                "Lines that could not be written in time, or at all.",
                _value(lambda own: own.lines_lost, "_total")),
    Family("process_cpu_seconds", "counter", "User and system CPU time.",
                _value(lambda own: own.cpu_seconds, "_total")),
    Family("process_resident_memory_bytes", "gauge", "Resident memory.",
                _value(lambda own: own.resident_bytes)),
    Family("process_open_fds", "gauge", "Open file descriptors.",
                _value(lambda own: own.open_fds)),
    Family("process_max_fds", "gauge", "Limit of open file descriptors.",
                _value(lambda own: own.max_fds)),
    Family("process_start_time_seconds", "gauge", "When the process began.",
                _value(lambda own: own.started)),
)  # fmt: skip


# --- writing -------------------------------------------------------------------------------------


def negotiate(accept: str) -> str:
    """Return the content type for an Accept header: the better liked of the two, else plain."""
    best, found = 0.0, PLAIN
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        form = {"application/openmetrics-text": OPEN, "text/plain": PLAIN}.get(kind)
        quality = _quality(parameters)
        if form and quality > best:
            best, found = quality, form
    return found


def _quality(parameters: Iterable[str]) -> float:
    """Return the weight of RFC 9110, 12.4.2; 0 also where it cannot be read."""
    weights = [text[2:] for text in parameters if text.startswith("q=")]
    try:
        return float(weights[-1]) if weights else 1.0
    except ValueError:
        return 0.0


def exposition(views: Sequence[View], own: Own, form: str) -> Iterator[str]:
    """Yield what /metrics says in *form* (PLAIN or OPEN), in pieces."""
    labelled = [(view, _labels(view.record.settings)) for view in views]
    for family in TARGET_FAMILIES:
        yield _head(family, form)
        for start in range(0, len(labelled), PIECE):
            yield "".join(
                _line(family.name, suffix, _joined(labels, more), value)
                for view, labels in labelled[start : start + PIECE]
                for suffix, more, value in family.samples(view)
            )
    for own_family in OWN_FAMILIES:
        yield _whole(own_family, own, form)
    yield _end(form)


def one_check(check: Check, settings: TargetSettings, form: str) -> Iterator[str]:
    """Yield what /probe says of one check, without a `target` label as blackbox_exporter has it."""
    view = View(Record(settings, last=check))
    for family in _LAST:
        yield _whole(family, view, form)
    yield _whole(_VERDICT, check, form)
    yield _end(form)


def _how_it_ended(check: Check) -> Iterator[Sample]:
    yield "_info", f"{label('verdict', check.verdict)},{label('reason', check.reason)}", 1


_VERDICT: Family[Check] = Family("probe_verdict", "info", "How the check ended.", _how_it_ended)


def _labels(settings: TargetSettings) -> str:
    own = [
        label(name, value)
        for name, value in settings.labels.items()
        if name not in RESERVED and _NAME.fullmatch(name)  # one bad name would spoil the scrape
    ]
    return ",".join([label("target", settings.name), *own])


def _joined(labels: str, more: str) -> str:
    return f"{labels},{more}" if labels and more else labels or more


def _whole(family: Family[Source], source: Source, form: str) -> str:
    """Write a family that has one source; nothing where that has no samples."""
    text = "".join(_line(family.name, *sample) for sample in family.samples(source))
    return _head(family, form) + text if text else ""


def _line(name: str, suffix: str, labels: str, value: float) -> str:
    shown = repr(value) if type(value) is float else f"{value:d}"
    return f"{name}{suffix}{{{labels}}} {shown}\n" if labels else f"{name}{suffix} {shown}\n"


# 0.0.4 has fewer types, and names a family as its samples are named.
_PLAIN_KINDS = {
    "info": ("_info", "gauge"),
    "stateset": ("", "gauge"),
    "counter": ("_total", "counter"),
}


def _head(family: Family[Source], form: str) -> str:
    suffix, kind = "", family.kind
    if form == PLAIN:
        suffix, kind = _PLAIN_KINDS.get(kind, ("", kind))
    name = family.name + suffix
    return f"# HELP {name} {family.help}\n# TYPE {name} {kind}\n"


def _end(form: str) -> str:
    return "# EOF\n" if form == OPEN else ""
