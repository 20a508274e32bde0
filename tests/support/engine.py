"""The real Docker Engine: a daemon of our own, and what waits for a container's health."""

import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.components import require
from tests.support.probes import SCRIPT

# A bash that sleeps without any other program: nothing is ever written to the pipe it reads.
WAIT = "trap 'exit 0' TERM; exec {pipe}<> <(:); while :; do read -r -t 1 -u $pipe; done"
HARDENED = [
    "--read-only",
    "--user=65532:65532",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=64m",
    "--pids-limit=64",
]
REFUSED = "unhealthy: refused (nothing listens there, or not yet)"


@dataclass(frozen=True, slots=True)
class Engine:
    """The client of one daemon."""

    client: str
    socket: Path

    def __call__(self, *arguments: str, limit: float = 60) -> str:
        done = subprocess.run(
            [self.client, "--host", f"unix://{self.socket}", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            # the client's own builder plugin is not needed for three files
            env=os.environ | {"DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self.socket.parent)},
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker {arguments}: {done.stderr or done.stdout}")
        return done.stdout.strip() or done.stderr.strip()

    def health(self, container: str) -> dict[str, Any]:
        text = self("inspect", "--format", "{{json .State.Health}}", container)
        found: dict[str, Any] = json.loads(text)
        return found


@contextmanager
def daemon(folder: Path) -> Iterator[Engine]:
    """Run a Docker daemon that keeps everything in *folder* and touches no network."""
    engine = Engine(require("docker"), folder / "socket")
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                require("dockerd"),
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
                f"--data-root={folder / 'data'}",
                f"--exec-root={folder / 'exec'}",
                f"--pidfile={folder / 'pid'}",
                f"--host=unix://{engine.socket}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(engine, process, folder / "dockerd.log")
        yield engine
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        unmount(folder)


def unmount(folder: Path) -> None:
    """Undo what the daemon leaves mounted, which is more where it had to be killed."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(folder):
            subprocess.run(["/bin/umount", mount], check=False, timeout=20)


def wait_for(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 40
    while process.poll() is None and time.monotonic() < deadline:
        try:
            engine("version")
        except RuntimeError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"dockerd does not start: {log.read_text()[-2000:]}")


def root_files(folder: Path) -> Path:
    """Write the tar of a root file system: bash, what it links to, and the script."""
    output = subprocess.run(
        [require("ldd"), "/bin/bash"], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    path = folder / "root.tar"
    with tarfile.open(path, "w", dereference=True) as archive:
        for source in ["/bin/bash", *re.findall(r"(/\S+) \(0x", output)]:
            archive.add(source)
        archive.add(SCRIPT, "healthcheck.sh")
    return path


def wait_for_state(engine: Engine, name: str, state: str) -> None:
    deadline = time.monotonic() + 15
    while (health := engine.health(name))["Status"] != state:
        assert time.monotonic() < deadline, health
        time.sleep(0.1)


def wait_for_check(engine: Engine, name: str, exit_code: int, line: str) -> None:
    """Wait until a check has come out so; the engine keeps the last five."""
    deadline = time.monotonic() + 15
    while (exit_code, f"{line}\n") not in (
        checks := [(check["ExitCode"], check["Output"]) for check in engine.health(name)["Log"]]
    ):
        assert time.monotonic() < deadline, checks
        time.sleep(0.1)
