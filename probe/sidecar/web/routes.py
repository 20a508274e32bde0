"""The endpoints: what each answers, from memory. Which listener has which stands in the two tables.

The first listener, on loopback, has all of them; the second, for Prometheus and the platform, only
what reads and names no more than metrics do.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterable
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from aiohttp import web

from probe.sidecar import metrics
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.polling.scheduler import Scheduler
from probe.sidecar.store import Record
from probe.sidecar.store import Store
from probe.sidecar.web import page
from probe.sidecar.web.allow import RefusedError
from probe.sidecar.web.assets import POLICY
from probe.sidecar.web.maintenance import MaintenanceError
from probe.sidecar.web.maintenance import read_until
from probe.sidecar.web.probing import HEADER
from probe.sidecar.web.probing import BadQuestionError
from probe.sidecar.web.probing import BusyError
from probe.sidecar.web.probing import Prober
from probe.sidecar.web.security import HEADERS
from probe.sidecar.web.security import Authenticator
from probe.sidecar.web.security import Gate
from probe.sidecar.web.security import authenticating
from probe.sidecar.web.security import same_origin
from probe.sidecar.web.security import sealing
from probe.sidecar.web.targets import described
from probe.sidecar.web.words import moment

SLICE = 0.002
"""Seconds for which an answer is written before checks get their turn."""

BLOCK = 64 * 1024
"""Bytes that are written at once."""

MOST_NAMED = 20
"""Targets that are named when not ready."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Route = tuple[str, str, Callable[["Endpoints"], _Handler]]


@dataclass(slots=True)
class Service:
    """What the endpoints stand on; `stopping` and `authenticator` change while it runs."""

    store: Store
    scheduler: Scheduler
    prober: Prober
    reload: Callable[[], Awaitable[None]]
    own: Callable[[], metrics.Own]
    on_maintenance: Callable[[str, float | None], None] = lambda _name, _until: None
    on_error: Callable[[Exception], None] = lambda _error: None
    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    authenticator: Authenticator | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stopping: bool = False

    def ready(self, record: Record) -> bool:
        return not self.stopping and record.ready(self.clock())


class Endpoints:
    """One method an endpoint."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @web.middleware
    async def plain_errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer every error with one line of text, which repeats nothing of what was asked."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            error.content_type = "text/plain"
            if error.text and error.text.startswith(f"{error.status}:"):  # aiohttp's own words
                error.text = f"{error.reason.lower()}\n"
            raise
        except (OSError, TimeoutError):  # the client is gone, or took too long
            raise
        except Exception as error:
            self._service.on_error(error)
            raise web.HTTPInternalServerError(text="internal error\n") from error

    async def livez(self, _request: web.Request) -> web.StreamResponse:
        """Tell whether the polling turns; no target has a say in it."""
        if self._service.scheduler.alive():
            return _text("ok\n")
        return _text("the polling loop does not turn\n", 503)

    async def readyz(self, _request: web.Request) -> web.StreamResponse:
        service = self._service
        if service.stopping:
            return _text("stopping\n", 503)
        waiting = [one for one in service.store.records.values() if not service.ready(one)]
        if not waiting:
            return _text("ok\n")
        return _text(self._not_ready(waiting), 503)

    async def readyz_one(self, request: web.Request) -> web.StreamResponse:
        record = self._named(request)
        if self._service.stopping:
            return _text("stopping\n", 503)
        if self._service.ready(record):
            return _text("ok\n")
        return _text(self._not_ready([record]), 503)

    def _not_ready(self, records: list[Record]) -> str:
        if self._service.authenticator:
            return "not ready\n"  # who has given no password learns no names
        lines = [f"{one.settings.name}: {self._why(one)}\n" for one in records[:MOST_NAMED]]
        left = len(records) - len(lines)
        return "".join([*lines, f"and {left} more\n" if left else ""])

    def _why(self, record: Record) -> str:
        state = record.condition.state
        old = record.last is not None and not record.fresh(self._service.clock())
        return f"{state}, last check too old" if old else str(state)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        service, clock, wall = self._service, self._service.clock(), self._service.wall()
        views = [
            metrics.View(
                record,
                ready=not service.stopping and record.ready(clock),
                in_maintenance=record.condition.in_maintenance(wall),
            )
            for record in service.store.records.values()
        ]
        form = metrics.negotiate(request.headers.get("Accept", ""))
        return await _stream(request, form, metrics.exposition(views, service.own(), form))

    async def probe(self, request: web.Request) -> web.StreamResponse:
        try:
            check, settings = await self._service.prober.probe(
                request.query, request.headers.get(HEADER)
            )
        except BadQuestionError as error:
            return _text(f"{error}\n", 400)
        except RefusedError as error:
            return _text(f"{error}\n", 403)
        except BusyError as error:
            return _text(f"{error}\n", 503)
        form = metrics.negotiate(request.headers.get("Accept", ""))
        return await _stream(request, form, metrics.one_check(check, settings, form))

    async def targets(self, request: web.Request) -> web.StreamResponse:
        service = self._service
        wanted = set(request.query.getall("name", []))
        records = [
            record for name, record in service.store.records.items() if not wanted or name in wanted
        ]
        return await _stream(request, "application/json", self._documents(records))

    def _documents(self, records: Iterable[Record]) -> Iterator[str]:
        wall, clock = self._service.wall(), self._service.clock()
        yield '{"schema": 1, "targets": ['
        for index, record in enumerate(records):
            document = described(record, wall, ready=self._service.ready(record),
                                 fresh=record.fresh(clock))  # fmt: skip
            yield (", " if index else "") + json.dumps(document)
        yield "]}\n"

    async def page(self, request: web.Request) -> web.StreamResponse:
        service = self._service
        text = page.render(
            list(service.store.records.values()),
            page.read_query(request.query),
            page.Now(service.wall(), service.clock()),
        )
        return web.Response(
            text=text, content_type="text/html", headers={"Content-Security-Policy": POLICY}
        )

    async def reload(self, _request: web.Request) -> web.StreamResponse:
        try:
            await self._service.reload()
        except ConfigError as error:
            return _text(f"{error}\nwhat was valid before still runs\n", 500)
        return _text("reloaded\n")

    async def maintain(self, request: web.Request) -> web.StreamResponse:
        """Begin maintenance: `until` (RFC 3339, or UNIX seconds) or `duration` (`30m`), no more."""
        record = self._named(request)
        given = {**request.query, **await request.post()}
        try:
            until = read_until({k: str(v) for k, v in given.items()}, self._service.wall())
        except MaintenanceError as error:
            return _text(f"{error}\n", 400)
        return self._maintained(record, until)

    async def end_maintenance(self, request: web.Request) -> web.StreamResponse:
        return self._maintained(self._named(request), None)

    def _maintained(self, record: Record, until: float | None) -> web.Response:
        name = record.settings.name
        self._service.scheduler.maintenance(name, until)
        self._service.on_maintenance(name, until)
        shown = None if until is None else moment(until)
        return web.json_response({"schema": 1, "name": name, "maintenance_until": shown})

    def _named(self, request: web.Request) -> Record:
        record = self._service.store.records.get(request.match_info["name"])
        if record is None:
            raise web.HTTPNotFound(text="no target of that name\n")
        return record


_READING: tuple[_Route, ...] = (
    ("GET", "/livez", lambda at: at.livez),
    ("GET", "/readyz", lambda at: at.readyz),
    ("GET", "/readyz/{name:.+}", lambda at: at.readyz_one),
    ("GET", "/metrics", lambda at: at.metrics),
)
_ALL: tuple[_Route, ...] = (
    *_READING,
    ("GET", "/", lambda at: at.page),
    ("GET", "/probe", lambda at: at.probe),
    ("GET", "/api/v1/targets", lambda at: at.targets),
    ("POST", "/-/reload", lambda at: at.reload),
    ("POST", "/-/maintenance/{name:.+}", lambda at: at.maintain),
    ("DELETE", "/-/maintenance/{name:.+}", lambda at: at.end_maintenance),
)


def main_app(service: Service, gate: Gate) -> web.Application:
    """Make the application of the first listener."""
    return _app(service, gate, _ALL)


def metrics_app(service: Service, gate: Gate) -> web.Application:
    """Make the application of the second listener."""
    return _app(service, gate, _READING)


def _app(service: Service, gate: Gate, routes: Iterable[_Route]) -> web.Application:
    endpoints = Endpoints(service)
    app = web.Application(
        middlewares=[
            gate.watch,
            endpoints.plain_errors,
            authenticating(lambda: service.authenticator),
            same_origin,
        ],
        client_max_size=gate.limits.bytes,
    )
    for method, path, handler in routes:
        app.router.add_route(method, path, handler(endpoints))
        if method == "GET":
            app.router.add_route("HEAD", path, handler(endpoints))
    app.on_response_prepare.append(sealing(HEADERS, lambda: service.headers))
    return app


def _text(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status)


async def _stream(
    request: web.Request, content_type: str, pieces: Iterable[str]
) -> web.StreamResponse:
    """Send *pieces* in large blocks, and give the loop its turn whenever a slice has passed."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    if request.method != "HEAD":
        async for block in _blocks(pieces):
            await response.write(block)
    await response.write_eof()
    return response


async def _blocks(pieces: Iterable[str]) -> AsyncIterable[bytes]:
    block = bytearray()
    began = time.perf_counter()
    for piece in pieces:
        block += piece.encode()
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
        if time.perf_counter() - began >= SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()
    if block:
        yield bytes(block)
