"""/etc/nsswitch.conf (nsswitch.conf(5)): which services libc asks, and for which databases."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_DEFAULTS = MappingProxyType({"passwd": "files", "group": "files", "hosts": "files dns"})
"""What libc does for a database that the file does not name, as far as images need it."""
_ACTION = re.compile(r"\[[^]]*\]")


def services(text: str | None) -> Mapping[str, tuple[str, ...]]:
    """Give the databases that ask each service; None is no file.

    passwd, group and hosts stand first, the others in the file's order.
    """
    databases: dict[str, str] = {}
    for line in (text or "").splitlines():
        database, colon, listed = line.partition("#")[0].partition(":")
        if colon:
            databases[database.strip()] = listed  # the last line counts
    found: dict[str, dict[str, None]] = {}
    for database, listed in {**_DEFAULTS, **databases}.items():
        for service in _ACTION.sub(" ", listed).split():
            found.setdefault(service, {})[database] = None
    return {service: tuple(asking) for service, asking in found.items()}
