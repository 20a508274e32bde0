"""TLS as a machine without I/O, around another exchange (ssl's memory buffers)."""

import ssl
from collections.abc import Callable

from probe.client.failures import CheckFailedError
from probe.contract.exchange import Exchange
from probe.contract.target import TLS
from probe.contract.target import Target


def make_context(settings: TLS) -> ssl.SSLContext:
    """Make a client's context. Raises OSError or ssl.SSLError for files that cannot be used."""
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert:
        context.load_cert_chain(settings.cert, settings.key)
    return context


class TLSExchange(Exchange):
    """Handshake, then the inner exchange. Every TLS failure is the reason `tls`.

    `context_of` gives the context; who checks often keeps them, for one takes 30 ms to make.
    """

    def __init__(
        self,
        target: Target,
        inner: Exchange,
        context_of: Callable[[TLS], ssl.SSLContext] = make_context,
    ) -> None:
        settings = target.tls or TLS()
        self._inner = inner
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self._tls = context_of(settings).wrap_bio(
                self._in, self._out, server_hostname=settings.server_name or target.host
            )
        except (OSError, ValueError, TypeError) as error:  # a file, or a name that none can have
            raise CheckFailedError("tls") from error
        self._shaken = False
        self._advance()

    def outgoing(self) -> bytes:
        return self._out.read()

    def received(self, data: bytes) -> None:
        self._in.write(data)
        self._advance()

    def ended(self) -> None:
        self._in.write_eof()
        self._advance()
        if self.reason is None:
            self.reason = "closed" if self._shaken else "tls"

    def _advance(self) -> None:
        try:
            self._step()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLEOFError:
            self.reason = "closed" if self._shaken else "tls"
        except ssl.SSLError:
            self.reason = "tls"

    def _step(self) -> None:
        if not self._shaken:
            self._tls.do_handshake()
            self._shaken = True
            self._tls.write(self._inner.outgoing())
        while self.reason is None:
            if data := self._tls.read(4096):
                self._inner.received(data)
            else:
                self._inner.ended()
            self.reason = self._inner.reason
