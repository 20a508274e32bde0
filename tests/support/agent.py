"""The part of the ECS agent that makes a Docker container of a container definition.

amazon-ecs-agent agent/api/task/task.go, dockerConfig and dockerHostConfig: the control plane sends
the health check as Docker's own configuration, whose times are nanoseconds.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Self

_SECOND = 10**9
_MIB = 2**20
# What the service takes where a key is absent: Amazon ECS API reference, HealthCheck.
_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}


def healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition's healthCheck as the Healthcheck of Docker's Config."""
    whole = _DEFAULTS | dict(check)
    return {
        "Test": whole["command"],
        "Interval": whole["interval"] * _SECOND,
        "Timeout": whole["timeout"] * _SECOND,
        "StartPeriod": whole["startPeriod"] * _SECOND,
        "Retries": whole["retries"],
    }


def container(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the agent asks of Docker for one container; the caller adds the network."""
    linux = definition.get("linuxParameters", {})
    return {
        "Image": definition["image"],
        "User": definition.get("user", ""),
        "Env": [f"{row['name']}={row['value']}" for row in definition.get("environment", [])],
        "Healthcheck": healthcheck(definition["healthCheck"]),
        "HostConfig": {
            "ReadonlyRootfs": definition.get("readonlyRootFilesystem", False),
            "CapDrop": linux.get("capabilities", {}).get("drop", []),
            "Init": linux.get("initProcessEnabled", False),
            "Memory": definition.get("memory", 0) * _MIB,
            "CpuShares": definition.get("cpu", 0),
        },
    }


class Api(http.client.HTTPConnection):
    """Docker's API on its socket: the command line can give a container no check in exec form."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, wanted: Mapping[str, Any]) -> str:
        """Create a container and return its id; it is not started. Raises RuntimeError."""
        body = json.dumps(wanted)
        self.request("POST", "/containers/create", body, {"Content-Type": "application/json"})
        answer = self.getresponse()
        found = json.loads(answer.read())
        if answer.status != http.HTTPStatus.CREATED:
            raise RuntimeError(f"docker create: {found}")
        return str(found["Id"])
