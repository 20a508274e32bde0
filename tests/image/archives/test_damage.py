"""Damaged archives, and those that ask too much, end in one named error."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.archives import Limits
from probe.image.view import ViewError
from tests.support.archive_files import BOMB
from tests.support.archive_files import DOCKER
from tests.support.archive_files import FUZZ
from tests.support.archive_files import LOWER
from tests.support.archive_files import UPPER
from tests.support.archive_files import digest
from tests.support.archive_files import docker_files
from tests.support.archive_files import dump
from tests.support.archive_files import from_bytes
from tests.support.archive_files import info
from tests.support.archive_files import nested_indexes
from tests.support.archive_files import oci
from tests.support.archive_files import outcome
from tests.support.archive_files import symbolic
from tests.support.archive_files import tar


def without(files: dict[str, bytes], part: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if part not in name}


def changed(files: dict[str, bytes], old: bytes, new: bytes) -> dict[str, bytes]:
    return {name: data.replace(old, new) for name, data in files.items()}


def layered(layer: bytes) -> bytes:
    return tar(docker_files(layer))


DAMAGED = [
    pytest.param(b"", "archive is empty", id="nothing"),
    pytest.param(b"hello", "not a tar", id="text"),
    pytest.param(b"x" * 2000, "not a tar", id="not a tar"),
    pytest.param(bytes(1024), "an empty one", id="empty tar"),
    pytest.param(DOCKER[:-20_000], "truncated", id="truncated"),
    pytest.param(gzip.compress(DOCKER)[:-40], "damaged or truncated", id="truncated gzip"),
    pytest.param(b"BZh9" + bytes(20), "bzip2", id="bzip2"),
    pytest.param(b"\xfd7zXZ\0" + bytes(20), "with xz", id="xz"),
    pytest.param(layered(LOWER[:1100]), "layer 1: the archive is truncated", id="short layer"),
    pytest.param(layered(b"x" * 600), "layer 1: not a tar", id="layer of rubbish"),
    pytest.param(
        tar(changed(docker_files(LOWER), b"lower", b"LOWER")),
        "layer 1 does not have the digest",
        id="layer exchanged",
    ),
    pytest.param(tar(changed(oci(), b"upper", b"UPPER")), "does not have the digest", id="blob"),
    pytest.param(tar(changed(oci(), b"/app", b"/ape")), "does not have the digest", id="config"),
    pytest.param(tar(without(oci(), digest(UPPER)[7:])), "no file blobs/sha256", id="no blob"),
    pytest.param(tar(without(docker_files(LOWER), "c.json")), "no file c.json", id="no config"),
    pytest.param(tar({"manifest.json": b"["}), "manifest.json is not JSON", id="no JSON"),
    pytest.param(tar({"manifest.json": b"[" * 200_000}), "is not JSON", id="deep JSON"),
    pytest.param(tar({"manifest.json": b"{}"}), "wrong type", id="not a list"),
    pytest.param(tar({"manifest.json": b"[]"}), "has 0 images", id="no image"),
    pytest.param(tar({"manifest.json": b" " * 5_000_000}), "has more than 4194304", id="large"),
    pytest.param(tar({"index.json": b"{}", "oci-layout": b""}), "has 0 images", id="no manifest"),
    pytest.param(tar(nested_indexes(4)), "more than 4 indexes", id="nested indexes"),
    pytest.param(
        tar({"index.json": dump({"manifests": [{"digest": "sha256:../../x"}]}), "blobs/x": b""}),
        "no sha256",
        id="digest with a path",
    ),
    pytest.param(tar({"a" * 5000: b""}), "more than 4096 characters", id="long name"),
    pytest.param(tar({}, symbolic("a", "b" * 5000)), "more than 4096", id="long target"),
    pytest.param(
        tar({}, info("a", pax_headers={"x": "y" * 1_100_000})), "extended header", id="large header"
    ),
]


@pytest.mark.parametrize(("archive", "message"), DAMAGED)
def test_damaged(archive: bytes, message: str) -> None:
    with pytest.raises(ViewError, match=message):
        from_bytes(archive)


DEEP = "d" * 3000
MANY = range(10)
# Short names that a link makes long.
LINKED = [info(DEEP, type=b"5"), symbolic("l", DEEP)]
EXPANDING = tar({}, *LINKED, *(info(f"l/{n}") for n in MANY))
BARRED = tar({}, *LINKED, info("l/f"), *(info(f"l/f/{n}") for n in MANY))
CHAIN = tar({}, *LINKED, info("l/" + "e" * 2000, type=b"5"))
# Looking up each name takes 1,000 steps.
WINDING = tar({}, info("d", type=b"5"), symbolic("l", "d/../" * 500 + "d"),
              *(info(f"l/{n}") for n in MANY))  # fmt: skip
EXTENDED = tar({}, *(info(f"etc/{n}", pax_headers={"a": "b"}) for n in MANY))
LIMITS = [
    pytest.param(EXPANDING, Limits(names=30_000), "have more than 30000 char", id="names by links"),
    pytest.param(BARRED, Limits(names=30_000), "have more than 30000 char", id="faults"),
    pytest.param(CHAIN, Limits(), "a path in the image has more than 4096", id="path by links"),
    pytest.param(WINDING, Limits(steps=5_000), "too many links and directories", id="steps"),
    pytest.param(EXTENDED, Limits(entries=9), "more than 9 extended headers", id="extended"),
    pytest.param(BOMB, Limits(total=1_000_000), "unpacks to more than 1000000", id="total"),
    pytest.param(DOCKER, Limits(total=1_000), "unpacks to more than 1000", id="stream"),
    pytest.param(DOCKER, Limits(entries=8), "more than 8 entries", id="entries"),
    pytest.param(DOCKER, Limits(names=50), "have more than 50 characters", id="names"),
    pytest.param(DOCKER, Limits(layers=1), "more than 1 layers", id="layers"),
    pytest.param(DOCKER, Limits(metadata=10), "has more than 10 bytes", id="metadata"),
]


@pytest.mark.parametrize(("archive", "limits", "message"), LIMITS)
def test_limits(archive: bytes, limits: Limits, message: str) -> None:
    with pytest.raises(ViewError, match=message):
        from_bytes(archive, limits=limits)


BASES = [DOCKER, tar(oci(gzip.compress)), gzip.compress(LOWER), LOWER + UPPER]


@FUZZ
@given(st.sampled_from(BASES), st.floats(0, 1))
def test_any_truncation(data: bytes, part: float) -> None:
    outcome(data[: int(len(data) * part)])


@FUZZ
@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_any_mutation(data: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(data)
    for place, value in changes:
        mutated[place % len(mutated)] = value
    outcome(bytes(mutated))


@FUZZ
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["manifests", "digest", "config", "Env", "Layers",
                                         "Config", "platform", "annotations", "rootfs"]),
                        inner, max_size=4), max_leaves=12))  # fmt: skip
def test_any_json(document: object) -> None:
    """In place of a manifest, an index, a configuration."""
    outcome(tar({"manifest.json": dump(document)}))
    outcome(tar({"manifest.json": dump([document])}))
    outcome(tar({**docker_files(LOWER), "c.json": dump(document)}))
    outcome(tar({"index.json": dump(document), "oci-layout": b""}))
