"""The reader of certificates: against cryptography, and on bytes that are no certificate."""

from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509 as oracle
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.facts.x509 import Certificate
from probe.image.facts.x509 import X509Error
from probe.image.facts.x509 import read_certificate
from probe.image.facts.x509 import read_pem

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OID = oracle.NameOID


def certificate(
    *names: tuple[oracle.ObjectIdentifier, str], since: int = 2020, until: int = 2040
) -> bytes:
    subject = oracle.Name([oracle.NameAttribute(oid, text) for oid, text in names])
    builder = oracle.CertificateBuilder(subject, subject, KEY.public_key(), 7)
    builder = builder.not_valid_before(datetime(since, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(until, 12, 31, 23, 59, 59, tzinfo=UTC))
    return builder.sign(KEY, None).public_bytes(Encoding.DER)


SAMPLE = certificate((OID.COUNTRY_NAME, "DE"), (OID.COMMON_NAME, "A Root"))


def pem(der: bytes) -> bytes:
    return oracle.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


NAMES = [
    pytest.param([(OID.COMMON_NAME, "A Root"), (OID.ORGANIZATION_NAME, "A")], "A Root", id="cn"),
    pytest.param([(OID.ORGANIZATION_NAME, "A")], "A", id="organisation"),
    pytest.param(
        [(OID.ORGANIZATION_NAME, "A"), (OID.ORGANIZATIONAL_UNIT_NAME, "U")], "U", id="unit"
    ),
    pytest.param([(OID.COMMON_NAME, "Főtanúsítvány")], "Főtanúsítvány", id="not ASCII"),
    pytest.param([(OID.COUNTRY_NAME, "DE")], "", id="none of them"),
]


@pytest.mark.parametrize(("names", "expected"), NAMES)
def test_subject(names: list[tuple[oracle.ObjectIdentifier, str]], expected: str) -> None:
    """The common name, else the unit, else the organisation."""
    assert read_certificate(certificate(*names)).subject == expected


@pytest.mark.parametrize(
    ("since", "until"), [(1950, 1960), (2020, 2049), (2020, 2050), (2020, 9999)]
)
def test_dates(since: int, until: int) -> None:
    """RFC 5280, 4.1.2.5: UTCTime for 1950 to 2049, GeneralizedTime from 2050 on."""
    read = read_certificate(certificate((OID.COMMON_NAME, "A"), since=since, until=until))
    assert (read.not_before.year, read.not_after.year) == (since, until)


@pytest.mark.parametrize(
    ("year", "holds"), [(2019, False), (2020, True), (2040, True), (2041, False)]
)
def test_holds(year: int, *, holds: bool) -> None:
    """A certificate holds from its first second to its last."""
    assert read_certificate(SAMPLE).holds(datetime(year, 6, 1, tzinfo=UTC)) is holds


BROKEN = [
    pytest.param(b"", "ends too early", id="nothing"),
    pytest.param(b"hello", "stands where", id="no DER"),
    pytest.param(SAMPLE[:-1], "beyond the end", id="cut"),
    pytest.param(b"\x30", "ends too early", id="no length"),
    pytest.param(b"\x30\x80\0\0", "no length", id="indefinite length"),
    pytest.param(b"\x30\x85\1\1\1\1\1", "no length", id="length of five bytes"),
    pytest.param(SAMPLE.replace(b"200101", b"209901"), "is none", id="month 99"),
    pytest.param(SAMPLE.replace(b"\x17\x0d", b"\x16\x0d"), "neither", id="no date"),
]


@pytest.mark.parametrize(("data", "reason"), BROKEN)
def test_refused(data: bytes, reason: str) -> None:
    """What is no certificate is refused with the reason."""
    with pytest.raises(X509Error, match=reason):
        read_certificate(data)


BUNDLES = [
    pytest.param(b"", [], id="empty"),
    pytest.param(b"# no certificate\n", [], id="text"),
    pytest.param(pem(SAMPLE), ["A Root"], id="one"),
    pytest.param(b"# first\n" + pem(SAMPLE) + b"\n# next\r\n" + pem(SAMPLE), ["A Root"] * 2),
    pytest.param(pem(SAMPLE).replace(b"\n", b"\r\n"), ["A Root"], id="CRLF"),
    pytest.param(pem(SAMPLE)[:-30] + pem(SAMPLE), ["does not end", "A Root"], id="first is cut"),
    pytest.param(pem(SAMPLE).replace(b"-\nM", b"-\n!"), ["no base64"], id="no base64"),
    pytest.param(
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", ["too early"], id="empty"
    ),
    pytest.param(pem(SAMPLE).replace(b" CERT", b" TRUSTED CERT"), [], id="another label"),
]


@pytest.mark.parametrize(("data", "expected"), BUNDLES)
def test_bundle(data: bytes, expected: list[str]) -> None:
    """Each block counts for itself; a broken one does not hide the next."""
    read = list(read_pem(data))
    said = [one.subject if isinstance(one, Certificate) else str(one) for one in read]
    assert len(said) == len(expected)
    assert all(part in text for part, text in zip(expected, said, strict=True))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_same_as_cryptography() -> None:
    """Every root of this machine's bundle has the dates and the name that cryptography reads."""
    if not BUNDLE.exists():
        pytest.skip("no bundle on this machine")
    data = BUNDLE.read_bytes()
    ours = [one for one in read_pem(data) if isinstance(one, Certificate)]
    theirs = oracle.load_pem_x509_certificates(data)
    assert len(ours) == len(theirs) > 50
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.not_before == other.not_valid_before_utc
        assert mine.not_after == other.not_valid_after_utc
        named = other.subject.get_attributes_for_oid(OID.COMMON_NAME)
        assert not named or mine.subject == named[-1].value


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes, the answer is a certificate or the named error."""
    for one in (*read_pem(data), *read_pem(b"-----BEGIN CERTIFICATE-----" + data)):
        assert isinstance(one, Certificate | X509Error)


@given(st.data())
@settings(max_examples=300)
def test_damaged(data: st.DataObject) -> None:
    """So it is with a true certificate that one byte is changed in, or that is cut."""
    at = data.draw(st.integers(0, len(SAMPLE) - 1))
    byte = data.draw(st.integers(0, 255))
    damaged = SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1 : data.draw(st.integers(0, 400))]
    try:
        read_certificate(damaged)
    except X509Error:
        return


def test_work_is_linear() -> None:
    """A bundle of beginnings without end costs no more than its length."""
    assert len(list(read_pem(b"-----BEGIN CERTIFICATE-----" * 100_000))) == 100_000
