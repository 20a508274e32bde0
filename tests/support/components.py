"""What the machine must have for the tests marked real: skipped without it, but not in CI."""

import os
import shutil
from typing import NoReturn

import pytest

# Programs by name: the path where the Debian package of the second column puts them.
COMPONENTS = {
    "apache2": ("/usr/sbin/apache2", "apache2-bin"),
    "amtool": ("/usr/bin/amtool", "prometheus-alertmanager"),
    "bash-static": ("/usr/bin/bash-static", "bash-static"),
    "blackbox": ("/usr/bin/prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
    "buildah": ("/usr/bin/buildah", "buildah"),
    "chromium": ("/usr/bin/chromium", "chromium"),
    "curl": ("/usr/bin/curl", "curl"),
    "docker": ("/usr/bin/docker", "docker.io"),
    "docker-compose": ("/usr/bin/docker-compose", "docker-compose"),
    "dockerd": ("/usr/sbin/dockerd", "docker.io"),
    "gcc": ("/usr/bin/gcc", "gcc"),
    "haproxy": ("/usr/sbin/haproxy", "haproxy"),
    "ip": ("/usr/sbin/ip", "iproute2"),
    "mmdebstrap": ("/usr/bin/mmdebstrap", "mmdebstrap"),
    "ldd": ("/usr/bin/ldd", "libc-bin"),
    "lighttpd": ("/usr/sbin/lighttpd", "lighttpd"),
    "mount": ("/usr/bin/mount", "mount"),
    "nft": ("/usr/sbin/nft", "nftables"),
    "nginx": ("/usr/sbin/nginx", "nginx-light"),
    "node": ("node", "nodejs"),
    "nsenter": ("/usr/bin/nsenter", "util-linux"),
    "openssl": ("/usr/bin/openssl", "openssl"),
    "podman": ("/usr/bin/podman", "podman"),
    "prometheus": ("/usr/bin/prometheus", "prometheus"),
    "promtool": ("/usr/bin/promtool", "prometheus"),
    "redis": ("/usr/bin/redis-server", "redis-server"),
    "setpriv": ("/usr/bin/setpriv", "util-linux"),
    "skopeo": ("/usr/bin/skopeo", "skopeo"),
    "strace": ("/usr/bin/strace", "strace"),
    "unshare": ("/usr/bin/unshare", "util-linux"),
}


def missing(what: str, remedy: str) -> NoReturn:
    """Skip the test and say why; in CI, where everything must be there, fail it."""
    message = f"{what}: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def require(name: str) -> str:
    """Return the path of a program, or end the test saying how to get it."""
    program, package = COMPONENTS[name]
    if (found := shutil.which(program)) is None:
        missing(f"no {name}", f"make setup-ci (or apt-get install {package})")
    return found


def require_root() -> None:
    if os.geteuid() != 0:
        missing("not root", "run the tests as root to have this one")
