"""The sidecar's configuration file, from text to settings. Pure; every fault is told.

defaults: {interval: 10s, kind: sync}
targets:
  - {name: flags, host: 127.0.0.1, port: 3010, read_body: true, labels: {team: edge}}
file_sd_configs:
  - files: [targets/*.json]
probe:
  allow: [10.0.0.0/8]
web: {listen: "127.0.0.1:9310", metrics_listen: "0.0.0.0:9311", config_file: web.yml}
"""

import ipaddress
import json
import posixpath
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.documents import Value
from probe.sidecar.configuration.documents import read_document
from probe.sidecar.configuration.fields import TARGET
from probe.sidecar.configuration.fields import TLS_FILES
from probe.sidecar.configuration.fields import Values
from probe.sidecar.configuration.fields import between
from probe.sidecar.configuration.fields import build
from probe.sidecar.configuration.fields import contradictions
from probe.sidecar.configuration.fields import count
from probe.sidecar.configuration.fields import lists
from probe.sidecar.configuration.fields import one_of
from probe.sidecar.configuration.fields import overlay
from probe.sidecar.configuration.fields import path
from probe.sidecar.configuration.fields import read_members
from probe.sidecar.configuration.fields import split_address
from probe.sidecar.configuration.fields import texts
from probe.sidecar.configuration.settings import Listeners
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings

__all__ = ["ConfigError", "read_config"]

Rows = list[tuple[Value, dict[str, Any]]]


def read_config(text: str, name: str) -> Settings:
    """Read a configuration file; relative paths in it are beside *name*.

    Takes 0.3 s for 1,000 targets: not for a thread that has else to do. Raises ConfigError with
    every fault.
    """
    document = read_document(text, name)
    top = read_members(document, _TOP)
    folder = posixpath.dirname(name)
    defaults = _beside(folder, top.get("defaults", {}))
    settings = Settings(
        targets=tuple(_targets(top.get("targets", []), defaults, folder)),
        allow=top.get("probe", {}).get("allow", ()),
        sd_files=tuple(
            posixpath.join(folder, file) for row in top.get("file_sd_configs", []) for file in row
        ),
        defaults=build(defaults),
        listeners=_listeners(top.get("web", {}), folder),
        **{key: top[key] for key in _PLAIN if key in top},
    )
    document.faults.refuse()
    return settings


def _targets(rows: Rows, defaults: Values, folder: str) -> Iterator[TargetSettings]:
    lines: dict[str, int] = {}
    for value, own in rows:
        values = {**defaults, **_beside(folder, own)}
        values["labels"] = {**defaults.get("labels", {}), **own.get("labels", {})}
        for key, why in contradictions(values, own):
            value.member(key).fault(why)
        settings = build(values)
        if settings.name in lines:
            value.fault(
                f"the name {settings.name!r} is that of line {lines[settings.name]}:"
                " give each target a name of its own"
            )
        lines.setdefault(settings.name, value.line)
        yield settings


def with_keys(settings: TargetSettings, texts: Mapping[str, str]) -> TargetSettings:
    """Return the settings with what the command line says put over them.

    Raises ConfigError with every fault, each by its option.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, text in texts.items():
        document = read_document(json.dumps(text), key)
        values[key] = TARGET[key](document)
        problems += [f"--{key.replace('_', '-')}: {what}" for _, _, what in document.faults.found]
    if problems:
        raise ConfigError(problems)
    return overlay(settings, values)


def _beside(folder: str, values: Values) -> dict[str, Any]:
    """Return the values with relative paths of files beside the configuration file."""
    files = {key: posixpath.join(folder, values[key]) for key in TLS_FILES if key in values}
    return {**values, **files}


def _listeners(web: Values, folder: str) -> Listeners:
    file = web.get("config_file")
    return Listeners(
        main=web.get("listen", Listeners().main),
        metrics=web.get("metrics_listen"),
        web_config=None if file is None else posixpath.join(folder, file),
    )


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is not a network, such as 10.0.0.0/8: {error}") from error


def _listen(text: str) -> str:
    split_address(text, lowest_port=0)
    return text


def _mapping(readers: dict[str, Any]) -> Any:
    return lambda value: read_members(value, readers)


def _rows(value: Value) -> Rows:
    return [(row, read_members(row, TARGET)) for row in value.rows() if row.is_mapping()]


def _file_lists(value: Value) -> list[tuple[str, ...]]:
    found = [read_members(row, {"files": lists(path)}) for row in value.rows()]
    return [row.get("files", ()) for row in found]


_PLAIN = {
    "max_concurrency": texts(count),
    "grace": texts(between(0, 3600)),
    "log_format": texts(one_of("json", "logfmt")),
    "emit": texts(one_of("none", "emf")),
}
_TOP = {
    "targets": _rows,
    "defaults": _mapping({key: reader for key, reader in TARGET.items() if key != "name"}),
    "file_sd_configs": _file_lists,
    "probe": _mapping({"allow": lists(_network)}),
    "web": _mapping(
        {"listen": texts(_listen), "metrics_listen": texts(_listen), "config_file": texts(path)}
    ),
    **_PLAIN,
}
