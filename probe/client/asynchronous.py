"""The reference probe for asyncio: the same machine, the same deadline."""

import asyncio
import contextlib
import socket
import time

from probe.client.blocking import READ_SIZE
from probe.client.blocking import make_exchange
from probe.client.failures import CheckFailedError
from probe.client.failures import connect_reason
from probe.client.names import Address
from probe.client.names import numeric
from probe.client.names import start_look_up
from probe.contract.exchange import Exchange
from probe.contract.target import Target
from probe.contract.verdict import Verdict


async def acheck(target: Target) -> Verdict:
    """Check *target* once. A failure is a verdict, never an exception; cancelling closes all."""
    start = time.monotonic()
    try:
        async with asyncio.timeout(target.timeout):
            reason = await _ask(target)
    except CheckFailedError as failure:
        reason = failure.reason
    except TimeoutError:
        reason = "timeout"
    return Verdict(reason, time.monotonic() - start)


async def _ask(target: Target) -> str:
    exchange = make_exchange(target)
    with await _connect(target) as connection:
        return await _converse(connection, exchange)


async def _connect(target: Target) -> socket.socket:
    try:
        addresses = numeric(target.host, target.port) or await _look_up(target.host, target.port)
    except OSError as error:
        raise CheckFailedError(connect_reason(error)) from error
    failure: OSError | None = None
    for family, address in addresses:
        try:
            return await _dial(family, address)
        except OSError as error:
            failure = error
    raise CheckFailedError(connect_reason(failure or socket.gaierror())) from failure


async def _look_up(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address] | OSError] = loop.create_future()

    def keep(result: list[Address] | OSError) -> None:
        if not found.done():
            found.set_result(result)

    def done(result: list[Address] | OSError) -> None:
        # The loop may be closed, or nobody may wait any more: the deadline has passed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(keep, result)

    start_look_up(host, port, done)
    result = await found
    if isinstance(result, OSError):
        raise result
    return result


async def _dial(family: int, address: object) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)  # noqa: FBT003 # the standard library's signature
        await asyncio.get_running_loop().sock_connect(connection, address)  # type: ignore[arg-type]
    except BaseException:
        connection.close()
        raise
    return connection


async def _converse(connection: socket.socket, exchange: Exchange) -> str:
    loop = asyncio.get_running_loop()
    while exchange.reason is None:
        if data := exchange.outgoing():
            # A failed write is ignored: what the peer sent decides.
            with contextlib.suppress(OSError):
                await loop.sock_sendall(connection, data)
        try:
            data = await loop.sock_recv(connection, READ_SIZE)
        except OSError:
            data = b""
        if data:
            exchange.received(data)
            # Bytes that are there already are given without a turn of the loop, and no deadline
            # would ever pass in a flood.
            await asyncio.sleep(0)
        else:
            exchange.ended()
    return exchange.reason
