"""Rules of certificates: who speaks TLS, and what is left to trust, makes an error of a fault."""

from collections.abc import Mapping

import pytest

from probe.image.facts.walk import gather
from probe.image.rules import certificates as rules
from probe.image.rules.rule import Rule
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.image.rules.judging import judge
from tests.image.rules.judging import places
from tests.support.elf_files import make
from tests.support.memory_view import File
from tests.support.memory_view import MemoryView
from tests.support.sketches import NOW
from tests.support.sketches import facts_of

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LOADER = {"/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2")}
CURL: dict[str, Drawn] = {
    **LOADER,
    "/usr/bin/curl": Program(("libcurl.so.4",)),
    "/usr/lib/libcurl.so.4": library("libcurl.so.4", "libssl.so.3"),
    "/usr/lib/libssl.so.3": library("libssl.so.3"),
}
SERVER: dict[str, Drawn] = {
    **LOADER,
    "/usr/bin/server": Program(("libssl.so.3",)),
    "/usr/lib/libssl.so.3": library("libssl.so.3"),
}
PLAIN: dict[str, Drawn] = {"/app": static()}


def bundle_of(sketch: Sketch) -> Text:
    drawn = sketch.files[BUNDLE]
    assert isinstance(drawn, Text)
    return drawn


GOOD_PEM = bundle_of(rules.ca_bundle_missing.good)
OLD_PEM = bundle_of(rules.ca_bundle_expired.bad)
BROKEN_PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"


def runs(
    *words: str,
    user: str = "65532",
    test: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> ImageConfig:
    healthcheck = {"Test": list(test)} if test else None
    return ImageConfig(entrypoint=words, user=user, env=env or {}, healthcheck=healthcheck)


RUNS_CURL, RUNS_SERVER = runs("/usr/bin/curl"), runs("/usr/bin/server")
WITH_HTTP = runs("/app", test=("CMD", "/usr/bin/curl", "http://127.0.0.1:3010/"))
WITH_HTTPS = runs("/app", test=("CMD", "/usr/bin/curl", "https://127.0.0.1:3010/"))

MISSING = [
    pytest.param(CURL, RUNS_CURL, ["error"], id="a client"),
    pytest.param(CURL, None, ["error"], id="a client in a bare root"),
    pytest.param(SERVER, RUNS_SERVER, ["warning"], id="a server may need none"),
    pytest.param(SERVER, None, [], id="one of a root's programs"),
    pytest.param(PLAIN, runs("/app"), [], id="no TLS"),
    pytest.param({**CURL, **PLAIN}, WITH_HTTP, [], id="a health check by http"),
    pytest.param({**CURL, **PLAIN}, WITH_HTTPS, ["error"], id="a health check by https"),
    pytest.param({**CURL, BUNDLE: GOOD_PEM}, RUNS_CURL, [], id="there"),
    pytest.param({**CURL, "/etc/ssl/cert.pem": GOOD_PEM}, RUNS_CURL, [], id="Alpine's"),
    pytest.param({**CURL, "/etc/ssl/certs/a.pem": GOOD_PEM}, RUNS_CURL, [], id="a single file"),
    pytest.param({**CURL, "/etc/ssl/certs/a.pem": Text("no")}, RUNS_CURL, ["error"], id="no PEM"),
    pytest.param({**CURL, BUNDLE: Link("/gone")}, RUNS_CURL, [], id="dangling is another rule's"),
    pytest.param(
        {**CURL, "/etc/ssl/certs/a.pem": Link("/gone")}, RUNS_CURL, [], id="so are dangling links"
    ),
    pytest.param(
        {**CURL, "/ca.pem": GOOD_PEM},
        runs("/usr/bin/curl", env={"SSL_CERT_FILE": "/ca.pem"}),
        [],
        id="where the variable says",
    ),
    pytest.param(
        {**CURL, "/opt/ca/a.pem": GOOD_PEM},
        runs("/usr/bin/curl", env={"SSL_CERT_DIR": "/none:/opt/ca"}),
        [],
        id="in the second directory of the variable",
    ),
    pytest.param(
        {**CURL, "/etc/ssl/cert.pem": GOOD_PEM},
        runs("/usr/bin/curl", env={"SSL_CERT_FILE": "/ca.pem"}),
        ["error"],
        id="the variable takes the place of the rest",
    ),
]


@pytest.mark.parametrize(("files", "config", "expected"), MISSING)
def test_missing(
    files: Mapping[str, Drawn], config: ImageConfig | None, expected: list[str]
) -> None:
    """Absent is an error for clients, a warning for what may only serve, and else nothing."""
    assert [one for one, _ in places(rules.ca_bundle_missing, files, config)] == expected


GO = [
    pytest.param(b"crypto/tls.(*Conn).Handshake", ["error"], id="with crypto/tls"),
    pytest.param(b"crypto/sha256.Sum256", [], id="without"),
]


@pytest.mark.parametrize("config", [runs("/app"), None], ids=["config", "bare root"])
@pytest.mark.parametrize(("text", "expected"), GO)
def test_go(text: bytes, expected: list[str], config: ImageConfig | None) -> None:
    """A static Go program needs roots where it was linked with crypto/tls."""
    program = make(kind=2, tail=b"\xff Go buildinf:" + b"\0" * 32 + text)
    view = MemoryView({"/app": File(program)}, config)
    found = rules.ca_bundle_missing.findings(gather(view, now=NOW))
    assert [str(one.severity) for one in found] == expected


HASHED = "/etc/ssl/certs/5ed36f99.0"
FAULTS = [
    pytest.param(
        rules.ca_bundle_dangling, {**CURL, BUNDLE: Link("x")}, [("error", BUNDLE)], id="dangling"
    ),
    pytest.param(
        rules.ca_bundle_dangling,
        {**CURL, "/etc/ssl/certs": Link("/gone")},
        [("error", "/etc/ssl/certs")],
        id="the directory dangles",
    ),
    pytest.param(
        rules.ca_bundle_dangling,
        {**PLAIN, BUNDLE: Link("x")},
        [("warning", BUNDLE)],
        id="dangling, and nobody asks",
    ),
    pytest.param(
        rules.ca_bundle_dangling,
        {**CURL, BUNDLE: Link("x"), "/etc/ssl/cert.pem": GOOD_PEM},
        [("warning", BUNDLE)],
        id="dangling, with another",
    ),
    pytest.param(
        rules.ca_bundle_dangling,
        {**CURL, BUNDLE: GOOD_PEM, "/etc/ssl/cert.pem": Link("certs/ca-certificates.crt")},
        [],
        id="Alpine's link",
    ),
    pytest.param(
        rules.ca_link_dangling,
        {**CURL, HASHED: Link("/usr/share/a.crt")},
        [("error", "/etc/ssl/certs")],
        id="nothing but dangling links",
    ),
    pytest.param(
        rules.ca_link_dangling,
        {**CURL, HASHED: Link("/usr/share/a.crt"), "/etc/ssl/certs/own.pem": GOOD_PEM},
        [("error", "/etc/ssl/certs")],
        id="one stray file beside dangling links",
    ),
    pytest.param(
        rules.ca_link_dangling,
        {
            **CURL,
            HASHED: Link("/usr/share/a.crt"),
            "/etc/ssl/certs/own.pem": GOOD_PEM,
            "/etc/ssl/certs/12345678.0": Link("own.pem"),
        },
        [("warning", "/etc/ssl/certs")],
        id="some of the links dangle",
    ),
    pytest.param(
        rules.ca_link_dangling,
        {**CURL, BUNDLE: GOOD_PEM, HASHED: Link("/usr/share/a.crt")},
        [("warning", "/etc/ssl/certs")],
        id="dangling links beside the bundle",
    ),
    pytest.param(
        rules.ca_bundle_unreadable,
        {**CURL, BUNDLE: Folder()},
        [("error", BUNDLE)],
        id="a directory",
    ),
    pytest.param(
        rules.ca_bundle_unreadable,
        {**CURL, BUNDLE: GOOD_PEM, "/etc/ssl": Folder(0o700)},
        [("error", BUNDLE)],
        id="behind a shut directory",
    ),
    pytest.param(
        rules.ca_bundle_unreadable,
        {**CURL, BUNDLE: Text(GOOD_PEM.text, 0o400, uid=65532)},
        [],
        id="the user's own",
    ),
    pytest.param(
        rules.ca_bundle_malformed, {**CURL, BUNDLE: Text("")}, [("error", BUNDLE)], id="empty"
    ),
    pytest.param(
        rules.ca_bundle_malformed,
        {**CURL, BUNDLE: Text(BROKEN_PEM)},
        [("error", BUNDLE)],
        id="broken",
    ),
    pytest.param(
        rules.ca_bundle_malformed,
        {**CURL, BUNDLE: Text(GOOD_PEM.text + BROKEN_PEM)},
        [("warning", BUNDLE)],
        id="one of two broken",
    ),
    pytest.param(
        rules.ca_bundle_expired,
        {**CURL, BUNDLE: Text(GOOD_PEM.text + OLD_PEM.text)},
        [("info", BUNDLE)],
        id="one of two expired",
    ),
    pytest.param(
        rules.ca_bundle_expired,
        {**PLAIN, "/usr/bin/curl": Text("no program"), BUNDLE: OLD_PEM},
        [("warning", BUNDLE)],
        id="all expired, and nobody asks",
    ),
]


@pytest.mark.parametrize(("rule", "files", "expected"), FAULTS)
def test_faults(rule: Rule, files: Mapping[str, Drawn], expected: list[tuple[str, str]]) -> None:
    """An error where it leaves nothing to trust and something speaks TLS, else a warning."""
    command = "/usr/bin/curl" if files.keys() >= CURL.keys() else "/app"
    assert places(rule, files, runs(command)) == expected


@pytest.mark.parametrize("user", ["", "0", "root"])
def test_root_reads_all(user: str) -> None:
    """Modes do not bar root."""
    files = {**CURL, BUNDLE: Text(GOOD_PEM.text, 0o600), "/etc/passwd": Text("root:x:0:0::/:/\n")}
    assert places(rules.ca_bundle_unreadable, files, runs("/usr/bin/curl", user=user)) == []


def test_expired_are_named() -> None:
    """The message says which, and since when."""
    (found,) = judge(rules.ca_bundle_expired, {**CURL, BUNDLE: OLD_PEM}, RUNS_CURL)
    assert "Expired Root (until 2020-01-01)" in found.message


def test_links_are_counted() -> None:
    """Many dangling links are one finding that names the first of them."""
    links: dict[str, Drawn] = {f"/etc/ssl/certs/{n:08x}.0": Link(f"{n}.pem") for n in range(9)}
    (found,) = judge(rules.ca_link_dangling, {**PLAIN, **links}, runs("/app"))
    assert "9 links lead nowhere: 00000000.0 -> 0.pem" in found.message
    assert "and 4 more" in found.message


OPENSSL = rules.ca_bundle_not_for_openssl.bad
HASHED_LINKS: dict[str, Drawn] = {
    "/usr/lib/ssl/certs": Link("/etc/ssl/certs"),
    HASHED: Link("ca-certificates.crt"),
}
FOR_OPENSSL = [
    pytest.param({}, {}, 1, id="only Go's place"),
    pytest.param(HASHED_LINKS, {}, 0, id="hashed links"),
    pytest.param({}, {"SSL_CERT_FILE": BUNDLE}, 0, id="the variable"),
    pytest.param({BUNDLE: Link("gone")}, {}, 0, id="no bundle is another rule's"),
]


@pytest.mark.parametrize(("more", "env", "count"), FOR_OPENSSL)
def test_for_openssl(more: Mapping[str, Drawn], env: Mapping[str, str], count: int) -> None:
    """OpenSSL looks in the directory that libcrypto was built for, and by hashed names."""
    files, config = {**OPENSSL.files, **more}, runs("/usr/bin/fetch", env=env)
    assert len(places(rules.ca_bundle_not_for_openssl, files, config)) == count


def test_curl_has_a_place_of_its_own() -> None:
    """Libcurl is built with the path of its bundle, so that OpenSSL's does not matter."""
    files = {
        **OPENSSL.files,
        **CURL,
        "/usr/lib/libssl.so.3": library("libssl.so.3", "libcrypto.so.3"),
    }
    assert places(rules.ca_bundle_not_for_openssl, files, RUNS_CURL) == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"])
def test_variables(name: str) -> None:
    """Each variable is followed to its file."""
    config = runs("/app", env={name: "/gone"})
    assert places(rules.ca_variable_nowhere, PLAIN, config) == [("warning", "/gone")]


def test_good_image_is_silent() -> None:
    """No rule here has a word on a good image."""
    good = Sketch({**CURL, BUNDLE: GOOD_PEM}, RUNS_CURL)
    facts = facts_of(good)
    assert [one for rule in rules.RULES for one in rule.findings(facts)] == []
