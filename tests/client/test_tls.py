"""TLS by the reference probe in all its forms: whom it trusts, what it says of failures."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

from probe import TLS
from probe import Target
from probe import Verdict
from probe import acheck
from probe import check
from probe.client.body import read_answer
from tests.contract.drivers import check_as_sidecar
from tests.support import servers
from tests.support.components import require
from tests.support.probes import LATENESS

Probe = Callable[[Target], Verdict]
PROBES: dict[str, Probe] = {
    "blocking": check,
    "asyncio": lambda target: asyncio.run(acheck(target)),
    "sidecar": lambda target: asyncio.run(check_as_sidecar(target)),
}
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@pytest.fixture(params=PROBES)
def probe(request: pytest.FixtureRequest) -> Probe:
    return PROBES[request.param]


# --- certificates ---------------------------------------------------------------------------------


class Authority:
    """Certificates and keys as files in a folder, made by openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = require("openssl")
        self._openssl("req", "-x509", *self._new("ca"), "-days", "2", "-subj", "/CN=authority")
        self.sign("good", NAMES)
        self.sign("wrong-name", "subjectAltName=DNS:other.example")
        self.sign("expired", NAMES, days=-1)
        self.sign("client", "subjectAltName=DNS:client")
        self._openssl("req", "-x509", *self._new("self-signed"), "-subj", "/CN=x", "-addext", NAMES)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def sign(self, name: str, names: str, days: int = 2) -> None:
        self._openssl("req", *self._new(name, ".csr"), "-subj", f"/CN={name}", "-addext", names)
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-days", str(days), "-copy_extensions", "copy", "-out", f"{name}.pem"),
        )

    def _new(self, name: str, suffix: str = ".pem") -> list[str]:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*key, "-keyout", f"{name}.key", "-out", f"{name}{suffix}"]

    def _openssl(self, *arguments: str) -> None:
        command = [self.program, *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def answering(
    authority: Authority,
    name: str = "good",
    answer: bytes = servers.OK,
    *,
    ask_client: bool = False,
) -> Iterator[int]:
    """Speak TLS with the certificate *name*, and give *answer* to each request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.path(f"{name}.pem"), authority.path(f"{name}.key"))
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.path("ca.pem"))

    def serve(connection: socket) -> None:
        with connection, context.wrap_socket(connection, server_side=True) as secured:
            servers.read_request(secured)
            secured.sendall(answer)

    with servers.serving(serve) as server:
        yield server.port


def trusting(
    authority: Authority,
    cert: str | None = None,
    key: str | None = None,
    server_name: str | None = None,
) -> TLS:
    return TLS(authority.path("ca.pem"), cert, key, server_name)


# --- whom it trusts -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_good(probe: Probe, authority: Authority, host: str) -> None:
    """A certificate of the given authority for the host, be it a name or an address."""
    with answering(authority) as port:
        assert probe(Target(host, port, tls=trusting(authority))).line == "healthy: 200"


def test_good_but_unhealthy(probe: Probe, authority: Authority) -> None:
    with answering(authority, answer=servers.BROKEN) as port:
        assert probe(Target(port=port, tls=trusting(authority))).reason == "status 500"


@pytest.mark.parametrize("name", ["wrong-name", "expired", "self-signed"])
def test_not_trusted(probe: Probe, authority: Authority, name: str) -> None:
    with answering(authority, name) as port:
        assert probe(Target(port=port, tls=trusting(authority))).reason == "tls"


def test_unknown_authority(probe: Probe, authority: Authority) -> None:
    """Without --ca the system's authorities count, and ours is not among them."""
    with answering(authority) as port:
        assert probe(Target(port=port, tls=TLS())).reason == "tls"


@pytest.mark.parametrize("name", ["good", "wrong-name", "expired", "self-signed"])
def test_insecure(probe: Probe, authority: Authority, name: str) -> None:
    """--insecure takes any certificate."""
    with answering(authority, name) as port:
        assert probe(Target(port=port, tls=TLS(insecure=True))).reason == "200"


SERVER_NAMES = [("wrong-name", "other.example", "200"), ("good", "other.example", "tls")]


@pytest.mark.parametrize(("name", "server_name", "reason"), SERVER_NAMES)
def test_server_name(
    probe: Probe, authority: Authority, name: str, server_name: str, reason: str
) -> None:
    """--server-name is verified instead of the host."""
    tls = trusting(authority, server_name=server_name)
    with answering(authority, name) as port:
        assert probe(Target(port=port, tls=tls)).reason == reason


def test_client_certificate(probe: Probe, authority: Authority) -> None:
    cert, key = authority.path("client.pem"), authority.path("client.key")
    with answering(authority, ask_client=True) as port:
        assert probe(Target(port=port, tls=trusting(authority, cert=cert, key=key))).healthy


def test_no_client_certificate(probe: Probe, authority: Authority) -> None:
    """A server that asks for a certificate tells us so after our side of the handshake."""
    with answering(authority, ask_client=True) as port:
        assert probe(Target(port=port, tls=trusting(authority))).reason == "tls"


def test_certificate_and_key_in_one_file(probe: Probe, authority: Authority) -> None:
    both = authority.folder / "both.pem"
    parts = [authority.folder / name for name in ("client.pem", "client.key")]
    both.write_text("".join(part.read_text() for part in parts))
    with answering(authority, ask_client=True) as port:
        assert probe(Target(port=port, tls=trusting(authority, cert=str(both)))).healthy


# --- what fails before the network ----------------------------------------------------------------

UNUSABLE = [
    pytest.param(TLS(ca="/nonexistent"), id="no-such-authority"),
    pytest.param(TLS(ca="/dev/null"), id="empty-authority"),
    pytest.param(TLS(ca="a\0b"), id="nul-in-a-path"),
    pytest.param(TLS(cert="/nonexistent"), id="no-such-certificate"),
    pytest.param(TLS(cert="/etc/passwd"), id="no-certificate"),
    pytest.param(TLS(server_name=".x"), id="name-with-a-leading-dot"),
    pytest.param(TLS(server_name="a\0b"), id="nul-in-a-name"),
    pytest.param(TLS(server_name="x" * 80), id="label-too-long"),
]


@pytest.mark.parametrize("tls", UNUSABLE)
def test_unusable(probe: Probe, tls: TLS) -> None:
    """Files and names that cannot be used are a verdict, never an exception."""
    with servers.refusing() as port:
        assert probe(Target(port=port, tls=tls)).reason == "tls"


@pytest.mark.parametrize("host", [".x", "a..b", "x" * 80])
def test_unusable_host(probe: Probe, host: str) -> None:
    assert probe(Target(host=host, tls=TLS())).reason == "tls"


def test_refused(probe: Probe) -> None:
    with servers.refusing() as port:
        assert probe(Target(port=port, tls=TLS())).reason == "refused"


# --- what fails in the handshake and after it -----------------------------------------------------


def test_plain_server(probe: Probe) -> None:
    """A server that speaks plain HTTP."""

    def serve(connection: socket) -> None:
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with servers.serving(serve) as server:
        assert probe(Target(port=server.port, tls=TLS(insecure=True))).reason == "tls"


def test_mute_server(probe: Probe) -> None:
    """A handshake that is never answered ends by the deadline."""
    began = time.monotonic()
    with servers.mute() as server:
        verdict = probe(Target(port=server.port, timeout=0.5, tls=TLS(insecure=True)))

    assert verdict.reason == "timeout"
    assert time.monotonic() - began <= 0.5 + LATENESS


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x03"], ids=["at-once", "mid-record"])
def test_close_in_the_handshake(probe: Probe, data: bytes) -> None:
    def serve(connection: socket) -> None:
        with connection:
            connection.recv(4096)
            connection.sendall(data)

    with servers.serving(serve) as server:
        assert probe(Target(port=server.port, tls=TLS(insecure=True))).reason == "tls"


ENDS = [
    (b"", "closed"),
    (b"HTTP/1.1 200 O", "closed"),
    (b"go away, please\r\n", "malformed"),
    (b"HTTP/1.1 503 X\r\n", "status 503"),
]


@pytest.mark.parametrize("polite", [True, False], ids=["close-notify", "cut"])
@pytest.mark.parametrize(("data", "reason"), ENDS)
def test_end_after_the_handshake(
    probe: Probe,
    authority: Authority,
    data: bytes,
    reason: str,
    polite: bool,  # noqa: FBT001
) -> None:
    """Once the handshake is done the rules are those of plain HTTP."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.path("good.pem"), authority.path("good.key"))

    def serve(connection: socket) -> None:
        with connection, context.wrap_socket(connection, server_side=True) as secured:
            servers.read_request(secured)
            secured.sendall(data)
            if polite:
                secured.unwrap()

    with servers.serving(serve) as server:
        assert probe(Target(port=server.port, tls=trusting(authority))).reason == reason


def test_split_records(probe: Probe, authority: Authority) -> None:
    """A status line in several records."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.path("good.pem"), authority.path("good.key"))

    def serve(connection: socket) -> None:
        with connection, context.wrap_socket(connection, server_side=True) as secured:
            servers.read_request(secured)
            for byte in servers.OK:
                secured.sendall(bytes([byte]))

    with servers.serving(serve) as server:
        assert probe(Target(port=server.port, tls=trusting(authority))).reason == "200"


def test_body_over_tls(authority: Authority) -> None:
    """The body reader speaks TLS as well."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with answering(authority, answer=answer) as port:
        found = read_answer(Target(port=port, tls=trusting(authority)), time.monotonic)

    assert (found.status, found.body) == (200, b"ok")
