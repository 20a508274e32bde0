"""PID 1 of a namespace, which never reaps, and beside it a runtime that starts probes and counts.

Run as `unshare --pid --fork --mount-proc python -I -S pid_one.py ORDER`, ORDER being JSON:
{"report": FILE, "command": [...], "environment": {...}, "runs": N, "at_once": N,
"signal_after": SECONDS or null, "stdout": FILE or null for a full pipe, "without_proc": bool}. The
report is JSON too: the exits, the lines, the longest duration, and what of /proc was left over.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def left_over() -> list[str]:
    """Name all processes of the namespace but PID 1 and this one, with their state."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) not in (1, os.getpid()):
            name, state = (folder / "stat").read_text().rpartition(")")[::2]
            found.append(f"{name}) {state.split()[0]}")
    return found


def batch(order: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Run *at_once* probes side by side, and end them early where the order says so."""
    probes = [
        subprocess.Popen(
            order["command"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(order["at_once"])
    ]
    if order["signal_after"] is not None:
        time.sleep(order["signal_after"])
        for probe in probes:
            probe.send_signal(signal.SIGTERM)
    results = []
    for probe in probes:
        output, errors = probe.communicate(timeout=30)
        results.append((probe.returncode, output, errors))
    return results


def runtime(order: dict[str, Any]) -> dict[str, Any]:
    if order["without_proc"]:
        subprocess.run(["/bin/mount", "-t", "tmpfs", "none", "/proc"], check=True, timeout=10)
    results: list[tuple[int, str, str]] = []
    longest = 0.0
    left: list[str] = []
    while len(results) < order["runs"]:
        began = time.monotonic()
        results += batch(order)
        longest = max(longest, time.monotonic() - began)
        left += left_over()
    return {
        "runs": len(results),
        "results": sorted(set(results)),
        "longest": longest,
        "left": left,
    }


def take_stdout(path: str | None) -> None:
    """Make PID 1's stdout a file, or a full pipe that nobody reads."""
    if path is not None:
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        return
    _, writing = os.pipe()
    os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
    os.dup2(writing, 1)


def main(order: dict[str, Any]) -> None:
    take_stdout(order["stdout"])
    reading, writing = os.pipe()
    if os.fork() == 0:
        Path(order["report"]).write_text(json.dumps(runtime(order)))
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)  # until the runtime has ended; never waitpid


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
