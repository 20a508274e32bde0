"""The sidecar as a whole: polling, endpoints, lines, reloads, signals, and a graceful end."""

import asyncio
import contextlib
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from probe import __version__
from probe.sidecar import lines
from probe.sidecar.aside import aside
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.sources import Marks
from probe.sidecar.configuration.sources import Reading
from probe.sidecar.configuration.sources import Source
from probe.sidecar.configuration.sources import marks
from probe.sidecar.configuration.webconfig import WebConfig
from probe.sidecar.metrics import Own
from probe.sidecar.output import Writer
from probe.sidecar.polling.checking import Checker
from probe.sidecar.polling.scheduler import Scheduler
from probe.sidecar.process import with_process
from probe.sidecar.shared import Shared
from probe.sidecar.states import Condition
from probe.sidecar.store import Record
from probe.sidecar.store import Store
from probe.sidecar.web.listener import Listener
from probe.sidecar.web.listener import authenticator
from probe.sidecar.web.listener import server_context
from probe.sidecar.web.probing import Prober
from probe.sidecar.web.routes import Service
from probe.sidecar.web.routes import main_app
from probe.sidecar.web.routes import metrics_app
from probe.sidecar.web.security import Gate
from probe.sidecar.web.security import Limits

WATCHED_EVERY = 2.0
"""Seconds between two looks at the files of discovery."""

EMITTED_EVERY = 60.0
"""Seconds between two EMF lines of a target: CloudWatch's standard resolution."""

LAME = 0.2
"""Share of the grace in which /readyz fails already and everything else still answers."""


LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Sidecar:
    """One sidecar. `run` returns when it was stopped; make it inside a running loop."""

    def __init__(self, source: Source, writer: Writer, limits: Limits | None = None) -> None:
        self._source = source
        self._writer = writer
        self._limits = limits or Limits()
        self._settings = Settings()
        self._seen: Marks = ()
        self._reloads: Counter[str] = Counter(accepted=0, refused=0)
        self._reload_successful = True
        self._reloaded_at = time.time()
        self._reloading = Shared(self._reload)
        self._started_at = time.time()
        self._stop = asyncio.Event()
        self._hurried = asyncio.Event()
        self._listeners: list[Listener] = []
        self._checker = Checker()
        self.store = Store()
        self.scheduler = Scheduler(self.store, self._checker.start, on_change=self._changed)
        self._prober = Prober(self._checker.check, time.time, self._settings)
        self.service = Service(
            self.store,
            self.scheduler,
            self._prober,
            self.reload,
            self._own,
            on_maintenance=self._maintained,
            on_error=self._failed,
        )

    @property
    def addresses(self) -> list[str]:
        """Where it listens, the first listener first."""
        return [listener.address for listener in self._listeners]

    @property
    def gates(self) -> list[Gate]:
        """What stands before each listener."""
        return [listener.gate for listener in self._listeners]

    async def run(self, started: Callable[["Sidecar"], None] = lambda _: None) -> None:
        """Run until `stop`. Raises ConfigError or OSError where it cannot begin."""
        reading = await aside(self._source.read)
        self._apply(reading)
        await self._listen(reading.settings, reading.web_config)
        self._event("info", "started", version=__version__, targets=len(self.store.records),
                    listen=",".join(self.addresses))  # fmt: skip
        polling = asyncio.create_task(self.scheduler.run())
        beside = [asyncio.create_task(work()) for work in (self._watch, self._emit)]
        stopping = asyncio.create_task(self._stop.wait())
        started(self)
        try:
            await asyncio.wait([polling, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                await self._end()
        finally:
            await self._reloading.stop()
            await _cancelled([*beside, stopping])
            self.scheduler.stop()
            self._checker.close()
        await polling

    def stop(self) -> None:
        """Begin the end; a second time ends at once."""
        if self._stop.is_set():
            for listener in self._listeners:
                listener.gate.abort()
            self._hurried.set()
        self._stop.set()

    # --- reloading -------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read everything anew. Raises ConfigError where that is refused: what was before runs."""
        await self._reloading.run()

    async def _reload(self) -> None:
        try:
            reading = await aside(self._source.read)
            self._refuse_other_tls(reading.web_config)
            self._apply(reading)
        except ConfigError as error:
            self._reload_successful = False
            self._reloads["refused"] += 1
            self._event("error", "reload", result="refused", why=str(error))
            raise
        self._reload_successful = True
        self._reloaded_at = time.time()
        self._reloads["accepted"] += 1
        self._event("info", "reload", result="accepted", targets=len(self.store.records))

    def _refuse_other_tls(self, web_config: WebConfig) -> None:
        """TLS that comes or goes needs new listeners; only a certificate can be exchanged."""
        for listener in self._listeners:
            if listener.secure != (web_config.tls is not None):
                raise ConfigError(["tls_server_config: TLS goes on or off only with a restart"])
            if web_config.tls:
                listener.renew(web_config.tls)

    def _apply(self, reading: Reading) -> None:
        """Take all of it or, where ConfigError is raised, nothing."""
        settings, web_config, seen = reading
        self.service.authenticator = authenticator(web_config.users)
        self.service.headers = web_config.headers
        if self._listeners and settings.listeners != self._settings.listeners:
            self._event("warning", "reload", why="other addresses need a restart")
        self._settings, self._seen = settings, seen
        self.scheduler.apply(settings)
        self._prober.apply(settings)

    # --- beginning and end -----------------------------------------------------------------------

    async def _listen(self, settings: Settings, web_config: WebConfig) -> None:
        wanted = [(settings.listeners.main, main_app)]
        if settings.listeners.metrics is not None:
            wanted.append((settings.listeners.metrics, metrics_app))
        try:
            for address, make in wanted:
                gate = Gate(self._limits)
                app = make(self.service, gate)
                listener = Listener(address, app, gate, web_config.tls)
                await listener.start()
                self._listeners.append(listener)
        except OSError:
            await self._unlisten(0)
            raise

    async def _unlisten(self, seconds: float) -> None:
        await asyncio.gather(*(listener.stop(seconds) for listener in self._listeners))

    async def _end(self) -> None:
        """Fail /readyz, then let connections drain, all within the grace."""
        grace = self._settings.grace
        self.service.stopping = True
        self._event("info", "stopping", grace=grace)
        lame = grace * LAME
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), lame)
        await self._unlisten(grace - 2 * lame)
        self._event("info", "stopped")

    # --- lines -----------------------------------------------------------------------------------

    def _event(self, level: str, event: str, **fields: Any) -> None:
        self._writer.put(
            lines.event_line(level, event, time.time(), self._settings.log_format, **fields)
        )

    def _changed(self, record: Record, before: Condition) -> None:
        self._writer.put(lines.state_line(record, before, self._settings.log_format))
        if self._settings.emit == "emf":
            self._put_emf(record)

    def _maintained(self, name: str, until: float | None) -> None:
        self._event("info", "maintenance", target=name, until=until)

    def _failed(self, error: Exception) -> None:
        """Tell of an endpoint that failed, which is a fault of ours: where, and how."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.name}:{frame.lineno}"
        self._event("error", "internal", error=f"{type(error).__name__}: {error}", place=place)

    def on_loop_error(self, _loop: object, context: Mapping[str, Any]) -> None:
        """Tell in a line what asyncio would tell on stderr: no descriptors left, and the like."""
        error = context.get("exception")
        self._event("error", "internal", error=f"{context['message']}: {error!r}")

    def _put_emf(self, record: Record) -> None:
        line = lines.emf_line(record, time.time(), ready=self.service.ready(record))
        if line is not None:
            self._writer.put(line)

    async def _emit(self) -> None:
        while True:
            await asyncio.sleep(EMITTED_EVERY)
            if self._settings.emit == "emf":
                for record in list(self.store.records.values()):
                    self._put_emf(record)
                    await asyncio.sleep(0)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCHED_EVERY)
            now = await aside(lambda: marks(self._settings.sd_files))
            if now != self._seen:
                self._seen = now  # what was refused is told once, not at each look
                with contextlib.suppress(ConfigError):
                    await self.reload()

    def _own(self) -> Own:
        return with_process(
            Own(
                __version__,
                targets=len(self.store.records),
                lag=self.scheduler.lag,
                in_flight=self.scheduler.in_flight,
                reload_successful=self._reload_successful,
                reloaded_at=self._reloaded_at,
                reloads=self._reloads,
                probes=self._prober.counts,
                connections_refused=sum(listener.gate.refused for listener in self._listeners),
                lines_lost=self._writer.lost,
                started=self._started_at,
            )
        )


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run(
    source: Source, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run a sidecar until SIGTERM or SIGINT; SIGHUP reloads. Raises ConfigError, OSError."""
    writer = Writer()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_run(source, writer))
    writer.flush(0.5)


async def _run(source: Source, writer: Writer) -> None:
    sidecar = Sidecar(source, writer)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(sidecar.on_loop_error)

    async def reload() -> None:
        with contextlib.suppress(ConfigError):
            await sidecar.reload()

    tasks: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = asyncio.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, sidecar.stop)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    await sidecar.run()


def checked(source: Source) -> str:
    """Read all that a sidecar would, and say so in a line. Raises ConfigError with every fault."""
    settings, web_config, _ = source.read()
    authenticator(web_config.users)
    if web_config.tls is not None:
        server_context(web_config.tls)
    count = len(settings.targets)
    return f"{count} target{'' if count == 1 else 's'}, no faults"
