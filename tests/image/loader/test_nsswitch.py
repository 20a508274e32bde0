"""nsswitch.conf, of which each service is to be found with the databases that ask for it."""

import pytest

from probe.image.loader.nsswitch import services

DEBIAN = """\
passwd:         files systemd
group:          files systemd

hosts:          files mdns4_minimal [NOTFOUND=return] dns # comment
networks:       files

protocols:      db files
netgroup:       nis
"""

FILES = [
    pytest.param(
        None, {"files": ("passwd", "group", "hosts"), "dns": ("hosts",)}, id="libc's own defaults"
    ),
    pytest.param(
        DEBIAN,
        {
            "files": ("passwd", "group", "hosts", "networks", "protocols"),
            "systemd": ("passwd", "group"),
            "mdns4_minimal": ("hosts",),
            "dns": ("hosts",),
            "db": ("protocols",),
            "nis": ("netgroup",),
        },
        id="Debian's",
    ),
    pytest.param(
        "hosts: dns [!UNAVAIL=return TRYAGAIN=continue]files",
        {"files": ("passwd", "group", "hosts"), "dns": ("hosts",)},
        id="actions are no services",
    ),
    pytest.param(
        "services: nis\nhosts: nis\n",
        {"files": ("passwd", "group"), "nis": ("hosts", "services")},
        id="what is looked up most stands first",
    ),
    pytest.param(
        "hosts: nis\nhosts: dns\n",
        {"files": ("passwd", "group"), "dns": ("hosts",)},
        id="the last line of a database counts",
    ),
    pytest.param(
        "#passwd: ldap\nnonsense\n",
        {"files": ("passwd", "group", "hosts"), "dns": ("hosts",)},
        id="no database",
    ),
]


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_services(text: str | None, expected: dict[str, tuple[str, ...]]) -> None:
    assert services(text) == expected
