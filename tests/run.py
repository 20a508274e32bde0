"""Run every test, in two processes: `python -m tests.run [PYTEST OPTION ...]`.

Those against real components, the scripts and the commands wait most of the time, for engines,
deadlines and processes of their own, which coverage does not see; the others compute. Side by side
they take little longer than the longer of the two.
"""

import os
import signal
import subprocess
import sys
import tempfile

_WAITING = ("tests/cli", "tests/real", "tests/shell")
_PYTEST = [sys.executable, "-m", "pytest"]
_COVERAGE = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]


def main(options: list[str]) -> int:
    """Return the graver of the two exit codes; what the waiting tests say comes last."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryFile() as output:
        waiting = subprocess.Popen(
            # what failed last time is kept apart, for both write it
            [*_PYTEST, *_WAITING, "--override-ini=cache_dir=.pytest_cache/waiting", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            left = [f"--ignore={folder}" for folder in _WAITING]
            others = subprocess.call([*_COVERAGE, *left, *options])
            sys.stdout.write(f"\n{', '.join(_WAITING)}, which ran beside these:\n")
            sys.stdout.flush()
            code = waiting.wait()
        finally:
            if waiting.poll() is None:
                waiting.send_signal(signal.SIGINT)  # its fixtures stop what they have started
                waiting.wait(60)
            output.seek(0)
            sys.stdout.buffer.write(output.read())
    return max(others, code)


if __name__ == "__main__":
    if not all(map(os.path.isdir, _WAITING)):
        sys.exit("run it where the project is")
    sys.exit(main(sys.argv[1:]))
