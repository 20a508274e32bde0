"""Is every file there? Of a built image each is taken away in turn: the audit says so, or it runs.

The server is nginx, which nobody here wrote, with libraries some levels deep. What the audit does
not name is shown not to be needed: the server starts and answers, and the check finds it healthy.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest

from probe.findings import Finding
from probe.findings import has_error
from probe.image.archives import open_image
from probe.image.archives import parse_config
from probe.image.audit import audit
from probe.image.elf.reader import is_elf
from tests.support.components import require
from tests.support.components import require_root
from tests.support.servers import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

PROBE = Path(sys.executable).parent / "probe"
NGINX = ["/usr/bin/nginx", "-c", "/etc/nginx.conf"]
CONFIG = """\
daemon off;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server {
    listen 127.0.0.1:PORT;
    location = /health/application { return 200; }
  }
}
"""


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, port: int) -> Path:
    require_root()
    folder = tmp_path_factory.mktemp("complete")
    config = folder / "nginx.conf"
    config.write_text(CONFIG.replace("PORT", str(port)))
    command = [str(PROBE), "image", "build", "--binary", require("nginx"), "--with-tmp"]
    added = ["--add", f"{config}:/etc/nginx.conf"]
    built = folder / "image"
    subprocess.run(
        [*command, *added, "--format", "dir", "-o", str(built)],
        check=True,
        timeout=60,
        capture_output=True,
    )
    return built


def told(image: Path) -> list[Finding]:
    """Return what the audit has to say of the image as it now is."""
    with open_image(str(image)) as view:
        view.config = parse_config(
            {
                "config": {
                    "Cmd": NGINX,
                    "User": "65532:65532",
                    "Env": ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin"],
                    "Healthcheck": {"Test": ["CMD", "/bin/bash", "-p", "/healthcheck.sh"]},
                }
            },
            "docker",
        )
        return audit(view, now=datetime.now(UTC))


def names(findings: list[Finding], name: str) -> bool:
    """Tell whether there is an error, or at least a word about a file that is not there."""
    return has_error(findings) or any(one.path == f"/{name}" for one in findings)


def in_image(image: Path, *words: str, **env: str) -> "subprocess.Popen[bytes]":
    command = ["/usr/sbin/chroot", "--userspec=65532:65532", "--groups=", str(image), *words]
    return subprocess.Popen(
        command,
        env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@contextmanager
def serving(image: Path) -> Iterator[None]:
    server = in_image(image, *NGINX)
    try:
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.communicate(timeout=10)


def runs(image: Path, port: int) -> bool:
    """Start the server in the image, and ask it with the image's own check."""
    deadline = time.monotonic() + 3
    with serving(image):
        while time.monotonic() < deadline:
            check = in_image(
                image, "/bin/bash", "-p", "/healthcheck.sh", HEALTHCHECK_PORT=str(port)
            )
            out, _ = check.communicate(timeout=20)
            if check.returncode == 0 and out == b"healthy: 200\n":
                return True
            time.sleep(0.05)
    return False


@contextmanager
def without(image: Path, name: str) -> Iterator[None]:
    """Take a file or link away for a while."""
    path, kept = image / name, image.parent / "kept"
    os.rename(path, kept)  # noqa: PTH104 - links themselves are moved
    try:
        yield
    finally:
        os.rename(kept, path)  # noqa: PTH104


def files(image: Path) -> list[str]:
    found = [
        path
        for path in sorted(image.rglob("*"))
        if (path.is_symlink() or path.is_file()) and not path.is_relative_to(image / "tmp")
    ]
    return [str(path.relative_to(image)) for path in found]


def test_whole_image(image: Path, port: int) -> None:
    """The image as it was built has no error, and runs."""
    assert not has_error(told(image))
    assert runs(image, port)


def test_each_file(image: Path, port: int) -> None:
    """Without any one of its files the image is said to be broken, or it runs all the same."""
    silent: list[str] = []
    needless: list[str] = []
    for name in files(image):
        with without(image, name):
            if names(told(image), name):
                continue
            (needless if runs(image, port) else silent).append(name)
    assert silent == []
    # Nor is anything there in vain: what can be done without is for people and scanners.
    there = [image / name for name in needless if (image / name).is_file()]
    assert [path for path in there if is_elf(path.read_bytes()[:4])] == []
