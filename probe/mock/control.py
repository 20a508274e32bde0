"""The remote control: a small JSON API on a loopback port of its own."""

import base64
import json
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime

from aiohttp import web

from probe.mock.faults import ModeError
from probe.mock.faults import StepsError
from probe.mock.faults import mode_named
from probe.mock.listener import Listener
from probe.mock.listener import Request
from probe.mock.running import CONDITIONS
from probe.mock.running import Running

SCHEMA = 1
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultError(Exception):
    """What was asked cannot be: the field, what stood there, what may stand there."""

    def __init__(
        self,
        field: str,
        value: object,
        message: str,
        allowed: Sequence[str] = (),
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"field": field, "value": value, "message": message, "allowed": list(allowed)}


class Control:
    """Serves the API while it runs; `port` is the real one once it has started."""

    def __init__(
        self, listener: Listener, running: Running, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.host = host
        self.port = port
        self._listener = listener
        self._running = running
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_json])
        app.add_routes(
            [
                web.get("/mode", self._get_mode),
                web.put("/mode", self._put_mode),
                web.get("/conditions", self._get_conditions),
                web.put("/conditions", self._put_conditions),
                web.get("/requests", self._get_requests),
                web.delete("/requests", self._delete_requests),
                web.get("/health", self._get_health),
            ]
        )
        return app

    async def _get_mode(self, _request: web.Request) -> web.Response:
        return _answer(
            mode=self._listener.mode.name,
            expected=self._listener.expected,
            host=self._listener.host,
            port=self._listener.port,
        )

    async def _put_mode(self, request: web.Request) -> web.Response:
        body = await _object(request, ("mode", "script"))
        try:
            mode = mode_named(body.get("mode"), body.get("script"))
        except StepsError as error:
            raise FaultError("script", body["script"], str(error)) from error
        except ModeError as error:
            field = "mode" if error.allowed else "script"
            raise FaultError(field, error.value, str(error), error.allowed) from error
        await self._listener.set(mode)
        return await self._get_mode(request)

    async def _get_conditions(self, _request: web.Request) -> web.Response:
        return _answer(conditions=self._running.conditions)

    async def _put_conditions(self, request: web.Request) -> web.Response:
        body = await _object(request, tuple(CONDITIONS))
        for field, value in body.items():
            if value not in CONDITIONS[field]:
                raise _not_allowed(field, value, CONDITIONS[field])
        await self._listener.change(**body)
        return await self._get_conditions(request)

    async def _get_requests(self, _request: web.Request) -> web.Response:
        return _answer(requests=[_shown(request) for request in self._listener.requests])

    async def _delete_requests(self, _request: web.Request) -> web.Response:
        deleted = len(self._listener.requests)
        self._listener.requests.clear()
        return _answer(deleted=deleted)

    async def _get_health(self, _request: web.Request) -> web.Response:
        return _answer(**self._running.described())


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except FaultError as error:
        return _error(error.status, error.body)
    except web.HTTPMethodNotAllowed as error:
        allowed = sorted(error.allowed_methods)
        return _error(error.status, _not_allowed("method", request.method, allowed).body)
    except web.HTTPNotFound as error:
        paths = ["/mode", "/conditions", "/requests", "/health"]
        return _error(error.status, _not_allowed("path", request.path, paths).body)
    except web.HTTPException as error:
        return _error(error.status, FaultError("request", None, error.reason).body)


async def _object(request: web.Request, fields: Sequence[str]) -> dict[str, str]:
    """Return the body, a JSON object of these fields and at least one of them."""
    text = (await request.read()).decode("utf-8", "backslashreplace")
    try:
        body = json.loads(text)
    except ValueError as error:
        raise FaultError("body", text[:40], f"not JSON: {error}", fields) from error
    if not isinstance(body, dict) or not body:
        raise FaultError("body", body, "not a JSON object with a field", fields)
    for field, value in body.items():
        if field not in fields:
            raise FaultError(field, value, f"no field {field!r}: {', '.join(fields)}", fields)
    return body


def _not_allowed(field: str, value: object, allowed: Sequence[str]) -> FaultError:
    return FaultError(field, value, f"{value!r} is none of {', '.join(allowed)}", allowed)


def _answer(**content: object) -> web.Response:
    return web.json_response({"schema": SCHEMA, **content})


def _error(status: int, body: Mapping[str, object]) -> web.Response:
    return web.json_response({"schema": SCHEMA, "error": body}, status=status)


def _shown(request: Request) -> dict[str, str]:
    return {
        "at": datetime.fromtimestamp(request.at, UTC).isoformat(),
        "text": request.data.decode("ascii", "backslashreplace"),
        "base64": base64.b64encode(request.data).decode(),
    }
