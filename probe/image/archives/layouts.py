"""Manifests and indexes: which of several images, and which layers make it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probe.image.archives.config import parse_config
from probe.image.archives.documents import labels
from probe.image.archives.documents import objects
from probe.image.archives.documents import string
from probe.image.archives.documents import strings
from probe.image.archives.documents import typed
from probe.image.archives.spans import Span
from probe.image.archives.store import Store
from probe.image.view import ImageConfig
from probe.image.view import ViewError

MAX_INDEXES = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    architecture: str
    given: bool
    reference: str | None


def _one(candidates: list[dict[str, Any]], names: Callable[[dict[str, Any]], list[str]],
         reference: str | None) -> list[dict[str, Any]]:  # fmt: skip
    """Return the candidates that bear the asked name."""
    if reference is None:
        return candidates
    chosen = [one for one in candidates if reference in names(one)]
    if not chosen:
        known = sorted({name for one in candidates for name in names(one)})
        raise ViewError(f"no image named {reference} there, only: {', '.join(known) or 'none'}")
    return chosen


def docker_image(store: Store, wanted: Wanted) -> tuple[ImageConfig, list[Span]]:
    manifests = objects({"manifest": store.json("manifest.json")}, "manifest.json", "manifest")

    def tags(manifest: dict[str, Any]) -> list[str]:
        return strings(manifest, "manifest.json", "RepoTags")

    chosen = _one(manifests, tags, wanted.reference)
    if len(chosen) != 1:
        known = sorted(name for manifest in chosen for name in tags(manifest))
        raise ViewError(f"the archive has {len(chosen)} images, not one: {', '.join(known)}")
    document = store.json(string(chosen[0], "manifest.json", "Config"))
    config = parse_config(document, "docker")
    _right_platform(config, wanted)
    paths = strings(chosen[0], "manifest.json", "Layers")
    ids = _layer_ids(store, document, len(paths))
    return config, _unpacked(store, [store.span(path) for path in paths], ids)


def _right_platform(config: ImageConfig, wanted: Wanted) -> None:
    if wanted.given and config.architecture not in {"", wanted.architecture}:
        raise ViewError(f"the image is for {config.architecture}, not {wanted.architecture}")


def _layer_ids(store: Store, document: Any, layers: int) -> list[str]:
    """Return the configuration's diff_ids, as many as there are layers, or none."""
    store.budget.layers(layers)
    what = "the image's configuration"
    ids = strings(typed(document, what, "rootfs", dict) or {}, what, "diff_ids")
    if ids and len(ids) != layers:
        raise ViewError(f"{what} has {len(ids)} diff_ids for {layers} layers")
    return ids


def _unpacked(store: Store, layers: list[Span], ids: list[str]) -> list[Span]:
    """Return the layers decompressed, compared with their diff_ids where there are any."""
    plain = [store.unpacked(layer) for layer in layers]
    for number, (layer, digest) in enumerate(zip(plain, ids, strict=False), 1):
        store.verify(layer, digest, f"layer {number}")
    return plain


_REFERENCE = "org.opencontainers.image.ref.name"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DOCKER_TYPES = "application/vnd.docker."


def _platform(descriptor: dict[str, Any]) -> dict[str, Any]:
    return typed(descriptor, "a descriptor", "platform", dict) or {}


def _is_image(descriptor: dict[str, Any]) -> bool:
    """Tell an image from an attestation that BuildKit keeps beside it."""
    notes = labels(descriptor, "a descriptor", "annotations")
    return "vnd.docker.reference.type" not in notes


def _fits(descriptor: dict[str, Any], architecture: str) -> bool:
    platform = _platform(descriptor)
    return (platform.get("os"), platform.get("architecture")) == ("linux", architecture)


def _choose(index: Any, wanted: Wanted, reference: str | None) -> dict[str, Any]:
    """Return the descriptor of the image for Linux and the wanted architecture."""

    def names(descriptor: dict[str, Any]) -> list[str]:
        found = labels(descriptor, "a descriptor", "annotations").get(_REFERENCE)
        return [found] if found else []

    images = [one for one in objects(index, "the index", "manifests") if _is_image(one)]
    named = _one(images, names, reference)
    distinct = list({string(one, "a descriptor", "digest"): one for one in named}.values())
    if len(distinct) == 1 and not (wanted.given and _platform(distinct[0])):
        return distinct[0]
    fitting = [one for one in distinct if _fits(one, wanted.architecture)]
    if len({str(_platform(one)) for one in fitting}) == len(fitting) > 0:
        # They differ in variant alone, the oldest first as a rule.
        return fitting[0]
    raise ViewError(_no_choice(distinct, names, wanted))


def _no_choice(
    images: list[dict[str, Any]], names: Callable[[dict[str, Any]], list[str]], wanted: Wanted
) -> str:
    platforms = [_platform(one) for one in images]
    if any(platforms) and not any(_fits(one, wanted.architecture) for one in images):
        there = sorted({f"{one.get('os')}/{one.get('architecture')}" for one in platforms if one})
        return f"no image for linux/{wanted.architecture} there, only: {', '.join(there)}"
    known = sorted({name for one in images for name in names(one)})
    return f"the layout has {len(images)} images, not one: {', '.join(known) or 'without names'}"


def oci_image(store: Store, wanted: Wanted) -> tuple[ImageConfig, list[Span]]:
    document = store.json("index.json")
    reference = wanted.reference
    for _ in range(MAX_INDEXES):
        descriptor = _choose(document, wanted, reference)
        reference = None
        document = store.blob_json(descriptor)
        media = string(descriptor, "a descriptor", "mediaType") or string(
            document, "a manifest", "mediaType"
        )
        if media not in _INDEX_TYPES:
            return _manifest_image(store, document, media, wanted)
    raise ViewError(f"more than {MAX_INDEXES} indexes in each other")


def _manifest_image(
    store: Store, manifest: Any, media: str, wanted: Wanted
) -> tuple[ImageConfig, list[Span]]:
    what = "the image's manifest"
    descriptor = typed(manifest, what, "config", dict)
    if descriptor is None:
        raise ViewError(f"{what} has no config")
    document = store.blob_json(descriptor)
    config = parse_config(document, "docker" if media.startswith(_DOCKER_TYPES) else "oci")
    _right_platform(config, wanted)
    blobs = objects(manifest, what, "layers")
    ids = _layer_ids(store, document, len(blobs))
    return config, _unpacked(store, [store.blob(blob)[1] for blob in blobs], ids)
