"""The shell probe in the real Docker Engine, in an image that holds bash, its libraries and it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engine import HARDENED
from tests.support.engine import REFUSED
from tests.support.engine import WAIT
from tests.support.engine import Engine
from tests.support.engine import root_files
from tests.support.engine import wait_for_check
from tests.support.engine import wait_for_state
from tests.support.servers import BROKEN
from tests.support.servers import OK
from tests.support.servers import Switchable

pytestmark = pytest.mark.real

IMAGE = "probe-test"
COMMANDS = {
    "bash -p script": ["/bin/bash", "-p", "/healthcheck.sh"],
    "script": ["/healthcheck.sh"],
}


def build(engine: Engine, folder: Path, name: str, command: list[str]) -> str:
    """Build one image from scratch, its HEALTHCHECK in exec form."""
    context = folder / f"context-{name.replace(' ', '-')}"
    context.mkdir()
    root_files(context)
    (context / "Dockerfile").write_text(
        "FROM scratch\n"
        "ADD root.tar /\n"
        "ENV LC_ALL=C\n"
        "HEALTHCHECK --interval=1s --timeout=5s --retries=2 --start-period=60s "
        f"CMD {json.dumps(command)}\n"
        f"ENTRYPOINT {json.dumps(['/bin/bash', '-c', WAIT])}\n"
    )
    tag = f"{IMAGE}:{name.replace(' ', '-')}"
    engine("build", "--tag", tag, str(context))
    return tag


@pytest.fixture(scope="module")
def images(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("images")
    return {name: build(engine, folder, name, command) for name, command in COMMANDS.items()}


@contextmanager
def container(engine: Engine, image: str, port: int, options: list[str]) -> Iterator[str]:
    """Run a container on the host's network whose application is at *port*."""
    setting = [f"--env=HEALTHCHECK_PORT={port}", "--env=HEALTHCHECK_LOG=1"]
    name = engine("run", "--detach", "--network=host", *setting, *options, image)
    try:
        yield name
    finally:
        engine("rm", "--force", name)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        pytest.param("bash -p script", HARDENED, id="bash -p script, hardened"),
        pytest.param("script", [], id="script, plain"),
    ],
)
def test_states(engine: Engine, images: dict[str, str], command: str, options: list[str]) -> None:
    """A container goes through all its states with its application, and the record says why."""
    server = Switchable()
    with container(engine, images[command], server.port, options) as name:
        wait_for_check(engine, name, 1, REFUSED)
        assert engine.health(name)["Status"] == "starting"
        server.switch(OK)
        wait_for_state(engine, name, "healthy")
        wait_for_check(engine, name, 0, "healthy: 200")
        server.switch(BROKEN)
        wait_for_state(engine, name, "unhealthy")
        wait_for_check(engine, name, 1, "unhealthy: status 500")
        server.switch(OK)
        wait_for_state(engine, name, "healthy")
        server.switch(None)
        wait_for_state(engine, name, "unhealthy")
        wait_for_check(engine, name, 1, REFUSED)
        logged = engine("logs", name).splitlines()
    server.close()
    # PID 1 is root's in the plain container and the probe's own user's in the other: both may log
    assert set(logged) == {f"healthcheck: {REFUSED}", "healthcheck: unhealthy: status 500"}
