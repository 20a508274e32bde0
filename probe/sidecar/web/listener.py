"""A listener: an aiohttp application behind a gate, with TLS where the web configuration has it."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from collections.abc import Mapping
from typing import cast

from aiohttp import web

from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.fields import split_address
from probe.sidecar.configuration.webconfig import ServerTLS
from probe.sidecar.web.security import Authenticator
from probe.sidecar.web.security import Gate
from probe.sidecar.web.security import Guard

_QUIET = logging.getLogger("probe.sidecar.http")
"""aiohttp's words on what a client got wrong: nobody's business in our log."""
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def authenticator(users: Mapping[str, bytes]) -> Authenticator | None:
    """Return what asks for passwords; None without users. Raises ConfigError."""
    if not users:
        return None
    try:
        import bcrypt  # noqa: PLC0415 # an extra, and only for those who have users
    except ImportError as error:
        raise ConfigError(
            ["basic_auth_users: needs bcrypt; pip install 'split-probe[sidecar]'"]
        ) from error

    def compare(password: bytes, hashed: bytes) -> bool:
        try:
            # As the toolkit's own (and every bcrypt until lately): 72 bytes count.
            return bcrypt.checkpw(password[:72], hashed)
        except ValueError:
            return False

    return Authenticator(users, compare)


def server_context(settings: ServerTLS) -> ssl.SSLContext:
    """Make a server's TLS context. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.lowest]
    context.maximum_version = _VERSIONS[settings.highest]
    try:
        # Without a password callback OpenSSL would ask on the terminal.
        context.load_cert_chain(settings.cert, settings.key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"tls_server_config: {settings.cert}, {settings.key}: {error}"]
        ) from None
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:
            raise ConfigError([f"tls_server_config: {settings.client_ca}: {error}"]) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Listener:
    """One address. TLS is there from the beginning or not at all; its files may change."""

    def __init__(
        self,
        address: str,
        app: web.Application,
        gate: Gate,
        tls: ServerTLS | None = None,
    ) -> None:
        self._host, self._port = split_address(address, lowest_port=0)
        self.gate = gate
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_QUIET,
            keepalive_timeout=gate.limits.idle_seconds,
            lingering_time=0,
            max_line_size=gate.limits.field_bytes,
            max_field_size=gate.limits.field_bytes,
        )
        self._context = server_context(tls) if tls else None
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where it listens: HOST:PORT, with the real port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    @property
    def port(self) -> int:
        sockets = self._server.sockets if self._server else ()
        return int(sockets[0].getsockname()[1]) if sockets else self._port

    @property
    def secure(self) -> bool:
        return self._context is not None

    async def start(self) -> None:
        """Begin to listen. Raises OSError."""
        await self._runner.setup()
        inner = cast("Callable[[], asyncio.Protocol]", self._runner.server)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Guard(self.gate, inner()),
            self._host,
            self._port,
            ssl=self._context,
            ssl_handshake_timeout=self.gate.limits.head_seconds if self._context else None,
        )

    def renew(self, tls: ServerTLS) -> None:
        """Take the certificate as it is now, for connections to come. Raises ConfigError."""
        if self._context is not None:
            server_context(tls)  # what is broken must not get into the one in use
            self._context.load_cert_chain(tls.cert, tls.key, password="")

    async def stop(self, seconds: float) -> None:
        """Take no more connections, and let those under way end within so many seconds."""
        if self._server is not None:
            self._server.close()
        drained = asyncio.create_task(self._runner.cleanup())
        _, late = await asyncio.wait([drained], timeout=seconds)
        if late:
            self.gate.abort()
            drained.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await drained
