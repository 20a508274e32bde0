"""A model of split-sync and split-proxy 5.12: their health follows from what backend and Redis do.

A model is a value: what is known at the time `at`, under conditions that have held since. Every
question takes the time `now` (seconds on a clock of the caller's choice) and is answered in closed
form, so that an hour costs no more than a second. Figures "seen" were measured on the real
programs, figures "source" stand in upstream's code (healthcheck/application, healthcheck/services).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace

from probe.synchronizer.health import MICROSECOND
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth
from probe.synchronizer.health import Dependency
from probe.synchronizer.health import Item

KINDS = ("sync", "proxy")
BACKENDS = ("ok", "500", "refused", "hang")
REDISES = ("ok", "refused", "hang")

NEVER = math.inf
HOUR = 3600.0
INITIAL_THRESHOLD = HOUR
"""Seconds without an attempt until a counter times out, before polling sets it (source)."""
GRACE = 120.0
"""Polling sets it to so much above the refresh rate (source; seen: 122 s at 2 s)."""
TOKEN_REFRESH = HOUR - 600.0
STREAMING_GRACE = 900.0
"""With a stream: until the token's next refresh and 15 minutes more (source)."""
STORAGE_CHECK = 10.0
REDIS_READ_TIMEOUT = 10.0
STORAGE_ERRORS = 5
"""The fifth failed check makes Storage unhealthy; errors are forgotten hourly (source, seen)."""
DEPENDENCY_CHECK = HOUR
DEPENDENCY_MEMORY = 10
DEPENDENCY_PERCENT = 70
"""Healthy when so many percent of the last ten looks were good (source)."""
_SYNC_OPENS = 0.06
_PROXY_OPENS = 0.28
_SYNC_TAKES = 0.07
_FAILS = 0.3
_SNAPSHOT_OPENS = 0.15
_IDLE_STOP = 0.03
"""Seconds of start and stop with a fast backend (seen)."""
_EARLIER = {"Splits": 0.000506, "Segments": 0.0, "LargeSegments": 0.000035, "Storage": 0.004733}
"""Seconds between the loops, which do not run in the same microsecond."""
_SIGTERM = 15
KILLED = 128 + _SIGTERM
"""How a shell shows the end by SIGTERM while the program has no handler of its own yet (seen)."""
EXITS = {"backend": 1, "redis": 3, "first sync": 5}
"""Exit codes of starts that fail (seen)."""


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(allowed)}")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What backend and Redis do. A proxy has no Redis: what it does changes nothing."""

    backend: str = "ok"
    redis: str = "ok"

    def __post_init__(self) -> None:
        _one_of("backend", self.backend, BACKENDS)
        _one_of("redis", self.redis, REDISES)


@dataclass(frozen=True, slots=True)
class Services:
    """The URLs that /health/dependencies tells of, in its order; by default those recorded."""

    telemetry: str = "http://127.0.0.1:9000/health"
    auth: str = "http://127.0.0.1:9000/health"
    api: str = "http://127.0.0.1:9000/api/version"
    events: str = "http://127.0.0.1:9000/api/version"
    streaming: str = "http://127.0.0.1:9000/health"

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.telemetry, self.auth, self.api, self.events, self.streaming)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the synchronizer was started. Rates and times are seconds; `http_timeout` 0 is none.

    `streaming` means a stream that works; without one both programs poll, whatever their flag.
    `latency` is what the backend takes for one request. `loses_threshold` is a race of the proxy
    at its start, seen in 11 of 20: its counters keep their first threshold of an hour.
    """

    kind: str = "sync"
    split_refresh: float = 60.0
    segment_refresh: float = 60.0
    large_segment_refresh: float = 600.0
    http_timeout: float = 30.0
    latency: float = 0.0
    streaming: bool = False
    username: str = ""
    password: str = ""
    services: Services = Services()
    snapshot: bool = False
    loses_threshold: bool = False

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, KINDS)
        rates = (self.split_refresh, self.segment_refresh, self.large_segment_refresh)
        if not all(rate > 0 for rate in rates):
            raise ValueError(f"refresh rates must be above 0: {rates}")

    @property
    def refresh_rates(self) -> dict[str, float]:
        """The loops and their rates: the proxy has one more."""
        rates = {"Splits": self.split_refresh, "Segments": self.segment_refresh}
        if self.kind == "proxy":
            rates["LargeSegments"] = self.large_segment_refresh
        return dict.fromkeys(rates, TOKEN_REFRESH) if self.streaming else rates

    def threshold(self, name: str) -> float:
        if self.kind == "proxy" and self.loses_threshold:
            return INITIAL_THRESHOLD
        return self.refresh_rates[name] + (STREAMING_GRACE if self.streaming else GRACE)


@dataclass(frozen=True, slots=True)
class Loop:
    """One sync loop and the counter that watches it: each attempt hits it as it begins."""

    name: str
    threshold: float
    next_hit: float
    deadline: float
    last_hit: float | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """The counter that watches split-sync's Redis; `next_check` is when the next one ends."""

    next_check: float
    forgets: float
    last_hit: float | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Looks:
    """What the hourly looks at the dependencies found: all five share one backend here."""

    next_look: float
    since: float | None
    results: tuple[bool, ...] = ()
    failure: str = ""
    last_hit: float | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """The synchronizer at the time `at`. `opens`, `syncs` and `exits` may lie ahead."""

    settings: Settings
    started: float
    at: float
    conditions: Conditions
    opens: float
    syncs: float
    exits: float
    code: int
    looks: Looks
    loops: tuple[Loop, ...] = ()
    storage: Storage | None = None
    stopped: float = NEVER

    @property
    def kind(self) -> str:
        return self.settings.kind


def unix(now: float) -> int:
    """Take the model's seconds as those since 1970: the default mapping to nanoseconds.

    A float has no nanoseconds of that size; the last three digits only look like some.
    """
    microseconds = round(now * 1_000_000)
    return microseconds * MICROSECOND + microseconds * 7919 % MICROSECOND


Wall = Callable[[float], int]


def start(settings: Settings, now: float, conditions: Conditions = Conditions()) -> Model:
    """Start the program. Whether it opens its port or exits, `port_open` and `exited` tell."""
    model = Model(
        settings=settings,
        started=now,
        at=now,
        conditions=conditions,
        opens=NEVER,
        syncs=NEVER,
        exits=NEVER,
        code=0,
        looks=Looks(next_look=now + DEPENDENCY_CHECK, since=now),
    )
    return _begun(model, now)


def settled(settings: Settings, now: float) -> Model:
    """Return one that has run well for a while: every item has its last hit."""
    longest = max(*settings.refresh_rates.values(), STORAGE_CHECK)
    return _advanced(start(settings, now - 1.37 * longest - 1 - 3 * settings.latency), now)


def unhealthy(settings: Settings, now: float) -> Model:
    """Return one whose Splits have timed out a while ago: 500, and it stays so."""
    hang = now - settings.threshold("Splits") - 7
    model = settled(settings, hang)
    stuck = replace(model, loops=tuple(map(_stuck, model.loops)))
    return _advanced(stuck, now)


def _stuck(loop: Loop) -> Loop:
    return replace(loop, next_hit=NEVER) if loop.name == "Splits" else loop


def starting(settings: Settings, now: float) -> Model:
    """Return one that waits for its first sync, and goes on waiting.

    split-sync already answers 200, its items without lastHit; split-proxy's port is still closed.
    """
    model = start(settings, now - _SYNC_OPENS)
    opens = now if settings.kind == "sync" else NEVER
    return replace(model, at=now, opens=opens, syncs=NEVER, exits=NEVER, loops=(), storage=None)


def with_conditions(
    model: Model, now: float, *, backend: str | None = None, redis: str | None = None
) -> Model:
    """Change what backend and Redis do from *now* on; None leaves it as it is."""
    old = model.conditions
    conditions = Conditions(backend or old.backend, redis or old.redis)
    if conditions == old:
        return model
    before = _advanced(model, now)
    changed = replace(before, conditions=conditions)
    if now < model.stopped and now < model.exits and now < model.syncs:
        return _begun(changed, now)
    return replace(
        changed,
        loops=tuple(_resumed(changed, loop) for loop in changed.loops),
        storage=_rechecked(before, changed),
        looks=_looked_again(before.looks, conditions, now),
        exits=min(changed.exits, now + _IDLE_STOP) if _stops_early(changed) else changed.exits,
    )


def stop(model: Model, now: float) -> Model:
    """Ask it to end (SIGTERM, /shutdown/stop/graceful).

    It waits for its segment workers, up to the HTTP timeout when the backend hangs, and its port
    goes on answering; before the first sync is done the signal ends it at once (seen).
    """
    if now >= model.stopped or now >= model.exits:
        return model
    ended = _advanced(model, now)
    if now < model.syncs:
        return replace(ended, stopped=now, exits=now, code=KILLED)
    wait = _IDLE_STOP
    if model.conditions.backend == "hang":
        wait = model.settings.http_timeout or NEVER
    return replace(ended, stopped=now, exits=now + wait, code=0)


def port_open(model: Model, now: float) -> bool:
    return model.opens <= now < model.exits


def exited(model: Model, now: float) -> int | None:
    """Return the exit code, or None while it runs."""
    return model.code if now >= model.exits else None


def uptime(model: Model, now: float) -> float:
    return max(0.0, now - model.started)


def healthy(model: Model, now: float) -> bool:
    """Tell whether /health/application answers 200."""
    return not any(loop.timed_out for loop in _advanced(model, now).loops)


def health(model: Model, now: float, wall: Wall = unix) -> ApplicationHealth:
    """Return what /health/application says. *wall* maps the model's clock to UNIX nanoseconds."""
    current = _advanced(model, now)
    items = [_loop_item(name, current, wall) for name in model.settings.refresh_rates]
    if model.kind == "sync":
        items.append(_storage_item(current.storage, wall))
    is_healthy = not any(loop.timed_out for loop in current.loops)
    return ApplicationHealth(is_healthy, wall(model.started) if is_healthy else None, tuple(items))


def dependencies(model: Model, now: float, wall: Wall = unix) -> DependenciesHealth:
    """Return what /health/dependencies says: healthy without a look in the first hour."""
    looks = _advanced(model, now).looks
    rows = (_dependency(url, looks, wall) for url in model.settings.services.urls)
    return DependenciesHealth("down" if looks.since is None else "healthy", tuple(rows))


def _loop_item(name: str, model: Model, wall: Wall) -> Item:
    for loop in model.loops:
        if loop.name == name:
            return Item(name, not loop.timed_out, _at(loop.last_hit, name, wall))
    return Item(name, healthy=True)


def _storage_item(storage: Storage | None, wall: Wall) -> Item:
    if storage is None:
        return Item("Storage", healthy=True)
    last_hit = _at(storage.last_hit, "Storage", wall)
    return Item("Storage", storage.errors < STORAGE_ERRORS, last_hit, storage.errors)


def _dependency(url: str, looks: Looks, wall: Wall) -> Dependency:
    return Dependency(
        service=url,
        healthy=looks.since is not None,
        message=_FAILURES[looks.failure].format(url=url, address=_address(url)),
        healthy_since=None if looks.since is None else wall(looks.since),
        last_hit=None if looks.last_hit is None else wall(looks.last_hit),
    )


_FAILURES = {
    "": "",
    "500": "500 Internal Server Error",
    "refused": 'Get "{url}": dial tcp {address}: connect: connection refused',
}


def _address(url: str) -> str:
    """Return host and port as Go's dialer names them (it would name the address)."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    return host if ":" in host else f"{host}:{443 if scheme == 'https' else 80}"


def _at(moment: float | None, name: str, wall: Wall) -> int | None:
    return None if moment is None else wall(moment - _EARLIER[name])


# Start.


def _begun(model: Model, now: float) -> Model:
    """Go through the start from *now* on, under the model's conditions."""
    open_already = model.opens <= now
    fresh = replace(model, opens=now if open_already else NEVER, syncs=NEVER, exits=NEVER)
    begin = _begin_sync if model.kind == "sync" else _begin_proxy
    return _with_loops(begin(fresh, now))


def _begin_sync(model: Model, now: float) -> Model:
    """SDK key check, Redis, version; then the port; then the first sync (seen)."""
    settings, conditions = model.settings, model.conditions
    code = EXITS["backend"] if model.opens > now else EXITS["first sync"]
    if conditions.backend != "ok":
        return replace(model, exits=now + _failure_takes(model), code=code)
    if conditions.redis != "ok":
        hangs = REDIS_READ_TIMEOUT if conditions.redis == "hang" else 0.0
        return replace(model, exits=now + _FAILS + hangs, code=EXITS["redis"])
    opens = min(model.opens, now + _SYNC_OPENS + 2 * settings.latency)
    return replace(model, opens=opens, syncs=opens + _SYNC_TAKES + settings.latency)


def _begin_proxy(model: Model, now: float) -> Model:
    """The port opens after the first sync, or with a snapshot after its first failure (seen)."""
    settings = model.settings
    if model.conditions.backend == "ok":
        done = now + _PROXY_OPENS + 2 * settings.latency
        return replace(model, opens=min(model.opens, done), syncs=done)
    takes = _failure_takes(model)
    if settings.snapshot:
        opens = now + (takes if model.conditions.backend == "hang" else _SNAPSHOT_OPENS)
        return replace(model, opens=min(model.opens, opens))
    return replace(model, exits=now + takes, code=EXITS["first sync"])


def _failure_takes(model: Model) -> float:
    if model.conditions.backend == "hang":
        return model.settings.http_timeout or NEVER
    return _FAILS + model.settings.latency


def _with_loops(model: Model) -> Model:
    """Let the loops begin once the first sync is done; it has hit no counter itself (seen)."""
    if model.syncs == NEVER:
        return replace(model, loops=(), storage=None)
    begun = model.syncs
    names = model.settings.refresh_rates
    loops = tuple(_begun_loop(name, model.settings, begun) for name in names)
    storage = Storage(begun + STORAGE_CHECK, begun + HOUR) if model.kind == "sync" else None
    return replace(model, loops=loops, storage=storage)


def _begun_loop(name: str, settings: Settings, begun: float) -> Loop:
    threshold = settings.threshold(name)
    return Loop(name, threshold, begun + settings.refresh_rates[name], begun + threshold)


def _stops_early(model: Model) -> bool:
    """Whether a shutdown that waited for the backend need wait no longer."""
    return model.stopped < NEVER and model.conditions.backend != "hang"


# The course of time, under one set of conditions.


def _advanced(model: Model, now: float) -> Model:
    """Return the model as it is at *now*; time does not run backwards."""
    now = max(now, model.at)
    running = min(now, model.stopped)
    return replace(
        model,
        at=now,
        loops=tuple(_loop_at(loop, _pace(model, loop.name), running) for loop in model.loops),
        storage=model.storage and _storage_at(model.storage, model.conditions.redis, now),
        looks=_looks_at(model.looks, model.conditions, running),
    )


def _pace(model: Model, name: str) -> float:
    """Return the seconds from attempt to attempt; NEVER when one that begins now does not end.

    Seen: a hanging backend holds up Splits alone, until the HTTP timeout; without Redis the fetch
    of Splits spins and never ends; a hanging Redis delays Segments by its read timeout.
    """
    rate = model.settings.refresh_rates[name]
    redis = model.conditions.redis if model.kind == "sync" else "ok"
    if name == "Splits":
        return rate + (NEVER if redis != "ok" else _fetch_takes(model))
    return rate + (REDIS_READ_TIMEOUT if redis == "hang" else 0.0)


def _fetch_takes(model: Model) -> float:
    if model.conditions.backend == "hang":
        return model.settings.http_timeout or NEVER
    return model.settings.latency


def _loop_at(loop: Loop, pace: float, now: float) -> Loop:
    """Run one loop up to *now*. A counter that has timed out stays so: it counts no more."""
    if loop.timed_out:
        return loop
    if loop.next_hit <= now and loop.next_hit < loop.deadline:
        loop = _hit(loop, pace, now)
    return replace(loop, timed_out=loop.deadline <= now)


def _hit(loop: Loop, pace: float, now: float) -> Loop:
    """Count the attempts up to *now*, or the first alone if the next comes too late."""
    hits = 0 if pace > loop.threshold else math.floor((now - loop.next_hit) / pace)
    last = loop.next_hit + hits * pace if hits else loop.next_hit
    return replace(loop, last_hit=last, next_hit=last + pace, deadline=last + loop.threshold)


def _storage_at(storage: Storage, redis: str, now: float) -> Storage:
    """Run the checks of Redis up to *now*: each is ten seconds after the end of the last."""
    forgets = storage.forgets
    errors, forgotten = storage.errors, -NEVER
    if forgets <= now:
        forgotten = forgets + HOUR * math.floor((now - forgets) / HOUR)
        errors, forgets = 0, forgotten + HOUR
    if storage.next_check > now:
        return replace(storage, errors=errors, forgets=forgets)
    pace = STORAGE_CHECK + (REDIS_READ_TIMEOUT if redis == "hang" else 0.0)
    last = storage.next_check + pace * math.floor((now - storage.next_check) / pace)
    if redis != "ok":
        errors += _count(storage.next_check, last, pace, forgotten)
    return Storage(last + pace, forgets, last, errors)


def _count(first: float, last: float, pace: float, after: float) -> int:
    """Count the checks from first to last that are later than *after*."""
    earlier = 0 if after < first else math.floor((after - first) / pace) + 1
    return max(0, round((last - first) / pace) + 1 - earlier)


def _looks_at(looks: Looks, conditions: Conditions, now: float) -> Looks:
    """Run the hourly looks up to *now*. A look at a hanging service never ends (source)."""
    if looks.pending or looks.next_look > now:
        return looks
    if conditions.backend == "hang":
        return replace(looks, pending=True)
    first = looks.next_look
    more = math.floor((now - first) / DEPENDENCY_CHECK)
    last = first + more * DEPENDENCY_CHECK
    for index in range(min(more + 1, DEPENDENCY_MEMORY)):
        looks = _looked(looks, conditions.backend, first + index * DEPENDENCY_CHECK)
    return replace(looks, last_hit=last, next_look=last + DEPENDENCY_CHECK)


def _looked(looks: Looks, backend: str, when: float) -> Looks:
    """Judge one more look (source: ByPercentageImp.NotifyHit)."""
    good = backend == "ok"
    results = (*looks.results, good)[-DEPENDENCY_MEMORY:]
    failure = looks.failure if good else backend
    since = looks.since
    if sum(results) * 100 // len(results) < DEPENDENCY_PERCENT:
        since = None
    elif since is None:
        since, failure = when, ""
    return Looks(when + DEPENDENCY_CHECK, since, results, failure, when)


# A change of conditions.


def _resumed(model: Model, loop: Loop) -> Loop:
    """An attempt that hung has ended with the change: the next is one pace away at most."""
    pace = _pace(model, loop.name)
    return replace(loop, next_hit=min(loop.next_hit, model.at + pace))


def _rechecked(before: Model, after: Model) -> Storage | None:
    if before.storage is None:
        return None
    was, is_now = (model.conditions.redis == "hang" for model in (before, after))
    next_check = before.storage.next_check
    if is_now and not was:
        next_check += REDIS_READ_TIMEOUT
    if was and not is_now:
        next_check = min(next_check, before.at + STORAGE_CHECK)
    return replace(before.storage, next_check=next_check)


def _looked_again(looks: Looks, conditions: Conditions, now: float) -> Looks:
    """A look that hung ends with the change."""
    if not looks.pending or conditions.backend == "hang":
        return looks
    return replace(_looked(looks, conditions.backend, now), pending=False)
