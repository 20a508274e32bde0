"""The six that must agree: the reference probe, thrice, and three forms of the shell probe."""

import asyncio
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from probe import Target
from probe import Verdict
from probe import acheck
from probe import check
from probe.scripts import inline
from probe.scripts import script_text
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.polling.checking import Checker
from tests.contract.cases import Case
from tests.support.probes import LATENESS
from tests.support.probes import SHELLS
from tests.support.probes import Result
from tests.support.probes import run
from tests.support.scripted import playing

Driver = Callable[[Target], Result]

INLINE = ["/bin/bash", "-p", "-c", inline(script_text()), "healthcheck"]


def _told(verdict: Verdict, seconds: float) -> Result:
    return Result(int(not verdict.healthy), verdict.line, "", seconds)


def ask_blocking(target: Target) -> Result:
    began = time.monotonic()
    return _told(check(target), time.monotonic() - began)


def ask_asyncio(target: Target) -> Result:
    began = time.monotonic()
    return _told(asyncio.run(acheck(target)), time.monotonic() - began)


async def check_as_sidecar(target: Target) -> Verdict:
    checker = Checker()
    try:
        finding = await checker.check(TargetSettings("one", target))
    finally:
        checker.close()
    return Verdict(finding.reason, finding.seconds)


def ask_sidecar(target: Target) -> Result:
    began = time.monotonic()
    return _told(asyncio.run(check_as_sidecar(target)), time.monotonic() - began)


def ask_shell(command: Sequence[str], target: Target) -> Result:
    options = {"host": target.host, "port": target.port, "timeout": target.timeout}
    return run([*command, *(f"--{name}={value}" for name, value in options.items())])


DRIVERS: dict[str, Driver] = {
    "blocking": ask_blocking,
    "asyncio": ask_asyncio,
    "sidecar": ask_sidecar,
    "bash": partial(ask_shell, SHELLS["bash"]),
    "inline": partial(ask_shell, INLINE),
    "bash-static": partial(ask_shell, SHELLS["bash-static"]),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a driver made of a case, and the requests that the server read meanwhile."""

    case: Case
    result: Result
    requests: tuple[bytes, ...]
    wanted: bytes

    @property
    def right(self) -> bool:
        return (
            self.result.verdict == self.case.verdict
            and self.result.stderr == ""
            and self.result.seconds <= self.case.timeout + LATENESS
        )


def ask(driver: Driver, case: Case) -> Outcome:
    with playing(case.steps, listen=case.listen) as played:
        target = Target(port=played.port, timeout=case.timeout)
        result = driver(target)
        return Outcome(case, result, tuple(played.requests), target.request)


def ask_all(driver: Driver, cases: Iterable[Case], at_once: int = 8) -> list[Outcome]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(partial(ask, driver), cases))
