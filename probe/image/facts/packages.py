"""Which package a file came from: what dpkg and apk have written down in the image.

dpkg keeps `/var/lib/dpkg/status` (deb822 stanzas; see dpkg's doc/spec and deb822(5)) and, in
`info/`, a list of paths and of MD5 sums a package. Distroless images have one file a package in
`/var/lib/dpkg/status.d` instead, with its sums beside it as NAME.md5sums. apk has one database,
https://wiki.alpinelinux.org/wiki/Apk_spec: P name, V version, F a directory, R a file in it.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from posixpath import join

from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import ViewError
from probe.image.view import parent_of

DPKG = "/var/lib/dpkg"
DPKG_STATUS = f"{DPKG}/status"
DPKG_STATUS_D = f"{DPKG}/status.d"
DPKG_INFO = f"{DPKG}/info"
APK_INSTALLED = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")

_MAX_DATABASE = 64 * 2**20
_MAX_LIST = 8 * 2**20
_SUMS, _PATHS = ".md5sums", ".list"
_MERGED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")
"""What stands in /usr as well as in the root where the two are merged."""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages by name, and who owns which path."""

    by_name: Mapping[str, Package] = field(default_factory=dict)
    _owners: Mapping[str, str] = field(default_factory=dict)

    def owner(self, path: str) -> str | None:
        """Return the name of the package that *path*, absolute and through no link, came with.

        `/bin/x` and `/usr/bin/x` count as one: packages say the first even where, in a usr-merged
        root, the second is where the file stands.
        """
        return self._owners.get(_merged(path))


def read_packages(view: View) -> Packages:
    """Read what is there of the two databases; what cannot be read counts as absent."""
    by_name: dict[str, Package] = {}
    owners: dict[str, str] = {}
    for package, paths in (*_dpkg(view), *_apk(view)):
        by_name[package.name] = package
        owners.update((_merged(path), package.name) for path in paths)
    return Packages(by_name, owners)


def _merged(path: str) -> str:
    return "/usr" + path if path[1:].startswith(_MERGED) else path


def _text(view: View, path: str, limit: int) -> str:
    try:
        return view.read(path, limit).decode("utf-8", "surrogateescape")
    except ViewError:
        return ""


_Owned = tuple[Package, Iterable[str]]


def _dpkg(view: View) -> Iterator[_Owned]:
    # The status file or the directory may be absent, which most images are without: no search.
    lists = _listed(view) if view.resolve(DPKG) else {}
    for package in _stanzas(_text(view, DPKG_STATUS, _MAX_DATABASE)):
        yield package, _info_paths(view, lists, package)
    for name, path in lists.items():
        if parent_of(path) == DPKG_STATUS_D and not name.endswith(_SUMS):
            for package in _stanzas(_text(view, path, _MAX_LIST)):
                yield package, _summed(_text(view, path + _SUMS, _MAX_LIST))


def _listed(view: View) -> dict[str, str]:
    """Return the files of the two directories by name, ones of `info` by their own."""
    folders = {DPKG_STATUS_D, DPKG_INFO}
    return {
        entry.path.rpartition("/")[2]: entry.path
        for entry in view.entries()
        if entry.kind is Kind.FILE and parent_of(entry.path) in folders
    }


def _info_paths(view: View, lists: Mapping[str, str], package: Package) -> Iterator[str]:
    """Return a package's paths, from its list or else from its sums.

    The files are called NAME or, of a package that may be there for two machines, NAME:MACHINE.
    """
    for name in (f"{package.name}:{package.architecture}", package.name):
        if f"{name}{_PATHS}" in lists:
            return iter(_text(view, lists[f"{name}{_PATHS}"], _MAX_LIST).split("\n"))
        if f"{name}{_SUMS}" in lists:
            return _summed(_text(view, lists[f"{name}{_SUMS}"], _MAX_LIST))
    return iter(())


def _summed(text: str) -> Iterator[str]:
    """Return the paths of an md5sums file: a sum, two blanks, a path without its first slash."""
    for line in text.split("\n"):
        _, _, path = line.partition("  ")
        if path:
            yield "/" + path.removeprefix("./").lstrip("/")


def _stanzas(text: str) -> Iterator[Package]:
    """Return the installed packages of a status file; one without a Status counts as installed."""
    for stanza in text.split("\n\n"):
        fields = dict(
            line.split(":", 1)
            for line in stanza.split("\n")
            if ":" in line and not line.startswith((" ", "\t"))
        )
        said = {name: value.strip() for name, value in fields.items()}
        name, status = said.get("Package", ""), said.get("Status", "installed")
        if name and status.endswith("installed") and not status.endswith("not-installed"):
            yield Package(name, said.get("Version", ""), said.get("Architecture", ""))


def _apk(view: View) -> Iterator[_Owned]:
    text = next(filter(None, (_text(view, path, _MAX_DATABASE) for path in APK_INSTALLED)), "")
    for block in text.split("\n\n"):
        said: dict[str, str] = {}
        paths: list[str] = []
        folder = "/"
        for line in block.split("\n"):
            key, _, value = line.partition(":")
            if key == "F":
                folder = "/" + value
            elif key == "R":
                paths.append(join(folder, value))
            else:
                said.setdefault(key, value)
        if said.get("P"):
            yield Package(said["P"], said.get("V", ""), said.get("A", "")), paths
