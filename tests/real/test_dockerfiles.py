"""deploy/Dockerfile and deploy/Dockerfile.plain, built by the real engine and passing the audit.

Debian's image cannot be pulled here: mmdebstrap makes one of its packages. pip, inside the build,
takes what we depend on from a server of ours on loopback.
"""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.application import compile_application
from tests.support.components import require
from tests.support.components import require_root
from tests.support.engine import HARDENED
from tests.support.engine import Engine
from tests.support.engine import daemon
from tests.support.engine import wait_for_state
from tests.support.probes import ROOT
from tests.support.servers import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]

BIN = Path(sys.executable).parent
PACE = ["--health-interval=1s", "--health-timeout=5s", "--health-retries=2"]
CASES = [
    pytest.param("Dockerfile", "sync", id="with our tool"),
    pytest.param("Dockerfile.plain", "proxy", id="plain"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    require_root()
    require("mmdebstrap")
    folder = tmp_path_factory.mktemp("docker")
    try:
        with daemon(folder) as running:
            import_debian(running, folder / "debian.tar")
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def import_debian(engine: Engine, archive: Path) -> None:
    """Make an image of Debian's that has already what the Dockerfiles install."""
    packages = "ca-certificates,python3,python3-venv"
    options = ["--quiet", "--variant=apt", f"--include={packages}"]
    command = [require("mmdebstrap"), *options, "bookworm", str(archive)]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    engine("import", str(archive), "debian:bookworm-slim", limit=120)
    archive.unlink()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve what pip needs to install the project."""
    folder = tmp_path_factory.mktemp("wheels")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needs = project["dependency-groups"]["runtime"]
    needs += [need for need in project["dependency-groups"]["test"] if "hatchling" in need]
    command = [BIN / "pip", "download", "--quiet", "--dest", folder, *needs]
    subprocess.run(command, check=True, timeout=180, capture_output=True)
    with serving(folder) as address:
        yield address


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def context(folder: Path, kind: str) -> Path:
    """Copy what the Dockerfiles take from a checkout, with the binary in it."""
    for name in ("probe", "shell"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    compile_application(folder / f"split-{kind}")
    return folder


def build(engine: Engine, folder: Path, file: str, kind: str, wheels: str) -> None:
    """Build with BuildKit, which 20.10 has in the daemon itself."""
    arguments = {"KIND": kind, "PIP_OPTIONS": f"--no-index --find-links {wheels}"}
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    named = ["--file", str(ROOT / "deploy" / file), "--tag", f"built:{kind}"]
    client = [engine.client, "--host", f"unix://{engine.socket}"]
    subprocess.run(
        [*client, "build", "--network=host", *given, *named, str(folder)],
        check=True,
        timeout=300,
        env=os.environ | {"DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(engine.socket.parent)},
    )


@pytest.mark.parametrize(("file", "kind"), CASES)
def test_image(engine: Engine, wheels: str, tmp_path: Path, file: str, kind: str) -> None:
    """The image is built, passes the audit without a warning, and is healthy, hardened."""
    build(engine, context(tmp_path, kind), file, kind, wheels)
    archive = tmp_path / "image.tar"
    engine("save", "--output", str(archive), f"built:{kind}")
    audit = subprocess.run(
        [BIN / "probe", "image", "audit", archive],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (audit.returncode, "warning" in audit.stdout) == (0, False), audit.stdout
    prefix = f"SPLIT_{kind.upper()}_"
    settings = [f"--env={prefix}APIKEY=key", f"--env={prefix}ADMIN_PORT={free_port()}"]
    name = engine("run", "--detach", "--network=host", *HARDENED, *PACE, *settings, f"built:{kind}")
    try:
        wait_for_state(engine, name, "healthy")
    finally:
        engine("rm", "--force", "--volumes", name)
