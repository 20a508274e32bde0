"""The metrics: read back by prometheus_client's parsers, judged by promtool, quick enough."""

import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from probe.sidecar import metrics
from probe.sidecar.metrics import OPEN
from probe.sidecar.metrics import PLAIN
from probe.sidecar.metrics import Own
from probe.sidecar.metrics import View
from probe.sidecar.metrics import exposition
from probe.sidecar.metrics import negotiate
from probe.sidecar.metrics import one_check
from probe.sidecar.store import BUCKETS
from probe.sidecar.store import DependencyHealth
from probe.sidecar.store import Health
from probe.sidecar.store import ItemHealth
from probe.sidecar.store import Record
from tests.sidecar.records import HEALTH
from tests.sidecar.records import NOW
from tests.sidecar.records import check
from tests.sidecar.records import record
from tests.sidecar.records import settings
from tests.support.components import require

OWN = Own("1.2.3", targets=2, reloads={"accepted": 1, "refused": 2}, probes={"refused": 3},
          reloaded_at=NOW, cpu_seconds=1.5, resident_bytes=4e7, open_fds=9, max_fds=1024,
          started=NOW - 60)  # fmt: skip
PARSERS: dict[str, Callable[[str], Iterable[Metric]]] = {PLAIN: parse_plain, OPEN: parse_open}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str, form: str) -> Samples:
    """Return the samples by name and labels; each must be there once."""
    found: Samples = {}
    for family in PARSERS[form](text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def views(records: Iterable[Record]) -> list[View]:
    return [View(one, ready=one.condition.ready) for one in records]


def written(records: Iterable[Record], form: str = PLAIN) -> str:
    return "".join(exposition(views(records), OWN, form))


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


TYPICAL = [
    record("sync", [check(), check("timeout", 3.0), check(seconds=0.02, health=HEALTH)]),
    record("proxy", [check("status 500")] * 3, {"team": "core"}),
    record("new"),
]

EXPECTED = [
    ("probe_success", {"target": "sync"}, 1),
    ("probe_success", {"target": "proxy", "team": "core"}, 0),
    ("probe_success", {"target": "new"}, None),
    ("probe_duration_seconds", {"target": "sync"}, 0.02),
    ("probe_http_status_code", {"target": "proxy", "team": "core"}, 500),
    ("probe_ready", {"target": "sync"}, 1),
    ("probe_ready", {"target": "new"}, 0),
    ("probe_state", {"target": "sync", "probe_state": "degraded"}, 1),
    ("probe_state", {"target": "sync", "probe_state": "healthy"}, 0),
    ("probe_state", {"target": "new", "probe_state": "unknown"}, 1),
    ("probe_state_since_timestamp_seconds", {"target": "sync"}, NOW),
    ("probe_state_since_timestamp_seconds", {"target": "new"}, None),
    ("probe_consecutive_failures", {"target": "proxy", "team": "core"}, 3),
    ("probe_last_check_timestamp_seconds", {"target": "sync"}, NOW),
    ("probe_maintenance", {"target": "sync"}, 0),
    ("probe_checks_total", {"target": "sync", "verdict": "healthy", "reason": "200"}, 2),
    ("probe_checks_total", {"target": "sync", "verdict": "unhealthy", "reason": "timeout"}, 1),
    ("probe_check_duration_seconds_count", {"target": "sync"}, 3),
    ("probe_check_duration_seconds_sum", {"target": "sync"}, 3.024),
    ("probe_check_duration_seconds_bucket", {"target": "sync", "le": "0.001"}, 0),
    ("probe_check_duration_seconds_bucket", {"target": "sync", "le": "0.005"}, 1),
    ("probe_check_duration_seconds_bucket", {"target": "sync", "le": "+Inf"}, 3),
    ("synchronizer_item_healthy", {"target": "sync", "item": "Storage"}, 0),
    ("synchronizer_item_stale", {"target": "sync", "item": "Segments"}, 1),
    ("synchronizer_item_last_hit_timestamp_seconds", {"target": "sync", "item": "Splits"},
     NOW - 12.5),
    ("synchronizer_item_last_hit_timestamp_seconds", {"target": "sync", "item": "Segments"}, None),
    ("synchronizer_item_errors", {"target": "sync", "item": "Storage"}, 5),
    ("synchronizer_dependency_healthy",
     {"target": "sync", "service": "https://events.split.example/api/version"}, 0),
    ("probe_sidecar_build_info", {"version": "1.2.3"}, 1),
    ("probe_sidecar_reloads_total", {"result": "refused"}, 2),
    ("probe_sidecar_probe_requests_total", {"result": "refused"}, 3),
    ("probe_sidecar_config_last_reload_successful", {}, 1),
    ("process_open_fds", {}, 9),
]  # fmt: skip


@pytest.mark.parametrize("form", PARSERS, ids=["plain", "open"])
@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in EXPECTED],
)
def test_samples(form: str, name: str, labels: dict[str, str], expected: float | None) -> None:
    assert value(read(written(TYPICAL, form), form), name, **labels) == expected


@pytest.mark.parametrize("form", PARSERS, ids=["plain", "open"])
def test_families_stand_together(form: str) -> None:
    """A family comes once, whatever the number of targets: both formats ask for it."""
    text = written((record(f"t{i}", [check(health=HEALTH)]) for i in range(60)), form)
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_open_metrics_types() -> None:
    kinds = {family.name: family.type for family in PARSERS[OPEN](written(TYPICAL, OPEN))}
    assert kinds["probe_state"] == "stateset"
    assert kinds["probe_sidecar_build"] == "info"
    assert kinds["probe_checks"] == "counter"


@pytest.mark.real
def test_promtool_is_content() -> None:
    """`promtool check metrics` finds neither fault nor a name against the conventions."""
    done = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=written(TYPICAL), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


NASTY = 'a\\b"c\nd{},= ünïcode\u2028'


@pytest.mark.parametrize("form", PARSERS, ids=["plain", "open"])
def test_hostile_values_stay_values(form: str) -> None:
    health = Health((ItemHealth(NASTY, healthy=True),), (DependencyHealth(NASTY, healthy=True),))
    hostile = record(NASTY, [check(health=health)], {"team": NASTY})
    samples = read(written([hostile], form), form)
    own = {"target": NASTY, "team": NASTY}
    assert value(samples, "synchronizer_item_healthy", item=NASTY, **own) == 1
    assert value(samples, "synchronizer_dependency_healthy", service=NASTY, **own) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_name_reads_back(name: str) -> None:
    name = name.replace("\r", "")  # their parsers split lines there, Prometheus' does not
    samples = read(written([record(name or "x", [check()])]), PLAIN)
    assert value(samples, "probe_success", target=name or "x") == 1


def test_labels_that_cannot_be_are_left_out() -> None:
    """A target's own label can neither double one of ours nor spoil the text by its name."""
    labels = {"reason": "x", "le": "1", "a-b": "c", "é": "d", "": "e", "a": "b"}
    samples = read(written([record("sync", [check()], labels)]), PLAIN)
    assert value(samples, "probe_success", target="sync", a="b") == 1


def test_a_peer_makes_no_series_without_end() -> None:
    items = tuple(ItemHealth(f"item {i}" + "x" * 500, healthy=True) for i in range(500))
    double = (ItemHealth("same", healthy=True),) * 2
    text = written([record("sync", [check(health=Health(double + items))])])
    assert text.count("synchronizer_item_healthy{") == metrics.MOST_ROWS - 1
    assert max(map(len, text.splitlines())) < 400


def test_the_worse_of_two_names_counts() -> None:
    """Two services of one name must not hide that one of them is down."""
    rows = (DependencyHealth("a", healthy=True), DependencyHealth("a", healthy=False))
    samples = read(written([record("sync", [check(health=Health((), rows))])]), PLAIN)
    assert value(samples, "synchronizer_dependency_healthy", target="sync", service="a") == 0


@pytest.mark.parametrize("form", PARSERS, ids=["plain", "open"])
def test_one_check(form: str) -> None:
    """/probe tells one check, under blackbox_exporter's names and without a target label."""
    text = "".join(one_check(check("status 503", health=HEALTH), settings(), form))
    samples = read(text, form)
    assert value(samples, "probe_success") == 0
    assert value(samples, "probe_http_status_code") == 503
    assert value(samples, "probe_verdict_info", verdict="unhealthy", reason="status") == 1
    assert value(samples, "synchronizer_item_healthy", item="Splits") == 1


def test_buckets_end_with_all() -> None:
    one = record("sync", [check(seconds=bound) for bound in (*BUCKETS, 99.0)])
    samples = read(written([one]), PLAIN)
    counts = [
        value(samples, "probe_check_duration_seconds_bucket", target="sync", le=str(bound))
        for bound in (*BUCKETS, "+Inf")
    ]
    assert counts == list(range(1, len(BUCKETS) + 2))


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        pytest.param("", PLAIN, id="nothing"),
        pytest.param("*/*", PLAIN, id="anything"),
        pytest.param("application/openmetrics-text", OPEN, id="open"),
        pytest.param("application/openmetrics-text; version=1.0.0; charset=utf-8", OPEN, id="1.0"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
            "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OPEN, id="prometheus"),
        pytest.param("text/plain;q=0.9, application/openmetrics-text;q=0.2", PLAIN, id="plain"),
        pytest.param("application/openmetrics-text;q=0", PLAIN, id="refused"),
        pytest.param("application/openmetrics-text;q=x", PLAIN, id="bad weight"),
        pytest.param(",;,=;q=", PLAIN, id="garbage"),
    ],
)  # fmt: skip
def test_negotiation(accept: str, form: str) -> None:
    assert negotiate(accept) == form


def test_thousand_targets_in_small_pieces() -> None:
    """No piece takes long enough to hold up a check: 50 ms are promised, a tenth is usual."""
    records = [record(f"target-{i}", [check(health=HEALTH)] * 3) for i in range(1000)]
    pieces = exposition(views(records), OWN, PLAIN)
    longest = whole = 0.0
    while True:
        began = time.thread_time()
        if next(pieces, None) is None:
            break
        took = time.thread_time() - began
        longest, whole = max(longest, took), whole + took
    assert longest < 0.02
    assert whole < 1.0
