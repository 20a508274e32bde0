"""The script in a ConfigMap beside a workload: the object, the volume, the mount."""

from collections.abc import Iterator
from typing import Any

from probe.manifests.command import SCRIPT_PATH
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.tree import Change
from probe.manifests.wiring.tree import Path
from probe.manifests.wiring.tree import Site
from probe.manifests.wiring.tree import append_to
from probe.manifests.wiring.tree import child
from probe.manifests.wiring.tree import follow
from probe.manifests.wiring.tree import items
from probe.manifests.wiring.tree import mapping
from probe.manifests.wiring.tree import text_of

VOLUME = "healthcheck"
SCRIPT_FILE = "healthcheck.sh"
_EXECUTABLE = 0o555


def mount_of(site: Site) -> Mapping | None:
    """Return the mount of the script in a container."""
    container = mapping(site.node, site.path)
    for _, item in items(child(container, "volumeMounts"), (*site.path, "volumeMounts")):
        if isinstance(item, Mapping) and text_of(child(item, "mountPath")) == SCRIPT_PATH:
            return item
    return None


def mount_changes(site: Site, script: str, documents: list[Any], *, is_json: bool) -> list[Change]:
    """Return what brings the script from a ConfigMap, and up to date. Raises WireError."""
    root = mapping(documents[site.document].node, ())
    container = mapping(site.node, site.path)
    pod_path = site.path[:-2]
    pod = mapping(follow(root, pod_path), pod_path)
    mount = mount_of(site)
    name = _config_map(pod, pod_path, VOLUME if mount is None else text_of(child(mount, "name")))
    found = _find(documents, name) if name else None
    if found is not None:
        return _refreshed(*found, script) + _mounted(site, container)
    if mount is not None or name:  # it is kept elsewhere
        return _mounted(site, container)
    owner = mapping(follow(root, site.group[1:]), site.group[1:])
    name = f"{text_of(_meta(owner, 'name')) or site.name}-healthcheck"
    volume = {"name": VOLUME, "configMap": {"name": name, "defaultMode": _EXECUTABLE}}
    known = _find(documents, name)
    added = (
        _added(site, _object(owner, name, script), is_json=is_json)
        if known is None
        else _refreshed(*known, script)
    )
    volumes = append_to(site.document, pod, pod_path, "volumes", volume)
    return [*added, volumes, *_mounted(site, container)]


def _config_map(pod: Mapping, path: Path, volume: str) -> str:
    """Return the name of the ConfigMap behind a volume; empty where there is none."""
    for place, item in items(child(pod, "volumes"), (*path, "volumes")):
        if text_of(child(mapping(item, place), "name")) == volume:
            source = child(mapping(item, place), "configMap")
            return text_of(child(source, "name")) if isinstance(source, Mapping) else ""
    return ""


def _mounted(site: Site, container: Mapping) -> list[Change]:
    if mount_of(site) is not None:
        return []
    mount = {"name": VOLUME, "mountPath": SCRIPT_PATH, "subPath": SCRIPT_FILE, "readOnly": True}
    return [append_to(site.document, container, site.path, "volumeMounts", mount)]


def _meta(owner: Mapping, key: str) -> Any:
    meta = child(owner, "metadata")
    return child(meta, key) if isinstance(meta, Mapping) else None


def _find(documents: list[Any], name: str) -> tuple[int, Path, Mapping] | None:
    for number, path, node in _objects(documents):
        if text_of(child(node, "kind")) == "ConfigMap" and text_of(_meta(node, "name")) == name:
            return number, path, node
    return None


def _objects(documents: list[Any]) -> Iterator[tuple[int, Path, Mapping]]:
    for number, document in enumerate(documents):
        node = document.node
        if not isinstance(node, Mapping):
            continue
        yield number, (), node
        if text_of(child(node, "kind")).endswith("List"):
            for path, item in items(child(node, "items"), ("items",)):
                if isinstance(item, Mapping):
                    yield number, path, item


def _refreshed(document: int, path: Path, node: Mapping, script: str) -> list[Change]:
    data = child(node, "data")
    if isinstance(data, Mapping):
        if text_of(child(data, SCRIPT_FILE)) == script:
            return []
        if len(data.entries) > 1:
            return [Change(document, (*path, "data"), SCRIPT_FILE, script)]
    return [Change(document, path, "data", {SCRIPT_FILE: script})]


def _object(owner: Mapping, name: str, script: str) -> dict[str, Any]:
    namespace = text_of(_meta(owner, "namespace"))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "data": {SCRIPT_FILE: script},
    }


def _added(site: Site, value: dict[str, Any], *, is_json: bool) -> list[Change]:
    """Append the object: to the List that the workload is in, or as a document."""
    if site.group[1:]:
        return [Change(site.document, site.group[1:-1], None, value)]
    if is_json:
        raise WireError(
            "--script configmap adds an object, and JSON holds one: use YAML, or a List", site.line
        )
    return [Change(0, None, None, value)]
