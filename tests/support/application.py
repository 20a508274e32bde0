"""The application of the tests of images, compiled."""

import subprocess
from pathlib import Path

from tests.support.components import require

SOURCE = Path(__file__).with_name("application.c")


def compile_application(path: Path) -> Path:
    """Compile what stands in for the synchronizers; which one it is, it knows by its name."""
    command = [require("gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(path), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return path
