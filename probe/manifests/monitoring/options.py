"""The options of `probe generate prometheus` and `grafana`, for the command line."""

import re

from probe.manifests.options import Option
from probe.manifests.options import text_of
from probe.manifests.options import whole_number

PROMETHEUS = frozenset({"prometheus"})
GRAFANA = frozenset({"grafana"})

WHAT = {
    "prometheus": "what watches sidecars: scrape configuration, rules with their tests, routes",
    "grafana": "a dashboard of what sidecars know",
}

_PORT = r"(?P<port>[1-9][0-9]{0,4})"
_AUTHORITY = re.compile(rf"(?:\[[0-9A-Fa-f:.]{{2,45}}\]|[0-9A-Za-z._-]{{1,253}}):{_PORT}")
_NAME = text_of(
    r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "up to 63 lower-case letters, digits and hyphens"
)
# Prometheus, pkg discovery/file patFileSDName: what a file_sd file's name ends in.
_SD_FILE = text_of(
    r"[^\x00-\x1f\x7f*]*(?:\*[^/\x00-\x1f\x7f]*)?\.(?:json|yml|yaml|JSON|YML|YAML)",
    "a file_sd file, its name (where a * may stand) ending in .json, .yml or .yaml",
)
_TITLE = text_of(r"[^\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]{1,200}", "one line of text")


def _authority(text: str) -> str:
    found = _AUTHORITY.fullmatch(text)
    if found is None or int(found["port"]) > 65535:  # noqa: PLR2004 # RFC 9293
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:9310")
    return text


OPTIONS = (
    Option("sidecar", "a sidecar to scrape (default: 127.0.0.1:9310)", "HOST:PORT", PROMETHEUS,
           many=True, parse=_authority),
    Option("sidecar-file", "file_sd file that lists sidecars", "FILE", PROMETHEUS, many=True,
           parse=_SD_FILE),
    Option("target", "what one sidecar is asked for by /probe, as the multi-target pattern has it",
           "HOST:PORT", PROMETHEUS, many=True, parse=_authority),
    Option("target-file", "file_sd file that lists such targets", "FILE", PROMETHEUS, many=True,
           parse=_SD_FILE),
    Option("exporter", "the sidecar that is asked (default: 127.0.0.1:9310)", "HOST:PORT",
           PROMETHEUS, parse=_authority),
    Option("alertmanager", "where alerts go", "HOST:PORT", PROMETHEUS, many=True,
           parse=_authority),
    Option("scrape-interval", "seconds between scrapes (default: 15)", "SECONDS", PROMETHEUS,
           parse=whole_number(1, 3600)),
    Option("operator", "objects for the Prometheus operator: PodMonitor, Probe, PrometheusRule",
           "", PROMETHEUS),
    Option("workload", "with --operator: scrape this Deployment's pods alone", "NAME", PROMETHEUS,
           many=True, parse=_NAME),
    Option("namespace", "with --operator: namespace of the objects", "NAME", PROMETHEUS,
           parse=_NAME),
    Option("title", "the dashboard's title (default: Split synchronizers)", "TEXT", GRAFANA,
           parse=_TITLE),
)  # fmt: skip

BY_NAME = {row.name: row for row in OPTIONS}


def options_of(target: str) -> list[Option]:
    return [row for row in OPTIONS if target in row.targets]
