"""Runs the shell probe on the same target."""

import re
import subprocess
import time
from pathlib import Path

from probe.contract.target import Target
from probe.contract.verdict import Verdict

GRACE = 1.0
"""Seconds past its own deadline after which we no longer believe in the script."""

_LINE = re.compile(r"(?:un)?healthy: (.*?)(?: \(.*\))?")


def command(script: Path, target: Target) -> list[str]:
    """Return the argv that asks for *target*; a timeout has at most 7 characters there."""
    texts = {name: str(getattr(target, name)) for name in ("host", "port", "path", "expect")}
    texts["timeout"] = f"{target.timeout:.5f}"[:7].rstrip(".")
    options = [f"--{name}={text}" for name, text in texts.items()]
    return [str(script), *options, "--tls" if target.tls else "--no-tls"]


def shell_check(script: Path, target: Target) -> Verdict:
    """Check *target* by *script*. What is not the contract's answer is the reason `internal`."""
    start = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 # our own script
            command(script, target),
            stdout=subprocess.PIPE,
            timeout=target.timeout + GRACE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Verdict("internal", time.monotonic() - start)
    found = _LINE.fullmatch(done.stdout.decode("latin-1").removesuffix("\n"))
    verdict = Verdict(found[1] if found else "internal", time.monotonic() - start)
    return verdict if done.returncode == int(not verdict.healthy) else Verdict("internal")
