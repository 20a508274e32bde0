"""What builds deploy/'s Dockerfiles: Debian's image, wheels to install from, a context.

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

from tests.support.application import compile_application
from tests.support.components import require
from tests.support.engine import Engine
from tests.support.probes import ROOT

_BIN = Path(sys.executable).parent


def import_debian(engine: Engine, archive: Path) -> None:
    """Make an image of Debian's that has already what the Dockerfiles install."""
    packages = "ca-certificates,python3,python3-venv"
    options = ["--quiet", "--variant=apt", f"--include={packages}"]
    command = [require("mmdebstrap"), *options, "bookworm", str(archive)]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    engine("import", str(archive), "debian:bookworm-slim", limit=120)
    archive.unlink()


@contextmanager
def wheels_in(folder: Path) -> Iterator[str]:
    """Serve what pip needs to install the project; gives the address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needs = project["dependency-groups"]["runtime"]
    needs += [need for need in project["dependency-groups"]["test"] if "hatchling" in need]
    command = [_BIN / "pip", "download", "--quiet", "--dest", folder, *needs]
    subprocess.run(command, check=True, timeout=180, capture_output=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def make_context(folder: Path, kind: str) -> Path:
    """Copy what the Dockerfiles take from a checkout, with the binary in it."""
    for name in ("probe", "shell"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    compile_application(folder / f"split-{kind}")
    return folder


def build_dockerfile(engine: Engine, folder: Path, file: str, kind: str, wheels: str) -> None:
    """Build with BuildKit, which 20.10 has in the daemon itself."""
    arguments = {"KIND": kind, "PIP_OPTIONS": f"--no-index -f {wheels}"}
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    named = ["--file", str(ROOT / "deploy" / file), "--tag", f"built:{kind}"]
    client = [engine.client, "--host", f"unix://{engine.socket}"]
    subprocess.run(
        [*client, "build", "--network=host", *given, *named, str(folder)],
        check=True,
        timeout=300,
        env=os.environ | {"DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(engine.socket.parent)},
    )
