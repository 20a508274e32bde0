"""The web configuration file, in the format of Prometheus' exporter toolkit. Pure.

tls_server_config: {cert_file: server.crt, key_file: server.key}
basic_auth_users: {prometheus: $2y$10$...}

What it can say and we cannot do is refused, for a wall that is believed in and is not there is
worse than none. Format: prometheus/exporter-toolkit, docs/web-configuration.md.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.documents import Value
from probe.sidecar.configuration.documents import read_document
from probe.sidecar.configuration.fields import Reader
from probe.sidecar.configuration.fields import one_of
from probe.sidecar.configuration.fields import path
from probe.sidecar.configuration.fields import read_members
from probe.sidecar.configuration.fields import texts

__all__ = ["ConfigError", "ServerTLS", "WebConfig", "read_web_config"]

_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}")
_VERSIONS = ("TLS12", "TLS13")
_CLIENT_AUTH = {"NoClientCert": False, "RequireAndVerifyClientCert": True}
_HEADERS = {
    "Content-Security-Policy": r"[ -~]*",
    "X-Frame-Options": r"(?i:deny|sameorigin)?",
    "X-Content-Type-Options": r"(?i:nosniff)?",
    "X-XSS-Protection": r"[ -~]*",
    "Strict-Transport-Security": r"[ -~]*",
}


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """PEM files and what is asked of clients; `client_ca` only where certificates are required."""

    cert: str
    key: str
    client_ca: str | None = None
    lowest: str = "TLS12"
    highest: str = "TLS13"


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`users` are bcrypt hashes by name; `repr` does not show them."""

    tls: ServerTLS | None = None
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def read_web_config(text: str, name: str) -> WebConfig:
    """Read the file *name*; relative paths in it are beside it. Raises ConfigError, all faults."""
    if not text.strip():
        return WebConfig()  # the toolkit takes an empty file for no security at all, too
    document = read_document(text, name)
    top = read_members(document, _top(posixpath.dirname(name)))
    document.faults.refuse()
    headers = top.get("http_server_config", {}).get("headers", {})
    return WebConfig(top.get("tls_server_config"), top.get("basic_auth_users", {}), headers)


def _tls(section: Value, folder: str) -> ServerTLS | None:
    found = read_members(section, _TLS)
    for key in ("cert", "key"):
        if not {key, f"{key}_file"} & found.keys():
            section.fault(f"needs {key}_file")
    verified = found.get("client_auth_type", False)
    if verified and "client_ca_file" not in found:
        section.fault("RequireAndVerifyClientCert needs client_ca_file")
    if "client_ca_file" in found and not verified:
        section.fault("client_ca_file needs client_auth_type: RequireAndVerifyClientCert")
    lowest, highest = found.get("min_version", "TLS12"), found.get("max_version", "TLS13")
    if lowest > highest:
        section.fault("min_version is above max_version")
    files = {key: posixpath.join(folder, found[key]) for key in _FILES if key in found}
    if not {"cert_file", "key_file"} <= files.keys():
        return None
    return ServerTLS(
        files["cert_file"], files["key_file"], files.get("client_ca_file"), lowest, highest
    )


def _users(value: Value) -> dict[str, bytes]:
    users = {}
    for user, member in value.members():
        text = member.text()
        if text is None:
            continue
        if not user or ":" in user or not user.isprintable():
            member.fault("a user is a name without a colon (RFC 7617, section 2)")
        elif not _BCRYPT.fullmatch(text):
            # The value is not shown: it may be a password in plain.
            member.fault("not a bcrypt hash, such as `htpasswd -nBC 10 NAME` makes")
        else:
            users[user] = text.encode("ascii")
    return users


def _headers(value: Value) -> dict[str, str]:
    headers = {}
    for name, member in value.members():
        text = member.text()
        if name not in _HEADERS:
            member.fault(f"unknown header; there are {', '.join(_HEADERS)}")
        elif text is not None and not re.fullmatch(_HEADERS[name], text):
            member.fault(f"{text[:60]!r} is not valid for {name}")
        elif text:
            headers[name] = text
    return headers


def _unable(why: str) -> Reader:
    def refuse(value: Value) -> bool:
        value.fault(f"not supported: {why}")
        return True  # it is there, all the same

    return refuse


def _client_auth(text: str) -> bool:
    if text not in _CLIENT_AUTH:
        raise ValueError(f"{text[:40]!r} is none of {', '.join(_CLIENT_AUTH)}")
    return _CLIENT_AUTH[text]


_FILES = ("cert_file", "key_file", "client_ca_file")
_INLINE = _unable("give the file instead")
_TLS: dict[str, Reader] = {
    "cert_file": texts(path),
    "key_file": texts(path),
    "client_ca_file": texts(path),
    "client_auth_type": texts(_client_auth),
    "min_version": texts(one_of(*_VERSIONS)),
    "max_version": texts(one_of(*_VERSIONS)),
    "cert": _INLINE,
    "key": _INLINE,
    "client_ca": _INLINE,
    "client_allowed_sans": _unable("a certificate of client_ca_file is enough to come in"),
    "cipher_suites": _unable("the system's OpenSSL policy decides"),
    "prefer_server_cipher_suites": _unable("the system's OpenSSL policy decides"),
    "curve_preferences": _unable("the system's OpenSSL policy decides"),
}
_HTTP: dict[str, Reader] = {
    # There is no HTTP/2 here: what a client makes of `true` is HTTP/1.1 as well.
    "http2": texts(one_of("true", "false")),
    "headers": _headers,
}


def _top(folder: str) -> dict[str, Reader]:
    return {
        "tls_server_config": lambda value: _tls(value, folder),
        "http_server_config": lambda value: read_members(value, _HTTP),
        "basic_auth_users": _users,
        "rate_limit": _unable("connections and requests under way are limited"),
    }
