"""Where programs look for the certificates that they trust, and which programs do.

Go: https://github.com/golang/go/blob/go1.22.0/src/crypto/x509/root_linux.go and root_unix.go: the
first of the files that can be read, and every file of the directories. OpenSSL: cert.pem and
certs/ in the directory that libcrypto was built for (SSL_CTX_set_default_verify_paths(3)), in
certs/ by the hash of the subject (openssl-rehash(1)). In both SSL_CERT_FILE and SSL_CERT_DIR, where
set, take the place of these (Go parts the directories by colons as OpenSSL does).
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import basename
from posixpath import join

from probe.image.facts.model import Facts
from probe.image.facts.model import Source
from probe.image.facts.x509 import Certificate
from probe.image.facts.x509 import read_pem
from probe.image.loader.closure import Node
from probe.image.loader.closure import Why
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import ViewError
from probe.image.view import parent_of

FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Debian and Alpine, old Red Hat, SUSE, OpenELEC, Red Hat, Alpine and the BSDs; Go's order."""
FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")

FILE_VARIABLE, FOLDER_VARIABLE = "SSL_CERT_FILE", "SSL_CERT_DIR"
MORE_VARIABLES = (
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)
"""What single clients have for a bundle of their own."""

MAX_BUNDLE = 16 * 2**20
"""Bytes; Debian's 140 roots take 220 KB."""
_MAX_SINGLE = 2**20
_MAX_SINGLES = 1000
_MAX_GO = 256 * 2**20
_MAX_LIBRARY = 64 * 2**20

_LIBRARIES = re.compile(r"lib(ssl|gnutls|curl(-gnutls|-nss)?|nss3|mbedtls|wolfssl)([-.].*)?\.so")
_CLIENT_LIBRARY = re.compile(r"libcurl")
_CLIENTS = {"curl", "wget", "wget2"}
_SYNCHRONIZERS = {"split-sync", "split-proxy"}
"""Known by name, as a build without readable function names would be."""
_GO_TLS = b"crypto/tls."
"""Begins the names of that package's functions, which even stripped programs have (pclntab)."""
_LIBCRYPTO = re.compile(r"libcrypto\.so")
_OPENSSL_FOLDER = re.compile(rb'OPENSSLDIR: "(/[^"\0]{1,200})"')


@dataclass(frozen=True, slots=True)
class Place:
    """A file where a bundle is looked for; `named` is the variable that says so."""

    path: str
    named: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds: good certificates and how many blocks are none.

    `error` says why it cannot be read at all.
    """

    path: str
    certificates: tuple[Certificate, ...] = ()
    broken: tuple[str, ...] = ()
    error: str = ""


def files(environment: Mapping[str, str]) -> tuple[Place, ...]:
    named = environment.get(FILE_VARIABLE)
    return (Place(named, FILE_VARIABLE),) if named else tuple(Place(path) for path in FILES)


def folders(environment: Mapping[str, str]) -> tuple[Place, ...]:
    named = environment.get(FOLDER_VARIABLE)
    if not named:
        return tuple(Place(path) for path in FOLDERS)
    return tuple(Place(path, FOLDER_VARIABLE) for path in named.split(":") if path)


def is_dangling(view: View, path: str) -> bool:
    """Tell whether *path* is a link to nothing; missing is not dangling."""
    return view.lstat(path) is not None and view.resolve(path) is None


def bundles(view: View, environment: Mapping[str, str]) -> list[Bundle]:
    """Read every bundle that is there, each file once, in the order of looking."""
    found: dict[str, Bundle] = {}
    for place in files(environment):
        entry = view.resolve(place.path)
        if entry is not None and entry.path not in found:
            found[entry.path] = _bundle(view, place.path, entry)
    return list(found.values())


def _bundle(view: View, path: str, entry: Entry) -> Bundle:
    if entry.kind is not Kind.FILE:
        return Bundle(
            path, error=f"is a {entry.kind}" if entry.kind.value != "other" else "no file"
        )
    try:
        blocks = list(read_pem(view.read(path, MAX_BUNDLE)))
    except ViewError as error:
        return Bundle(path, error=f"cannot be read: {error}")
    good = tuple(one for one in blocks if isinstance(one, Certificate))
    return Bundle(path, good, tuple(str(one) for one in blocks if not isinstance(one, Certificate)))


def children(view: View, places: Sequence[str]) -> Iterator[Entry]:
    """Return what stands in these directories, links not followed."""
    ends = {entry.path for path in places if (entry := view.resolve(path)) is not None}
    return (entry for entry in view.entries() if ends and parent_of(entry.path) in ends)


def holds_certificates(view: View, environment: Mapping[str, str]) -> bool:
    """Tell whether a certificate is found in the directories, as a single file of its own."""
    seen = 0
    for child in children(view, [place.path for place in folders(environment)]):
        entry = view.resolve(child.path)
        if entry is None or entry.kind is not Kind.FILE or entry.size > _MAX_SINGLE:
            continue
        seen += 1
        if _has_certificate(view, entry.path):
            return True
        if seen >= _MAX_SINGLES:
            return False
    return False


def _has_certificate(view: View, path: str) -> bool:
    try:
        data = view.read(path, _MAX_SINGLE)
    except ViewError:
        return False
    return any(isinstance(one, Certificate) for one in read_pem(data))


def usable(view: View, environment: Mapping[str, str]) -> bool:
    """Tell whether there is any certificate where programs look."""
    held = any(bundle.certificates for bundle in bundles(view, environment))
    return held or holds_certificates(view, environment)


def openssl_folder(facts: Facts) -> str | None:
    """Return the directory that the libcrypto of some program was built for."""
    for node in facts.closure.nodes:
        if _LIBCRYPTO.match(basename(node.path)):
            try:
                data = facts.view.read(node.path, _MAX_LIBRARY)
            except ViewError:
                return None
            return openssl_folder_in(node.path, data)
    return None


def openssl_folder_in(path: str, data: bytes) -> str | None:
    """Return what a libcrypto has compiled in; None for another file."""
    if not _LIBCRYPTO.match(basename(path)):
        return None
    found = _OPENSSL_FOLDER.search(data)
    return found[1].decode("utf-8", "surrogateescape") if found else None


@dataclass(frozen=True, slots=True)
class Speaker:
    """A program that speaks TLS; `client`: it is made to verify others' certificates."""

    path: str
    why: str
    client: bool

    def __str__(self) -> str:
        return f"{self.path} ({self.why})"


def speakers(facts: Facts) -> Iterator[Speaker]:
    """Return the programs that speak TLS, those that do so for sure first.

    What a health check alone starts counts only where it asks for `https`.
    """
    programs = {
        path
        for path, source in facts.programs.items()
        if source is not Source.HEALTHCHECK or _asks_https(facts)
    }
    loading = _loading(facts.closure.nodes)
    linked = [
        Speaker(path, f"loads {loading[path]}", _client(path, loading[path]))
        for path in sorted(programs & loading.keys())
    ]
    yield from (speaker for speaker in linked if speaker.client)
    for path in sorted(path for path in programs if basename(path) in _SYNCHRONIZERS):
        yield Speaker(path, "which asks Split's servers", client=True)
    for node in facts.closure.nodes:
        if node.elf.go and node.path in programs and _go_speaks(facts.view, node.path):
            yield Speaker(node.path, "a Go program with crypto/tls", client=True)
    yield from (speaker for speaker in linked if not speaker.client)


def _client(path: str, library: str) -> bool:
    return basename(path) in _CLIENTS or bool(_CLIENT_LIBRARY.match(library))


def _asks_https(facts: Facts) -> bool:
    start = facts.started(Source.HEALTHCHECK)
    return start is not None and any("https://" in word for word in start.words)


def _go_speaks(view: View, path: str) -> bool:
    try:
        return _GO_TLS in view.read(path, _MAX_GO)
    except ViewError:
        return False


def _loading(nodes: Sequence[Node]) -> dict[str, str]:
    """Return, by path, each file that loads a TLS library, itself or through others, and which.

    A client library names what loads it, whatever else that loads.
    """
    libraries = [node for node in nodes if _LIBRARIES.match(basename(node.path))]
    libraries.sort(key=lambda node: not _CLIENT_LIBRARY.match(basename(node.path)))
    askers = {
        node.path: [use.by for use in node.uses if use.why is Why.NEEDED and use.by]
        for node in nodes
    }
    found: dict[str, str] = {}
    for library in libraries:
        pending = list(askers[library.path])
        while pending:
            path = pending.pop()
            if path not in found:
                found[path] = basename(library.path)
                pending += askers.get(path, ())
    return found


def openssl_places(folder: str) -> tuple[str, str]:
    """Return OpenSSL's bundle and its directory of hashed names."""
    return join(folder, "cert.pem"), join(folder, "certs")
