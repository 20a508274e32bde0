"""The mock as one object: a thread with its own event loop, the listener and its control in it."""

import asyncio
import concurrent.futures
import contextlib
import ssl
import threading
from collections.abc import Callable
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from typing import Any
from typing import Self
from typing import TypeVar

from probe.mock.faults import Mode
from probe.mock.faults import mode_named
from probe.mock.listener import Listener
from probe.mock.listener import Request
from probe.mock.running import Running

if TYPE_CHECKING:  # ruamel takes its time
    from probe.mock.schedule import Entry
    from probe.mock.schedule import Schedule

CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"
KEY = CERTIFICATE.with_suffix(".key")
_WITHIN = 10.0
_T = TypeVar("_T")


def tls_context(certificate: Path = CERTIFICATE, key: Path | None = KEY) -> ssl.SSLContext:
    """Return a server's context as the real one has it: TLS 1.3, h2 not offered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    return context


class Mock:
    """A mock synchronizer that runs while the context is entered, and leaves nothing behind.

    >>> with Mock(mode="healthy") as mock:
    ...     mock.set("hang")
    ...     mock.expected
    'unhealthy: timeout'

    With `port=0` it takes a free port, which `port` tells; `control_port=None` means no control.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        kind: str = "sync",
        host: str = "127.0.0.1",
        port: int = 0,
        mode: str = "healthy",
        script: object = None,
        control_port: int | None = None,
        schedule: "Schedule | None" = None,
        tls: ssl.SSLContext | None = None,
        time_scale: float = 1.0,
        backend: str = "ok",
        redis: str = "ok",
        username: str = "",
        password: str = "",
        on_request: Callable[[Request], None] = lambda _: None,
    ) -> None:
        self._running = Running(
            kind,
            mode_named(mode, script),
            scale=time_scale,
            conditions={"backend": backend, "redis": redis},
            username=username,
            password=password,
        )
        self.host = host
        self.port = port
        self.control_port = control_port
        self._schedule = schedule
        self._tls = tls
        self._on_request = on_request
        self._thread = threading.Thread(target=self._run, name="probe mock", daemon=True)
        self._ready: concurrent.futures.Future[None] = concurrent.futures.Future()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin; an OSError says why the port cannot be had."""
        self._thread.start()
        try:
            self._ready.result(_WITHIN)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End, with every connection; once ended that does nothing."""
        with contextlib.suppress(RuntimeError):  # its loop has ended already
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_WITHIN)

    @property
    def mode(self) -> Mode:
        return self._listener.mode

    @property
    def expected(self) -> str:
        """The line that a probe of this port prints next, where the contract gives one."""
        return self._call(self._ask(lambda: self._listener.expected))

    @property
    def requests(self) -> list[Request]:
        """What was asked so far, oldest first."""
        return list(self._listener.requests.copy())

    def set(self, mode: str, script: object = None) -> None:
        """Change the mode; it holds when this returns. `script` is a list of steps."""
        self._call(self._listener.set(mode_named(mode, script)))

    def conditions(self, *, backend: str | None = None, redis: str | None = None) -> None:
        """Change what the synchronizer's backend and Redis do from now on."""
        self._call(self._listener.change(backend=backend, redis=redis))

    def forget(self) -> None:
        """Forget the requests so far."""
        self._listener.requests.clear()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WITHIN)

    async def _ask(self, question: Callable[[], _T]) -> _T:
        return question()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # noqa: BLE001 # belongs to the thread that waits
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._listener = Listener(
            self._running,
            host=self.host,
            port=self.port,
            tls=self._tls,
            on_request=self._on_request,
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._listener.stop)
            await self._listener.start()
            self.port = self._listener.port
            await self._start_control(stack)
            following = asyncio.create_task(self._follow())
            self._ready.set_result(None)
            await self._stopped.wait()
            following.cancel()

    async def _start_control(self, stack: contextlib.AsyncExitStack) -> None:
        if self.control_port is None:
            return
        from probe.mock.control import Control  # noqa: PLC0415 # aiohttp takes its time

        control = Control(self._listener, self._running, port=self.control_port)
        stack.push_async_callback(control.stop)
        await control.start()
        self.control_port = control.port

    async def _follow(self) -> None:
        if self._schedule is not None:
            from probe.mock.schedule import follow  # noqa: PLC0415

            await follow(self._schedule, self._change, self._loop.time)

    async def _change(self, entry: "Entry") -> None:
        await self._listener.change(backend=entry.backend, redis=entry.redis)
        if entry.mode is not None:
            await self._listener.set(entry.mode)
