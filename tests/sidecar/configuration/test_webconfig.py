"""The web configuration file: the toolkit's format, and what of it is refused."""

import pytest

from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.webconfig import ServerTLS
from probe.sidecar.configuration.webconfig import WebConfig
from probe.sidecar.configuration.webconfig import read_web_config

# The hash in the toolkit's own documentation.
HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

GOOD = [
    pytest.param("", WebConfig(), id="empty"),
    pytest.param("# nothing\n\n", None, id="a comment alone"),
    pytest.param("tls_server_config: {cert_file: a.crt, key_file: /k/a.key}",
                 WebConfig(ServerTLS("etc/a.crt", "/k/a.key")), id="tls"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c,"
                 " client_auth_type: RequireAndVerifyClientCert, min_version: TLS13}",
                 WebConfig(ServerTLS("etc/a", "etc/b", "etc/c", "TLS13")), id="client ca"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b, client_auth_type: NoClientCert}",
                 WebConfig(ServerTLS("etc/a", "etc/b")), id="no client ca"),
    pytest.param(f"basic_auth_users: {{alice: {HASH}}}", WebConfig(users={"alice": HASH.encode()}),
                 id="users"),
    pytest.param("http_server_config: {http2: false, headers: {X-Frame-Options: deny,"
                 " Strict-Transport-Security: max-age=1}}",
                 WebConfig(headers={"X-Frame-Options": "deny",
                                    "Strict-Transport-Security": "max-age=1"}), id="headers"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_good(text: str, expected: WebConfig | None) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match="empty"):
            read_web_config(text, "etc/web.yml")
    else:
        assert read_web_config(text, "etc/web.yml") == expected


BAD = [
    pytest.param("tls_server_config: {}", ["needs cert_file", "needs key_file"], id="no files"),
    pytest.param("tls_server_config: {cert: x, key: y}", ["cert: not supported", "key: not sup"],
                 id="inline"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}",
                 ["needs client_auth_type"], id="a ca that nobody asks"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b,"
                 " client_auth_type: RequireAndVerifyClientCert}", ["needs client_ca_file"],
                 id="asked and not verified"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b,"
                 " client_auth_type: RequestClientCert}", ["'RequestClientCert' is none of"],
                 id="asked only"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b, min_version: TLS13,"
                 " max_version: TLS12}", ["min_version is above"], id="versions"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}",
                 ["'TLS10' is none of"], id="old version"),
    pytest.param("tls_server_config: {cert_file: a, key_file: b, cipher_suites: [X],"
                 " client_allowed_sans: [x]}", ["cipher_suites: not", "client_allowed_sans: not"],
                 id="not supported"),
    pytest.param("basic_auth_users: {alice: hunter2}", ["alice: not a bcrypt hash"], id="plain"),
    pytest.param(f"basic_auth_users: {{'a:b': '{HASH}'}}", ["without a colon"], id="colon"),
    pytest.param(f"basic_auth_users: {{a: '{HASH}', a: '{HASH}'}}", ["stands in line 1 already"],
                 id="twice"),
    pytest.param("basic_auth_users: [a]", ["needs a mapping"], id="a list"),
    pytest.param("http_server_config: {headers: {X-Frame-Options: allow, Server: x}}",
                 ["not valid for X-Frame-Options", "Server: unknown header"], id="headers"),
    pytest.param('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}}',
                 ["not valid"], id="a header in a header"),
    pytest.param("rate_limit: {burst: 1}", ["rate_limit: not supported"], id="rate limit"),
    pytest.param("tls: {}", ["tls: unknown key"], id="unknown key"),
    pytest.param("[", ["no YAML"], id="no YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problems"), BAD)
def test_bad(text: str, problems: list[str]) -> None:
    """Every fault is told with its place; never the value of what may be a password."""
    with pytest.raises(ConfigError) as raised:
        read_web_config(text, "etc/web.yml")
    found = raised.value.problems
    assert len(found) == len(problems)
    for problem, expected in zip(found, problems, strict=True):
        assert problem.startswith("etc/web.yml:1:")
        assert expected in problem
        assert "hunter2" not in problem


def test_hashes_are_not_shown() -> None:
    assert HASH not in repr(read_web_config(f"basic_auth_users: {{a: '{HASH}'}}", "w"))
