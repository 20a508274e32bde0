"""What the synchronizer's answers mean, and what to do: for people, beyond the status line.

The facts are of split-sync and split-proxy 5.12: an item's `lastHit` is the START of its last sync
attempt, not a success; a timed-out counter never starts again; dependencies are looked at hourly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Item

SECOND = 1_000_000_000
DEFAULT_STALE_AFTER = 180.0
STALE_AFTER = {"LargeSegments": 720.0}
"""Seconds, 120 plus the default refresh rate: when the synchronizer's own counter times out."""

PLAIN_TO_TLS = b"Client sent an HTTP request to an HTTPS server."
NOT_CRITICAL = {"Storage"}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know: a stable code, what it means, what to do about it."""

    code: str
    means: str
    todo: str


_ROWS = (
    Note("attempts-only",
         "200 proves that the sync loops start attempts, not that they succeed:"
         " it stays 200 with the backend down or answering 500",
         "watch the data's freshness apart from this check"),
    Note("never-synced",
         "{items}: no sync was ever attempted, and yet the answer is 200",
         "wait for the first sync; if it stays so, look for the backend's errors in the log"),
    Note("stale",
         "{items}: the last attempt began longer ago than the loop's own threshold",
         "look for a fetch that hangs (http-timeout-ms=0?); at a restart the loop begins anew"),
    Note("sticky-500",
         "{items}: the counter has timed out; it never starts again, so the 500 stays"
         " though the cause is gone",
         "restart the synchronizer: nothing else brings the 200 back"),
    Note("storage",
         "Storage fails (Redis), which alone leaves the answer at 200;"
         " it is cleared only once an hour",
         "look at Redis: address, password, memory; split-sync turns 500 about two minutes later"),
    Note("dependencies-unseen",
         "no dependency was looked at yet (the first look comes after an hour):"
         " healthy here says nothing",
         "do not build on /health/dependencies in the first hour"),
    Note("dependencies-down",
         "{items}: down, though the HTTP status of /health/dependencies is always 200",
         "look at the network path and the service's own status page"),
    Note("tls-port", "the admin port speaks TLS and was asked in plain HTTP",
         "ask with --tls (and --ca); healthcheck.sh cannot"),
    Note("not-found", "this server has no such route",
         "ask the admin port (3010), not the SDK port (3000), for /health/application"),
    Note("redirect", "the server points elsewhere; a health check does not follow",
         "ask for the path without a trailing slash"),
    Note("other-service", "the body is not the synchronizer's: the status line decides", ""),
    Note("refused",
         "nothing listens there. split-proxy opens the port only after its first full sync;"
         " both drop the error silently when the port is taken or the address is not valid",
         "allow a start-up period; look at ADMIN_HOST and ADMIN_PORT (03010 is octal to it)"),
    Note("timeout", "no whole status line came in time: hung, stopped, or a full accept queue",
         "look whether the process runs (SIGSTOP, CPU limit) or raise --timeout"),
    Note("closed", "the connection ended before the status line was complete",
         "a process that is just exiting does so; if it stays, look who listens there"),
    Note("malformed", "what answers is not HTTP/1.0 or HTTP/1.1", "look who listens there"),
    Note("unreachable", "no route to that address", "look at the host, the network, the firewall"),
    Note("unresolved", "the name has no address", "use an address: 127.0.0.1 needs no look-up"),
    Note("connect", "the connection failed", "look at limits on descriptors and local ports"),
    Note("tls", "no verified TLS connection came about",
         "give --ca, --server-name, or the client certificate that the server asks for"),
    Note("status", "the server says so itself", "look at its log"),
)  # fmt: skip
NOTES = {note.code: note for note in _ROWS}


def age(item: Item, now: int) -> float | None:
    """Return the seconds since the item's last attempt began; *now* is UNIX time in nanoseconds."""
    return None if item.last_hit is None else (now - item.last_hit) / SECOND


def explain_reason(word: str, status: int | None, body: bytes) -> Iterator[Note]:
    """Tell what the verdict itself means."""
    if PLAIN_TO_TLS in body:
        yield NOTES["tls-port"]
    elif status == 404:  # noqa: PLR2004
        yield NOTES["not-found"]
    elif status is not None and 300 <= status < 400:  # noqa: PLR2004
        yield NOTES["redirect"]
    elif word in NOTES:
        yield NOTES[word]


def explain_application(health: ApplicationHealth, now: int) -> Iterator[Note]:
    """Tell what the items say. *now* is UNIX time in nanoseconds."""
    failing = [item for item in health.items if not item.healthy]
    critical = [item for item in failing if item.name not in NOT_CRITICAL]
    yield from _about("sticky-500", critical)
    yield from _about("storage", [item for item in failing if item.name in NOT_CRITICAL])
    sound = [item for item in health.items if item.healthy]
    yield from _about("never-synced", [item for item in sound if item.last_hit is None])
    yield from _about("stale", [item for item in sound if _is_stale(item, now)])
    if health.healthy:
        yield NOTES["attempts-only"]


def explain_dependencies(health: DependenciesHealth) -> Iterator[Note]:
    down = [dependency for dependency in health.dependencies if not dependency.healthy]
    if down:
        note = NOTES["dependencies-down"]
        services = ", ".join(dependency.service for dependency in down)
        yield Note(note.code, note.means.format(items=services), note.todo)
    elif all(dependency.last_hit is None for dependency in health.dependencies):
        yield NOTES["dependencies-unseen"]


def _is_stale(item: Item, now: int) -> bool:
    seconds = age(item, now)
    return seconds is not None and seconds > STALE_AFTER.get(item.name, DEFAULT_STALE_AFTER)


def _about(code: str, items: list[Item]) -> Iterator[Note]:
    if items:
        note = NOTES[code]
        names = ", ".join(item.name for item in items)
        yield Note(code, note.means.format(items=names), note.todo)
