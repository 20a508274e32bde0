"""Our own endpoints under attack: slow, greedy, and uninvited clients."""

import asyncio
import base64
import contextlib
import ssl
import statistics
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.web.listener import authenticator
from probe.sidecar.web.security import Limits
from tests.sidecar.running import Client
from tests.sidecar.running import put
from tests.sidecar.running import running
from tests.sidecar.running import text_of
from tests.support.components import require

pytestmark = pytest.mark.asyncio

QUICK = Limits(connections=8, head_seconds=0.4, request_seconds=1.0, idle_seconds=0.6,
               bytes=16 * 1024, field_bytes=2 * 1024)  # fmt: skip
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


@contextlib.asynccontextmanager
async def connection(
    client: Client,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def said(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the connection ends, however it does."""
    data = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            while chunk := await reader.read(65536):
                data += chunk
    return data


# --- slow and greedy -----------------------------------------------------------------------------

BEGINNINGS = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"GET /livez HT", id="half a line"),
    pytest.param(REQUEST, id="a head without its end"),
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_slow_head(beginning: bytes) -> None:
    """Whoever does not come to the end of a head is let go, dripping or silent."""
    async with running(limits=QUICK) as client, connection(client) as (reader, writer):
        began = time.monotonic()
        writer.write(beginning)

        async def drip() -> None:
            while True:
                writer.write(b"X-A: b\r\n" if beginning == REQUEST else b"")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        assert await said(reader) == b""
        assert time.monotonic() - began < 2
        dripping.cancel()


async def test_slow_body() -> None:
    async with running(limits=QUICK) as client, connection(client) as (reader, writer):
        writer.write(b"POST /-/maintenance/x HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n"
                     b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")  # fmt: skip
        began = time.monotonic()
        await said(reader)
        assert time.monotonic() - began < 3


async def test_idle_connection_is_closed() -> None:
    async with running(limits=QUICK) as client, connection(client) as (reader, writer):
        writer.write(REQUEST + b"\r\n")
        began = time.monotonic()
        assert (await said(reader)).startswith(b"HTTP/1.1 200 OK")
        assert 0.3 < time.monotonic() - began < 2


async def test_second_request_may_be_slow_to_come_but_not_slow() -> None:
    async with running(limits=QUICK) as client, connection(client) as (reader, writer):
        writer.write(REQUEST + b"\r\n")
        await reader.readuntil(b"ok\n")
        await asyncio.sleep(0.3)
        writer.write(REQUEST)
        began = time.monotonic()
        assert await said(reader) == b""
        assert time.monotonic() - began < 1


LARGE = [
    pytest.param(b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="line"),
    pytest.param(REQUEST + b"X-A: " + b"b" * 3000 + b"\r\n\r\n", 400, id="field"),
    pytest.param(REQUEST + b"X-A: b\r\n" * 200 + b"\r\n", 400, id="many fields"),
    pytest.param(REQUEST + (b"X-A: " + b"b" * 1500 + b"\r\n") * 20 + b"\r\n", 0, id="head"),
    pytest.param(b"POST /-/maintenance/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"
                 + b"x" * 99999, 0, id="body"),
    pytest.param((REQUEST + b"\r\n") * 2000, 0, id="requests ahead"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status"), LARGE)
async def test_large_requests(data: bytes, status: int) -> None:
    """What is too large gets 400 or the end of its connection; the next client is served."""
    async with running(limits=QUICK) as client:
        async with connection(client) as (reader, writer):
            writer.write(data)
            answer = await said(reader)
            assert answer.startswith(b"HTTP/1.0 400" if status else (b"", b"HTTP/1.1 "))
            assert len(answer) < 400_000
        assert (await client.ask("/livez")).status == 200


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01",
    b"\0" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\n" * 50,
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET http://\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    REQUEST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Garbage is refused, and nothing of it reaches stdout or stderr."""
    async with running(limits=QUICK) as client:
        async with connection(client) as (reader, writer):
            writer.write(data)
            await said(reader)
        assert (await client.ask("/livez")).status == 200
    assert capfd.readouterr() == ("", "")


async def test_connections_are_limited() -> None:
    """Past the limit a connection is closed at once; when others go there is room again."""
    async with running(limits=QUICK) as client:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(QUICK.connections):
                await stack.enter_async_context(connection(client))
            async with connection(client) as (reader, _):
                began = time.monotonic()
                assert await said(reader) == b""
                assert time.monotonic() - began < 0.3
        answer = await client.until("/metrics", lambda answer: answer.status == 200)
        assert "probe_sidecar_connections_refused_total 1\n" in answer.text


async def test_who_never_reads() -> None:
    """A client that takes no answer holds memory and a place only so long."""
    config = [f"127.0.0.1:{port}" for port in range(1, 800)]
    started = running(None, *config, limits=QUICK, interval=30.0)
    async with started as client, connection(client) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        gate = client.sidecar.gates[0]
        began = time.monotonic()
        seen = 0
        while (not seen or gate.connections) and time.monotonic() - began < 10:
            seen = max(seen, gate.connections)
            await asyncio.sleep(0.02)
        assert (seen, gate.connections) == (1, 0)
        assert 0.5 < time.monotonic() - began < 4


async def test_flood_holds_up_no_check() -> None:
    """While garbage comes from many sides the polling turns on time."""
    async with running(None, "127.0.0.1:1", limits=QUICK, interval=0.1) as client:
        record = client.sidecar.store.records["127.0.0.1:1"]

        async def attack() -> None:
            while True:
                with contextlib.suppress(OSError):
                    async with connection(client) as (reader, writer):
                        writer.write(b"x" * 5000)
                        await said(reader)

        attacks = [asyncio.create_task(attack()) for _ in range(10)]
        await asyncio.sleep(2)
        for task in attacks:
            task.cancel()
        assert len(record.history) >= 15


# --- passwords -----------------------------------------------------------------------------------

HASH = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()


def basic(user: str, password: str) -> dict[str, str]:
    coded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {coded}"}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{prometheus: {HASH}}}")
    return path


CREDENTIALS = [
    pytest.param({}, 401, id="none"),
    pytest.param(basic("prometheus", "hunter2"), 200, id="right"),
    pytest.param(basic("prometheus", "Hunter2"), 401, id="wrong password"),
    pytest.param(basic("prometheus", ""), 401, id="empty password"),
    pytest.param(basic("prometheus", HASH), 401, id="the hash itself"),
    pytest.param(basic("root", "hunter2"), 401, id="unknown user"),
    pytest.param(basic("", ""), 401, id="nobody"),
    pytest.param(basic("prometheus", "hunter2" + "\0" * 3), 401, id="NULs behind"),
    pytest.param(basic("prometheus", "x" * 200), 401, id="longer than bcrypt's 72"),
    pytest.param({"Authorization": "Basic !!!"}, 401, id="no base64"),
    pytest.param({"Authorization": "Basic"}, 401, id="nothing behind Basic"),
    pytest.param({"Authorization": "Bearer x"}, 401, id="another scheme"),
    pytest.param({"Authorization": "Basic /////w=="}, 401, id="no UTF-8"),
    pytest.param({"Authorization": basic("prometheus", "hunter2")["Authorization"].lower()}, 401,
                 id="base64 in lower case"),
    pytest.param({"Authorization": "bASIC " + basic("prometheus", "hunter2")["Authorization"][6:]},
                 200, id="scheme in any case"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "status"), CREDENTIALS)
async def test_passwords(users: Path, headers: dict[str, str], status: int) -> None:
    async with running(web_config=str(users)) as client:
        for base in (client.main, client.second):
            for _ in range(2):  # the second time it is remembered
                answer = await client.ask("/metrics", base=base, headers=headers)
                assert answer.status == status
        assert "WWW-Authenticate" in answer.headers or status == 200


async def test_what_needs_a_password(users: Path) -> None:
    """All but what platforms ask, and that says no names then."""
    async with running(None, "127.0.0.1:1", web_config=str(users)) as client:
        for path in ("/", "/metrics", "/probe?target=x", "/api/v1/targets", "/nowhere"):
            assert (await client.ask(path)).status == 401
        for path in ("/-/reload", "/-/maintenance/x", "/readyzz"):
            assert (await client.ask(path, "POST")).status == 401
        assert (await client.ask("/livez")).status == 200
        answer = await client.ask("/readyz")
        assert (answer.status, answer.text) == (503, "not ready\n")


async def test_unknown_users_take_as_long() -> None:
    """Neither an answer nor its time tells which users there are."""
    hashed = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(10))
    found = authenticator({"known": hashed})
    assert found is not None

    async def seconds(user: str, round_: int) -> float:
        began = time.perf_counter()
        assert not await found.admits(basic(user, f"wrong{round_}")["Authorization"])
        return time.perf_counter() - began

    known, unknown = [], []
    for round_ in range(8):
        known.append(await seconds("known", round_))
        unknown.append(await seconds("unknown", round_))
    assert 0.5 < statistics.median(known) / statistics.median(unknown) < 2


async def test_nothing_shows_secrets(users: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with running(None, "127.0.0.1:1", web_config=str(users)) as client:
        headers = basic("prometheus", "hunter2")
        texts = [
            (await client.ask(path, headers=headers)).text
            for path in ("/", "/metrics", "/api/v1/targets")
        ]
        put(users, "basic_auth_users: {prometheus: hunter2}")
        texts.append((await client.ask("/-/reload", "POST", headers=headers)).text)
        log = text_of(client.log)
    for text in (*texts, log, *capfd.readouterr()):
        assert "hunter2" not in text
        assert HASH not in text


async def test_users_change_with_a_reload(users: Path) -> None:
    async with running(web_config=str(users)) as client:
        headers = basic("prometheus", "hunter2")
        assert (await client.ask("/metrics", headers=headers)).status == 200
        hashed = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
        put(users, f"basic_auth_users: {{prometheus: {hashed}}}")
        assert (await client.ask("/-/reload", "POST", headers=headers)).status == 200
        assert (await client.ask("/metrics", headers=headers)).status == 401


# --- TLS -----------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1 in *folder*."""
    made = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", made[0], "-keyout", made[1]],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return made


def trusting(*files: Path, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in files:
        context.load_verify_locations(file)
    if own is not None:
        context.load_cert_chain(*own)
    return context


@pytest.fixture
def secure(tmp_path: Path) -> Path:
    certificate(tmp_path, "server")
    path = tmp_path / "web.yml"
    path.write_text(
        "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS13}\n"
        "http_server_config: {headers: {Strict-Transport-Security: max-age=60}}\n"
    )
    return path


async def test_tls(secure: Path) -> None:
    async with running(web_config=str(secure)) as client:
        client.scheme = "https"
        trusted = trusting(secure.parent / "server.pem")
        for base in (client.main, client.second):
            answer = await client.ask("/readyz", base=base, ssl=trusted)
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"] == "max-age=60"
        old = trusting(secure.parent / "server.pem")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError, match="SSL"):
            await client.ask("/readyz", ssl=old)


async def test_silent_handshake_is_closed(secure: Path) -> None:
    started = running(web_config=str(secure), limits=QUICK)
    async with started as client, connection(client) as (reader, _):
        began = time.monotonic()
        assert await said(reader) == b""
        assert time.monotonic() - began < 2


async def test_certificate_changes_with_a_reload(secure: Path) -> None:
    async with running(web_config=str(secure)) as client:
        client.scheme = "https"
        old = trusting(secure.parent / "server.pem")
        certificate(secure.parent, "server")
        new = trusting(secure.parent / "server.pem")
        assert (await client.ask("/-/reload", "POST", ssl=old)).status == 200
        async with connection(client):
            pass
        headers = {"Connection": "close"}
        assert (await client.ask("/readyz", ssl=new, headers=headers)).status == 200
        put(secure.parent.joinpath("server.key"), "nonsense")
        assert (await client.ask("/-/reload", "POST", ssl=new)).status == 500
        assert (await client.ask("/readyz", ssl=new, headers=headers)).status == 200


async def test_client_certificates(secure: Path) -> None:
    folder = secure.parent
    own = certificate(folder, "client")
    put(
        secure,
        "tls_server_config: {cert_file: server.pem, key_file: server.key,"
        " client_auth_type: RequireAndVerifyClientCert, client_ca_file: client.pem}",
    )
    async with running(web_config=str(secure)) as client:
        client.scheme = "https"
        server = folder / "server.pem"
        assert (await client.ask("/readyz", ssl=trusting(server, own=own))).status == 200
        with pytest.raises((OSError, aiohttp.ClientError)):
            await client.ask("/readyz", ssl=trusting(server))
        other = certificate(folder, "other")
        with pytest.raises((OSError, aiohttp.ClientError)):
            await client.ask("/readyz", ssl=trusting(server, own=other))


async def test_tls_does_not_go_off_by_a_reload(secure: Path) -> None:
    async with running(web_config=str(secure)) as client:
        client.scheme = "https"
        trusted = trusting(secure.parent / "server.pem")
        put(secure, "")
        answer = await client.ask("/-/reload", "POST", ssl=trusted)
        assert (answer.status, "restart" in answer.text) == (500, True)


@pytest.mark.parametrize("missing", ["server.pem", "server.key"])
async def test_without_its_files(secure: Path, missing: str) -> None:
    (secure.parent / missing).unlink()
    with pytest.raises(ConfigError, match=r"tls_server_config: .*No such file"):
        async with running(web_config=str(secure)):
            pass
