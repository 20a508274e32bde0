"""An image's files as one tree: its entries, links followed inside the root, layers applied.

Pure: nothing here opens a file. The root of the image is the only root there is: `..` at the root
stays there, an absolute link starts again at the root, and so no path leads outside.

Layers are applied as the OCI image specification says
(https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md): a whiteout `.wh.NAME` removes
NAME of the layers below, `.wh..wh..opq` all that they have in that directory, both whatever their
place among the layer's own entries; a directory over a directory takes its attributes, anything
else replaces what was there. Docker's specification says the same
(https://github.com/moby/docker-image-spec/blob/main/spec.md).
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import MutableMapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from enum import StrEnum
from typing import Generic
from typing import Literal
from typing import Protocol
from typing import TypeVar

READ_LIMIT = 64 * 2**20
# Linux follows at most 40 links in one look-up (path_resolution(7)) and takes 4096 bytes of path.
MAX_HOPS = 40
MAX_PATH = 4096
# Names looked at in one look-up: 40 links of 4096 bytes each would otherwise make 80,000.
MAX_STEPS = 4096
# Characters of all paths of a tree: a link makes long paths out of short names.
MAX_NAMES = 128 * 2**20

WHITEOUT = ".wh."
WHITEOUT_META = ".wh..wh."
OPAQUE = ".wh..wh..opq"

_Content = TypeVar("_Content")


class ViewError(ValueError):
    """An image or a file in it that cannot be read; one sentence says why."""


class Kind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the tree.

    `path` is absolute and runs through no link; bytes that are not UTF-8 stand in it as lone
    surrogates (PEP 383). `mode` holds the permission bits, setuid, setgid and sticky included;
    `size` is in bytes, 0 for all but files; `target` is a symbolic link's text.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    target: str | None = None
    device: bool = False


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says about running it.

    After https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md; `healthcheck` is in
    Docker's alone, with its own keys: Test, Interval, Timeout, StartPeriod (nanoseconds), Retries.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    volumes: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Mapping[str, object] | None = None
    shell: tuple[str, ...] = ()
    """Docker's alone: what its builder puts before shell forms; empty means /bin/sh -c."""
    architecture: str = ""
    os: str = ""
    format: Literal["docker", "oci", "root"] = "root"


class View(Protocol):
    """A read-only image."""

    config: ImageConfig | None

    def entries(self) -> Iterable[Entry]:
        """Return every entry, sorted by path, links not followed."""

    def lstat(self, path: str) -> Entry | None:
        """Return what *path* names, the links before its last name followed; None if nothing."""

    def resolve(self, path: str) -> Entry | None:
        """Return what *path* leads to, all links followed inside the root.

        None where it is missing, dangling, a loop, or longer than the system would follow.
        """

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """Return the contents of the file that *path* leads to.

        Raises:
            ViewError: it is no file, cannot be read, or has more than *limit* bytes.
        """

    def part(self, path: str, start: int, size: int) -> bytes:
        """Return *size* bytes from *start* on of the file that *path* leads to; fewer at its end.

        Raises:
            ViewError: it is no file or cannot be read.
        """


def clean(name: str) -> str | None:
    """Return a name from an archive as an absolute path; None where its `..` leave the root.

    Read as engines read it, by text alone: `./a//b/../c` is `/a/c`.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def join(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"


def parent_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _names(path: str) -> list[str]:
    """Split a path for a look-up, last name first; a slash at its end asks for a directory."""
    names = [name for name in path.split("/") if name]
    if path.endswith("/"):
        names.append(".")
    names.reverse()
    return names


def trace(entries: Mapping[str, Entry], path: str, *, follow: bool) -> tuple[str | None, int]:
    """Look *path* up among *entries*: the path that it leads to, and how many names that took.

    Without *follow* a link that is the last name is not followed. None where it leads nowhere.
    """
    current, hops, steps = "/", 0, 0
    pending = _names(path) if len(path) <= MAX_PATH else None
    while pending:
        steps += 1
        name = pending.pop()
        if entries[current].kind is not Kind.DIRECTORY or steps > MAX_STEPS:
            return None, steps
        if name == "..":
            current = parent_of(current)
        if name in {".", ".."}:
            continue
        entry = entries.get(join(current, name))
        if entry is None:
            return None, steps
        if entry.kind is not Kind.SYMLINK or not (pending or follow):
            current = entry.path
            continue
        hops += 1
        target = entry.target or ""
        if hops > MAX_HOPS or not target or len(target) > MAX_PATH:
            return None, steps
        current = "/" if target.startswith("/") else current
        pending += _names(target)
    return (None if pending is None else current), steps


def locate(entries: Mapping[str, Entry], path: str, *, follow: bool) -> Entry | None:
    """Return the entry that *path* leads to; *entries* hold `/` and every directory by its path."""
    found, _ = trace(entries, path, follow=follow)
    return None if found is None else entries[found]


def way(view: View, path: str) -> list[Entry] | None:
    """Return what a look-up of *path* meets: each link, and last what they lead to.

    None where it leads nowhere, as in `trace`.
    """
    found: list[Entry] = []
    current, hops = view.lstat("/"), 0
    pending = [name for name in path.split("/") if name][::-1]
    for _ in range(MAX_STEPS):
        if current is None or not pending:
            break
        name = pending.pop()
        if name in {".", ".."}:
            current = view.lstat(parent_of(current.path) if name == ".." else current.path)
            continue
        entry = view.lstat(join(current.path, name))
        if entry is None or entry.kind is not Kind.SYMLINK:
            current = entry
            continue
        found.append(entry)
        hops += 1
        target = entry.target or ""
        pending += [part for part in target.split("/") if part][::-1]
        current = view.lstat("/") if target.startswith("/") else current
        if hops > MAX_HOPS or not target:
            return None
    return None if current is None or pending else [*found, current]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in an image that was passed over, and why; `path` as the archive has it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Member(Generic[_Content]):
    """One entry of a layer; its entry's path is the name as the archive has it.

    `link` is the name of the file that a hard link shares.
    """

    entry: Entry
    content: _Content | None = None
    link: str | None = None


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode, 0, 0, 0)


class Tree(Generic[_Content]):
    """Entries by path, with their contents, put together from layers from the bottom up.

    Raises ViewError where there are more than `max_entries`, where following the names of all
    members takes more than `max_steps`, or where paths and faults have more characters than
    `max_names`.
    """

    def __init__(self, max_entries: int, max_steps: int, max_names: int = MAX_NAMES) -> None:
        self.entries: MutableMapping[str, Entry] = {"/": directory("/")}
        self.contents: dict[str, _Content] = {}
        self.faults: list[Fault] = []
        self._children: dict[str, set[str]] = {}
        self._own: set[str] = set()
        self._max_entries = max_entries
        self._steps_left = max_steps
        self._max_names = max_names
        self._names = 0

    def add_layer(self, members: Iterable[Member[_Content]], *, whiteouts: bool) -> None:
        """Lay *members* over what is there; a plain root's tar has no whiteouts."""
        layer = list(members)
        self._own = set()
        hiding = [whiteouts and _is_whiteout(member.entry.path) for member in layer]
        for member, hides in zip(layer, hiding, strict=True):
            if hides:
                self._hide(member.entry.path)
        for member, hides in zip(layer, hiding, strict=True):
            if not hides:
                self._place(member)

    def put(self, entry: Entry, content: _Content | None = None) -> None:
        """Set an entry whose parent is there and holds nothing else by this name."""
        if len(entry.path) > MAX_PATH:
            # A link makes long paths out of short names; looking them up takes time by length.
            raise ViewError(f"a path in the image has more than {MAX_PATH} characters")
        if entry.path not in self.entries and len(self.entries) >= self._max_entries:
            raise ViewError(f"the image has more than {self._max_entries} entries")
        self._name(len(entry.path))
        self.entries[entry.path] = entry
        if entry.path != "/":
            self._children.setdefault(parent_of(entry.path), set()).add(entry.path)
        if content is not None:
            self.contents[entry.path] = content
        self._own.add(entry.path)

    def fault(self, path: str, reason: str) -> None:
        self._name(len(path) + len(reason))
        self.faults.append(Fault(path, reason))

    def _name(self, size: int) -> None:
        self._names += size
        if self._names > self._max_names:
            raise ViewError(f"the names in the image have more than {self._max_names} characters")

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise ViewError("the image's names run through too many links and directories")

    def _trace(self, path: str, *, follow: bool) -> str | None:
        found, steps = trace(self.entries, path, follow=follow)
        self._spend(steps)
        return found

    def _remove(self, path: str) -> None:
        """Drop *path* and all below it; in all no more work than putting them there was."""
        self._children.get(parent_of(path), set()).discard(path)
        doomed = [path]
        while doomed:
            gone = doomed.pop()
            doomed += self._children.pop(gone, ())
            self.entries.pop(gone, None)
            self.contents.pop(gone, None)

    def _hide(self, name: str) -> None:
        path = clean(name)
        if path is None:
            self.fault(name, "the name leaves the root")
            return
        folder, _, base = path.rpartition("/")
        real = self._trace(folder or "/", follow=True)
        if real is None or self.entries[real].kind is not Kind.DIRECTORY:
            return
        if base == OPAQUE:
            for child in list(self._children.get(real, ())):
                self._remove(child)
        elif base.removeprefix(WHITEOUT) in {"", ".", ".."}:
            self.fault(name, "a whiteout of no file")
        elif not base.startswith(WHITEOUT_META):
            # Other names that start so are notes of aufs to itself.
            self._remove(join(real, base.removeprefix(WHITEOUT)))

    def _place(self, member: Member[_Content]) -> None:
        name = member.entry.path
        path = clean(name)
        if path is None or "\0" in path:
            self.fault(name, "the name leaves the root" if path is None else "a NUL in the name")
        elif path == "/":
            self._set_root(member.entry)
        elif (parent := self._parent(path)) is not None:
            target = join(parent, path.rpartition("/")[2])
            if member.link is not None:
                self._link(target, member.link)
            else:
                self._set(replace(member.entry, path=target), member.content)

    def _set_root(self, entry: Entry) -> None:
        if entry.kind is Kind.DIRECTORY:
            self.entries["/"] = replace(entry, path="/")
        else:
            self.fault(entry.path, f"a {entry.kind} in place of the root")

    def _set(self, entry: Entry, content: _Content | None) -> None:
        old = self.entries.get(entry.path)
        if old is not None and not (old.kind is entry.kind is Kind.DIRECTORY):
            self._remove(entry.path)
        self.put(entry, content)

    def _link(self, path: str, name: str) -> None:
        target = clean(name)
        source = None if target is None else self._trace(target, follow=False)
        if source is None:
            why = "leads outside the root" if target is None else "names no file"
            self.fault(path, f"a hard link that {why}: {name}")
        elif self.entries[source].kind is Kind.DIRECTORY:
            self.fault(path, f"a hard link to a directory: {name}")
        elif source != path:
            # Both values are taken before what stood at the path goes.
            self._set(replace(self.entries[source], path=path), self.contents.get(source))

    def _parent(self, path: str) -> str | None:
        """Return the directory that *path* stands in, made where it is not there; None if barred.

        A link on the way is followed inside the root, as containerd does.
        """
        straight = parent_of(path)
        entry = self.entries.get(straight)
        if entry is not None and entry.kind is Kind.DIRECTORY:
            return straight
        current = "/"
        names = straight.strip("/").split("/")
        self._spend(len(names))
        for name in names:
            step = self._enter(join(current, name))
            if step is None:
                self.fault(path, f"{join(current, name)}, in its way, is no directory")
                return None
            current = step
        return current

    def _enter(self, path: str) -> str | None:
        entry = self.entries.get(path)
        if entry is not None and entry.kind is Kind.DIRECTORY:
            return path
        if entry is not None and entry.kind is Kind.SYMLINK:
            found = self._trace(path, follow=True)
            if found is not None and self.entries[found].kind is Kind.DIRECTORY:
                if path not in self._own:
                    self._note_link(path)
                return found
        if entry is not None and path in self._own:
            return None
        self._set(directory(path), None)
        return path

    def _note_link(self, path: str) -> None:
        reason = (
            "a layer writes through this link of a layer below: containerd follows it,"
            " Docker's overlay2 puts a directory in its place"
        )
        if Fault(path, reason) not in self.faults[-1:]:
            self.fault(path, reason)


def _is_whiteout(name: str) -> bool:
    return name.rstrip("/").rpartition("/")[2].startswith(WHITEOUT)
