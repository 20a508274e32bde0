"""A model of split-sync and split-proxy: what their health says follows from what happens to them.

The rules were measured on the real 5.12.4:

- A counter is hit at the START of each sync attempt, so a loop whose attempts fail stays healthy. It
  times out 120 s plus the refresh rate after its last hit, and then never starts again: the 500 stays.
- An attempt that does not end is what stops a loop: a backend that hangs with no HTTP time-out, or,
  for split-sync, Redis gone (its fetch loop spins, for what it reads back never meets what it wrote).
- Storage (split-sync) is looked at every 10 s and is unhealthy from the fifth error on; the errors
  are forgotten hourly. It is not critical: alone it leaves the answer at 200.
- Dependencies are looked at hourly: healthy with 70 % good ones of the last ten looks.
- split-sync opens its port before the first sync, split-proxy after it.

Times are seconds of the model's own clock (UNIX time). A model is a value; a change makes a new one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from math import inf

from probe.synchronizer.health import SECOND
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item

TOLERANCE = 120.0
INITIAL_THRESHOLD = 3600.0
STORAGE_PERIOD = 10.0
STORAGE_HANG = 20.0  # a look at a Redis that hangs takes the 10 s of the read time-out besides
STORAGE_ERRORS = 5
HOUR = 3600.0
LOOKS_KEPT = 10
LOOKS_GOOD = 0.7
ATTEMPT = 0.05
PORT_OPENS = 0.07
REDIS_START_HANG = 10.0
SETTLED_FOR = 1800.0

BASE = "http://127.0.0.1:9000"
SERVICES = tuple(
    BASE + path for path in ("/health", "/health", "/api/version", "/api/version", "/health")
)
"""Telemetry, Auth, API, Events, Streaming, in the order of the real answer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the synchronizer is set up; rates and time-outs in seconds, `http_timeout` 0 for none."""

    kind: str = "sync"
    split_refresh: float = 60.0
    segment_refresh: float = 60.0
    large_segment_refresh: float = 600.0
    http_timeout: float = 30.0
    first_sync: float = 0.3
    snapshot: bool = False
    loses_threshold: bool = False  # split-proxy without streaming, in about half of its starts
    services: tuple[str, ...] = SERVICES


@dataclass(frozen=True, slots=True)
class Era:
    """What backend (ok, 500, refused, hang) and Redis (ok, refused, hang) do from `start` on."""

    start: float
    backend: str = "ok"
    redis: str = "ok"


@dataclass(frozen=True, slots=True)
class Model:
    """One run of a synchronizer. `stalled` is when its splits loop got stuck for no outer reason."""

    settings: Settings
    started: float
    eras: tuple[Era, ...] = field(default=())
    stalled: float = inf
    stopped: float = inf

    def era(self, at: float) -> Era:
        return [era for era in self.eras if era.start <= at or era is self.eras[0]][-1]


def start(settings: Settings, now: float, backend: str = "ok", redis: str = "ok") -> Model:
    return Model(settings, now, (Era(now, backend, redis),))


def settled(kind: str, now: float) -> Model:
    """Return one that has run long enough for every item to have its hit."""
    return start(Settings(kind), now - SETTLED_FOR)


def unhealthy(kind: str, now: float) -> Model:
    """Return one whose splits loop got stuck so long ago that its counter has timed out."""
    model = settled(kind, now)
    return replace(model, stalled=now - _threshold(model.settings) - HOUR / 10)


def starting(kind: str, now: float) -> Model:
    """Return one whose first sync goes on: split-sync answers without hits, split-proxy not yet."""
    return start(Settings(kind, first_sync=inf), now - PORT_OPENS)


def with_conditions(
    model: Model, now: float, backend: str | None = None, redis: str | None = None
) -> Model:
    """Let backend or Redis behave otherwise from *now* on; None leaves it as it is."""
    last = model.era(now)
    era = Era(now, backend or last.backend, redis or last.redis)
    return replace(model, eras=(*(e for e in model.eras if e.start < now), era))


def stop(model: Model, now: float) -> Model:
    """Ask for a graceful end (SIGTERM, /shutdown/stop/graceful)."""
    return replace(model, stopped=min(model.stopped, now))


def exited(model: Model, now: float) -> int | None:
    """Return the exit code of one that has ended by *now*."""
    if now >= _ends(model):
        return 0
    failure = _failed_start(model)
    return failure[1] if failure and now >= failure[0] else None


def _ends(model: Model) -> float:
    """Return when a stopped one ends: fetches of segments that hang are waited for."""
    if model.stopped == inf:
        return inf
    hangs = model.era(model.stopped).backend == "hang"
    return model.stopped + (model.settings.http_timeout or inf if hangs else 0.03)


def _failed_start(model: Model) -> tuple[float, int] | None:
    """Return when and with which code a start failed."""
    first, settings = model.era(model.started), model.settings
    sync = settings.kind == "sync"
    if not sync and settings.snapshot:
        return None
    if first.backend == "hang":
        return model.started + (settings.http_timeout or inf), 1 if sync else 5
    if first.backend != "ok":
        return (model.started + 0.05, 1) if sync else (model.started + 0.16, 5)
    if sync and first.redis != "ok":
        return model.started + (REDIS_START_HANG if first.redis == "hang" else 0.05), 3
    return None


def port_open(model: Model, now: float) -> bool:
    if exited(model, now) is not None or _failed_start(model):
        return False
    waits = model.settings.kind == "proxy" and not model.settings.snapshot
    return now >= model.started + (model.settings.first_sync if waits else PORT_OPENS)


def _threshold(settings: Settings) -> float:
    if settings.loses_threshold:
        return INITIAL_THRESHOLD
    return TOLERANCE + settings.split_refresh


def _ready(model: Model) -> float:
    return model.started + model.settings.first_sync


def _attempt_ends(model: Model, began: float) -> float:
    """Return when a splits attempt that begins then ends; infinity for one that never does."""
    if began >= model.stalled:
        return inf
    era = model.era(began)
    endless = era.backend == "hang" and not model.settings.http_timeout
    if endless or (model.settings.kind == "sync" and era.redis != "ok"):
        cured = [later.start for later in model.eras if later.start > began and _works(later)]
        return min(cured, default=inf)
    return began + (model.settings.http_timeout if era.backend == "hang" else ATTEMPT)


def _works(era: Era) -> bool:
    return era.backend != "hang" and era.redis == "ok"


def _split_hits(model: Model, now: float) -> Iterator[float]:
    at = _ready(model) + model.settings.split_refresh
    while at <= now:
        yield at
        at = _attempt_ends(model, at) + model.settings.split_refresh


def _splits(model: Model, now: float) -> tuple[float | None, bool]:
    """Return the last hit and whether the counter still runs: timed out once, it is for good."""
    last: float | None = None
    for hit in _split_hits(model, now):
        if last is not None and hit - last > _threshold(model.settings):
            return last, False
        last = hit
    return last, last is None or now - last <= _threshold(model.settings)


def _last_tick(model: Model, now: float, period: float) -> float | None:
    ticks = (now - _ready(model)) // period
    return _ready(model) + ticks * period if ticks >= 1 else None


def _storage(model: Model, now: float) -> Item:
    """Look at Redis as the real one does: 10 s after each look, errors forgotten hourly."""
    last, errors, at = None, 0, _ready(model) + STORAGE_PERIOD
    hour = 0.0
    while at <= now:
        if (at - model.started) // HOUR > hour:
            hour, errors = (at - model.started) // HOUR, 0
        last, redis = at, model.era(at).redis
        errors += redis != "ok"
        at += STORAGE_HANG if redis == "hang" else STORAGE_PERIOD
    return Item("Storage", errors < STORAGE_ERRORS, _nanoseconds(last), errors)


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * SECOND)


def health(model: Model, now: float) -> ApplicationHealth:
    """Return what /health/application says, the items in the order in which they are registered."""
    settings = model.settings
    last, runs = _splits(model, now)
    items = [
        Item("Splits", runs, _nanoseconds(last)),
        Item("Segments", True, _nanoseconds(_last_tick(model, now, settings.segment_refresh))),  # noqa: FBT003
    ]
    if settings.kind == "sync":
        items.append(_storage(model, now))
    else:
        hit = _last_tick(model, now, settings.large_segment_refresh)
        items.append(Item("LargeSegments", True, _nanoseconds(hit)))  # noqa: FBT003
    return ApplicationHealth(runs, _nanoseconds(model.started) if runs else None, tuple(items))


def healthy(model: Model, now: float) -> bool:
    return health(model, now).healthy


def dependencies(model: Model, now: float) -> DependenciesHealth:
    """Return what /health/dependencies says."""
    rows = tuple(_dependency(model, now, service) for service in model.settings.services)
    status = "healthy" if all(row.healthy for row in rows) else "down"
    return DependenciesHealth(status, rows)


def _dependency(model: Model, now: float, service: str) -> Dependency:
    looks: list[tuple[float, str]] = []
    at = model.started + HOUR
    while at <= now:
        if model.era(at).backend == "hang":  # its HTTP client has no time-out
            break
        looks.append((at, _failure(model.era(at).backend, service)))
        at += HOUR
    if not looks:
        return Dependency(service, True, healthy_since=_nanoseconds(model.started))  # noqa: FBT003
    kept = looks[-LOOKS_KEPT:]
    good = sum(not message for _, message in kept) >= LOOKS_GOOD * len(kept)
    last, message = looks[-1]
    if good:
        since = _nanoseconds(model.started)
        return Dependency(service, True, "", since, _nanoseconds(last))  # noqa: FBT003
    return Dependency(service, False, message or "recovering", None, _nanoseconds(last))  # noqa: FBT003


def _failure(backend: str, service: str) -> str:
    host = service.split("/")[2]
    return {
        "500": "500 Internal Server Error" if not service.endswith("/version") else "",
        "refused": f'Get "{service}": dial tcp {host}: connect: connection refused',
    }.get(backend, "")
