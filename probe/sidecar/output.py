"""Lines to a descriptor from a thread of its own: a full pipe or disk holds up no check."""

import os
import queue
import threading
import time

MOST = 1000
"""Lines that wait; what comes beyond them is lost, and counted."""


class Writer:
    """Takes lines and writes each whole, in order; `lost` counts those that were not."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(MOST)
        self.lost = 0
        threading.Thread(target=self._run, daemon=True, name="output").start()

    def put(self, line: str) -> None:
        """Take a line without its end; never blocks, never fails."""
        try:
            self._lines.put_nowait(line.encode("utf-8", "backslashreplace") + b"\n")
        except queue.Full:
            self.lost += 1

    def flush(self, seconds: float) -> None:
        """Wait until everything is written, but not longer than that."""
        end = time.monotonic() + seconds
        while self._lines.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._write(line)
            except OSError:  # no space, or nobody reads any more
                self.lost += 1
            finally:
                self._lines.task_done()

    def _write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]
