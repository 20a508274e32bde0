"""What keeps our own endpoints up and shut: limits of connections, passwords, headers, origins.

aiohttp bounds a line and a field; it does not bound a head that comes a byte a minute, a client
that never reads, or how many there are. `Guard` stands between the transport and its protocol.
"""

import asyncio
import base64
import binascii
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import cast

from aiohttp import hdrs
from aiohttp import web
from aiohttp.typedefs import Middleware

from probe.sidecar.aside import aside

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = ("/livez", "/readyz")
"""Asked by platforms, which cannot give a password; they say no more than yes or no then."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listener: seconds, bytes, connections."""

    connections: int = 128
    head_seconds: float = 5.0
    """From the connection, or the first byte of a further request, to the end of its head."""
    request_seconds: float = 30.0
    """For the answer to be made and taken."""
    idle_seconds: float = 60.0
    """Between two requests of a connection."""
    bytes: int = 64 * 1024
    """Of one request, its body included, and of what is sent ahead of its answer."""
    field_bytes: int = 8 * 1024


class Gate:
    """The guards of one listener: how many there are, and which connection is whose."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.refused = 0
        self._guards: dict[asyncio.BaseTransport, Guard] = {}

    @property
    def connections(self) -> int:
        return len(self._guards)

    def enter(self, transport: asyncio.BaseTransport, guard: "Guard") -> bool:
        if len(self._guards) >= self.limits.connections:
            self.refused += 1
            return False
        self._guards[transport] = guard
        return True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        self._guards.pop(transport, None)

    def abort(self) -> None:
        """Close all connections at once."""
        for transport in list(self._guards):
            cast("asyncio.Transport", transport).abort()

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell the connection's guard that the head has come, and that the answer is made."""
        guard = self._guards.get(request.transport) if request.transport else None
        if guard is None:
            return await handler(request)
        guard.begin()
        try:
            async with asyncio.timeout(self.limits.request_seconds):
                return await handler(request)
        except TimeoutError:
            self.refused += 1
            raise web.HTTPServiceUnavailable(text="took too long\n") from None
        finally:
            guard.finish()


class Guard(asyncio.Protocol):
    """One connection: hands everything on to *inner* until a limit is passed, then closes."""

    def __init__(self, gate: Gate, inner: asyncio.Protocol) -> None:
        self._gate = gate
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        duplex = cast("asyncio.Transport", transport)  # uvloop's own is none by its class
        if not self._gate.enter(duplex, self):
            duplex.abort()
            return
        self._transport = duplex
        self._arm(self._gate.limits.head_seconds)
        self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return
        self._gate.leave(self._transport)
        self._disarm()
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._idle:
            self._idle = False
            self._arm(self._gate.limits.head_seconds)
        self._received += len(data)
        if self._received > self._gate.limits.bytes:
            self._refuse()
        else:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def begin(self) -> None:
        # Some seconds more than the handler has: the answer is still to be taken.
        self._arm(self._gate.limits.request_seconds + self._gate.limits.head_seconds)

    def finish(self) -> None:
        self._received = 0
        self._idle = True
        self._arm(self._gate.limits.idle_seconds)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._refuse)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _refuse(self) -> None:
        if self._transport is not None:
            self._gate.refused += not self._idle
            self._transport.abort()


# --- passwords -----------------------------------------------------------------------------------

Compare = Callable[[bytes, bytes], bool]
_REMEMBERED = 100
_LONGEST = 512
_UNKNOWN_USER = b"$2b$10$ZRFMCfdxjsQjmM3Cte2YGeq3vKZdHZpNnTq6QIgqBjQ1x2oGjyYhe"
"""A hash of nothing: an unknown user takes as long as a wrong password."""


class Authenticator:
    """Basic auth (RFC 7617) against bcrypt hashes.

    A hash takes 70 ms and more, so it is computed beside the loop, one at a time, and what
    came out is remembered under a keyed digest: neither passwords nor anything to guess them by.
    """

    def __init__(self, users: Mapping[str, bytes], compare: Compare) -> None:
        self._users = users
        self._compare = compare
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, bool] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def admits(self, header: str) -> bool:
        user, password = _credentials(header)
        hashed = self._users.get(user)
        digest = blake2b(key=self._key)
        for part in (user.encode("utf-8", "surrogateescape"), hashed or b"", password):
            digest.update(len(part).to_bytes(4) + part)
        key = digest.digest()
        if key not in self._known:
            async with self._one_at_a_time:
                same = await aside(lambda: self._compare(password, hashed or _UNKNOWN_USER))
            self._known[key] = same and hashed is not None
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known.get(key, False)


def _credentials(header: str) -> tuple[str, bytes]:
    """Read an Authorization header; what cannot be read names nobody."""
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic" or len(coded) > _LONGEST:
        return "", b""
    try:
        user, _, password = base64.b64decode(coded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", b""
    return user.decode("utf-8", "surrogateescape"), password


# --- middlewares ---------------------------------------------------------------------------------

_LITERAL = re.compile(r"(?:localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_ASKING = {hdrs.METH_GET, hdrs.METH_HEAD}


def is_open(path: str) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in OPEN_PATHS)


def authenticating(current: Callable[[], Authenticator | None]) -> Middleware:
    """Return the middleware that asks for a password where there are users."""

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        authenticator = current()
        if authenticator is None or is_open(request.path):
            return await handler(request)
        if await authenticator.admits(request.headers.get(hdrs.AUTHORIZATION, "")):
            return await handler(request)
        raise web.HTTPUnauthorized(
            text="not authorised\n", headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="probe"'}
        )

    return authenticate


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page makes a browser send to us.

    Loopback is no wall against that: the browser runs on this side of it. Nor is a name that is
    the same in both headers: its owner may let it point here (DNS rebinding).
    """
    origin = request.headers.get(hdrs.ORIGIN)
    site = request.headers.get("Sec-Fetch-Site", "none")
    own = origin is None or (
        origin.partition("://")[2] == request.host and _LITERAL.fullmatch(request.host) is not None
    )
    if request.method not in _ASKING and not (own and site in {"none", "same-origin"}):
        raise web.HTTPForbidden(text="origin: not ours\n")
    return await handler(request)


def sealing(policy: Mapping[str, str], extra: Callable[[], Mapping[str, str]]) -> Callable[
    [web.Request, web.StreamResponse], Awaitable[None]
]:  # fmt: skip
    """Return the signal handler that puts the same headers on every answer."""

    async def seal(_request: web.Request, response: web.StreamResponse) -> None:
        for name, value in policy.items():
            response.headers.setdefault(name, value)
        response.headers.update(extra())
        response.headers[hdrs.SERVER] = "probe"

    return seal


HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
