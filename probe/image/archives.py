"""Open an image wherever it lies: root directory, docker-archive, OCI layout, or a root's tar.

What is read is not trusted. Nothing outside the root or the archive is opened, no device and no
FIFO; nothing is extracted; what is held or looked at has a limit (`Limits`), and what cannot be
read is a ViewError. Formats:
docker-archive: https://github.com/moby/docker-image-spec/blob/main/spec.md ("Combined Image JSON +
Filesystem Changeset Format"; v1.2); OCI layout, index, manifest, config and layers:
https://github.com/opencontainers/image-spec/blob/v1.1.0/ image-layout.md, image-index.md,
manifest.md, config.md, layer.md; tar: POSIX pax (ustar and extended headers), with GNU's long names
and binary numbers.

File contents are read from where they lie, by offset; a compressed layer is first written to a
temporary file without a name.
"""

import errno
import gzip
import hashlib
import importlib
import io
import json
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import nullcontext
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import BinaryIO
from typing import Literal
from typing import Protocol
from typing import Self
from typing import cast

from probe.image.view import MAX_PATH
from probe.image.view import READ_LIMIT
from probe.image.view import Entry
from probe.image.view import Fault
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import Member
from probe.image.view import Tree
from probe.image.view import ViewError
from probe.image.view import join
from probe.image.view import locate
from probe.image.view import parent_of

MAX_ENTRIES = 1_000_000
MAX_STEPS = 20_000_000
MAX_NAMES = 128 * 2**20
MAX_TOTAL = 8 * 2**30
# The OCI specification says that registries take manifests of at least 4 MiB; nobody's is larger.
MAX_METADATA = 4 * 2**20
MAX_LAYERS = 512
MAX_PAX = 2**20
MAX_INDEXES = 4
# Directories open at once while a root is listed; real ones are some twenty deep.
MAX_DEPTH = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may ask of this machine.

    `entries` of all layers and archives together, `names` their bytes, `steps` what may be looked
    up to place them; `total` the bytes written to temporary files; `metadata` the bytes of one
    manifest, index or configuration.
    """

    entries: int = MAX_ENTRIES
    names: int = MAX_NAMES
    steps: int = MAX_STEPS
    total: int = MAX_TOTAL
    metadata: int = MAX_METADATA
    layers: int = MAX_LAYERS


LIMITS = Limits()

_CHUNK = 2**20
_BLOCK = 512
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Should a FIFO or a terminal have come to the place of a file, opening it neither waits nor binds.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

# uname -m to the architecture's name in images (Go's).
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "i386": "386",
    "i686": "386",
}


def this_architecture() -> str:
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


@dataclass(slots=True)
class _Budget:
    """What is left of the limits while one image is opened."""

    limits: Limits
    entries: int = 0
    names: int = 0
    total: int = 0

    def entry(self, names: int) -> None:
        self.entries += 1
        self.names += names
        if self.entries > self.limits.entries:
            raise ViewError(f"the image has more than {self.limits.entries} entries")
        if self.names > self.limits.names:
            raise ViewError(f"the names in the image have more than {self.limits.names} bytes")

    def write(self, size: int) -> None:
        self.total += size
        if self.total > self.limits.total:
            raise ViewError(f"the image unpacks to more than {self.limits.total} bytes")


# Where contents lie


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of an open file."""

    fd: int
    start: int
    size: int

    def read(self, at: int, size: int) -> bytes:
        """Return up to *size* bytes; fewer only at the end."""
        return os.pread(self.fd, max(0, min(size, self.size - at)), self.start + at)

    def exactly(self, at: int, size: int) -> bytes:
        data = self.read(at, size)
        if len(data) < size:
            raise ViewError("the archive is truncated")
        return data

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self.size, _CHUNK):
            yield self.exactly(at, min(_CHUNK, self.size - at))

    def open(self) -> AbstractContextManager["_Span"]:
        return nullcontext(self)


@dataclass(frozen=True, slots=True)
class _Beneath:
    """A file below an open directory, by a path that runs through no link."""

    root: int
    path: str

    @contextmanager
    def open(self) -> Iterator[_Span]:
        with _beneath(self.root, self.path, _FILE_FLAGS) as fd:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ViewError(f"{self.path}: not a file any more")
            yield _Span(fd, 0, found.st_size)


class _Content(Protocol):
    def open(self) -> AbstractContextManager[_Span]: ...


class _SpanFile(io.RawIOBase):
    """A span as a file, for the decompressors."""

    def __init__(self, span: _Span) -> None:
        self._span = span
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._span.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@contextmanager
def _beneath(root: int, path: str, flags: int) -> Iterator[int]:
    """Open *path* below *root* name by name, so that a link put there meanwhile is not followed."""
    current = os.dup(root)
    try:
        names = [name for name in path.split("/") if name]
        for place, name in enumerate(names, 1):
            how = flags if place == len(names) else _DIRECTORY_FLAGS
            below = os.open(name, how, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


# The opened image


class Image:
    """An opened image: a View that holds files open until it is closed.

    `faults` are the entries that were passed over, with the reason.
    """

    def __init__(
        self,
        tree: Tree[_Content],
        config: ImageConfig | None,
        resources: ExitStack,
    ) -> None:
        self.config = config
        self.faults: tuple[Fault, ...] = tuple(tree.faults)
        self._entries: Mapping[str, Entry] = tree.entries
        self._contents = tree.contents
        self._resources = resources

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()

    @cached_property
    def _sorted(self) -> tuple[Entry, ...]:
        return tuple(self._entries[path] for path in sorted(self._entries))

    def entries(self) -> Iterable[Entry]:
        return self._sorted

    def lstat(self, path: str) -> Entry | None:
        return locate(self._entries, path, follow=False)

    def resolve(self, path: str) -> Entry | None:
        return locate(self._entries, path, follow=True)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        with self._open(path) as span:
            if span.size > limit:
                raise ViewError(f"{path}: more than {limit} bytes")
            return span.exactly(0, span.size)

    def head(self, path: str, size: int) -> bytes:
        with self._open(path) as span:
            return span.exactly(0, min(size, span.size))

    @contextmanager
    def _open(self, path: str) -> Iterator[_Span]:
        entry = self.resolve(path)
        if entry is None or entry.kind is not Kind.FILE:
            raise ViewError(f"{path}: " + ("no such file" if entry is None else "not a file"))
        content = self._contents.get(entry.path)
        if content is None:
            raise ViewError(f"{path}: its contents are not held in a way that can be read")
        try:
            with content.open() as span:
                yield span
        except OSError as error:
            raise ViewError(f"{path}: cannot be read: {_why(error)}") from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


# Tar: headers to members

_REGULAR = b"\x00" + b"07"
_HEADER_ONLY = b"123456"
_KINDS = {b"2": Kind.SYMLINK, b"5": Kind.DIRECTORY}
_DEVICES = b"34"
_IGNORED = b"V"
_RECORD = re.compile(rb"(\d{1,8}) ([^=\n]+)=")
_HIGH = re.compile(rb"[\x80-\xff]")
_SPARSE_KEYS = ("GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.size")


@dataclass(slots=True)
class _Extended:
    """What extended headers have said of the next member."""

    shared: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def take(self) -> dict[str, str]:
        found = self.shared | self.own
        self.own = {}
        return found


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return _decode(data.partition(b"\0")[0])


def _number(data: bytes) -> int:
    """Read an octal number, or GNU's binary one, which begins with a byte of 0x80."""
    if data[0] == 0x80:  # noqa: PLR2004 - the format's
        return int.from_bytes(data[1:], "big")
    digits = data.strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", digits):
        raise ViewError("not a tar, or a damaged one: a number in a header is none")
    return int(digits or b"0", 8)


def _check_sum(block: bytes) -> None:
    """Compare a header with its sum, its own eight bytes taken as spaces (POSIX pax)."""
    rest = block[:148] + block[156:]
    unsigned, stated = 256 + sum(rest), _number(block[148:156])
    # Old archives summed signed bytes.
    if stated != unsigned and stated != unsigned - 256 * len(_HIGH.findall(rest)):
        raise ViewError("not a tar, or a damaged one: a header's check sum is wrong")


def _pax(data: bytes) -> dict[str, str]:
    """Read extended header records, `LENGTH KEY=VALUE`, a line end behind each."""
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at)
        end = at + int(found[1]) if found else 0
        if found is None or end > len(data) or end <= found.end() or data[end - 1 : end] != b"\n":
            raise ViewError("not a tar, or a damaged one: an extended header is malformed")
        records[_decode(found[2])] = _decode(data[found.end() : end - 1])
        at = end
    return records


def _name(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        return f"{prefix}/{name}"
    return name


def _members(span: _Span, budget: _Budget) -> Iterator[Member[_Content]]:
    """Read the headers of a tar; contents stay where they are."""
    extended = _Extended()
    at = 0
    while at < span.size:
        block = span.exactly(at, _BLOCK)
        if not block.strip(b"\0"):
            return
        _check_sum(block)
        at += _BLOCK
        flag = block[156:157]
        if flag in b"xgLK":
            size = _size(block, {})
            _extend(extended, flag, _meta(span, at, size))
            budget.entry(size)
        else:
            own = extended.take()
            size = 0 if flag in _HEADER_ONLY else _size(block, own)
            at += _sparse_maps(span, at, block)
            if size > span.size - at:
                raise ViewError("the archive is truncated")
            member = _member(block, own, _Span(span.fd, span.start + at, size))
            budget.entry(len(member.entry.path) + len(member.entry.target or member.link or ""))
            if flag not in _IGNORED:
                yield member
        at += -(-size // _BLOCK) * _BLOCK


def _sparse_maps(span: _Span, at: int, block: bytes) -> int:
    """Return how many bytes of further maps follow a header of GNU's old sparse files."""
    more, length = block[156:157] == b"S" and block[482] != 0, 0
    while more:
        more = span.exactly(at + length, _BLOCK)[504] != 0
        length += _BLOCK
    return length


def _meta(span: _Span, at: int, size: int) -> bytes:
    if size > MAX_PAX:
        raise ViewError(f"an extended header has more than {MAX_PAX} bytes")
    return span.exactly(at, size)


def _extend(extended: _Extended, flag: bytes, data: bytes) -> None:
    if flag == b"g":
        extended.shared |= _pax(data)
        if sum(len(key) + len(value) for key, value in extended.shared.items()) > MAX_PAX:
            raise ViewError(f"global extended headers have more than {MAX_PAX} bytes")
    elif flag == b"x":
        extended.own |= _pax(data)
    else:
        extended.own["path" if flag == b"L" else "linkpath"] = _text(data)


def _pax_number(own: Mapping[str, str], key: str, otherwise: int) -> int:
    value = own.get(key, "")
    if not value:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,20}", value):
        raise ViewError(f"not a tar, or a damaged one: {key} in an extended header is no number")
    return int(value)


def _size(block: bytes, own: Mapping[str, str]) -> int:
    return _pax_number(own, "size", _number(block[124:136]))


def _member(block: bytes, own: Mapping[str, str], content: _Span) -> Member[_Content]:
    flag = block[156:157]
    path = own.get("GNU.sparse.name") or own.get("path") or _name(block)
    link = own.get("linkpath") or _text(block[157:257])
    if max(len(path), len(link)) > MAX_PATH:
        raise ViewError(f"a name in the image has more than {MAX_PATH} characters")
    kind = _kind(flag, path)
    entry = Entry(
        path=path,
        kind=kind,
        mode=_number(block[100:108]) & 0o7777,
        uid=_pax_number(own, "uid", _number(block[108:116])),
        gid=_pax_number(own, "gid", _number(block[116:124])),
        size=content.size if kind is Kind.FILE else 0,
        target=link if kind is Kind.SYMLINK else None,
        device=flag in _DEVICES,
    )
    if flag == b"1":
        return Member(entry, link=link)
    # A sparse file's holes are not in the archive: its bytes there are not the file's.
    sparse = flag == b"S" or any(key in own for key in _SPARSE_KEYS)
    return Member(entry, content if kind is Kind.FILE and not sparse else None)


def _kind(flag: bytes, path: str) -> Kind:
    if flag in _REGULAR:
        # Before POSIX a directory was a file whose name ends so.
        return Kind.DIRECTORY if path.endswith("/") else Kind.FILE
    return _KINDS.get(flag, Kind.FILE if flag in b"1S" else Kind.OTHER)


# Compression


def _zstd(file: io.BufferedReader) -> BinaryIO:
    try:
        module: Any = importlib.import_module("zstandard")
    except ImportError:
        raise ViewError(
            "compressed with zstd, which needs the Python package zstandard;"
            " or decompress it first (skopeo copy --dest-decompress)"
        ) from None
    # 128 MB: the largest window that zstd itself takes without being told to.
    reader = module.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
    return cast("BinaryIO", reader)


def _refused(name: str) -> Callable[[io.BufferedReader], BinaryIO]:
    def refuse(_: io.BufferedReader) -> BinaryIO:
        raise ViewError(f"compressed with {name}, which images are not: decompress it first")

    return refuse


_COMPRESSIONS: dict[bytes, Callable[[io.BufferedReader], BinaryIO]] = {
    b"\x1f\x8b": lambda file: cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb")),
    b"\x28\xb5\x2f\xfd": _zstd,
    b"BZh": _refused("bzip2"),
    b"\xfd7zXZ\0": _refused("xz"),
}


def _compression(span: _Span) -> Callable[[io.BufferedReader], BinaryIO] | None:
    head = span.read(0, 8)
    return next((value for magic, value in _COMPRESSIONS.items() if head.startswith(magic)), None)


def _spool(source: Callable[[int], bytes], budget: _Budget, resources: ExitStack) -> _Span:
    """Write what *source* gives to a temporary file."""
    file = resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by resources
    size = 0
    while data := source(_CHUNK):
        budget.write(len(data))
        file.write(data)
        size += len(data)
    file.flush()
    return _Span(file.fileno(), 0, size)


def _plain(span: _Span, budget: _Budget, resources: ExitStack) -> _Span:
    """Return the span itself, or what it holds compressed."""
    compression = _compression(span)
    if compression is None:
        return span
    raw: Any = _SpanFile(span)
    with io.BufferedReader(raw, _CHUNK) as file:
        try:
            return _spool(compression(file).read, budget, resources)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ViewError(f"compressed data is damaged or truncated: {error}") from error
        except Exception as error:
            # zstandard is not always there to name its own error.
            if type(error).__name__ == "ZstdError":
                raise ViewError(f"compressed data is damaged or truncated: {error}") from error
            raise


# Manifests and configurations are JSON


def _json(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ViewError(f"{what} is not JSON") from error


def _typed(document: Any, what: str, key: str, kind: type | tuple[type, ...]) -> Any:
    """Return a field of a JSON object; None where it is absent or null."""
    if not isinstance(document, dict):
        raise ViewError(f"{what} is not a JSON object")
    value = document.get(key)
    right = isinstance(value, kind) and not isinstance(value, bool)
    if value is not None and not right:
        raise ViewError(f"{what}: {key} has the wrong type")
    return value


def _string(document: Any, what: str, key: str) -> str:
    return _typed(document, what, key, str) or ""


def _strings(document: Any, what: str, key: str, kind: type | tuple[type, ...] = list) -> list[str]:
    value = _typed(document, what, key, kind) or []
    if isinstance(value, str):
        # Engines take a command that is one string as a list of one.
        return [value]
    if not all(isinstance(item, str) for item in value):
        raise ViewError(f"{what}: {key} has the wrong type")
    return list(value)


def _objects(document: Any, what: str, key: str) -> list[dict[str, Any]]:
    value = _typed(document, what, key, list) or []
    if not all(isinstance(item, dict) for item in value):
        raise ViewError(f"{what}: {key} has the wrong type")
    return list(value)


def _labels(document: Any, what: str, key: str) -> dict[str, str]:
    value: dict[str, Any] = _typed(document, what, key, dict) or {}
    if not all(isinstance(item, str) for item in value.values()):
        raise ViewError(f"{what}: {key} has the wrong type")
    return value


_DURATIONS = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")


def _healthcheck(document: Any, what: str) -> dict[str, object] | None:
    found = _typed(document, what, "Healthcheck", dict)
    if found is None:
        return None
    where = f"{what}: Healthcheck"
    checked: dict[str, object] = {}
    if "Test" in found:
        checked["Test"] = _strings(found, where, "Test")
    for key in _DURATIONS:
        if (value := _typed(found, where, key, int)) is not None:
            checked[key] = value
    return checked


def parse_config(document: object, image_format: Literal["docker", "oci"]) -> ImageConfig:
    """Read an image's configuration.

    Raises:
        ViewError: a field has a type that engines refuse as well.
    """
    what = "the image's configuration"
    run = _typed(document, what, "config", dict) or {}
    environment = (item.partition("=") for item in _strings(run, what, "Env"))
    return ImageConfig(
        entrypoint=tuple(_strings(run, what, "Entrypoint", (list, str))),
        cmd=tuple(_strings(run, what, "Cmd", (list, str))),
        env={name: value for name, _, value in environment},
        user=_string(run, what, "User"),
        workdir=_string(run, what, "WorkingDir"),
        volumes=tuple(sorted(_typed(run, what, "Volumes", dict) or {})),
        exposed=tuple(sorted(_typed(run, what, "ExposedPorts", dict) or {})),
        stop_signal=_string(run, what, "StopSignal"),
        labels=_labels(run, what, "Labels"),
        healthcheck=_healthcheck(run, what),
        architecture=_string(document, what, "architecture"),
        os=_string(document, what, "os"),
        format=image_format,
    )


# Manifests: which layers make which image


@dataclass(frozen=True, slots=True)
class _Wanted:
    architecture: str
    given: bool
    reference: str | None


class _Store:
    """The files of an archive or a layout, itself read as a tree: its links stay inside too."""

    def __init__(self, tree: Tree[_Content], budget: _Budget, resources: ExitStack) -> None:
        self._tree = tree
        self._budget = budget
        self._resources = resources

    def has(self, path: str) -> bool:
        return locate(self._tree.entries, path, follow=True) is not None

    def span(self, path: str) -> _Span:
        entry = locate(self._tree.entries, path, follow=True)
        content = self._tree.contents.get(entry.path) if entry is not None else None
        if content is None:
            raise ViewError(f"the archive has no file {path}")
        return self._resources.enter_context(content.open())

    def metadata(self, path: str) -> bytes:
        span = self.span(path)
        if span.size > self._budget.limits.metadata:
            raise ViewError(f"{path} has more than {self._budget.limits.metadata} bytes")
        return span.exactly(0, span.size)

    def json(self, path: str) -> Any:
        return _json(self.metadata(path), path)

    def blob(self, descriptor: Mapping[str, Any]) -> tuple[str, _Span]:
        """Return a blob's path and itself, its size and digest compared with the descriptor's."""
        digest = _string(descriptor, "a descriptor", "digest")
        found = re.fullmatch(r"sha256:([0-9a-f]{64})", digest)
        if found is None:
            raise ViewError(f"a descriptor's digest is no sha256: {digest[:80]!r}")
        path = f"blobs/sha256/{found[1]}"
        span = self.span(path)
        size = _typed(descriptor, "a descriptor", "size", int)
        if size is not None and size != span.size:
            raise ViewError(f"{path} has {span.size} bytes, its descriptor says {size}")
        _verify(span, digest, path)
        return path, span

    def blob_json(self, descriptor: Mapping[str, Any]) -> Any:
        # Sized first: what is too large is not hashed, nor read.
        path, _ = self.blob(descriptor)
        return self.json(path)

    def layer(self, span: _Span) -> _Span:
        return _plain(span, self._budget, self._resources)


def _verify(span: _Span, digest: str, what: str) -> None:
    hasher = hashlib.sha256()
    for chunk in span.chunks():
        hasher.update(chunk)
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise ViewError(f"{what} does not have the digest {digest}: damaged or exchanged")


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


def _docker_image(store: _Store, wanted: _Wanted) -> tuple[ImageConfig, list[_Span]]:
    manifests = _objects({"manifest": store.json("manifest.json")}, "manifest.json", "manifest")

    def tags(manifest: dict[str, Any]) -> list[str]:
        return _strings(manifest, "manifest.json", "RepoTags")

    chosen = _one(manifests, tags, wanted.reference)
    if len(chosen) != 1:
        known = sorted(name for manifest in chosen for name in tags(manifest))
        raise ViewError(f"the archive has {len(chosen)} images, not one: {', '.join(known)}")
    document = store.json(_string(chosen[0], "manifest.json", "Config"))
    config = parse_config(document, "docker")
    layers = [store.span(path) for path in _strings(chosen[0], "manifest.json", "Layers")]
    _right_platform(config, wanted)
    return config, _checked_layers(store, document, layers)


def _right_platform(config: ImageConfig, wanted: _Wanted) -> None:
    if wanted.given and config.architecture not in {"", wanted.architecture}:
        raise ViewError(f"the image is for {config.architecture}, not {wanted.architecture}")


def _checked_layers(store: _Store, document: Any, layers: list[_Span]) -> list[_Span]:
    """Return the layers decompressed, compared with the configuration's diff_ids."""
    what = "the image's configuration"
    ids = _strings(_typed(document, what, "rootfs", dict) or {}, what, "diff_ids")
    if ids and len(ids) != len(layers):
        raise ViewError(f"{what} has {len(ids)} diff_ids for {len(layers)} layers")
    plain = [store.layer(layer) for layer in layers]
    for number, (layer, digest) in enumerate(zip(plain, ids, strict=False), 1):
        _verify(layer, digest, f"layer {number}")
    return plain


_REFERENCE = "org.opencontainers.image.ref.name"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DOCKER_TYPES = "application/vnd.docker."


def _platform(descriptor: dict[str, Any]) -> dict[str, Any]:
    return _typed(descriptor, "a descriptor", "platform", dict) or {}


def _is_image(descriptor: dict[str, Any]) -> bool:
    """Tell an image from an attestation that BuildKit keeps beside it."""
    notes = _labels(descriptor, "a descriptor", "annotations")
    return "vnd.docker.reference.type" not in notes


def _fits(descriptor: dict[str, Any], architecture: str) -> bool:
    platform = _platform(descriptor)
    return (platform.get("os"), platform.get("architecture")) == ("linux", architecture)


def _choose(index: Any, wanted: _Wanted, reference: str | None) -> dict[str, Any]:
    """Return the descriptor of the image for Linux and the wanted architecture."""

    def names(descriptor: dict[str, Any]) -> list[str]:
        found = _labels(descriptor, "a descriptor", "annotations").get(_REFERENCE)
        return [found] if found else []

    images = [one for one in _objects(index, "the index", "manifests") if _is_image(one)]
    named = _one(images, names, reference)
    distinct = list({_string(one, "a descriptor", "digest"): one for one in named}.values())
    if len(distinct) == 1 and not (wanted.given and _platform(distinct[0])):
        return distinct[0]
    fitting = [one for one in distinct if _fits(one, wanted.architecture)]
    if len({str(_platform(one)) for one in fitting}) == len(fitting) > 0:
        # They differ in variant alone, the oldest first as a rule.
        return fitting[0]
    raise ViewError(_no_choice(distinct, names, wanted))


def _no_choice(
    images: list[dict[str, Any]], names: Callable[[dict[str, Any]], list[str]], wanted: _Wanted
) -> str:
    platforms = [_platform(one) for one in images]
    if any(platforms) and not any(_fits(one, wanted.architecture) for one in images):
        there = sorted({f"{one.get('os')}/{one.get('architecture')}" for one in platforms if one})
        return f"no image for linux/{wanted.architecture} there, only: {', '.join(there)}"
    known = sorted({name for one in images for name in names(one)})
    return f"the layout has {len(images)} images, not one: {', '.join(known) or 'without names'}"


def _oci_image(store: _Store, wanted: _Wanted) -> tuple[ImageConfig, list[_Span]]:
    document = store.json("index.json")
    reference = wanted.reference
    for _ in range(MAX_INDEXES):
        descriptor = _choose(document, wanted, reference)
        reference = None
        document = store.blob_json(descriptor)
        media = _string(descriptor, "a descriptor", "mediaType") or _string(
            document, "a manifest", "mediaType"
        )
        if media not in _INDEX_TYPES:
            return _manifest_image(store, document, media, wanted)
    raise ViewError(f"more than {MAX_INDEXES} indexes in each other")


def _manifest_image(
    store: _Store, manifest: Any, media: str, wanted: _Wanted
) -> tuple[ImageConfig, list[_Span]]:
    what = "the image's manifest"
    descriptor = _typed(manifest, what, "config", dict)
    if descriptor is None:
        raise ViewError(f"{what} has no config")
    document = store.blob_json(descriptor)
    config = parse_config(document, "docker" if media.startswith(_DOCKER_TYPES) else "oci")
    _right_platform(config, wanted)
    layers = [store.blob(layer)[1] for layer in _objects(manifest, what, "layers")]
    return config, _checked_layers(store, document, layers)


# Root directories


def _stat_entry(path: str, found: os.stat_result, target: str | None) -> Entry:
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
    form = stat.S_IFMT(found.st_mode)
    kind = kinds.get(form, Kind.OTHER)
    size = found.st_size if kind is Kind.FILE else 0
    device = form in {stat.S_IFBLK, stat.S_IFCHR}
    mode = stat.S_IMODE(found.st_mode)
    return Entry(path, kind, mode, found.st_uid, found.st_gid, size, target, device)


class _Scan:
    """Lists a root directory; other file systems mounted in it, such as /proc, stay closed."""

    def __init__(self, root: int, tree: Tree[_Content], budget: _Budget) -> None:
        self._root = root
        self._device = os.fstat(root).st_dev
        self._tree = tree
        self._budget = budget
        self._pending = ["/"]
        # The directories from the root to the one last listed, each opened from the one before.
        self._chain: list[tuple[str, int]] = []

    def run(self) -> None:
        self._tree.put(_stat_entry("/", os.fstat(self._root), None))
        try:
            while self._pending:
                self._visit(self._pending.pop())
        finally:
            self._leave("")

    def _visit(self, path: str) -> None:
        try:
            self._list(path, self._enter(path))
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise
            self._tree.fault(path, f"cannot be listed: {_why(error)}")

    def _enter(self, path: str) -> int:
        if path == "/":
            fd = os.dup(self._root)
        else:
            self._leave(parent_of(path))
            fd = os.open(path.rpartition("/")[2], _DIRECTORY_FLAGS, dir_fd=self._chain[-1][1])
        self._chain.append((path, fd))
        return fd

    def _leave(self, parent: str) -> None:
        """Close what was opened below *parent*; everything where it is empty."""
        while self._chain and self._chain[-1][0] != parent:
            os.close(self._chain.pop()[1])

    def _list(self, path: str, fd: int) -> None:
        with os.scandir(fd) as names:
            for name in names:
                child = join(path, name.name)
                try:
                    self._add(child, name, fd)
                except OSError as error:
                    self._tree.fault(child, f"cannot be read: {_why(error)}")

    def _add(self, path: str, name: "os.DirEntry[str]", fd: int) -> None:
        self._budget.entry(len(path))
        found = name.stat(follow_symlinks=False)
        target = os.readlink(name.name, dir_fd=fd) if name.is_symlink() else None
        entry = _stat_entry(path, found, target)
        self._tree.put(entry, _Beneath(self._root, path) if entry.kind is Kind.FILE else None)
        if entry.kind is Kind.FILE and not os.access(
            name.name, os.R_OK, dir_fd=fd, effective_ids=True
        ):
            self._tree.fault(path, "cannot be read: permission denied")
        if entry.kind is not Kind.DIRECTORY:
            return
        if found.st_dev != self._device:
            self._tree.fault(path, "another file system is mounted here: not looked into")
        elif len(path) > MAX_PATH or len(self._chain) >= MAX_DEPTH:
            self._tree.fault(path, "too deep: not looked into")
        else:
            self._pending.append(path)


# Opening


def open_image(
    where: str,
    *,
    architecture: str | None = None,
    reference: str | None = None,
    stream: BinaryIO | None = None,
    limits: Limits = LIMITS,
) -> Image:
    """Open the image at *where*: a directory, a tar (gzip's too), or `-` for *stream*.

    A directory with `oci-layout` and `index.json` is an OCI layout, any other a root. Of several
    images the one for Linux and *architecture* (this machine's where None) is taken, or the one
    whose tag is *reference*. Close it, or use it in a `with`.

    Raises:
        ViewError: it is none of these, damaged, or larger than *limits*.
    """
    wanted = _Wanted(architecture or this_architecture(), architecture is not None, reference)
    budget = _Budget(limits)
    try:
        with ExitStack() as resources:
            source = _source(where, stream, budget, resources)
            tree, config = _load(source, wanted, budget, resources)
            return Image(tree, config, resources.pop_all())
    except OSError as error:
        raise ViewError(f"cannot read {where}: {_why(error)}") from error
    except ViewError as error:
        raise ViewError(f"{where}: {error}") from error


def _tree(limits: Limits) -> Tree[_Content]:
    return Tree(limits.entries, limits.steps)


def _source(
    where: str, stream: BinaryIO | None, budget: _Budget, resources: ExitStack
) -> _Span | int:
    """Return the tar to read, or the descriptor of a directory."""
    if where == "-":
        if stream is None:
            raise ViewError("no stream to read from")
        return _spool(stream.read, budget, resources)
    if "\0" in where:
        raise ViewError("a NUL in the name")
    found = Path(where).stat()
    if stat.S_ISFIFO(found.st_mode):
        # `<(docker save IMAGE)` is one.
        with Path(where).open("rb") as pipe:
            return _spool(pipe.read, budget, resources)
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        raise ViewError("neither a directory nor a file")
    fd = os.open(where, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    resources.callback(os.close, fd)
    return fd if stat.S_ISDIR(found.st_mode) else _Span(fd, 0, os.fstat(fd).st_size)


def _load(
    source: _Span | int, wanted: _Wanted, budget: _Budget, resources: ExitStack
) -> tuple[Tree[_Content], ImageConfig | None]:
    tree = _tree(budget.limits)
    if isinstance(source, int):
        _Scan(source, tree, budget).run()
    else:
        span = _plain(source, budget, resources)
        if not span.size:
            raise ViewError("the archive is empty")
        tree.add_layer(_members(span, budget), whiteouts=False)
    store = _Store(tree, budget, resources)
    read = _reader(store, folder=isinstance(source, int))
    if read is None:
        if len(tree.entries) == 1:
            raise ViewError("there is no file in it")
        return tree, None
    config, layers = read(store, wanted)
    return _apply(layers, budget), config


_SYSTEM = ("bin", "etc", "lib", "usr")


def _reader(
    store: _Store, *, folder: bool
) -> Callable[[_Store, _Wanted], tuple[ImageConfig, list[_Span]]] | None:
    """Return what reads this archive; None for a plain root.

    Docker 25 and later save both formats in one tar; `docker load` reads manifest.json, and so do
    we. A root of a system may have a file of such a name.
    """
    if any(store.has(name) for name in _SYSTEM):
        return None
    if not folder and store.has("manifest.json"):
        return _docker_image
    if store.has("index.json") and (store.has("oci-layout") or store.has("blobs")):
        return _oci_image
    return None


def _apply(layers: list[_Span], budget: _Budget) -> Tree[_Content]:
    if len(layers) > budget.limits.layers:
        raise ViewError(f"the image has more than {budget.limits.layers} layers")
    tree = _tree(budget.limits)
    for number, layer in enumerate(layers, 1):
        try:
            tree.add_layer(_members(layer, budget), whiteouts=True)
        except ViewError as error:
            raise ViewError(f"layer {number}: {error}") from error
    return tree
