"""The library's two calls on one core, one at a time and many at once."""

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from probe import Target
from probe import Verdict
from probe import acheck
from probe import check
from tests.bench.server import answering
from tests.bench.tables import microseconds
from tests.bench.tables import number
from tests.bench.tables import table

AT_ONCE = 100
PER_RUN = 10
"""Checks for each run of a program that the other tables take."""

Way = Callable[[Target, int], list[Verdict]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What *count* checks took."""

    count: int
    wall: float
    cpu: float
    unhealthy: int


def one_at_a_time(target: Target, count: int) -> list[Verdict]:
    return [check(target) for _ in range(count)]


def in_threads(target: Target, count: int) -> list[Verdict]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(check, [target] * count))


def one_task(target: Target, count: int) -> list[Verdict]:
    return asyncio.run(_in_turn(target, count))


def in_tasks(target: Target, count: int) -> list[Verdict]:
    async def all_of_them() -> list[Verdict]:
        share = -(-count // AT_ONCE)
        shares = await asyncio.gather(*(_in_turn(target, share) for _ in range(AT_ONCE)))
        return [verdict for verdicts in shares for verdict in verdicts]

    return asyncio.run(all_of_them())


async def _in_turn(target: Target, count: int) -> list[Verdict]:
    return [await acheck(target) for _ in range(count)]


WAYS: dict[str, Way] = {
    "`check`, one at a time": one_at_a_time,
    f"`check`, {AT_ONCE} threads": in_threads,
    "`acheck`, one at a time": one_task,
    f"`acheck`, {AT_ONCE} tasks": in_tasks,
}


def report(rounds: int, runs: int) -> Iterator[str]:
    """Yield the table's lines."""
    count = runs * PER_RUN
    cpus = sorted(os.sched_getaffinity(0))
    with answering(cpus[-1]) as port, on_cpu(cpus[0]):
        target = Target(port=port)
        samples: dict[str, list[Sample]] = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name, way in WAYS.items():
                samples[name].append(measure(way, target, count))
    yield f"### Library, on one core ({rounds} interleaved rounds of {count} checks, medians)"
    yield ""
    yield from figures(samples)
    if len(cpus) == 1:
        yield "One core here: client and server share it."


@contextlib.contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """Keep this process, and the threads it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(way: Way, target: Target, count: int) -> Sample:
    wall, cpu = time.perf_counter(), time.process_time()
    verdicts = way(target, count)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(len(verdicts), wall, cpu, sum(not verdict.healthy for verdict in verdicts))


def figures(samples: dict[str, list[Sample]]) -> Iterator[str]:
    return table(
        ["call", "checks per second", "CPU us per check", "unhealthy"],
        (
            [
                name,
                number(statistics.median(sample.count / sample.wall for sample in taken)),
                microseconds(statistics.median(sample.cpu / sample.count for sample in taken)),
                number(sum(sample.unhealthy for sample in taken)),
            ]
            for name, taken in samples.items()
        ),
    )
