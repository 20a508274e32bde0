"""Prometheus' configuration, the Prometheus operator's objects, Alertmanager's example routes."""

from dataclasses import dataclass
from typing import Any

from probe.manifests.monitoring import rules
from probe.manifests.monitoring.alerts import SIDECAR_JOB
from probe.manifests.monitoring.alerts import TARGETS_JOB

Document = dict[str, Any]

FILE = "prometheus.yml"
OPERATOR_FILE = "operator.yaml"
ROUTES_FILE = "alertmanager.yml"

POD_PORT = "probe-metrics"
"""The port's name in generated pods."""

DEFAULT_EXPORTER = "127.0.0.1:9310"
_NAME_LABEL = "app.kubernetes.io/name"
_API = "monitoring.coreos.com/v1"
_OBJECT = "probe"


@dataclass(frozen=True, slots=True)
class Options:
    """What is scraped. `sidecars` and `exporter` are HOST:PORT, `*_files` globs of file_sd files.

    `targets` and `target_files` are what `exporter`, one sidecar, is asked for by /probe.
    `workloads` are the names of generated Deployments; none means every pod with the port.
    Times are in seconds.
    """

    sidecars: tuple[str, ...] = ()
    sidecar_files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    target_files: tuple[str, ...] = ()
    exporter: str = DEFAULT_EXPORTER
    alertmanagers: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    namespace: str | None = None
    scrape_interval: int = 15

    @property
    def has_targets(self) -> bool:
        return bool(self.targets or self.target_files)


def configuration(options: Options) -> Document:
    """Return prometheus.yml, whole: it runs as it is."""
    interval = f"{options.scrape_interval}s"
    managers = {"static_configs": [{"targets": list(options.alertmanagers)}]}
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        **({"alerting": {"alertmanagers": [managers]}} if options.alertmanagers else {}),
        "rule_files": [rules.FILE],
        "scrape_configs": [
            _sidecars(options),
            *([_targets(options)] if options.has_targets else []),
        ],
    }


def _sidecars(options: Options) -> Document:
    found = options.sidecars
    if not found and not options.sidecar_files:
        found = (DEFAULT_EXPORTER,)
    return {"job_name": SIDECAR_JOB, **_discovery(found, options.sidecar_files)}


def _targets(options: Options) -> Document:
    """Return the multi-target job: the address becomes the question, the exporter the address."""
    return {
        "job_name": TARGETS_JOB,
        "metrics_path": "/probe",
        "scrape_timeout": f"{min(5, options.scrape_interval)}s",
        **_discovery(options.targets, options.target_files),
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": options.exporter},
        ],
    }


def _discovery(addresses: tuple[str, ...], files: tuple[str, ...]) -> Document:
    return {
        **({"static_configs": [{"targets": list(addresses)}]} if addresses else {}),
        **({"file_sd_configs": [{"files": list(files)}]} if files else {}),
    }


def objects(options: Options) -> list[Document]:
    """Return the operator's objects: how pods are scraped, what /probe is asked for, the rules."""
    return [
        _object("PodMonitor", _pods(options), options),
        *([_object("Probe", _probe(options), options)] if options.targets else []),
        _object("PrometheusRule", rules.groups(), options),
    ]


def _object(kind: str, spec: Document, options: Options) -> Document:
    namespace = {"namespace": options.namespace} if options.namespace else {}
    metadata = {"name": _OBJECT, **namespace, "labels": {_NAME_LABEL: _OBJECT}}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


def _pods(options: Options) -> Document:
    selector: Document = {}
    if options.workloads:
        names = {"key": _NAME_LABEL, "operator": "In", "values": list(options.workloads)}
        selector = {"matchExpressions": [names]}
    return {
        "selector": selector,
        "podMetricsEndpoints": [
            {
                "port": POD_PORT,
                "path": "/metrics",
                "interval": f"{options.scrape_interval}s",
                # The rules know sidecars by it; the operator's own would be NAMESPACE/NAME.
                "relabelings": [{"targetLabel": "job", "replacement": SIDECAR_JOB}],
            }
        ],
    }


def _probe(options: Options) -> Document:
    return {
        "jobName": TARGETS_JOB,
        "prober": {"url": options.exporter, "path": "/probe"},
        "interval": f"{options.scrape_interval}s",
        "scrapeTimeout": f"{min(5, options.scrape_interval)}s",
        "targets": {"staticConfig": {"static": list(options.targets)}},
    }


def routes() -> Document:
    """Return an example for Alertmanager: who is woken, and what an alert makes needless."""
    return {
        "route": {
            "receiver": "team",
            "group_by": ["alertname", "job"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {
                    "matchers": ['severity = "critical"'],
                    "receiver": "on-call",
                    "group_by": ["alertname", "job", "instance"],
                    "repeat_interval": "1h",
                }
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname = "SynchronizerUnhealthy"'],
                "target_matchers": [
                    'alertname =~ "(Synchronizer|Check).+"',
                    'severity = "warning"',
                ],
                "equal": ["job", "instance", "target"],
            },
            {
                "source_matchers": ['alertname = "SidecarDown"'],
                "target_matchers": ['alertname =~ "Sidecar.+"', 'severity = "warning"'],
                "equal": ["job", "instance"],
            },
        ],
        "receivers": [_receiver("team"), _receiver("on-call")],
    }


def _receiver(name: str) -> Document:
    return {"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:9099/{name}"}]}
