"""Run every test, in two processes: `python -m tests.run [PYTEST OPTION ...]`.

Those against real components wait most of the time, for engines, namespaces and deadlines; the
others compute. Side by side they take little longer than the longer of the two.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

_REAL = "tests/real"
_PYTEST = [sys.executable, "-m", "pytest"]
_COVERAGE = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]


def main(options: list[str]) -> int:
    """Return the graver of the two exit codes; what the real components' tests say comes last."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryFile() as output:
        real = subprocess.Popen(
            # what failed last time is kept apart, for both write it
            [*_PYTEST, _REAL, "--override-ini=cache_dir=.pytest_cache/real", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            others = subprocess.call([*_COVERAGE, f"--ignore={_REAL}", *options])
            sys.stdout.write(f"\n{_REAL}, which ran beside these:\n")
            sys.stdout.flush()
            code = real.wait()
        finally:
            if real.poll() is None:
                real.send_signal(signal.SIGINT)  # its fixtures stop what they have started
                real.wait(60)
            output.seek(0)
            sys.stdout.buffer.write(output.read())
    return max(others, code)


if __name__ == "__main__":
    if not Path(_REAL).is_dir():
        sys.exit("run it where the project is")
    sys.exit(main(sys.argv[1:]))
