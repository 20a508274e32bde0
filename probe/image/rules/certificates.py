"""The certificates that TLS trusts: there where programs look, whole, readable and in date."""

import re
from collections.abc import Iterator
from posixpath import basename

from probe.findings import Severity
from probe.image.facts import trust
from probe.image.facts.model import Facts
from probe.image.facts.users import READ
from probe.image.facts.users import UserError
from probe.image.facts.users import barrier
from probe.image.facts.users import user_of
from probe.image.facts.x509 import Certificate
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.rules.wording import some
from probe.image.sketch import Drawn
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import parent_of

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""How OpenSSL finds a certificate by its subject (openssl-rehash(1))."""

EXAMPLE_PEM = """\
-----BEGIN CERTIFICATE-----
MIHcMIGPoAMCAQICAQEwBQYDK2VwMBcxFTATBgNVBAMMDEV4YW1wbGUgUm9vdDAg
Fw0yMDAxMDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAwMFowFzEVMBMGA1UEAwwMRXhh
bXBsZSBSb290MCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SI
AbQPb1wwBQYDK2VwA0EAoAFB4LaE/6Zcyy+8MdNCX+/GiXDhz1FNpJ8CPROuF6cN
rTTz6rupeYp/UgDtg4DTf9xckMyGDpLcJSeTHgJSBA==
-----END CERTIFICATE-----
"""
"""Holds from 2020 to 2099."""
_OLD_PEM = """\
-----BEGIN CERTIFICATE-----
MIHaMIGNoAMCAQICAQIwBQYDK2VwMBcxFTATBgNVBAMMDEV4cGlyZWQgUm9vdDAe
Fw0xMDAxMDEwMDAwMDBaFw0yMDAxMDEwMDAwMDBaMBcxFTATBgNVBAMMDEV4cGly
ZWQgUm9vdDAqMAUGAytlcAMhAIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uP
ybOUMAUGAytlcANBAKzCY0vXapyKES6WzCOnyp7lPFynerm3P1Z4S4cdPrZ9IZrP
HuIcU2gtiAzAc+5JtFdqtGRWB3K3C8/Lma6N4gg=
-----END CERTIFICATE-----
"""
"""Held from 2010 to 2020."""

_BUNDLE = trust.FILES[0]
_RUNS_CURL = ImageConfig(entrypoint=("/usr/bin/curl", "https://example.com"), user="65532:65532")
_CURL = {
    "/usr/bin/curl": Program(("libcurl.so.4",)),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/usr/lib/libcurl.so.4": library("libcurl.so.4"),
}
_GOOD = Sketch({**_CURL, _BUNDLE: Text(EXAMPLE_PEM, 0o644)}, _RUNS_CURL)


def _with(bundle: Text | Link) -> Sketch:
    return Sketch({**_CURL, _BUNDLE: bundle}, _RUNS_CURL)


def _speaker(facts: Facts) -> str:
    """Return `; PROGRAM speaks TLS`, or nothing where none is known to."""
    speaker = next(trust.speakers(facts), None)
    return f"; {speaker} speaks TLS" if speaker else ""


@rule(
    "ca-bundle-missing",
    Severity.ERROR,
    "a program speaks TLS and the image has no certificates that it could trust",
    why="Without roots every certificate is unknown: 'x509: certificate signed by unknown"
    " authority' of Go, 'unable to get local issuer certificate' of OpenSSL.",
    fix="install ca-certificates, or copy /etc/ssl/certs/ca-certificates.crt from an image that"
    " has it",
    good=_GOOD,
    bad=Sketch(_CURL, _RUNS_CURL),
)
def ca_bundle_missing(facts: Facts) -> Iterator[Problem]:
    view, environment = facts.view, facts.environment
    places = trust.files(environment)
    if any(view.lstat(place.path) for place in places) or _dangling_folders(facts):
        return
    if _dangling_links(facts) or trust.holds_certificates(view, environment):
        return
    speaker = next(trust.speakers(facts), None)
    # A server that has OpenSSL for its own certificate needs no roots; nor do all of a root's
    # programs speak to others.
    if speaker is None or not (speaker.client or facts.config):
        return
    first = places[0]
    named = f" ({first.named} names it)" if first.named else ""
    yield Problem(
        first.path,
        f"is not there{named}, nor are any other certificates; {speaker} speaks TLS",
        severity=None if speaker.client else Severity.WARNING,
    )


@rule(
    "ca-bundle-dangling",
    Severity.ERROR,
    "the CA bundle is a link to nothing",
    why="The link was copied and what it leads to was not: programs find no certificates.",
    fix="copy the file that the link leads to, or the bundle in place of the link",
    good=_GOOD,
    bad=_with(Link("/usr/share/ca-bundle.pem")),
)
def ca_bundle_dangling(facts: Facts) -> Iterator[Problem]:
    view = facts.view
    dangling = [
        place.path
        for place in trust.files(facts.environment)
        if trust.is_dangling(view, place.path)
    ]
    for path in (*dangling, *_dangling_folders(facts)):
        entry = view.lstat(path)
        usable = trust.usable(view, facts.environment)
        speaker = _by_bundle(facts) if usable else _speaker(facts)
        yield Problem(
            path,
            f"is a link to {entry.target if entry else ''}, which is not there{speaker}",
            severity=None if speaker else Severity.WARNING,
        )


def _by_bundle(facts: Facts) -> str:
    """Return who is without the bundle, where no other is in its place.

    Single certificates beside it help some (OpenSSL, Go) and not others: curl ends with code 77.
    """
    if any(bundle.certificates for bundle in trust.bundles(facts.view, facts.environment)):
        return ""
    clients = (one for one in trust.speakers(facts) if one.client)
    first = next(clients, None)
    return f"; {first} looks for it first" if first else ""


def _dangling_folders(facts: Facts) -> list[str]:
    places = (place.path for place in trust.folders(facts.environment))
    return [path for path in places if trust.is_dangling(facts.view, path)]


@rule(
    "ca-link-dangling",
    Severity.ERROR,
    "links in the directory of certificates lead to nothing",
    why="OpenSSL finds a root by the hash in the link's name: a server under a root whose link"
    " leads nowhere is refused. Mostly /etc/ssl/certs was copied without"
    " /usr/share/ca-certificates, where the links lead.",
    fix="copy what the links lead to as well, or leave the links out and keep the bundle",
    good=Sketch(
        {
            "/etc/ssl/certs/5ed36f99.0": Link("example.pem"),
            "/etc/ssl/certs/example.pem": Link("/usr/share/ca-certificates/example.crt"),
            "/usr/share/ca-certificates/example.crt": Text(EXAMPLE_PEM, 0o644),
        }
    ),
    bad=Sketch(
        {
            "/etc/ssl/certs/5ed36f99.0": Link("example.pem"),
            "/etc/ssl/certs/example.pem": Link("/usr/share/ca-certificates/example.crt"),
        }
    ),
)
def ca_link_dangling(facts: Facts) -> Iterator[Problem]:
    dangling = _dangling_links(facts)
    if not dangling:
        return
    # Without a bundle these are what programs trust; a stray one that is left does not make up
    # for them.
    most = len(dangling) * 2 > len(_links(facts))
    speaker = _speaker(facts) if most and not _bundle_is_named(facts) else ""
    if most and not speaker and facts.config is None:
        speaker = _by_links(facts)
    shown = some(f"{basename(one.path)} -> {one.target}" for one in dangling)
    yield Problem(
        parent_of(dangling[0].path),
        f"{len(dangling)} links lead nowhere: {shown}{speaker}",
        severity=Severity.ERROR if speaker else Severity.WARNING,
    )


def _by_links(facts: Facts) -> str:
    """Return who of a bare root's programs looks for the links alone, as Debian's OpenSSL does."""
    folder = trust.openssl_folder(facts)
    if folder is None or facts.view.resolve(trust.openssl_places(folder)[0]) is not None:
        return ""
    users = (one for one in trust.speakers(facts) if "libssl" in one.why)
    first = next(users, None)
    return f"; {first} looks for nothing else" if first else ""


def _dangling_links(facts: Facts) -> list[Entry]:
    return [one for one in _links(facts) if facts.view.resolve(one.path) is None]


def _links(facts: Facts) -> list[Entry]:
    """Return the links in the directories of certificates, but for the bundle's own."""
    bundles = {place.path for place in trust.files(facts.environment)}
    folders = [place.path for place in trust.folders(facts.environment)]
    children = trust.children(facts.view, folders)
    return [one for one in children if one.kind is Kind.SYMLINK and one.path not in bundles]


def _bundle_is_named(facts: Facts) -> bool:
    """Tell whether there is a bundle, whole or broken: other rules judge it."""
    return any(facts.view.lstat(place.path) for place in trust.files(facts.environment))


@rule(
    "ca-bundle-unreadable",
    Severity.ERROR,
    "the CA bundle is there and cannot be read by the image's user",
    why="Programs go on as if there were none, and refuse every server.",
    fix="give the file mode 0644 and the directories on the way 0755, owned by root",
    good=_GOOD,
    bad=_with(Text(EXAMPLE_PEM, 0o600)),
)
def ca_bundle_unreadable(facts: Facts) -> Iterator[Problem]:
    for bundle in trust.bundles(facts.view, facts.environment):
        fault = bundle.error or _barred(facts, bundle.path)
        if fault:
            speaker = _speaker(facts)
            yield Problem(
                bundle.path,
                f"{fault}{speaker}",
                severity=None if speaker else Severity.WARNING,
            )


def _barred(facts: Facts, path: str) -> str:
    if facts.config is None:
        return ""
    try:
        user = user_of(facts.view)
    except UserError:
        return ""
    bar = barrier(facts.view, user, path, READ)
    if bar is None:
        return ""
    verb = "pass" if bar.kind is Kind.DIRECTORY else "read"
    return f"user {user.uid} may not {verb} {bar.path} (mode {bar.mode:04o}, of user {bar.uid})"


@rule(
    "ca-bundle-malformed",
    Severity.ERROR,
    "the CA bundle holds no certificate, or broken ones",
    why="Go takes the first bundle that it can open, whatever is in it, and trusts nobody where it"
    " is empty; OpenSSL gives the whole file up at a broken block.",
    fix="write the bundle anew: PEM blocks, one after the other, as update-ca-certificates does",
    good=_GOOD,
    bad=_with(Text("<html>404 not found</html>\n", 0o644)),
)
def ca_bundle_malformed(facts: Facts) -> Iterator[Problem]:
    for bundle in trust.bundles(facts.view, facts.environment):
        if bundle.error:
            continue
        if not bundle.certificates:
            speaker = _speaker(facts)
            why = f": {bundle.broken[0]}" if bundle.broken else ""
            yield Problem(
                bundle.path,
                f"holds no certificate{why}{speaker}",
                severity=None if speaker else Severity.WARNING,
            )
        elif bundle.broken:
            yield Problem(
                bundle.path,
                f"{len(bundle.broken)} of {len(bundle.broken) + len(bundle.certificates)} blocks"
                f" cannot be read: {bundle.broken[0]}",
                severity=Severity.WARNING,
            )


@rule(
    "ca-bundle-expired",
    Severity.ERROR,
    "certificates of the CA bundle are out of date",
    why="A root that has expired vouches for nobody. One or two among many are usual in an older"
    " bundle; where all are, no server is trusted.",
    fix="take the bundle from a newer ca-certificates",
    good=_GOOD,
    bad=_with(Text(_OLD_PEM, 0o644)),
)
def ca_bundle_expired(facts: Facts) -> Iterator[Problem]:
    for bundle in trust.bundles(facts.view, facts.environment):
        out = [one for one in bundle.certificates if not one.holds(facts.now)]
        if not out:
            continue
        shown = some(_dated(facts, one) for one in out)
        if len(out) < len(bundle.certificates):
            count = f"{len(out)} of {len(bundle.certificates)} certificates do not hold"
            yield Problem(bundle.path, f"{count}: {shown}", severity=Severity.INFO)
            continue
        speaker = _speaker(facts)
        yield Problem(
            bundle.path,
            f"no certificate holds: {shown}{speaker}",
            severity=None if speaker else Severity.WARNING,
        )


def _dated(facts: Facts, one: Certificate) -> str:
    name = one.subject or "one without a name"
    if one.not_before > facts.now:
        return f"{name} (from {one.not_before:%Y-%m-%d} on)"
    return f"{name} (until {one.not_after:%Y-%m-%d})"


_VARIABLE_NAMES = (trust.FILE_VARIABLE, *trust.MORE_VARIABLES)


@rule(
    "ca-variable-nowhere",
    Severity.WARNING,
    "a variable of the image's config names a CA bundle that is not there",
    why="The variable takes the place of what the program would find by itself.",
    fix="remove the variable, or put the file there",
    good=_GOOD,
    bad=Sketch(
        {**_GOOD.files},
        ImageConfig(
            entrypoint=_RUNS_CURL.entrypoint, user="65532", env={"CURL_CA_BUNDLE": "/ca.pem"}
        ),
    ),
)
def ca_variable_nowhere(facts: Facts) -> Iterator[Problem]:
    for name in _VARIABLE_NAMES:
        path = facts.environment.get(name)
        if path and path.startswith("/") and facts.view.lstat(path) is None:
            yield Problem(path, f"{name} names it, and it is not there")
    for place in trust.folders(facts.environment):
        if place.named and facts.view.resolve(place.path) is None:
            yield Problem(place.path, f"{place.named} names it, and it is not there")


_LIBCRYPTO = Program(interpreter=None, soname="libcrypto.so.3", text='OPENSSLDIR: "/usr/lib/ssl"')
_OPENSSL: dict[str, Drawn] = {
    "/usr/bin/fetch": Program(("libssl.so.3",)),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/usr/lib/libssl.so.3": library("libssl.so.3", "libcrypto.so.3"),
    "/usr/lib/libcrypto.so.3": _LIBCRYPTO,
    _BUNDLE: Text(EXAMPLE_PEM, 0o644),
}
_RUNS_FETCH = ImageConfig(entrypoint=("/usr/bin/fetch",), user="65532:65532")


@rule(
    "ca-bundle-not-for-openssl",
    Severity.WARNING,
    "there is a CA bundle, and not where this image's OpenSSL looks",
    why="OpenSSL looks for cert.pem, and for hashed links in certs/, in the directory that it was"
    " built for, and nowhere else; Debian's is /usr/lib/ssl.",
    fix="add the link /usr/lib/ssl/cert.pem -> /etc/ssl/certs/ca-certificates.crt (the directory"
    " that the message names), or set SSL_CERT_FILE in the image",
    good=Sketch({**_OPENSSL, "/usr/lib/ssl/cert.pem": Link(_BUNDLE)}, _RUNS_FETCH),
    bad=Sketch(_OPENSSL, _RUNS_FETCH),
)
def ca_bundle_not_for_openssl(facts: Facts) -> Iterator[Problem]:
    view, environment = facts.view, facts.environment
    # Of a root without a config nobody knows who sets the variables.
    if facts.config is None or trust.FILE_VARIABLE in environment:
        return
    held = [one for one in trust.bundles(view, environment) if one.certificates]
    speaker = next((one for one in trust.speakers(facts) if "libssl" in one.why), None)
    folder = trust.openssl_folder(facts) if held and speaker else None
    if folder is None:
        return
    bundle, hashed = trust.openssl_places(folder)
    folders = [environment.get(trust.FOLDER_VARIABLE, hashed)]
    names = (one for one in trust.children(view, folders) if _HASHED.fullmatch(basename(one.path)))
    if view.resolve(bundle) is None and not any(view.resolve(one.path) for one in names):
        yield Problem(
            bundle,
            f"is not there, and no hashed links are in {folders[0]}: {speaker} does not find"
            f" {held[0].path}",
        )


RULES: tuple[Rule, ...] = (
    ca_bundle_missing,
    ca_bundle_dangling,
    ca_bundle_unreadable,
    ca_bundle_malformed,
    ca_bundle_expired,
    ca_link_dangling,
    ca_variable_nowhere,
    ca_bundle_not_for_openssl,
)
