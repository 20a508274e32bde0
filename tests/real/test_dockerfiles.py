"""deploy/Dockerfile and deploy/Dockerfile.plain, built by the real engine and passing the audit."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dockerfiles import build_dockerfile
from tests.support.dockerfiles import make_context
from tests.support.engine import HARDENED
from tests.support.engine import Engine
from tests.support.engine import wait_for_state
from tests.support.servers import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]

BIN = Path(sys.executable).parent
PACE = ["--health-interval=1s", "--health-timeout=5s", "--health-retries=2"]
CASES = [
    pytest.param("Dockerfile", "sync", id="with our tool"),
    pytest.param("Dockerfile.plain", "proxy", id="plain"),
]


@pytest.mark.usefixtures("debian")
@pytest.mark.parametrize(("file", "kind"), CASES)
def test_image(engine: Engine, wheels: str, tmp_path: Path, file: str, kind: str) -> None:
    """The image is built, passes the audit without a warning, and is healthy, hardened."""
    build_dockerfile(engine, make_context(tmp_path, kind), file, kind, wheels)
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
