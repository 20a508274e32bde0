"""Images of `probe image build` in the real Docker Engine, hardened as far as it goes.

The application is a small program with libc alone, as the synchronizers are; see application.c.
"""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe.mock.server import Mock
from tests.support.application import compile_application
from tests.support.components import require
from tests.support.engine import HARDENED
from tests.support.engine import Engine
from tests.support.engine import wait_for_check
from tests.support.engine import wait_for_state
from tests.support.servers import free_port

pytestmark = pytest.mark.real

PROBE = Path(sys.executable).parent / "probe"
# As the image has it but for the pace; no check has to be done within a second.
PACE = ["--health-interval=1s", "--health-timeout=5s", "--health-retries=2"]
PREFIX = {"sync": "SPLIT_SYNC_", "proxy": "SPLIT_PROXY_"}


@dataclass(frozen=True, slots=True)
class Stage:
    engine: Engine
    folder: Path

    def build(self, name: str, *options: str) -> str:
        """Build an image, load it, and return its tag."""
        archive, tag = self.folder / f"{name}.tar", f"probe-image:{name}"
        self.probe("image", "build", "--tag", tag, "-o", str(archive), *options)
        self.engine("load", "--input", str(archive))
        return tag

    def probe(self, *arguments: str) -> str:
        done = subprocess.run(
            [PROBE, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def container(self, *options: str) -> Iterator[str]:
        name = self.engine("run", "--detach", "--network=host", *options)
        try:
            yield name
        finally:
            self.engine("rm", "--force", "--volumes", name)


@pytest.fixture(scope="module")
def stage(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(engine, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def images(stage: Stage) -> dict[str, str]:
    """The image of each kind, by kind."""
    return {
        kind: stage.build(
            kind, "--binary", str(compile_application(stage.folder / f"split-{kind}"))
        )
        for kind in PREFIX
    }


def settings(kind: str, port: int, **values: str) -> list[str]:
    given = {"APIKEY": "secret-key", "ADMIN_PORT": str(port), **values}
    return [f"--env={PREFIX[kind]}{name}={value}" for name, value in given.items()]


@pytest.mark.parametrize("kind", PREFIX)
def test_states(stage: Stage, images: dict[str, str], kind: str) -> None:
    """The hardened container is healthy, unhealthy, healthy; a stop reaches the application."""
    engine, port = stage.engine, free_port()
    with stage.container(*HARDENED, *PACE, *settings(kind, port), images[kind]) as name:
        wait_for_state(engine, name, "healthy")
        wait_for_check(engine, name, 0, "healthy: 200")
        engine("kill", "--signal=USR1", name)
        wait_for_state(engine, name, "unhealthy")
        wait_for_check(engine, name, 1, "unhealthy: status 500")
        engine("kill", "--signal=USR1", name)
        wait_for_state(engine, name, "healthy")
        engine("stop", "--time=20", name)
        assert engine("inspect", "--format={{.State.ExitCode}}", name) == "0"
        logged = engine("logs", name).splitlines()
    assert "pid 1" in logged
    assert logged[-1] == "terminated"


def test_proxy_says_what_it_lacks(stage: Stage, images: dict[str, str]) -> None:
    """The proxy runs on a read-only root by its volume; in a folder without it, it exits with 4."""
    options = [*settings("proxy", free_port()), "--read-only", "--env=TMPDIR=/nowhere"]
    with stage.container(*options, images["proxy"]) as name:
        assert stage.engine("wait", name) == "4"


AWKWARD = {
    "IMPRESSIONS_MODE": "two words",
    "REDIS_HOST": "*",
    "REDIS_USER": 'it\'s "quoted" $HOME `x` \\',
    "REDIS_PASS": "first line\nsecond -admin-port=1",
    "REDIS_PREFIX": "",
    "SLACK_CHANNEL": "  blanks\tand tabs  ",
    "LOG_OUTPUT": "-admin-port=1",
}


def test_awkward_values(stage: Stage, images: dict[str, str]) -> None:
    """Each value is one argument, whatever is in it; arguments of the container come after."""
    port = free_port()
    words = ["/entrypoint.sh", "-log-level=debug", "a b"]
    options = [*HARDENED, *settings("sync", port, **AWKWARD)]
    with stage.container(*options, images["sync"], *words) as name:
        wait_for_line(stage.engine, name, "pid 1")
        logged = stage.engine("logs", name)
    for flag, value in AWKWARD.items():
        wanted = f": -{flag.lower().replace('_', '-')}={value}\nargument "
        assert wanted in logged, flag
    assert logged.index(": -log-level=debug\n") < logged.index(": a b\n")
    assert f": -admin-port={port}\n" in logged


def wait_for_line(engine: Engine, name: str, line: str) -> None:
    deadline = time.monotonic() + 15
    while line not in (logged := engine("logs", name)):
        assert time.monotonic() < deadline, logged
        time.sleep(0.1)


def test_configuration(stage: Stage, images: dict[str, str]) -> None:
    """What the engine has understood is what the image is to say of itself."""
    found = json.loads(stage.engine("inspect", images["proxy"]))[0]
    config = found["Config"]
    assert config["Cmd"] == ["/entrypoint.sh"]
    assert config["Entrypoint"] is None
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"3000/tcp", "3010/tcp"}
    assert set(config["Volumes"]) == {"/tmp"}
    assert {"GIN_MODE=release", "LC_ALL=C"} <= set(config["Env"])
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "/bin/bash"]
    assert len(found["RootFS"]["Layers"]) == 1


def test_saved_image_passes_the_audit(stage: Stage, images: dict[str, str]) -> None:
    """What the engine saves is audited as what was loaded."""
    archive = stage.folder / "saved.tar"
    stage.engine("save", "--output", str(archive), images["sync"])
    assert "error" not in stage.probe("image", "audit", str(archive))


def test_no_network(stage: Stage, images: dict[str, str]) -> None:
    """Without a network there is loopback, which is all that application and check need."""
    options = ["--network=none", *PACE, *settings("sync", 3010)]
    name = stage.engine("run", "--detach", *HARDENED, *options, images["sync"])
    try:
        wait_for_state(stage.engine, name, "healthy")
    finally:
        stage.engine("rm", "--force", name)


@pytest.fixture(scope="module")
def authority(stage: Stage) -> Path:
    """A certificate authority of our own, and its certificate for probe.test."""
    folder = stage.folder / "authority"
    folder.mkdir()
    openssl, new = require("openssl"), ["req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    names = ["-subj", "/CN=probe.test", "-addext", "subjectAltName=DNS:probe.test"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([openssl, *new, *names, *files], check=True, timeout=60, capture_output=True)
    return folder


@pytest.mark.parametrize("trusted", [True, False], ids=["in the bundle", "not in the bundle"])
def test_tls_and_names(stage: Stage, authority: Path, *, trusted: bool) -> None:
    """A program of the image looks a server's name up, and verifies it by the image's bundle."""
    given = ["--ca", str(authority / "cert.pem")] if trusted else []
    image = stage.build(f"curl-{trusted}".lower(), "--binary", require("curl"), *given)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "cert.pem", authority / "key.pem")
    with Mock(tls=context) as mock:
        url = f"https://probe.test:{mock.port}/health/application"
        words = ["/usr/bin/curl", "--silent", "--show-error", "--noproxy", "*", url]
        options = [*HARDENED, "--add-host=probe.test:127.0.0.1"]
        with stage.container(*options, image, *words) as name:
            code = stage.engine("wait", name)
            logged = stage.engine("logs", name)
    refused = "60"  # CURLE_PEER_FAILED_VERIFICATION
    assert code == ("0" if trusted else refused), logged
    assert ('"healthy":true' in logged) is trusted
