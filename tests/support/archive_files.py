"""Archives and layouts of images, made in memory."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings

from probe.image.archives import Image
from probe.image.archives import Limits
from probe.image.archives import open_image
from probe.image.archives import this_architecture
from probe.image.view import Kind
from probe.image.view import ViewError


def info(name: str, **fields: Any) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(header, key, value)
    return header


def tar(
    files: Mapping[str, bytes], *more: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT
) -> bytes:
    """Return a tar of *files*, then of headers without contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            archive.addfile(info(name, size=len(data)), io.BytesIO(data))
        for header in more:
            archive.addfile(header)
    return out.getvalue()


def symbolic(name: str, target: str) -> tarfile.TarInfo:
    return info(name, type=tarfile.SYMTYPE, linkname=target)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def dump(document: object) -> bytes:
    return json.dumps(document).encode()


CONFIG: dict[str, Any] = {
    "architecture": this_architecture(),
    "os": "linux",
    "config": {
        "Entrypoint": ["/app"],
        "Cmd": ["--x"],
        "Env": ["PATH=/bin", "A=b=c", "EMPTY="],
        "User": "65532:65532",
        "WorkingDir": "/w",
        "Volumes": {"/tmp": {}},
        "ExposedPorts": {"3010/tcp": {}},
        "StopSignal": "SIGTERM",
        "Shell": ["/bin/bash", "-c"],
        "Labels": {"k": "v"},
        "Healthcheck": {"Test": ["CMD", "/h"], "Interval": 10**9, "Retries": 3},
    },
}

LOWER = tar({"etc/a": b"lower", "etc/b": b"b", "bin/sh": b"elf"}, symbolic("lib", "bin"))
UPPER = tar({"etc/.wh.b": b"", "etc/a": b"upper"}, info("h", type=b"1", linkname="bin/sh"))
FILES = {"/bin/sh": b"elf", "/etc/a": b"upper", "/h": b"elf"}


def config_of(*layers: bytes, **changes: Any) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return dump({**CONFIG, "rootfs": rootfs, **changes})


def docker_files(*layers: bytes, tag: str = "x:1", name: str = "c") -> dict[str, bytes]:
    names = [f"{name}{number}/layer.tar" for number in range(len(layers))]
    row = {"Config": f"{name}.json", "RepoTags": [tag], "Layers": names}
    return {
        "manifest.json": dump([row]),
        f"{name}.json": config_of(*layers),
        **dict(zip(names, layers, strict=True)),
    }


class Layout:
    """An OCI layout as files by path."""

    def __init__(self) -> None:
        self.files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(self, data: bytes, **fields: Any) -> dict[str, Any]:
        self.files["blobs/sha256/" + digest(data)[7:]] = data
        return {"digest": digest(data), "size": len(data), **fields}

    def image(
        self, *layers: bytes, pack: Any = bytes, media: str = "oci.image", **fields: Any
    ) -> dict[str, Any]:
        blobs = [self.blob(pack(layer)) for layer in layers]
        known = fields.get("platform", {}).get("architecture", this_architecture())
        config = self.blob(config_of(*layers, architecture=known))
        manifest = dump({"config": config, "layers": blobs})
        return self.blob(manifest, mediaType=f"application/vnd.{media}.manifest.v1+json", **fields)

    def index(self, *images: dict[str, Any], **fields: Any) -> dict[str, Any]:
        media = "application/vnd.oci.image.index.v1+json"
        return self.blob(dump({"manifests": images}), mediaType=media, **fields)

    def done(self, *images: dict[str, Any]) -> dict[str, bytes]:
        return {**self.files, "index.json": dump({"manifests": images})}


def platform(architecture: str, **more: str) -> dict[str, Any]:
    return {"platform": {"os": "linux", "architecture": architecture, **more}}


def named(name: str) -> dict[str, Any]:
    return {"annotations": {"org.opencontainers.image.ref.name": name}}


def oci(pack: Any = bytes, media: str = "oci.image") -> dict[str, bytes]:
    layout = Layout()
    return layout.done(layout.image(LOWER, UPPER, pack=pack, media=media))


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def from_bytes(data: bytes, **options: Any) -> Image:
    return open_image("-", stream=io.BytesIO(data), **options)


def contents(image: Image) -> dict[str, bytes]:
    files = [entry.path for entry in image.entries() if entry.kind is Kind.FILE]
    return {path: image.read(path) for path in files}


DOCKER = tar(docker_files(LOWER, UPPER))


def nested_indexes(depth: int) -> dict[str, bytes]:
    layout = Layout()
    image = layout.image(LOWER)
    for _ in range(depth):
        image = layout.index(image)
    return layout.done(image)


BOMB = gzip.compress(tar({"etc/zeros": bytes(30_000_000)}))
SMALL = Limits(entries=1000, names=100_000, steps=100_000, total=1_000_000)
FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(data: bytes) -> None:
    """Open and read all of it; ViewError is the one error there is."""
    try:
        with from_bytes(data, limits=SMALL) as image:
            for entry in image.entries():
                image.resolve(entry.path)
                if entry.kind is Kind.FILE:
                    try:
                        image.read(entry.path)
                    except ViewError:
                        continue
    except ViewError:
        return
