"""This process as Linux sees it: its standard descriptors, and the metrics that exporters have."""

import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from probe.sidecar.metrics import Own

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STDERR = 2
_OWN = 48
"""Descriptors that we need whatever we are asked: files, listeners, look-ups of names."""
_CLIENTS = 256
"""Descriptors that are left to those who ask us, where there are so many."""


def room_for_checks() -> int:
    """Return how many checks may be in flight so that our endpoints can still be asked."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max(soft - _OWN, 2) if soft != resource.RLIM_INFINITY else sys.maxsize
    return room - min(_CLIENTS, room // 2)


def hold_standard_descriptors() -> None:
    """Put /dev/null where we were started without stdin, stdout or stderr.

    A socket would take the number otherwise, and our lines would go into a connection.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


def with_process(own: Own) -> Own:
    """Return *own* with CPU, memory and descriptors; as it is where there is no /proc."""
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # quicker than paths
    except OSError:
        return own
    return replace(
        own,
        cpu_seconds=time.process_time(),
        resident_bytes=resident,
        open_fds=descriptors,
        max_fds=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
