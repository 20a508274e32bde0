"""Name look-up that keeps a deadline.

getaddrinfo blocks for as long as a dead resolver pleases and cannot be interrupted; asyncio's own
look-up waits for it at exit. So it runs in a daemon thread of ours, and a numeric host skips it.
"""

import socket
from collections.abc import Callable

from probe.client.failures import CheckFailedError

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


def numeric(host: str, port: int) -> list[Address]:
    """Return the address that *host* spells, or nothing where it is a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    return []


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses in the resolver's order. Raises socket.gaierror."""
    # Bytes, for a str goes through IDNA, which refuses what the resolver is to judge.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]


def start_look_up(host: str, port: int, done: Callable[[list[Address] | OSError], None]) -> None:
    """Look up in a daemon thread, which calls *done* there with the addresses or the error.

    Raises CheckFailedError where no thread can be had.
    """
    import threading  # noqa: PLC0415 # a numeric host needs none

    def run() -> None:
        try:
            result: list[Address] | OSError = look_up(host, port)
        except OSError as error:
            result = error
        done(result)

    thread = threading.Thread(target=run, name=f"look-up {host}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # no free pid
        raise CheckFailedError("internal") from error


def look_up_within(host: str, port: int, seconds: float) -> list[Address]:
    """Return the addresses. Raises TimeoutError where that takes longer, socket.gaierror."""
    from threading import Event  # noqa: PLC0415

    found: list[list[Address] | OSError] = []
    done = Event()

    def keep(result: list[Address] | OSError) -> None:
        found.append(result)
        done.set()

    start_look_up(host, port, keep)
    if not done.wait(seconds):
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]
