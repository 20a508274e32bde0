"""The floor under healthcheck.sh: what it refuses to run on."""

import subprocess
from pathlib import Path

from probe.scripts import script_text


def test_bash_too_old(tmp_path: Path) -> None:
    """A bash below the floor is refused in one line: here the floor is one that none reaches."""
    copy = tmp_path / "healthcheck.sh"
    copy.write_text(script_text().replace(">= 403", ">= 9903"))
    done = subprocess.run(
        ["/bin/bash", "-p", copy], capture_output=True, text=True, timeout=10, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, "unhealthy: bash too old\n", "")
