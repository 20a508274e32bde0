"""Debian packages of the image: files held against dpkg's sums, and the records that scanners read.

What was taken is recorded as distroless does it
(https://github.com/GoogleContainerTools/distroless/blob/main/PACKAGE_METADATA.md), which trivy,
grype and syft read: /var/lib/dpkg/status.d/NAME is the control paragraph, NAME.md5sums beside it
the sums of the files that are here, and these alone. With each package comes its copyright file.
"""

import hashlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace

from probe.image.builder.dpkg import DPKG
from probe.image.builder.dpkg import Claim
from probe.image.builder.dpkg import Database
from probe.image.builder.dpkg import Package
from probe.image.builder.errors import BuildError
from probe.image.builder.items import Item
from probe.image.builder.items import Origin
from probe.image.builder.items import file
from probe.image.source import Source
from probe.image.view import Kind

_RECORDS = f"{DPKG}/status.d"


@dataclass(frozen=True, slots=True)
class Attributed:
    """The items with the packages that they are of, their records among them."""

    items: tuple[Item, ...]
    packages: tuple[Package, ...]
    notes: tuple[str, ...]


def attribute(
    root: Source, items: Iterable[Item], borrowed: Mapping[str, str], architecture: str
) -> Attributed:
    """Say which package each item of the root is of, and add the packages' records.

    *borrowed* has, by path, the package that a file of no package was made of.

    Raises:
        BuildError: a file is not as its package has it.
    """
    database = Database(root)
    if not database.packages:
        note = "the root has no dpkg: its files are not checked, and no package is recorded"
        return Attributed(tuple(items), (), (note,))
    found = _Checked(database, borrowed, architecture)
    checked = found.check(items)
    stems = {one.package for one in checked if one.package}
    packages = tuple(database.packages[stem] for stem in sorted(stems))
    checked += _copyrights(root, packages, found)
    if found.problems:
        raise BuildError(*found.problems)
    records = _records(packages, checked)
    return Attributed((*checked, *records), packages, tuple(found.notes))


class _Checked:
    """Items held against dpkg's sums, with what is wrong or worth knowing."""

    def __init__(self, database: Database, borrowed: Mapping[str, str], architecture: str) -> None:
        self._database = database
        self._borrowed = borrowed
        self._architecture = _DEBIAN.get(architecture, architecture)
        self.problems: list[str] = []
        self.notes: list[str] = []

    def check(self, items: Iterable[Item]) -> list[Item]:
        rows = list(items)
        claims = self._database.claims(
            one.path for one in rows if one.origin is Origin.ROOT and one.kind is not Kind.DIRECTORY
        )
        return [self._check(one, claims.get(one.path, [])) for one in rows]

    def _check(self, item: Item, claims: list[Claim]) -> Item:
        if item.path in self._borrowed:
            package = self._database.named(self._borrowed[item.path], self._architecture)
            return item if package is None else replace(item, package=package.stem)
        if not claims:
            if item.origin is Origin.ROOT and item.kind is Kind.FILE:
                self.notes.append(f"{item.path}: of no Debian package, not checked")
            return item
        if item.kind is Kind.FILE:
            return replace(item, package=self._right_claim(item, claims).package.stem)
        # /lib, a link here, is a directory to many packages: none of them has it to give.
        return replace(item, package=claims[0].package.stem) if len(claims) == 1 else item

    def _right_claim(self, item: Item, claims: list[Claim]) -> Claim:
        """Return the claim of the package whose file it is, by its sum."""
        digest = _md5(item.data)
        sums = {claim: self._database.digest(claim) for claim in claims}
        for claim, stated in sums.items():
            if digest == stated or claim.name in claim.package.conffiles:
                return claim
        claim = next((one for one, stated in sums.items() if stated is not None), claims[0])
        if sums[claim] is None:
            self.notes.append(f"{item.path}: {claim.package.stem} has no sum for it, not checked")
        else:
            self.problems.append(
                f"{item.path}: not as {claim.package.stem} {claim.package.version} has it "
                f"(MD5 {digest}, not {sums[claim]}): "
                f"apt-get install --reinstall {claim.package.stem}"
            )
        return claim


_DEBIAN = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el", "mips64le": "mips64el"}
"""Debian's names where they differ from those of images."""


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _records(packages: Iterable[Package], items: Iterable[Item]) -> Iterator[Item]:
    files: dict[str, list[Item]] = {}
    for item in items:
        if item.kind is Kind.FILE:
            files.setdefault(item.package, []).append(item)
    seen: set[str] = set()
    for package in packages:
        # Of two architectures of one package the second goes by its stem.
        name = package.stem if package.name in seen else package.name
        seen.add(package.name)
        yield file(f"{_RECORDS}/{name}", _encode(f"{package.paragraph}\n\n"))
        own = sorted(files.get(package.stem, ()), key=lambda one: one.path)
        lines = (f"{_md5(one.data)}  {one.path[1:]}\n" for one in own)
        yield file(f"{_RECORDS}/{name}.md5sums", _encode("".join(lines)))


def _copyrights(root: Source, packages: Iterable[Package], checked: _Checked) -> list[Item]:
    """Return each package's copyright file; where it is a link, as the file that it leads to."""
    owners, files = [], []
    for package in {package.name: package for package in packages}.values():
        path = f"/usr/share/doc/{package.name}/copyright"
        entry = root.resolve(path)
        if entry is None or entry.kind is not Kind.FILE:
            checked.notes.append(f"{path}: not in the root, so not in the image")
            continue
        owners.append((path, package.stem))
        files.append(replace(file(entry.path, root.read(path)), origin=Origin.ROOT))
    return [
        replace(one, path=path, package=stem)
        for (path, stem), one in zip(owners, checked.check(files), strict=True)
    ]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
