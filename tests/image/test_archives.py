"""Images from directories, archives and layouts; damaged ones end in one named error."""

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.archives import MAX_DEPTH
from probe.image.archives import Image
from probe.image.archives import Limits
from probe.image.archives import open_image
from probe.image.archives import parse_config
from probe.image.archives import this_architecture
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import ViewError
from tests.support.components import require_root

OTHER = "s390x" if this_architecture() != "s390x" else "amd64"


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


# Every way in

DOCKER = tar(docker_files(LOWER, UPPER))
ARCHIVES = [
    pytest.param(DOCKER, "docker", id="docker-archive"),
    pytest.param(gzip.compress(DOCKER), "docker", id="docker-archive with gzip"),
    pytest.param(tar({**oci(), **docker_files(LOWER, UPPER)}), "docker", id="both in one"),
    pytest.param(tar(oci()), "oci", id="OCI"),
    pytest.param(tar(oci(gzip.compress)), "oci", id="OCI with gzip"),
    pytest.param(tar(oci(media="docker.distribution")), "docker", id="OCI with Docker's manifest"),
]


@pytest.mark.parametrize(("archive", "form"), ARCHIVES)
def test_archive(archive: bytes, form: str, tmp_path: Path) -> None:
    """From a file, from a stream and through a FIFO: layers applied, the configuration read."""
    path = tmp_path / "image"
    path.write_bytes(archive)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(archive,)).start()
    for image in (from_bytes(archive), open_image(str(path)), open_image(str(fifo))):
        with image:
            assert contents(image) == FILES
            assert image.config is not None
            assert image.config.format == form
            assert image.faults == ()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_oci_folder(pack: Any, tmp_path: Path) -> None:
    with open_image(str(write(tmp_path, oci(pack)))) as image:
        assert contents(image) == FILES


def test_root_tar() -> None:
    """What `docker export` gives: no layers, no whiteouts, no configuration."""
    with from_bytes(tar({"etc/.wh.x": b"", "etc/x": b"1", "manifest.json": b"{}"})) as image:
        assert contents(image) == {"/etc/.wh.x": b"", "/etc/x": b"1", "/manifest.json": b"{}"}
        assert image.config is None


def test_legacy_layer_links() -> None:
    """Old `docker save` writes a layer once and links to it."""
    files = docker_files(LOWER, LOWER)
    del files["c1/layer.tar"]
    with from_bytes(tar(files, symbolic("c1/layer.tar", "../c0/layer.tar"))) as image:
        assert image.read("/lib/sh") == b"elf"


def test_config() -> None:
    config = parse_config(CONFIG, "docker")
    assert config.entrypoint == ("/app",)
    assert config.cmd == ("--x",)
    assert config.env == {"PATH": "/bin", "A": "b=c", "EMPTY": ""}
    assert (config.user, config.workdir, config.stop_signal) == ("65532:65532", "/w", "SIGTERM")
    assert (config.volumes, config.exposed) == (("/tmp",), ("3010/tcp",))
    assert config.labels == {"k": "v"}
    assert config.healthcheck == {"Test": ["CMD", "/h"], "Interval": 10**9, "Retries": 3}
    assert (config.os, config.architecture) == ("linux", this_architecture())


@pytest.mark.parametrize(
    "run", [None, {}, {"Env": None, "Cmd": None, "Healthcheck": None}], ids=["null", "{}", "nulls"]
)
def test_config_without(run: object) -> None:
    config = parse_config({"config": run}, "oci")
    assert (config.cmd, config.env, config.healthcheck) == ((), {}, None)


def test_config_command_as_one_string() -> None:
    assert parse_config({"config": {"Cmd": "/x"}}, "docker").cmd == ("/x",)


BAD_CONFIGS = [
    ([], "is not a JSON object"),
    ({"config": []}, "config has the wrong type"),
    ({"config": {"Env": "A=b"}}, "Env has the wrong type"),
    ({"config": {"Env": [1]}}, "Env has the wrong type"),
    ({"config": {"User": 0}}, "User has the wrong type"),
    ({"config": {"Labels": {"a": 1}}}, "Labels has the wrong type"),
    ({"config": {"Healthcheck": {"Retries": "3"}}}, "Healthcheck: Retries has the wrong type"),
    ({"config": {"Healthcheck": {"Retries": True}}}, "Healthcheck: Retries has the wrong type"),
    ({"os": 1}, "os has the wrong type"),
]


@pytest.mark.parametrize(("document", "message"), BAD_CONFIGS, ids=[m for _, m in BAD_CONFIGS])
def test_bad_config(document: object, message: str) -> None:
    with pytest.raises(ViewError, match=message):
        parse_config(document, "docker")


# Which image of several


def several() -> dict[str, bytes]:
    layout = Layout()
    note: dict[str, Any] = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    return layout.done(
        layout.index(
            layout.image(tar({"bin/own": b""}), **platform(this_architecture())),
            layout.image(tar({"bin/other": b""}), **platform(OTHER, variant="v1")),
            layout.image(tar({"bin/other2": b""}), **platform(OTHER, variant="v2")),
            {**layout.image(tar({"x": b""}), **platform("unknown")), **note},
            **named("a:1"),
        ),
        layout.image(tar({"bin/second": b""}), **named("b:1")),
    )


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"reference": "a:1"}, "/bin/own"),
        ({"reference": "a:1", "architecture": OTHER}, "/bin/other"),
        ({"reference": "b:1"}, "/bin/second"),
    ],
    ids=["this machine's", "asked for", "by name"],
)
def test_choice(options: dict[str, str], path: str) -> None:
    with from_bytes(tar(several()), **options) as image:
        assert image.resolve(path) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "has 2 images, not one: a:1, b:1"),
        ({"reference": "c"}, "no image named c there, only: a:1, b:1"),
        ({"reference": "a:1", "architecture": "vax"}, f"no image for linux/vax there.*{OTHER}"),
        ({"reference": "b:1", "architecture": OTHER}, f"is for {this_architecture()}, not"),
    ],
    ids=["several", "unknown name", "unknown architecture", "wrong architecture"],
)
def test_no_choice(options: dict[str, str], message: str) -> None:
    with pytest.raises(ViewError, match=message):
        from_bytes(tar(several()), **options)


def test_docker_archive_of_several() -> None:
    first, second = docker_files(LOWER), docker_files(UPPER, tag="y:2", name="d")
    rows = json.loads(first["manifest.json"]) + json.loads(second["manifest.json"])
    archive = tar({**first, **second, "manifest.json": dump(rows)})
    with pytest.raises(ViewError, match="has 2 images, not one: x:1, y:2"):
        from_bytes(archive)
    with from_bytes(archive, reference="x:1") as image:
        assert image.read("/etc/a") == b"lower"


# Damage


def without(files: dict[str, bytes], part: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if part not in name}


def changed(files: dict[str, bytes], old: bytes, new: bytes) -> dict[str, bytes]:
    return {name: data.replace(old, new) for name, data in files.items()}


def layered(layer: bytes) -> bytes:
    return tar(docker_files(layer))


def nested_indexes(depth: int) -> dict[str, bytes]:
    layout = Layout()
    image = layout.image(LOWER)
    for _ in range(depth):
        image = layout.index(image)
    return layout.done(image)


DAMAGED = [
    pytest.param(b"", "archive is empty", id="nothing"),
    pytest.param(b"hello", "truncated", id="text"),
    pytest.param(b"x" * 2000, "not a tar", id="not a tar"),
    pytest.param(bytes(1024), "no file in it", id="empty tar"),
    pytest.param(DOCKER[:-20_000], "truncated", id="truncated"),
    pytest.param(gzip.compress(DOCKER)[:-40], "damaged or truncated", id="truncated gzip"),
    pytest.param(b"\x28\xb5\x2f\xfd" + bytes(20), "zstd|damaged", id="zstd"),
    pytest.param(b"BZh9" + bytes(20), "bzip2", id="bzip2"),
    pytest.param(b"\xfd7zXZ\0" + bytes(20), "with xz", id="xz"),
    pytest.param(layered(LOWER[:1100]), "layer 1: the archive is truncated", id="short layer"),
    pytest.param(layered(b"x" * 600), "layer 1: not a tar", id="layer of rubbish"),
    pytest.param(
        tar(changed(docker_files(LOWER), b"lower", b"LOWER")),
        "layer 1 does not have the digest",
        id="layer exchanged",
    ),
    pytest.param(tar(changed(oci(), b"upper", b"UPPER")), "does not have the digest", id="blob"),
    pytest.param(tar(changed(oci(), b"/app", b"/ape")), "does not have the digest", id="config"),
    pytest.param(tar(without(oci(), digest(UPPER)[7:])), "no file blobs/sha256", id="no blob"),
    pytest.param(tar(without(docker_files(LOWER), "c.json")), "no file c.json", id="no config"),
    pytest.param(tar({"manifest.json": b"["}), "manifest.json is not JSON", id="no JSON"),
    pytest.param(tar({"manifest.json": b"[" * 200_000}), "is not JSON", id="deep JSON"),
    pytest.param(tar({"manifest.json": b"{}"}), "wrong type", id="not a list"),
    pytest.param(tar({"manifest.json": b"[]"}), "has 0 images", id="no image"),
    pytest.param(tar({"manifest.json": b" " * 5_000_000}), "has more than 4194304", id="large"),
    pytest.param(tar({"index.json": b"{}", "oci-layout": b""}), "has 0 images", id="no manifest"),
    pytest.param(tar(nested_indexes(4)), "more than 4 indexes", id="nested indexes"),
    pytest.param(
        tar({"index.json": dump({"manifests": [{"digest": "sha256:../../x"}]}), "blobs/x": b""}),
        "no sha256",
        id="digest with a path",
    ),
    pytest.param(tar({"a" * 5000: b""}), "more than 4096 characters", id="long name"),
    pytest.param(tar({}, symbolic("a", "b" * 5000)), "more than 4096", id="long target"),
    pytest.param(
        tar({}, info("a", pax_headers={"x": "y" * 1_100_000})), "extended header", id="large header"
    ),
]


@pytest.mark.parametrize(("archive", "message"), DAMAGED)
def test_damaged(archive: bytes, message: str) -> None:
    with pytest.raises(ViewError, match=message):
        from_bytes(archive)


def test_three_indexes_are_followed() -> None:
    with from_bytes(tar(nested_indexes(3))) as image:
        assert image.read("/etc/a") == b"lower"


BOMB = gzip.compress(tar({"etc/zeros": bytes(30_000_000)}))
LIMITS = [
    pytest.param(BOMB, Limits(total=1_000_000), "unpacks to more than 1000000", id="total"),
    pytest.param(DOCKER, Limits(total=1_000), "unpacks to more than 1000", id="stream"),
    pytest.param(DOCKER, Limits(entries=8), "more than 8 entries", id="entries"),
    pytest.param(DOCKER, Limits(names=50), "have more than 50 bytes", id="names"),
    pytest.param(DOCKER, Limits(layers=1), "more than 1 layers", id="layers"),
    pytest.param(DOCKER, Limits(metadata=10), "has more than 10 bytes", id="metadata"),
]


@pytest.mark.parametrize(("archive", "limits", "message"), LIMITS)
def test_limits(archive: bytes, limits: Limits, message: str) -> None:
    with pytest.raises(ViewError, match=message):
        from_bytes(archive, limits=limits)


def test_read_errors() -> None:
    with from_bytes(tar({"etc/x": b"12345"}, symbolic("etc/l", "x"))) as image:
        assert image.read("/etc/l", limit=5) == b"12345"
        for path, limit, message in [
            ("/etc/x", 4, "more than 4 bytes"),
            ("/etc", 9, "not a file"),
            ("/nope", 9, "no such file"),
        ]:
            with pytest.raises(ViewError, match=message):
                image.read(path, limit)


BASES = [DOCKER, tar(oci(gzip.compress)), gzip.compress(LOWER), LOWER + UPPER]
SMALL = Limits(entries=1000, names=100_000, steps=100_000, total=1_000_000)


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


FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.sampled_from(BASES), st.floats(0, 1))
def test_any_truncation(data: bytes, part: float) -> None:
    outcome(data[: int(len(data) * part)])


@FUZZ
@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_any_mutation(data: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(data)
    for place, value in changes:
        mutated[place % len(mutated)] = value
    outcome(bytes(mutated))


def summed(block: bytes) -> bytes:
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


@FUZZ
@given(st.lists(st.tuples(st.integers(0, 511), st.binary(min_size=1, max_size=12)), max_size=6))
def test_any_header(changes: list[tuple[int, bytes]]) -> None:
    """With the check sum set right, so that what lies behind it is reached."""
    header = bytearray(LOWER[:512])
    for place, value in changes:
        header[place : place + len(value)] = value
    outcome(summed(bytes(header[:512])) + LOWER[512:])


@FUZZ
@given(st.binary(max_size=3000))
def test_any_extended_header(data: bytes) -> None:
    header = info("x", type=b"x", size=len(data)).tobuf(tarfile.USTAR_FORMAT)
    outcome(header + data + bytes(-len(data) % 512) + LOWER)


@FUZZ
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["manifests", "digest", "config", "Env", "Layers",
                                         "Config", "platform", "annotations", "rootfs"]),
                        inner, max_size=4), max_leaves=12))  # fmt: skip
def test_any_json(document: object) -> None:
    """In place of a manifest, an index, a configuration."""
    outcome(tar({"manifest.json": dump(document)}))
    outcome(tar({"manifest.json": dump([document])}))
    outcome(tar({**docker_files(LOWER), "c.json": dump(document)}))
    outcome(tar({"index.json": dump(document), "oci-layout": b""}))


# Tar, against Python's own

FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "d/" * 60 + "n" * 90


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_headers_as_tarfile_writes_them(form: int) -> None:
    """Long names, links, owners, modes and devices in each of the formats."""
    archive = tar(
        {LONG: b"long", "etc/x": b"1"},
        symbolic("s", "t" * 99),
        info("suid", mode=0o4755, uid=65532, gid=7),
        info("dir", type=tarfile.DIRTYPE, mode=0o1777),
        info("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        info("pipe", type=tarfile.FIFOTYPE),
        form=form,
    )
    with from_bytes(archive) as image:
        assert image.read(f"/{LONG}") == b"long"
        found = {entry.path: entry for entry in image.entries()}
    assert found["/s"].target == "t" * 99
    assert found["/suid"] == Entry("/suid", Kind.FILE, 0o4755, 65532, 7, 0)
    assert (found["/dir"].kind, found["/dir"].mode) == (Kind.DIRECTORY, 0o1777)
    assert (found["/null"].kind, found["/null"].device) == (Kind.OTHER, True)
    assert (found["/pipe"].kind, found["/pipe"].device) == (Kind.OTHER, False)


def test_old_check_sums() -> None:
    """Some summed signed bytes."""
    header = info("é").tobuf(tarfile.GNU_FORMAT)
    rest = header[:148] + b" " * 8 + header[156:]
    total = sum(byte - 256 * (byte > 127) for byte in rest)
    with from_bytes(header[:148] + b"%06o\0 " % total + header[156:] + LOWER) as image:
        assert image.resolve("/é") is not None


def test_names_and_owners_beyond_ustar() -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive = tar({}, symbolic("é" * 200, "ü" * 200), info("big", uid=2**31), form=form)
        with from_bytes(archive) as image:
            found = image.lstat("/" + "é" * 200)
            big = image.lstat("/big")
        assert found is not None
        assert found.target == "ü" * 200
        assert big is not None
        assert big.uid == 2**31


def test_a_sparse_file_is_there_but_not_read() -> None:
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "etc/s"}
    sparse = info("GNUSparseFile.0/s", pax_headers=pax)
    with (
        from_bytes(tar({"etc/x": b""}, sparse)) as image,
        pytest.raises(ViewError, match="not held"),
    ):
        image.read("/etc/s")


# Root directories


@pytest.fixture(name="root")
def root_(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    root = write(tmp_path / "root", {"etc/x": b"x", "usr/bin/y": b"y"})
    for name, target in {
        "bin": "usr/bin",
        "abs": "/etc/x",
        "out": "../secret",
        "absout": str(tmp_path / "secret"),
        "parent": "..",
        "loop": "loop",
        "proc": "/proc/self/environ",
    }.items():
        (root / name).symlink_to(target)
    return root


def test_root(root: Path) -> None:
    (root / "etc/x").chmod(0o4711)
    with open_image(str(root)) as image:
        assert contents(image) == {"/etc/x": b"x", "/usr/bin/y": b"y"}
        assert (image.read("/bin/y"), image.read("/abs")) == (b"y", b"x")
        entry = image.lstat("/etc/x")
        assert entry is not None
        assert (entry.mode, entry.size, entry.uid) == (0o4711, 1, os.getuid())
        assert (image.config, image.faults) == (None, ())
        assert [entry.path for entry in image.entries()] == sorted(
            entry.path for entry in image.entries()
        )


@pytest.mark.parametrize(
    "path",
    ["/out", "/absout", "/parent/secret", "/../secret", "/loop", "/proc", "../secret"],
)
def test_nothing_outside_a_root(root: Path, path: str) -> None:
    with open_image(str(root)) as image:
        assert image.resolve(path) is None
        with pytest.raises(ViewError, match="no such file"):
            image.read(path)


def test_neither_fifo_nor_socket_is_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s"))
        with open_image(str(root)) as image:
            assert [image.resolve(f"/{name}") for name in ("fifo", "s")] == [
                Entry("/fifo", Kind.OTHER, (root / "fifo").stat().st_mode & 0o7777,
                      os.getuid(), os.getgid(), 0),
                Entry("/s", Kind.OTHER, (root / "s").stat().st_mode & 0o7777,
                      os.getuid(), os.getgid(), 0),
            ]  # fmt: skip
            for name in ("fifo", "s"):
                with pytest.raises(ViewError, match="not a file"):
                    image.read(f"/{name}")


def exchange_parent(root: Path) -> None:
    (root / "etc/x").unlink()
    (root / "etc").rmdir()
    (root.parent / "x").write_bytes(b"secret")
    (root / "etc").symlink_to("..")


def exchange_file(root: Path) -> None:
    (root / "etc/x").unlink()
    (root / "etc/x").symlink_to("../../secret")


def exchange_fifo(root: Path) -> None:
    (root / "etc/x").unlink()
    os.mkfifo(root / "etc/x")


@pytest.mark.parametrize("exchange", [exchange_parent, exchange_file, exchange_fifo])
def test_a_root_that_changes_underneath(root: Path, exchange: Any) -> None:
    """A link or a FIFO put in a listed file's place is neither followed nor waited for."""
    with open_image(str(root)) as image:
        exchange(root)
        with pytest.raises(ViewError, match=r"cannot be read|not a file any more"):
            image.read("/etc/x")


def test_layout_blobs_stay_inside(tmp_path: Path) -> None:
    """A blob that is a link to outside is not there."""
    layout = write(tmp_path / "layout", oci())
    blob = layout / "blobs/sha256" / digest(UPPER)[7:]
    blob.rename(tmp_path / "moved")
    blob.symlink_to(tmp_path / "moved")
    with pytest.raises(ViewError, match="no file blobs/"):
        open_image(str(layout))


def test_deep_root(tmp_path: Path) -> None:
    """Deeper than we hold directories open: named, and no further."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 50):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    write(tmp_path, {"e/f/x": b"x"})
    with open_image(str(tmp_path)) as image:
        assert image.read("/e/f/x") == b"x"
        assert len(list(image.entries())) == 1 + MAX_DEPTH + 3
        assert [fault.reason for fault in image.faults] == ["too deep: not looked into"]


@pytest.mark.parametrize("name", ["/nowhere", "/dev/null", "a\0b"])
def test_nothing_to_open(name: str) -> None:
    with pytest.raises(ViewError):
        open_image(name)


def test_no_descriptor_is_left(root: Path) -> None:
    """Neither after use nor after an error."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    open_image(str(root)).close()
    from_bytes(tar(oci(gzip.compress))).close()
    for data in (BOMB, DOCKER[:-20_000]):
        with pytest.raises(ViewError):
            from_bytes(data, limits=SMALL)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_devices_and_unreadable_directories(root: Path) -> None:
    """A device is listed and never opened, whatever its mode."""
    require_root()
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))
    with open_image(str(root)) as image:
        found = image.resolve("/null")
        assert found is not None
        assert (found.kind, found.device) == (Kind.OTHER, True)
        with pytest.raises(ViewError, match="not a file"):
            image.read("/null")


def test_unreadable_is_reported() -> None:
    """As another user: what is closed is named, the rest is there."""
    require_root()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = write(Path(folder), {"etc/x": b"x", "etc/z": b"z", "usr/bin/y": b"y"})
        (root / "etc/x").chmod(0)
        (root / "usr/bin").chmod(0)
        os.seteuid(65534)
        try:
            with open_image(str(root)) as image:
                faults = {fault.path: fault.reason for fault in image.faults}
                assert image.read("/etc/z") == b"z"
                with pytest.raises(ViewError, match="permission denied"):
                    image.read("/etc/x")
        finally:
            os.seteuid(0)
    assert faults == {
        "/etc/x": "cannot be read: permission denied",
        "/usr/bin": "cannot be listed: permission denied",
    }


def test_this_machine() -> None:
    """A real system's own files: each name that stands there is found again through the view."""
    with open_image("/etc") as image:
        entries = list(image.entries())
        files = [entry for entry in entries if entry.kind is Kind.FILE][:200]
        for entry in files:
            if os.access(f"/etc{entry.path}", os.R_OK):
                assert image.read(entry.path) == Path(f"/etc{entry.path}").read_bytes()
    assert {entry.path for entry in entries if entry.path.count("/") == 1} == {
        "/", *(f"/{path.name}" for path in Path("/etc").iterdir())
    }  # fmt: skip
