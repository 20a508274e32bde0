"""Which container is meant: by name, or the only one that can be."""

from collections.abc import Callable

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.tree import Path
from probe.manifests.wiring.tree import Site

_SYNCHRONIZERS = ("split-synchronizer", "split-sync", "split-proxy")
Ours = Callable[[Site], bool]


def choose(sites: list[Site], name: str | None, ours: Ours) -> list[Site]:
    """Return the containers to wire, at most one of a workload.

    Without a name: the only container; else, of each workload, the synchronizer's; else the one
    that carries our check. Raises WireError with the names where that does not tell.
    """
    if not sites:
        raise WireError("no container in it", 1)
    if name is not None:
        return _named(sites, name)
    if len(sites) == 1:
        return sites
    for test in (is_synchronizers_image, is_synchronizers_name, ours):
        marked = [site for site in sites if test(site)]
        if marked:
            return _one_each(marked)
    raise WireError(f"which container? --container NAME: {names(sites)}", sites[0].line)


def _named(sites: list[Site], name: str) -> list[Site]:
    found = [site for site in sites if site.name == name]
    if not found:
        raise WireError(f"no container {name!r}; there are: {names(sites)}", sites[0].line)
    return _one_each(found)


def _one_each(sites: list[Site]) -> list[Site]:
    groups: dict[Path, Site] = {}
    for site in sites:
        if site.group in groups:
            raise WireError(f"which container? --container NAME: {names(sites)}", site.line)
        groups[site.group] = site
    return sites


def names(sites: list[Site]) -> str:
    return ", ".join(dict.fromkeys(site.name or site.title for site in sites))


def is_synchronizers_image(site: Site) -> bool:
    last = site.image.rpartition("/")[2]
    return last.startswith(_SYNCHRONIZERS)


def is_synchronizers_name(site: Site) -> bool:
    return any(word in text for word in _SYNCHRONIZERS for text in (site.name, site.image))
