"""Which files of a root an image needs: bash, the program's libraries, the CA bundle, the includes.

A file keeps its place and comes with every link on the way to it, so that loaders and scripts find
it as they do in the root: with /lib a link to usr/lib where the root has that (merged-/usr).
Loaders are judged by the image to be, not by the root: without its ld.so.cache and ld.so.preload,
with our nsswitch.conf.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from posixpath import dirname

from probe.image.builder.certificates import BUNDLE
from probe.image.builder.certificates import find_bundle
from probe.image.builder.certificates import with_authorities
from probe.image.builder.errors import BuildError
from probe.image.builder.items import EXECUTABLE
from probe.image.builder.items import Item
from probe.image.builder.items import Origin
from probe.image.builder.items import file
from probe.image.builder.items import link
from probe.image.builder.recipe import BASH
from probe.image.builder.recipe import NSSWITCH
from probe.image.builder.recipe import NSSWITCH_TEXT
from probe.image.builder.recipe import Recipe
from probe.image.builder.recipe import shell_link
from probe.image.elf import reader as elf
from probe.image.elf.reader import Elf
from probe.image.elf.reader import ElfError
from probe.image.facts.trust import openssl_folder_in
from probe.image.loader.closure import Closure
from probe.image.loader.closure import FaultKind
from probe.image.loader.closure import Rule
from probe.image.loader.closure import closure
from probe.image.loader.files import LD_SO_CACHE
from probe.image.loader.files import LD_SO_PRELOAD
from probe.image.loader.files import MAX_FILE
from probe.image.source import Source
from probe.image.view import READ_LIMIT
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError
from probe.image.view import join
from probe.image.view import parent_of
from probe.image.view import way

OS_RELEASE = "/etc/os-release"
_PROGRAMS = "/usr/bin"
_MERGED = ("/bin", "/sbin", "/lib")
"""Links of a merged-/usr that anything may count on; /lib64 comes with a loader."""
_MODE_BITS = 0o777
_FIX = "install it in the root, or give another root with --from"
_FIXES = {
    FaultKind.VERSION: "give a newer root with --from, or build the program on an older system",
    FaultKind.MISMATCH: "install it for this architecture, or give another root with --from",
}
_TOLERATED = {
    FaultKind.CACHE_STALE,
    FaultKind.DLOPEN_OPTIONAL,
    FaultKind.NOT_CACHED,
    FaultKind.PRELOAD,
}


@dataclass(frozen=True, slots=True)
class Binary:
    """The program that the image is made for, read from outside the root."""

    where: str
    data: bytes
    facts: Elf

    @property
    def architecture(self) -> str:
        return self.facts.architecture or ""


def read_binary(where: str, data: bytes) -> Binary:
    """Look at a program. Raises BuildError where it is none that Linux loads."""
    if not elf.is_elf(data):
        kind = "a script, not a program" if data.startswith(b"#!") else "not an ELF program"
        raise BuildError(f"{where}: {kind}: --binary takes what the compiler or linker wrote")
    try:
        facts = elf.read(data)
    except ElfError as error:
        raise BuildError(f"{where}: {error}") from error
    runs = facts.interpreter or facts.pie or facts.kind is elf.Kind.EXECUTABLE
    if not runs or facts.kind not in {elf.Kind.EXECUTABLE, elf.Kind.SHARED}:
        raise BuildError(f"{where}: an ELF file that is no program (a library or an object file)")
    if facts.architecture is None:
        raise BuildError(f"{where}: for a machine that images have no word for ({facts.machine})")
    return Binary(where, data, facts)


@dataclass(frozen=True, slots=True)
class Brought:
    """What comes from outside the root besides the program: files, certificates in PEM."""

    files: tuple[Item, ...] = ()
    authorities: bytes = b""


@dataclass(frozen=True, slots=True)
class Selection:
    """What goes into the image from the root and for the program, and what the user should know.

    `program` is the program's path in the image; `borrowed` the files that stand for others: by
    path the package that they are made of.
    """

    items: tuple[Item, ...]
    program: str
    notes: tuple[str, ...]
    borrowed: dict[str, str] = field(default_factory=dict)


def select(
    root: Source,
    binary: Binary,
    recipe: Recipe,
    includes: Iterable[str],
    brought: Brought = Brought(),
) -> Selection:
    """Choose the files.

    Raises:
        BuildError: the root lacks something, is of another architecture, or has what is there
            twice.
        ViewError: a file cannot be read.
    """
    taken = _Taken(root)
    bash = _take_bash(taken, binary)
    program = _program_path(root, recipe.program)
    for path in includes:
        taken.include(path)
    staged = _Staged(root, {program: binary.data})
    for item in brought.files:
        staged.put(item.path, item.data)
    if NSSWITCH not in taken.items:
        staged.put(NSSWITCH, NSSWITCH_TEXT)
    programs = [item.path for item in brought.files if elf.is_elf(item.data)]
    _take_libraries(taken, staged, [BASH, program, *programs])
    if program in taken.items:
        raise BuildError(f"{program}: the root's own file has the program's name")
    taken.add(file(program, binary.data, EXECUTABLE, Origin.APPLICATION))
    for item in brought.files:
        _bring(taken, item)
    taken.offer(OS_RELEASE)
    borrowed = _take_certificates(taken, brought.authorities, needed=recipe.is_synchronizer)
    _link_for_openssl(taken)
    if recipe.with_sh:
        taken.add(shell_link(bash))
    return Selection(tuple(taken.items.values()), program, tuple(taken.notes), borrowed)


class _Taken:
    """What has been taken so far."""

    def __init__(self, root: Source) -> None:
        self.root = root
        self.items: dict[str, Item] = {}
        self.notes: list[str] = []
        self.programs: list[str] = []
        """ELF files that were included, whose libraries come along."""

    def add(self, item: Item) -> None:
        self.items[item.path] = item

    def take(self, path: str) -> Entry:
        """Take what *path* leads to, with every link on the way. Raises BuildError."""
        found = way(self.root, path)
        if found is None:
            raise BuildError(f"{path}: not in the root, or a link to nothing")
        for entry in found:
            self._copy(entry)
        return found[-1]

    def offer(self, path: str) -> None:
        """Take a file that the image can do without."""
        if way(self.root, path) is not None:
            self.take(path)

    def offer_link(self, path: str) -> None:
        entry = self.root.lstat(path)
        if entry is not None and entry.kind is Kind.SYMLINK:
            self.offer(path)

    def include(self, path: str) -> None:
        """Take a file or a folder with all below it."""
        if not path.startswith("/"):
            raise BuildError(f"--include {path!r}: give the path in the root, beginning with /")
        top = self.take(path)
        if top.path == "/":
            raise BuildError("--include /: name the files and folders that are wanted")
        entries = [top]
        if top.kind is Kind.DIRECTORY:
            entries += self.root.below(top.path)
        for entry in entries:
            self._include(entry)

    def _include(self, entry: Entry) -> None:
        if entry.kind is Kind.OTHER:
            self.notes.append(f"{entry.path}: neither file, folder nor link: left out")
        elif entry.kind is Kind.SYMLINK:
            self._follow(entry)
        else:
            self._copy(entry)
            if entry.kind is Kind.FILE and elf.is_elf(self.root.part(entry.path, 0, 4)):
                self._note_program(entry.path)

    def _follow(self, entry: Entry) -> None:
        """Take a link with the file that it leads to; a folder is another --include."""
        found = way(self.root, entry.path)
        if found is None or found[-1].kind is not Kind.FILE:
            self._copy(entry)
            end = found[-1].path if found else "nothing"
            if end not in self.items:
                self.notes.append(f"{entry.path}: a link to {end}, which is not taken with it")
            return
        for one in found:
            self._copy(one)

    def _note_program(self, path: str) -> None:
        try:
            facts = elf.read(self.root.read(path, MAX_FILE))
        except ElfError:
            return
        if facts.kind in {elf.Kind.EXECUTABLE, elf.Kind.SHARED}:
            self.programs.append(path)

    def _copy(self, entry: Entry) -> None:
        if entry.path in self.items or entry.path == "/":
            return
        if entry.kind is Kind.OTHER:
            raise BuildError(f"{entry.path}: neither file, folder nor link")
        data = self.root.read(entry.path, MAX_FILE) if entry.kind is Kind.FILE else b""
        # setuid, setgid: what a user of the image could become root with.
        mode = entry.mode & _MODE_BITS
        if entry.kind is Kind.DIRECTORY:
            mode |= entry.mode & 0o1000
        self.items[entry.path] = Item(
            entry.path, entry.kind, mode, Origin.ROOT, data, entry.target or ""
        )


def _take_bash(taken: _Taken, binary: Binary) -> str:
    """Take bash and return its path. Raises BuildError."""
    found = way(taken.root, BASH)
    if found is None or found[-1].kind is not Kind.FILE:
        raise BuildError(f"{BASH}: not in the root: apt-get install bash there")
    path = taken.take(BASH).path
    for top in _MERGED:
        taken.offer_link(top)
    try:
        facts = elf.read(taken.root.read(path, MAX_FILE))
    except ElfError as error:
        raise BuildError(f"{path}: {error}") from error
    if not facts.fits(binary.facts):
        raise BuildError(
            f"the root is for {facts.architecture or facts.machine} ({path}), {binary.where} for "
            f"{binary.architecture}: give a root for {binary.architecture} with --from"
        )
    return path


def _program_path(root: Source, name: str) -> str:
    """Return where the program goes: below /usr/bin, where the entrypoint's PATH leads."""
    folder = root.resolve(_PROGRAMS)
    where = folder.path if folder is not None and folder.kind is Kind.DIRECTORY else _PROGRAMS
    return join(where, name)


def _take_libraries(taken: _Taken, staged: "_Staged", programs: list[str]) -> None:
    """Take what the loader opens for the programs. Raises BuildError."""
    found = closure(staged, [*programs, *taken.programs])
    problems = [
        f"{fault.by}: {fault.kind}: {fault.detail}: {_FIXES.get(fault.kind, _FIX)}"
        for fault in found.faults
        if fault.kind not in _TOLERATED
    ]
    if problems:
        raise BuildError(*problems)
    default = _default_directory(found)
    for node in found.nodes:
        for use in node.uses:
            if not staged.brings(use.opened):
                taken.take(use.opened)
            if use.rule is Rule.CONFIGURED:
                # Only ld.so.cache would lead there, which the image does without.
                taken.take(default)
                real = staged.resolve(default)
                where = real.path if real is not None else default
                taken.add(link(join(where, use.name), use.opened))


def _default_directory(found: Closure) -> str:
    """Return a directory that the loader searches whatever is configured."""
    uses = (use for node in found.nodes for use in node.uses)
    return next((dirname(use.opened) for use in uses if use.rule is Rule.DEFAULT), "/lib")


def _bring(taken: _Taken, item: Item) -> None:
    """Put a file from outside where the root has its folder, which may be at the end of links."""
    folder = way(taken.root, parent_of(item.path))
    if folder is not None:
        taken.take(parent_of(item.path))
        item = replace(item, path=join(folder[-1].path, item.path.rpartition("/")[2]))
    if item.path in taken.items:
        raise BuildError(f"--add: {item.path} is in the image already")
    taken.add(item)


def _take_certificates(taken: _Taken, authorities: bytes, *, needed: bool) -> dict[str, str]:
    if BUNDLE in taken.items:
        if authorities:
            raise BuildError(f"--ca: {BUNDLE} is given already")
        return {}
    found = with_authorities(find_bundle(taken.root), authorities)
    if found is not None:
        taken.notes += found.notes
        taken.add(replace(file(BUNDLE, found.data), origin=Origin.ROOT))
        return {BUNDLE: "ca-certificates"}
    if needed:
        raise BuildError(f"{BUNDLE}: not in the root: apt-get install ca-certificates there")
    taken.notes.append(f"no {BUNDLE} in the root: programs of the image trust no TLS server")
    return {}


def _link_for_openssl(taken: _Taken) -> None:
    """Let OpenSSL find the bundle: of /etc/ssl/certs it reads the hashed names alone."""
    if BUNDLE not in taken.items:
        return
    for item in list(taken.items.values()):
        folder = openssl_folder_in(item.path, item.data)
        if folder is not None and join(folder, "cert.pem") not in taken.items:
            taken.add(link(join(folder, "cert.pem"), BUNDLE))


class _Staged:
    """The root as the image will be: with the program and our nsswitch.conf, without cache."""

    config: ImageConfig | None = None

    def __init__(self, root: Source, data: dict[str, bytes]) -> None:
        self._root = root
        self._data = data

    def brings(self, path: str) -> bool:
        return path in self._data

    def put(self, path: str, data: bytes) -> None:
        self._data[path] = data

    def entries(self) -> Iterable[Entry]:
        return self._root.entries()

    def below(self, path: str) -> Iterator[Entry]:
        return self._root.below(path)

    def lstat(self, path: str) -> Entry | None:
        return self._own(path) or self._root.lstat(path)

    def resolve(self, path: str) -> Entry | None:
        if path in {LD_SO_CACHE, LD_SO_PRELOAD}:
            return None
        return self._own(path) or self._root.resolve(path)

    def _own(self, path: str) -> Entry | None:
        if path not in self._data:
            return None
        return Entry(path, Kind.FILE, EXECUTABLE, 0, 0, len(self._data[path]))

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        if path in {LD_SO_CACHE, LD_SO_PRELOAD}:
            raise ViewError(f"{path}: no such file")
        return self._data[path] if path in self._data else self._root.read(path, limit)

    def part(self, path: str, start: int, size: int) -> bytes:
        if path in self._data:
            return self._data[path][start : start + size]
        return self._root.part(path, start, size)
