"""Work that many ask for, work beside the loop, and lines that nobody takes."""

import asyncio
import os
import threading
import time

import pytest

from probe.sidecar.aside import aside
from probe.sidecar.configuration.sources import Given
from probe.sidecar.configuration.sources import Source
from probe.sidecar.configuration.sources import from_text
from probe.sidecar.configuration.sources import to_text
from probe.sidecar.output import MOST
from probe.sidecar.output import Writer
from probe.sidecar.shared import Shared


@pytest.mark.asyncio
async def test_a_storm_is_two_runs() -> None:
    """Everyone gets a run that began after they asked, and no more than that is run."""
    began: list[int] = []
    release = asyncio.Event()

    async def work() -> None:
        began.append(len(began))
        await release.wait()

    shared = Shared(work)
    first = asyncio.create_task(shared.run())
    await asyncio.sleep(0)
    others = [asyncio.create_task(shared.run()) for _ in range(50)]
    await asyncio.sleep(0.01)
    assert began == [0]
    release.set()
    await asyncio.gather(first, *others)
    assert began == [0, 1]
    await shared.run()
    assert began == [0, 1, 2]


@pytest.mark.asyncio
async def test_a_failure_is_told_to_all_who_share_it() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise LookupError

    shared = Shared(work)
    found = await asyncio.gather(*(shared.run() for _ in range(5)), return_exceptions=True)
    assert [type(error) for error in found] == [LookupError] * 5


@pytest.mark.asyncio
async def test_who_gives_up_takes_it_from_nobody() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.set()

    shared = Shared(work)
    asking = asyncio.create_task(shared.run())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait_for(done.wait(), 2)


@pytest.mark.asyncio
async def test_aside() -> None:
    assert await aside(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)


def test_aside_does_not_hold_up_the_end() -> None:
    """A read that never returns keeps no loop from closing."""
    never = threading.Event()

    async def hang() -> None:
        await asyncio.wait_for(aside(lambda: never.wait(20)), 0.1)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(hang())
    assert time.monotonic() - began < 2
    never.set()


def test_lines_come_whole_and_in_order() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader:
        writer = Writer(writing)
        for number in range(500):
            writer.put(f"{number} \udc80é")
        writer.flush(5)
        os.close(writing)
        lines = reader.read().decode().splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(500)]
    assert writer.lost == 0


def test_nobody_reads() -> None:
    """A full pipe blocks no one who has something to say; what does not fit is counted."""
    reading, writing = os.pipe()
    writer = Writer(writing)
    began = time.monotonic()
    for _ in range(3 * MOST):
        writer.put("x" * 1000)
    writer.flush(0.05)
    assert time.monotonic() - began < 2
    assert writer.lost >= MOST
    os.close(reading)


def test_disk_full() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = Writer(descriptor)
    writer.put("x")
    writer.flush(5)
    assert writer.lost == 1
    os.close(descriptor)


def test_a_source_in_writing() -> None:
    source = Source(
        Given(("a:1", "[::1]:2"), interval=0.5, listen="127.0.0.1:0", emit="emf"), "é.yml"
    )
    assert from_text(to_text(source)) == source
