"""The probes as programs: how to call each, and what came out."""

import subprocess
import sys
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "shell" / "healthcheck.sh"

# The implementations of the contract, each a command that takes the same options.
PROBES = {
    "shell": [str(SCRIPT)],
    "reference": [str(Path(sys.executable).parent / "probe"), "check"],
}
# The interpreters that the shell probe is proved with.
SHELLS = {
    "bash": [str(SCRIPT)],
    "bash-static": ["/usr/bin/bash-static", "-p", str(SCRIPT)],
}
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

# How long after its own timeout a probe may end: 0.15 s on a quiet machine, which this may not be.
LATENESS = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe left: its exit, its line without the line end, its stderr, its duration."""

    code: int
    line: str
    stderr: str
    seconds: float

    @property
    def verdict(self) -> tuple[int, str]:
        return self.code, self.line


def asking(command: Sequence[str], port: int, *options: str) -> list[str]:
    return [*command, "--port", str(port), *options]


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] = ENVIRONMENT,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes], began: float, limit: float = 30.0) -> Result:
    """Wait for *process*, at most *limit* seconds, and read what it left."""
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()  # not read to its end: what the probe left behind may hold it
        raise
    return Result(process.returncode, line_of(output), text_of(errors), time.monotonic() - began)


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] = ENVIRONMENT,
    stdout: int = subprocess.PIPE,
    limit: float = 30.0,
) -> Result:
    began = time.monotonic()
    return finish(start(command, env=env, stdout=stdout), began, limit)


def text_of(output: bytes | None) -> str:
    return (output or b"").decode("ascii", "backslashreplace")


def line_of(output: bytes | None) -> str:
    """Return the one line without its end; whatever else there is stays visible."""
    text = text_of(output)
    return text[:-1] if text.endswith("\n") or not text else f"{text} (no line end)"


# Python itself ignores these two, and a program started by exec inherits that.
_PROLOGUE = """\
import os, resource, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
"""


def prepared(preparation: str, command: Sequence[str]) -> list[str]:
    """Return a command that runs *preparation*, Python text, and becomes *command*."""
    text = f"{_PROLOGUE}{preparation}\nos.execv(sys.argv[1], sys.argv[1:])\n"
    return [sys.executable, "-I", "-S", "-c", text, *command]
