"""What dpkg knows of a root: its packages, whose a file is, and what the file's sum should be.

Formats: deb-control(5), deb-md5sums(5), dpkg-query(1) for `info/*.list`, dpkg-divert(1) for the
triples of lines in `diversions`. Where /lib is a link to usr/lib (merged-/usr), packages list a
file under either name.
"""

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass

from probe.image.source import Source
from probe.image.view import Kind

DPKG = "/var/lib/dpkg"
_INFO = f"{DPKG}/info"
_TOPS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32")
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_SUM = re.compile(r"^([0-9a-f]{32})  (.+)$", re.MULTILINE)
_MAX_FILE = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package. `stem` names its files in info/: `bash`, `libc6:amd64`.

    `paragraph` is its whole control paragraph as it stands in `status`, without the line end.
    """

    name: str
    version: str
    architecture: str
    stem: str
    paragraph: str
    conffiles: frozenset[str] = frozenset()


def read_status(text: str) -> tuple[Package, ...]:
    """Read /var/lib/dpkg/status; packages that are not installed are left out.

    A package has its architecture in its stem where it may be installed for several at a time.
    """
    found = []
    for paragraph in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        fields = {name.lower(): value for name, value in _FIELD.findall(paragraph)}
        if fields.get("status", "").split()[2:] == ["installed"] and fields.get("package"):
            found.append(_package(paragraph, fields))
    return tuple(found)


def _package(paragraph: str, fields: Mapping[str, str]) -> Package:
    name, architecture = fields["package"], fields.get("architecture", "")
    several = fields.get("multi-arch") == "same"
    conffiles = (line.split() for line in fields.get("conffiles", "").splitlines())
    return Package(
        name,
        fields.get("version", ""),
        architecture,
        f"{name}:{architecture}" if several else name,
        paragraph,
        frozenset(words[0] for words in conffiles if words),
    )


def read_sums(text: str) -> dict[str, str]:
    """Read an md5sums file: sums by absolute path."""
    return {f"/{path}": digest for digest, path in _SUM.findall(text)}


@dataclass(frozen=True, slots=True)
class Diversion:
    """A file of all packages but *package* that was moved; package ":" is the administrator."""

    path: str
    moved: str
    package: str


def read_diversions(text: str) -> tuple[Diversion, ...]:
    lines = text.splitlines()
    rows = zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    return tuple(Diversion(*row) for row in rows)


@dataclass(frozen=True, slots=True)
class Claim:
    """A package says that a file is its own, by the name that it has for it."""

    package: Package
    name: str


@dataclass(frozen=True, slots=True)
class _Name:
    """A name by which packages may list a file: all, *only* this one, or all but *never*."""

    text: str
    only: str | None = None
    never: str | None = None

    def fits(self, package: Package) -> bool:
        return self.only in {None, package.name} and self.never != package.name


class Database:
    """dpkg's records in a root; a file of them that is not there has nothing in it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.packages = {one.stem: one for one in read_status(self._text(f"{DPKG}/status"))}
        """By stem."""
        self._diversions = read_diversions(self._text(f"{DPKG}/diversions"))
        self._tops = dict(_merged(source))
        self._sums: dict[str, Mapping[str, str]] = {}

    def named(self, name: str, architecture: str = "") -> Package | None:
        """Return an installed package by its name, of this architecture where it has several."""
        found = [one for one in self.packages.values() if one.name == name]
        found.sort(key=lambda one: (one.architecture not in {architecture, "all"}, one.stem))
        return found[0] if found else None

    def claims(self, paths: Iterable[str]) -> dict[str, list[Claim]]:
        """Return by real path which packages say that the file is theirs."""
        names = {path: self._names(path) for path in paths}
        wanted = {_encode(name.text) for rows in names.values() for name in rows}
        listed: dict[str, list[Package]] = {}
        for package in self.packages.values():
            for line in wanted.intersection(self._info(package, "list").split(b"\n")):
                listed.setdefault(_decode(line), []).append(package)
        return {
            path: [
                Claim(package, name.text)
                for name in rows
                for package in listed.get(name.text, ())
                if name.fits(package)
            ]
            for path, rows in names.items()
        }

    def digest(self, claim: Claim) -> str | None:
        """Return the MD5 that the package has for the file, in hexadecimal; None where none."""
        stem = claim.package.stem
        if stem not in self._sums:
            self._sums[stem] = read_sums(_decode(self._info(claim.package, "md5sums")))
        return self._sums[stem].get(claim.name)

    def _names(self, path: str) -> list[_Name]:
        """Return the names under which a file may be listed: merged-/usr, diversions."""
        top, _, rest = path.removeprefix("/usr").lstrip("/").partition("/")
        aliases = (
            [path, f"/{top}/{rest}"] if self._tops.get(top) == path[: -len(rest) - 1] else [path]
        )
        return [name for alias in aliases for name in self._diverted(alias)]

    def _diverted(self, path: str) -> list[_Name]:
        by = next((one.package for one in self._diversions if one.path == path), None)
        return [_Name(path, only=by)] + [
            _Name(one.path, never=one.package) for one in self._diversions if one.moved == path
        ]

    def _info(self, package: Package, what: str) -> bytes:
        return self._bytes(f"{_INFO}/{package.stem}.{what}")

    def _text(self, path: str) -> str:
        return _decode(self._bytes(path))

    def _bytes(self, path: str) -> bytes:
        entry = self._source.resolve(path)
        return b"" if entry is None else self._source.read(entry.path, _MAX_FILE)


def _merged(source: Source) -> Iterator[tuple[str, str]]:
    """Yield the names in / that are links, and where they lead."""
    for top in _TOPS:
        entry = source.lstat(f"/{top}")
        real = source.resolve(f"/{top}")
        if entry is not None and entry.kind is Kind.SYMLINK and real is not None:
            yield top, real.path


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
