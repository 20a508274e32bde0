"""The bill of materials: CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/).

The same image gives the same text: the serial number follows from the image's digest, the time is
the image's own.
"""

import hashlib
import uuid
from collections.abc import Iterable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime

from cyclonedx.model import HashAlgorithm
from cyclonedx.model import HashType
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.bom import BomMetaData
from cyclonedx.model.component import Component
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from probe import __version__
from probe.findings import printable
from probe.image.builder.contents import Contents
from probe.image.builder.dpkg import Package
from probe.image.builder.items import Item
from probe.image.builder.recipe import Recipe
from probe.image.view import Kind

_FIELD = "probe:"
"""What our properties' names begin with."""


def make_sbom(recipe: Recipe, digest: str, contents: Contents) -> str:
    """Return the text; *digest* is the image's."""
    image = Component(
        name=recipe.program,
        version=digest,
        type=ComponentType.CONTAINER,
        bom_ref=digest,
    )
    system = _system(contents.os_release)
    known = {one.stem: _package(one, system) for one in contents.packages}
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, digest),
        components=[*known.values(), *_files(contents.items)],
        metadata=BomMetaData(
            component=image,
            timestamp=datetime.fromtimestamp(recipe.epoch, UTC),
            properties=[Property(name=f"{_FIELD}version", value=__version__)],
        ),
    )
    bom.register_dependency(image, [component for component in bom.components if component.purl])
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    return f"{text}\n"


def _files(items: Iterable[Item]) -> Iterator[Component]:
    for item in items:
        if item.kind is Kind.FILE:
            digest = hashlib.sha256(item.data).hexdigest()
            properties = {"origin": str(item.origin), "package": item.package}
            yield Component(
                name=printable(item.path),
                type=ComponentType.FILE,
                bom_ref=f"file:{printable(item.path)}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
                properties=[
                    Property(name=_FIELD + name, value=value)
                    for name, value in properties.items()
                    if value
                ],
            )


def _package(package: Package, system: dict[str, str]) -> Component:
    """Return a package by its purl (https://github.com/package-url/purl-spec, type deb)."""
    name, release = system.get("ID", "debian"), system.get("VERSION_ID", "")
    qualifiers = {"arch": package.architecture, "distro": f"{name}-{release}" if release else ""}
    purl = PackageURL("deb", name, package.name, package.version, qualifiers)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
    )


def _system(os_release: str) -> dict[str, str]:
    """Read os-release(5), quotes left out."""
    rows = (line.partition("=") for line in os_release.splitlines())
    return {name: value.strip("\"'") for name, equals, value in rows if equals}
