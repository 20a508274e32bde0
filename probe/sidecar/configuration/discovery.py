"""Prometheus' file_sd documents, JSON or YAML, as targets of ours. Pure.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config

[{"targets": ["10.0.0.7:3010"], "labels": {"team": "edge", "name": "flags"}}]
"""

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from probe.contract.target import Target
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.documents import Value
from probe.sidecar.configuration.documents import read_document
from probe.sidecar.configuration.fields import LABEL
from probe.sidecar.configuration.fields import MAX_LABELS
from probe.sidecar.configuration.fields import lists
from probe.sidecar.configuration.fields import read_members
from probe.sidecar.configuration.fields import split_address
from probe.sidecar.configuration.settings import RESERVED
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings

_NAMES = ("name", "instance")
"""Labels that name a target, where its group has no other; else its address does."""


def read_discovery(text: str, name: str, defaults: TargetSettings) -> tuple[TargetSettings, ...]:
    """Read a file_sd document. Raises ConfigError with every fault."""
    document = read_document(text, name)
    found = tuple(target for group in document.rows() for target in _group(group, defaults))
    document.faults.refuse()
    return found


def with_discovered(settings: Settings, found: Iterable[TargetSettings]) -> Settings:
    """Return the settings with discovered targets behind their own.

    The same target found twice counts once, as in Prometheus. Raises ConfigError where two
    that differ have one name.
    """
    targets = {target.name: target for target in settings.targets}
    problems = [
        f"{target.name}: two targets have this name; give the label name to one of them"
        for target in found
        if targets.setdefault(target.name, target) != target
    ]
    if problems:
        raise ConfigError(problems)
    return replace(settings, targets=tuple(targets.values()))


def _group(value: Value, defaults: TargetSettings) -> Iterator[TargetSettings]:
    members = read_members(value, {"targets": lists(_endpoint), "labels": _labels})
    labels = members.get("labels", {})
    addresses = members.get("targets", ())
    names = [labels[name] for name in _NAMES if labels.get(name)]
    kept = {name: text for name, text in labels.items() if name not in {*RESERVED, "name"}}
    for host, port in addresses:
        old = defaults.target
        target = Target(host, port, old.path, old.timeout, old.expect, old.tls)
        yield replace(
            defaults,
            name=names[0] if names and len(addresses) == 1 else target.authority,
            target=target,
            labels={**defaults.labels, **kept},
        )


def _endpoint(text: str) -> tuple[str, int]:
    return split_address(text)


def _labels(value: Value) -> dict[str, Any]:
    """Return the labels but for `__meta_*` and their like, which are for relabelling only."""
    labels: dict[str, Any] = {}
    for name, member in value.members():
        text = member.text()
        if text is None or name.startswith("__"):
            continue
        if LABEL.fullmatch(name):
            labels[name] = text
        else:
            member.fault("a label's name is letters, digits and _, no digit first")
    if len(labels) > MAX_LABELS:
        value.fault(f"{len(labels)} labels are more than {MAX_LABELS}")
    return labels
