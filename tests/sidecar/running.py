"""A sidecar that runs within a test's own loop, and what to ask it with."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import aiohttp

from probe.sidecar.app import Sidecar
from probe.sidecar.configuration.sources import Given
from probe.sidecar.configuration.sources import Source
from probe.sidecar.output import Writer
from probe.sidecar.web.security import Limits

PATIENCE = 10.0
"""Seconds within which whatever is waited for must come."""


@dataclass
class Answer:
    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Client:
    """Asks a sidecar; `main` and `second` are the addresses of its listeners."""

    sidecar: Sidecar
    session: aiohttp.ClientSession
    log: Path
    ended: "asyncio.Task[None]"
    scheme: str = "http"

    @property
    def main(self) -> str:
        return f"{self.scheme}://{self.sidecar.addresses[0]}"

    @property
    def second(self) -> str:
        return f"{self.scheme}://{self.sidecar.addresses[1]}"

    @property
    def port(self) -> int:
        return int(self.sidecar.addresses[0].rpartition(":")[2])

    async def ask(self, path: str, method: str = "GET", base: str = "", **more: Any) -> Answer:
        url = (base or self.main) + path
        async with self.session.request(method, url, **more) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    async def until(self, path: str, holds: Callable[[Answer], bool]) -> Answer:
        """Ask until *holds*, at most so long as our patience lasts."""
        async with asyncio.timeout(PATIENCE):
            while not holds(answer := await self.ask(path)):  # noqa: ASYNC110 # no event tells
                await asyncio.sleep(0.02)
        return answer

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def hears(self, event: str, **fields: Any) -> bool:
        wanted = {"event": event, **fields}
        return any(wanted.items() <= line.items() for line in self.events())


def put(path: Path, text: str) -> None:
    """Write a file; in a coroutine's own code it would count as blocking."""
    path.write_text(text)


def text_of(path: Path) -> str:
    return path.read_text()


@contextlib.asynccontextmanager
async def running(
    config: Path | None = None,
    *targets: str,
    limits: Limits | None = None,
    interval: float = 0.05,
    **given: Any,
) -> AsyncIterator[Client]:
    """Run a sidecar on free ports, with two listeners, until the block ends."""
    settings = Given(
        targets, interval=interval,
        **{"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", **given},
    )  # fmt: skip
    with tempfile.NamedTemporaryFile(delete=False) as log:
        pass
    descriptor = os.open(log.name, os.O_WRONLY | os.O_APPEND)
    writer = Writer(descriptor)
    sidecar = Sidecar(Source(settings, str(config) if config else None), writer, limits)
    started = asyncio.Event()
    task = asyncio.create_task(sidecar.run(lambda _: started.set()))
    waiting = asyncio.create_task(started.wait())
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
        # Without an own resolver aiohttp's session would start threads that outlive the loop.
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Client(sidecar, session, Path(log.name), task)
    finally:
        waiting.cancel()
        sidecar.stop()
        sidecar.stop()
        await asyncio.wait([task], timeout=PATIENCE)
        writer.flush(1)
        os.unlink(log.name)  # noqa: PTH108 # a path's own would count as blocking
