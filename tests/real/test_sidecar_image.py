"""deploy/sidecar/Dockerfile, built by the real engine; the generated Compose file runs it.

The mock synchronizer, in a container without any network but its loopback, stands for the
workload; the sidecar's container has the same network, as in a task, a pod or Compose.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from probe.manifests import compose
from probe.manifests import emit
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import Sidecar
from probe.manifests.spec import Workload
from probe.platforms.division import divide
from probe.platforms.rows import COMPOSE
from probe.platforms.timings import Given
from tests.support.components import require
from tests.support.composed import Stage
from tests.support.dockerfiles import build_dockerfile
from tests.support.dockerfiles import make_context
from tests.support.engine import Engine

pytestmark = [pytest.mark.real, pytest.mark.timeout(420), pytest.mark.usefixtures("image")]

IMAGE = "split-probe:test"
BUDGET = 30
MOCK = ["probe", "mock", "run", "--port", "3010", "--control-port", "3011"]


@pytest.fixture(scope="module")
def image(
    engine: Engine, debian: None, wheels: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Build the sidecar's image."""
    del debian
    require("docker-compose")
    context = make_context(tmp_path_factory.mktemp("sidecar"), "sync")
    build_dockerfile(engine, context, "sidecar/Dockerfile", "sidecar", wheels)
    engine("tag", "built:sidecar", IMAGE)


def _document() -> dict[str, Any]:
    """Return the generated file, the mock in the workload's place, cut off from every network."""
    division = divide(Given(start_period=0, detect_within=BUDGET), COMPOSE)
    workload = Workload("split-sync", IMAGE)
    plan = Plan(workload, HealthSpec(), "", "", Sidecar(IMAGE, division, only=True))
    document = compose.build(plan, compose.Options())
    document["version"] = "2.4"
    document["services"]["split-sync"] |= {"network_mode": "none", "entrypoint": MOCK}
    return document


@pytest.fixture
def stage(engine: Engine, tmp_path: Path) -> Iterator[Stage]:
    found = Stage(engine, tmp_path)
    (tmp_path / "compose.yaml").write_text(emit.to_yaml(_document()))
    found.composed("up", "--detach")
    try:
        yield found
    finally:
        found.composed("down", "--timeout", "1")


def _wait(engine: Engine, name: str, state: str) -> None:
    """Wait for the state no longer than the budget, and what the engine itself may be late."""
    deadline = time.monotonic() + BUDGET + 3
    while (health := engine.health(name))["Status"] != state:
        assert time.monotonic() < deadline, health
        time.sleep(0.2)


def _container(stage: Stage, service: str) -> str:
    return stage.composed("ps", "--quiet", service)


def test_sidecar_has_the_targets_health(stage: Stage) -> None:
    """Healthy, read-only and as nobody; unhealthy within the budget; healthy again."""
    mock, beside = _container(stage, "split-sync"), _container(stage, "split-sync-sidecar")
    _wait(stage.engine, beside, "healthy")
    _set(stage.engine, mock, "unhealthy")
    _wait(stage.engine, beside, "unhealthy")
    _set(stage.engine, mock, "healthy")
    _wait(stage.engine, beside, "healthy")
    lines = stage.engine("logs", beside)
    assert '"unhealthy"' in lines


def _set(engine: Engine, mock: str, mode: str) -> None:
    engine("exec", mock, "probe", "mock", "set", mode, "--control", "127.0.0.1:3011")


def test_sidecar_stops_by_itself(stage: Stage) -> None:
    """Within its time to stop, with 0: nothing kills it."""
    beside = _container(stage, "split-sync-sidecar")
    _wait(stage.engine, beside, "healthy")
    began = time.monotonic()
    stage.composed("stop", "split-sync-sidecar")
    assert time.monotonic() - began < 10
    assert stage.engine("inspect", "--format", "{{.State.ExitCode}}", beside) == "0"


def test_nothing_of_pip_is_left(engine: Engine) -> None:
    """The image holds what runs and no installer; its user is nobody."""
    done = subprocess.run(
        [engine.client, "--host", f"unix://{engine.socket}", "run", "--rm", "--network=none",
         "--read-only", "--entrypoint=/bin/sh", IMAGE, "-c", "id -u; ls /opt/probe/bin"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    uid, *programs = done.stdout.split()
    assert uid == "65532"
    assert "probe" in programs
    assert not [name for name in programs if name.startswith("pip")]
