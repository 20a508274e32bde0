"""Tar headers, against Python's own tarfile."""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import ViewError
from tests.support.archive_files import FUZZ
from tests.support.archive_files import LOWER
from tests.support.archive_files import from_bytes
from tests.support.archive_files import info
from tests.support.archive_files import outcome
from tests.support.archive_files import symbolic
from tests.support.archive_files import tar


def summed(block: bytes) -> bytes:
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


@FUZZ
@given(st.lists(st.tuples(st.integers(0, 511), st.binary(min_size=1, max_size=12)), max_size=6))
def test_any_header(changes: list[tuple[int, bytes]]) -> None:
    """With the check sum set right, so that what lies behind it is reached."""
    header = bytearray(LOWER[:512])
    for place, value in changes:
        header[place : place + len(value)] = value
    outcome(summed(bytes(header[:512])) + LOWER[512:])


@FUZZ
@given(st.binary(max_size=3000))
def test_any_extended_header(data: bytes) -> None:
    header = info("x", type=b"x", size=len(data)).tobuf(tarfile.USTAR_FORMAT)
    outcome(header + data + bytes(-len(data) % 512) + LOWER)


FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "d/" * 60 + "n" * 90


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_headers_as_tarfile_writes_them(form: int) -> None:
    """Long names, links, owners, modes and devices in each of the formats."""
    archive = tar(
        {LONG: b"long", "etc/x": b"1"},
        symbolic("s", "t" * 99),
        info("suid", mode=0o4755, uid=65532, gid=7),
        info("dir", type=tarfile.DIRTYPE, mode=0o1777),
        info("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        info("pipe", type=tarfile.FIFOTYPE),
        form=form,
    )
    with from_bytes(archive) as image:
        assert image.read(f"/{LONG}") == b"long"
        found = {entry.path: entry for entry in image.entries()}
    assert found["/s"].target == "t" * 99
    assert found["/suid"] == Entry("/suid", Kind.FILE, 0o4755, 65532, 7, 0)
    assert (found["/dir"].kind, found["/dir"].mode) == (Kind.DIRECTORY, 0o1777)
    assert (found["/null"].kind, found["/null"].device) == (Kind.OTHER, True)
    assert (found["/pipe"].kind, found["/pipe"].device) == (Kind.OTHER, False)


def test_old_check_sums() -> None:
    """Some summed signed bytes."""
    header = info("é").tobuf(tarfile.GNU_FORMAT)
    rest = header[:148] + b" " * 8 + header[156:]
    total = sum(byte - 256 * (byte > 127) for byte in rest)
    with from_bytes(header[:148] + b"%06o\0 " % total + header[156:] + LOWER) as image:
        assert image.resolve("/é") is not None


def test_names_and_owners_beyond_ustar() -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive = tar({}, symbolic("é" * 200, "ü" * 200), info("big", uid=2**31), form=form)
        with from_bytes(archive) as image:
            found = image.lstat("/" + "é" * 200)
            big = image.lstat("/big")
        assert found is not None
        assert found.target == "ü" * 200
        assert big is not None
        assert big.uid == 2**31


def test_a_sparse_file_is_there_but_not_read() -> None:
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "etc/s"}
    sparse = info("GNUSparseFile.0/s", pax_headers=pax)
    with (
        from_bytes(tar({"etc/x": b""}, sparse)) as image,
        pytest.raises(ViewError, match="not held"),
    ):
        image.read("/etc/s")
