"""One run at a time of a piece of work that many may ask for at once."""

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable


class Shared:
    """Whoever asks while the work runs shares the one run after it, and its outcome.

    So everyone gets a run that began after they asked, and a storm of requests is two runs.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run the work; raises what it raises. Cancelling leaves it to the others."""
        if self._running is None:
            self._running = task = self._started(None)
        elif self._next is None:
            self._next = task = self._started(self._running)
        else:
            task = self._next
        await asyncio.shield(task)

    async def stop(self) -> None:
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _started(self, before: asyncio.Task[None] | None) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(before))
        # Whoever asked may be gone; then the outcome is nobody's.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._work()
        finally:
            self._running, self._next = self._next, None
