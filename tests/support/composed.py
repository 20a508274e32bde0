"""docker-compose on an engine of ours."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.components import require
from tests.support.engine import Engine


@dataclass(frozen=True, slots=True)
class Stage:
    """The engine, and a folder for the files of one case."""

    engine: Engine
    folder: Path

    def compose(self, *arguments: str) -> subprocess.Popen[str]:
        plain = {name: text for name, text in os.environ.items() if name[:7] != "DOCKER_"}
        return subprocess.Popen(
            [require("docker-compose"), "--host", f"unix://{self.engine.socket}",
             "--file", str(self.folder / "compose.yaml"), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=plain | {"DOCKER_CONFIG": str(self.folder)},
        )  # fmt: skip

    def composed(self, *arguments: str) -> str:
        process = self.compose(*arguments)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        return output.strip()
