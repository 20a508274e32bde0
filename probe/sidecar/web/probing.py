"""/probe?target=: one check now, for Prometheus' multi-target configurations.

Nothing of it is remembered: each request has its own registry, as blackbox_exporter has it.
"""

import math
from collections import Counter
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace

from probe.contract.target import Target
from probe.contract.verdict import Verdict
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.polling.checking import Finding
from probe.sidecar.store import Check
from probe.sidecar.web.allow import Named
from probe.sidecar.web.allow import Network
from probe.sidecar.web.allow import RefusedError
from probe.sidecar.web.allow import read_network
from probe.sidecar.web.allow import resolve

MOST = 64
"""Probes under way at once."""

OFFSET = 0.5
"""Seconds before Prometheus gives up that the answer is there, as blackbox_exporter has it."""

HEADER = "X-Prometheus-Scrape-Timeout-Seconds"


class BadQuestionError(ValueError):
    """A request that cannot be understood."""


class BusyError(Exception):
    """Too many probes are under way."""


class Prober:
    """Answers for one sidecar; `counts` are its answers by how they ended."""

    def __init__(
        self,
        check: Callable[[TargetSettings], Awaitable[Finding]],
        wall: Callable[[], float],
        settings: Settings,
    ) -> None:
        self._check = check
        self._wall = wall
        self._under_way = 0
        self.counts: Counter[str] = Counter()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        self._targets = {row.name: row for row in settings.targets}
        self._defaults = settings.defaults or TargetSettings("", Target())
        self._networks: list[Network] = [read_network(text) for text in settings.allow]

    async def probe(
        self, query: Mapping[str, str], scrape_timeout: str | None
    ) -> tuple[Check, TargetSettings]:
        """Check what the query asks for. Raises BadQuestionError, RefusedError, BusyError."""
        try:
            settings = self._asked(query, scrape_timeout)
            check = await self._bounded(settings)
        except (BadQuestionError, RefusedError, BusyError) as error:
            self.counts[_ENDS[type(error)]] += 1
            raise
        self.counts[check.verdict] += 1
        return check, settings

    def _asked(self, query: Mapping[str, str], scrape_timeout: str | None) -> TargetSettings:
        if set(query) != {"target"} or len(query) != 1:
            raise BadQuestionError("the query: target, once, and nothing else")
        found = resolve(query["target"], self._targets, self._networks)
        if isinstance(found, Named):
            settings = self._targets[found.name]
        else:
            target = _changed(self._defaults.target, host=found.host, port=found.port)
            settings = replace(self._defaults, name=target.authority, target=target)
        longest = settings.target.timeout
        if scrape_timeout is not None:
            longest = min(longest, allowed_seconds(scrape_timeout))
        return replace(settings, target=_changed(settings.target, timeout=longest))

    async def _bounded(self, settings: TargetSettings) -> Check:
        if self._under_way >= MOST:
            raise BusyError(f"{MOST} probes are under way; ask again later")
        self._under_way += 1
        started = self._wall()
        try:
            finding = await self._check(settings)
        finally:
            self._under_way -= 1
        if finding.skipped is not None:
            raise BusyError(f"no check could be made: {finding.skipped}")
        verdict = Verdict(finding.reason, finding.seconds)
        return Check(
            started,
            finding.seconds,
            verdict.healthy,
            verdict.word,
            verdict.status,
            verdict.line,
            health=finding.health,
        )


_ENDS = {BadQuestionError: "bad", RefusedError: "refused", BusyError: "busy"}


def allowed_seconds(header: str) -> float:
    """Return how long a check may take for a scraper that waits that long.

    Half of it where so little is left that nothing would remain. Raises BadQuestionError.
    """
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadQuestionError(f"{HEADER}: {header[:40]!r} is not a number of seconds")
    return max(seconds - OFFSET, seconds / 2)


def _changed(target: Target, **changes: object) -> Target:
    return Target(**{**vars(target), **changes})
