"""One check: look-up, status line, and where wanted the bodies, under one deadline.

The verdict is `acheck`'s, for the contract's exchanges are the same; what drives them is callbacks.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from probe.client.blocking import Clock
from probe.client.failures import CheckFailedError
from probe.client.failures import connect_reason
from probe.client.names import Address
from probe.client.tls import TLSExchange
from probe.contract.exchange import Exchange
from probe.contract.exchange import PlainExchange
from probe.contract.target import Target
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.judgement import judge
from probe.sidecar.judgement import read_application
from probe.sidecar.judgement import read_dependencies
from probe.sidecar.polling.bodies import DEPENDENCIES_PATH
from probe.sidecar.polling.bodies import DeepExchange
from probe.sidecar.polling.contexts import Contexts
from probe.sidecar.polling.conversation import NO_DESCRIPTORS
from probe.sidecar.polling.conversation import Conversation
from probe.sidecar.polling.conversation import numeric_once
from probe.sidecar.polling.readiness import Readiness
from probe.sidecar.polling.resolver import Found
from probe.sidecar.polling.resolver import Resolver
from probe.sidecar.polling.resolver import Told
from probe.sidecar.polling.resolver import with_port
from probe.sidecar.store import Health
from probe.synchronizer.health import SECOND
from probe.synchronizer.health import ApplicationHealth
from probe.synchronizer.health import DependenciesHealth


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: the contract's reason, and the seconds until it was known.

    `skipped` says why no check could be made; the reason is then nothing to go by.
    """

    reason: str
    seconds: float
    health: Health | None = None
    skipped: str | None = None


Done = Callable[[Finding], None]


class Running(Protocol):
    """A check under way."""

    def cancel(self) -> None:
        """Close everything, and tell nobody."""


class Checker:
    """Makes checks in the running loop, as many at once as are started."""

    def __init__(self, *, clock: Clock = time.monotonic, wall: Clock = time.time) -> None:
        self._loop = asyncio.get_running_loop()
        self._readiness = Readiness()
        self._resolver = Resolver()
        self._contexts = Contexts()
        self._clock = clock
        self._wall = wall

    def start(self, settings: TargetSettings, done: Done) -> Running:
        """Begin a check; *done* is called in a later turn of the loop, or in this call."""
        attempt = _Attempt(settings, self, done)
        attempt.begin()
        return attempt

    async def check(self, settings: TargetSettings) -> Finding:
        """Check once, and wait for it. Cancelling closes all."""
        found: asyncio.Future[Finding] = self._loop.create_future()
        running = self.start(settings, found.set_result)
        try:
            return await found
        finally:
            running.cancel()

    def close(self) -> None:
        self._readiness.close()

    def clock(self) -> float:
        return self._clock()

    def wall(self) -> float:
        return self._wall()

    def later(self, seconds: float, then: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, then)

    def exchange(self, target: Target, inner: Exchange | None) -> Exchange:
        """Return what reads *target*'s answer, within TLS where it asks for it.

        Raises CheckFailedError.
        """
        inner = inner or PlainExchange(target)
        return inner if target.tls is None else TLSExchange(target, inner, self._contexts.of)

    def conversation(
        self, exchange: Exchange, addresses: list[Address], done: Callable[[str], None]
    ) -> Conversation:
        return Conversation(exchange, addresses, self._readiness, done)

    @property
    def resolver(self) -> Resolver:
        return self._resolver


class _Attempt:
    """The steps of one check, each called by what the one before it waited for."""

    __slots__ = (
        "_addresses",
        "_application",
        "_checker",
        "_conversation",
        "_deadline",
        "_done",
        "_reason",
        "_seconds",
        "_settings",
        "_started",
        "_waiter",
    )

    def __init__(self, settings: TargetSettings, checker: Checker, done: Done) -> None:
        self._settings = settings
        self._checker = checker
        self._done: Done | None = done
        self._started = checker.clock()
        self._conversation: Conversation | None = None
        self._waiter: Told | None = None
        self._addresses: list[Address] = []
        self._reason: str | None = None
        self._seconds = 0.0
        self._application: ApplicationHealth | None = None
        self._deadline = checker.later(settings.target.timeout, self._late)

    def begin(self) -> None:
        target = self._settings.target
        deep = DeepExchange(target, self._decided) if self._settings.read_body else None
        try:
            exchange = self._checker.exchange(target, deep)
        except CheckFailedError as failure:
            self._ended(failure.reason)
            return
        done = self._ended if deep is None else partial(self._read, deep)
        if addresses := numeric_once(target.host, target.port):
            self._converse(exchange, addresses, done)
        else:
            self._waiter = partial(self._resolved, exchange, done)
            self._checker.resolver.ask(target.host, self._waiter)

    def cancel(self) -> None:
        """Close everything, and tell nobody."""
        self._done = None
        self._deadline.cancel()
        if self._conversation is not None:
            self._conversation.cancel()
        elif self._waiter is not None:
            self._checker.resolver.forget(self._settings.target.host, self._waiter)

    def _finish(self, finding: Finding) -> None:
        done = self._done
        self.cancel()
        if done is not None:
            done(finding)

    def _late(self) -> None:
        if self._reason is None:
            self._ended("timeout")
        elif self._application is None:
            self._conclude(read_application(None), None)
        else:
            self._conclude(self._application, read_dependencies(None))

    def _resolved(self, exchange: Exchange, done: Callable[[str], None], found: Found) -> None:
        if isinstance(found, CheckFailedError):
            self._ended(found.reason)
        elif isinstance(found, OSError):
            self._ended(connect_reason(found))
        else:
            self._converse(exchange, with_port(found, self._settings.target.port), done)

    def _converse(
        self, exchange: Exchange, addresses: list[Address], done: Callable[[str], None]
    ) -> None:
        self._addresses = addresses
        self._conversation = self._checker.conversation(exchange, addresses, done)
        self._conversation.begin()

    def _decided(self, reason: str) -> None:
        self._reason = reason
        self._seconds = self._checker.clock() - self._started

    def _ended(self, reason: str) -> None:
        self._decided(reason)
        skipped = reason if reason == NO_DESCRIPTORS else None
        self._finish(Finding(reason, self._seconds, skipped=skipped))

    def _read(self, deep: DeepExchange, reason: str) -> None:
        if self._reason is None:  # no status line came: nothing to read
            self._ended(reason)
            return
        application = read_application(deep.body())
        if isinstance(application, str):
            self._conclude(application, None)
        else:
            self._application = application
            self._ask_dependencies(application)

    def _ask_dependencies(self, application: ApplicationHealth) -> None:
        target = self._settings.target
        asked = Target(target.host, target.port, DEPENDENCIES_PATH, target.timeout, tls=target.tls)
        deep = DeepExchange(asked, lambda _reason: None)

        def done(_reason: str) -> None:
            self._conclude(application, read_dependencies(deep.body()))

        try:
            exchange = self._checker.exchange(asked, deep)
        except CheckFailedError as failure:  # a file of TLS is gone meanwhile
            done(failure.reason)
        else:
            self._converse(exchange, self._addresses, done)

    def _conclude(
        self, application: ApplicationHealth | str, dependencies: DependenciesHealth | str | None
    ) -> None:
        now = int(self._checker.wall() * SECOND)
        health = judge(self._settings, application, dependencies, now)
        self._finish(Finding(self._reason or "internal", self._seconds, health))
