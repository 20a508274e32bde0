"""The alerts as rows, each with series that make it fire and series that must not.

Pure data: `rules` makes documents of it. `{target}` and its like in a text are the alert's labels.
A target in maintenance raises no alert of its own.
"""

from dataclasses import dataclass

SIDECAR_JOB = "probe-sidecar"
"""The job that scrapes /metrics of sidecars."""

TARGETS_JOB = "probe-targets"
"""The job that asks one sidecar's /probe for many targets."""

LABELS = {"job": SIDECAR_JOB, "instance": "127.0.0.1:9311"}
TARGET = LABELS | {"target": "127.0.0.1:3010"}

Series = dict[str, str]
"""Values in promtool's notation, one each minute, by series."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `wait` is Prometheus' `for`; `labels` are those of the series in the tests.

    After `minutes` of `fires` it fires, after as many of `quiet` it does not.
    """

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    description: str
    fires: Series
    quiet: Series
    labels: dict[str, str]
    minutes: int


def series(name: str, labels: dict[str, str], **more: str) -> str:
    """Write a series as promtool reads it."""
    pairs = ",".join(f'{key}="{value}"' for key, value in (labels | more).items())
    return f"{name}{{{pairs}}}"


def _of(name: str, **more: str) -> str:
    return series(name, TARGET, **more)


def _calm(expr: str) -> str:
    """Return the expression without the targets in maintenance."""
    return f"({expr}) unless on (job, instance, target) (probe_maintenance == 1)"


_BAD = _of("probe_state", probe_state="unhealthy")
_MEDIOCRE = _of("probe_state", probe_state="degraded")
_MAINTENANCE = _of("probe_maintenance")
_OWN = f'{{job="{SIDECAR_JOB}"}}'

TARGET_ALERTS = (
    Alert(
        "SynchronizerUnhealthy",
        _calm('probe_state{probe_state="unhealthy"} == 1'),
        "1m",
        "critical",
        "{target} is unhealthy",
        "Its checks fail by the sidecar's threshold. The sidecar's page and its log say why and "
        "what to do; a synchronizer that answers 500 does so until it is restarted.",
        fires={_BAD: "1x10", _MAINTENANCE: "0x10"},
        quiet={_BAD: "1x10", _MAINTENANCE: "1x10"},
        labels=TARGET | {"probe_state": "unhealthy"},
        minutes=5,
    ),
    Alert(
        "SynchronizerDegraded",
        _calm('probe_state{probe_state="degraded"} == 1'),
        "10m",
        "warning",
        "{target} answers 200 and is not well",
        "Its bodies tell of data that is old or was never fetched, or of dependencies that are "
        "down. The status code alone does not show it, and no restart is due.",
        fires={_MEDIOCRE: "1x20", _MAINTENANCE: "0x20"},
        quiet={_MEDIOCRE: "1x20", _MAINTENANCE: "1x20"},
        labels=TARGET | {"probe_state": "degraded"},
        minutes=15,
    ),
    Alert(
        "SynchronizerDataStale",
        _calm("synchronizer_item_stale == 1"),
        "5m",
        "warning",
        "{item} of {target} was last tried too long ago",
        "The sync loop has begun no attempt for longer than its limit: it hangs. Clients get old "
        "data; a restart is the way out.",
        fires={_of("synchronizer_item_stale", item="Splits"): "1x20"},
        quiet={_of("synchronizer_item_stale", item="Splits"): "0 1 0x20"},
        labels=TARGET | {"item": "Splits"},
        minutes=10,
    ),
    Alert(
        "SynchronizerNeverSynced",
        _calm("synchronizer_item_healthy unless synchronizer_item_last_hit_timestamp_seconds"),
        "15m",
        "warning",
        "{item} of {target} was never tried",
        "Since its start the sync loop has begun no attempt. Look at the API key and at the way "
        "to the backend.",
        fires={_of("synchronizer_item_healthy", item="Splits"): "1x30"},
        quiet={
            _of("synchronizer_item_healthy", item="Splits"): "1x30",
            _of("synchronizer_item_last_hit_timestamp_seconds", item="Splits"): "0+60x30",
        },
        labels=TARGET | {"item": "Splits"},
        minutes=20,
    ),
    Alert(
        "SynchronizerItemFailing",
        _calm("synchronizer_item_healthy == 0"),
        "5m",
        "warning",
        "{item} of {target} is unhealthy by its own word",
        "For Splits, Segments and the like the status code follows and stays 500; for Storage it "
        "does not: look at Redis.",
        fires={_of("synchronizer_item_healthy", item="Storage"): "0x20"},
        quiet={_of("synchronizer_item_healthy", item="Storage"): "1x20"},
        labels=TARGET | {"item": "Storage"},
        minutes=10,
    ),
    Alert(
        "SynchronizerDependencyDown",
        _calm("synchronizer_dependency_healthy == 0"),
        "5m",
        "warning",
        "{target} does not reach {service}",
        "The synchronizer looks once an hour, so that this is up to an hour old, and stays for as "
        "long after the service is back.",
        fires={_of("synchronizer_dependency_healthy", service="https://sdk.example"): "0x20"},
        quiet={_of("synchronizer_dependency_healthy", service="https://sdk.example"): "1x20"},
        labels=TARGET | {"service": "https://sdk.example"},
        minutes=10,
    ),
    Alert(
        "CheckFlapping",
        _calm("changes(probe_state_since_timestamp_seconds[30m]) > 4"),
        "0m",
        "warning",
        "{target} changes its state again and again",
        "More than four times in half an hour. Its timeout may be too short for its load, or the "
        "threshold too low.",
        fires={_of("probe_state_since_timestamp_seconds"): "0+60x40"},
        quiet={_of("probe_state_since_timestamp_seconds"): "0x20 60x20"},
        labels=TARGET,
        minutes=35,
    ),
    Alert(
        "CheckSlow",
        _calm("job_instance_target:probe_check_duration_seconds:p95_rate5m > 1"),
        "10m",
        "warning",
        "Checks of {target} take more than a second",
        "The 95th percentile of five minutes. The synchronizer or its machine is short of CPU; "
        "soon the checks will fail by timeout.",
        fires={
            _of("probe_check_duration_seconds_bucket", le="1.0"): "0x30",
            _of("probe_check_duration_seconds_bucket", le="2.5"): "0+6x30",
            _of("probe_check_duration_seconds_bucket", le="+Inf"): "0+6x30",
        },
        quiet={
            _of("probe_check_duration_seconds_bucket", le="1.0"): "0+6x30",
            _of("probe_check_duration_seconds_bucket", le="2.5"): "0+6x30",
            _of("probe_check_duration_seconds_bucket", le="+Inf"): "0+6x30",
        },
        labels=TARGET,
        minutes=25,
    ),
    Alert(
        "CheckOutdated",
        _calm(
            "probe_ready == 0 and on (job, instance, target) "
            'probe_state{probe_state=~"healthy|degraded"} == 1'
        ),
        "2m",
        "warning",
        "{target} has not been checked lately",
        "Its last verdict was good and is too old to be believed: the sidecar skips its checks, "
        "or is held up.",
        fires={_of("probe_ready"): "0x10", _of("probe_state", probe_state="healthy"): "1x10"},
        quiet={_of("probe_ready"): "1x10", _of("probe_state", probe_state="healthy"): "1x10"},
        labels=TARGET,
        minutes=5,
    ),
    Alert(
        "ChecksSkipped",
        "sum without (reason) (rate(probe_checks_skipped_total[10m])) > 0.01",
        "10m",
        "warning",
        "Checks of {target} are skipped",
        "One was still running when the next was due, too many ran at once, the process was held "
        "up, or it had no descriptors left: probe_checks_skipped_total has the reason. Lengthen "
        "the interval, shorten the timeout, or spread the targets over more sidecars.",
        fires={_of("probe_checks_skipped_total", reason="overlap"): "0+3x40"},
        quiet={_of("probe_checks_skipped_total", reason="overlap"): "0x20 1x20"},
        labels=TARGET,
        minutes=30,
    ),
    Alert(
        "ProbeScrapeFailing",
        f'up{{job="{TARGETS_JOB}"}} == 0',
        "5m",
        "warning",
        "{instance} cannot be asked by /probe",
        "The exporter is down, too busy, or refuses the address (probe.allow): then nothing is "
        "known of the target. Ask /probe?target= by hand.",
        fires={series("up", {"job": TARGETS_JOB, "instance": "127.0.0.1:3010"}): "0x10"},
        quiet={series("up", {"job": TARGETS_JOB, "instance": "127.0.0.1:3010"}): "1 0 1x10"},
        labels={"job": TARGETS_JOB, "instance": "127.0.0.1:3010"},
        minutes=8,
    ),
    Alert(
        "ProbeTargetFailing",
        f'probe_success{{job="{TARGETS_JOB}"}} == 0',
        "2m",
        "critical",
        "{instance} fails its checks",
        "Asked by /probe, where each scrape is one check and there is no threshold but this wait.",
        fires={series("probe_success", {"job": TARGETS_JOB, "instance": "127.0.0.1:3010"}): "0x10"},
        quiet={
            series("probe_success", {"job": TARGETS_JOB, "instance": "127.0.0.1:3010"}): "1 0 1x10"
        },
        labels={"job": TARGETS_JOB, "instance": "127.0.0.1:3010"},
        minutes=5,
    ),
)

SIDECAR_ALERTS = (
    Alert(
        "SidecarDown",
        f"up{_OWN} == 0",
        "2m",
        "critical",
        "The sidecar {instance} does not answer",
        "Nothing is known of its targets. Its log says why it ended, or its /livez that it hangs.",
        fires={series("up", LABELS): "0x10"},
        quiet={series("up", LABELS): "1 0 1x10"},
        labels=LABELS,
        minutes=5,
    ),
    Alert(
        "SidecarAbsent",
        f"absent(up{_OWN})",
        "10m",
        "critical",
        "Prometheus knows no sidecar",
        "Its service discovery finds none: every other alert of these rules is silent.",
        fires={'up{job="other"}': "1x20"},
        quiet={series("up", LABELS): "1x20"},
        labels={"job": SIDECAR_JOB},
        minutes=15,
    ),
    Alert(
        "SidecarStuck",
        "probe_sidecar_loop_lag_seconds > 1",
        "2m",
        "warning",
        "The polling of {instance} is late",
        "Its loop turns more than a second late: too little CPU, or too many targets.",
        fires={series("probe_sidecar_loop_lag_seconds", LABELS): "2x10"},
        quiet={series("probe_sidecar_loop_lag_seconds", LABELS): "0.01 2 0.01x10"},
        labels=LABELS,
        minutes=5,
    ),
    Alert(
        "SidecarReloadFailed",
        "probe_sidecar_config_last_reload_successful == 0",
        "5m",
        "warning",
        "{instance} refused its new configuration",
        "The old one still runs. `probe sidecar --check-config` tells every fault with its place.",
        fires={series("probe_sidecar_config_last_reload_successful", LABELS): "0x10"},
        quiet={series("probe_sidecar_config_last_reload_successful", LABELS): "1x10"},
        labels=LABELS,
        minutes=8,
    ),
    Alert(
        "SidecarLinesLost",
        "increase(probe_sidecar_lines_lost_total[15m]) > 0",
        "0m",
        "warning",
        "{instance} could not write its log",
        "Whoever reads its stdout does so too slowly, or the disk is full. State changes are "
        "missing in the log; metrics are whole.",
        fires={series("probe_sidecar_lines_lost_total", LABELS): "0+1x20"},
        quiet={series("probe_sidecar_lines_lost_total", LABELS): "7x20"},
        labels=LABELS,
        minutes=15,
    ),
    Alert(
        "SidecarDescriptorsShort",
        f"process_open_fds{_OWN} / process_max_fds{_OWN} > 0.8",
        "5m",
        "warning",
        "{instance} is near its limit of open files",
        "Each check in flight takes one. Raise the limit (ulimit -n), or lower max_concurrency.",
        fires={
            series("process_open_fds", LABELS): "900x20",
            series("process_max_fds", LABELS): "1024x20",
        },
        quiet={
            series("process_open_fds", LABELS): "40x20",
            series("process_max_fds", LABELS): "1024x20",
        },
        labels=LABELS,
        minutes=10,
    ),
)

ALERTS = (*TARGET_ALERTS, *SIDECAR_ALERTS)
