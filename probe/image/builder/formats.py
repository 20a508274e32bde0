"""The archives: docker-archive and OCI layout, as files that hold one image.

Pure. docker-archive: https://github.com/moby/docker-image-spec/blob/main/spec.md; OCI:
https://github.com/opencontainers/image-spec/blob/v1.1.0/ image-layout.md, image-index.md,
manifest.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


class Format(StrEnum):
    """How the image is written."""

    DOCKER = "docker"
    OCI = "oci"
    DIR = "dir"
    """The root file system as a folder, for a Dockerfile's COPY."""


@dataclass(frozen=True, slots=True)
class Blob:
    """The layer as it is stored: its digest (`sha256:...`) and size in bytes."""

    digest: str
    size: int
    gzip: bool = False


@dataclass(frozen=True, slots=True)
class Archive:
    """An image's files by name: documents, and where the layer goes.

    `digest` is what the image goes by: Docker's image ID, OCI's digest of the manifest.
    """

    documents: Mapping[str, bytes]
    layer: str
    digest: str


def docker_archive(config: Mapping[str, Any], layer: Blob, reference: str) -> Archive:
    document = _json(config)
    digest = _digest(document)
    manifest = [
        {
            "Config": f"{_hex(digest)}.json",
            "RepoTags": [reference] if reference else None,
            "Layers": [f"{_hex(layer.digest)}.tar"],
        }
    ]
    documents = {f"{_hex(digest)}.json": document, "manifest.json": _json(manifest)}
    return Archive(documents, f"{_hex(layer.digest)}.tar", digest)


def oci_layout(config: Mapping[str, Any], layer: Blob, reference: str) -> Archive:
    document = _json(config)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, _digest(document), len(document)),
            "layers": [_descriptor(_LAYER + "+gzip" * layer.gzip, layer.digest, layer.size)],
        }
    )
    described = _descriptor(_MANIFEST, _digest(manifest), len(manifest))
    described["platform"] = {
        key: config[key] for key in ("architecture", "os", "variant") if key in config
    }
    if reference:
        described["annotations"] = {"org.opencontainers.image.ref.name": reference}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]}
    documents = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index),
        _blob(_digest(document)): document,
        _blob(_digest(manifest)): manifest,
    }
    return Archive(documents, _blob(layer.digest), _digest(manifest))


def _descriptor(media: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media, "digest": digest, "size": size}


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _blob(digest: str) -> str:
    return f"blobs/sha256/{_hex(digest)}"
