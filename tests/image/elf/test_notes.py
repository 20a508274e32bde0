"""Notes of ELF files: dlopen metadata as systemd writes it, and what is passed over."""

import json

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.elf.notes import DlopenNote
from probe.image.elf.notes import Priority
from probe.image.elf.notes import dlopen_notes
from tests.support.elf_files import dlopen_note
from tests.support.elf_files import note

LZ4 = {
    "feature": "lz4",
    "description": "Support lz4 compression in journal and coredump files",
    "priority": "suggested",
    "soname": ["liblz4.so.1", "liblz4.so.2"],
}
READ = DlopenNote(
    ("liblz4.so.1", "liblz4.so.2"), Priority.SUGGESTED, "lz4", str(LZ4["description"])
)
MINIMAL = DlopenNote(("liba.so",), Priority.RECOMMENDED)
BUILD_ID = note(b"GNU\0", 3, b"\x01\x02\x03\x04\x05")


def written(*features: object) -> bytes:
    return dlopen_note(json.dumps(features))


SEGMENTS = [
    pytest.param(written(LZ4), (READ,), id="one"),
    pytest.param(BUILD_ID + written(LZ4) + BUILD_ID, (READ,), id="among other notes"),
    pytest.param(written(LZ4, LZ4) + written(LZ4), (READ,) * 3, id="several"),
    pytest.param(written({"soname": ["liba.so"]}), (MINIMAL,), id="priority and feature left out"),
    pytest.param(written({"soname": ["liba.so"], "x": 1}), (MINIMAL,), id="unknown key"),
    pytest.param(
        written({"soname": ["liba.so"], "feature": 1, "description": None}),
        (MINIMAL,),
        id="feature is no text",
    ),
    pytest.param(dlopen_note("[{"), (), id="no JSON"),
    pytest.param(dlopen_note("[" * 60_000), (), id="nested too deep"),
    pytest.param(dlopen_note("1" * 60_000), (), id="a number by the thousand"),
    pytest.param(dlopen_note(f"[{' ' * 70_000}]"), (), id="too long"),
    pytest.param(dlopen_note('{"soname": ["liba.so"]}'), (), id="no array"),
    pytest.param(written(1, None, LZ4), (READ,), id="one of three is an object"),
    pytest.param(written({**LZ4, "soname": "liba.so"}), (), id="soname is text"),
    pytest.param(written({**LZ4, "soname": []}), (), id="no soname"),
    pytest.param(written({**LZ4, "soname": [""]}), (), id="empty soname"),
    pytest.param(written({**LZ4, "soname": ["a"] * 65}), (), id="too many sonames"),
    pytest.param(written({**LZ4, "soname": ["\ud800"]}), (), id="a soname that is no text"),
    pytest.param(written({**LZ4, "priority": "vital"}), (), id="unknown priority"),
    pytest.param(written({**LZ4, "priority": ["required"]}), (), id="priority is a list"),
    pytest.param(written(LZ4)[:-4], (), id="cut off"),
    pytest.param(note(b"FDO\0", 1, b"[]"), (), id="another type"),
    pytest.param(note(b"GNU\0", 0x407C0C0A, b"[]"), (), id="another owner"),
    pytest.param(b"\xff" * 40, (), id="sizes beyond the end"),
]


@pytest.mark.parametrize(("segment", "expected"), SEGMENTS)
def test_segments(segment: bytes, expected: tuple[DlopenNote, ...]) -> None:
    """What is well-formed is read, the rest is no error."""
    assert dlopen_notes(segment, "little", 4) == expected


def test_big_endian() -> None:
    segment = dlopen_note(json.dumps([LZ4]), ">")
    assert dlopen_notes(segment, "big", 4) == (READ,)
    assert dlopen_notes(segment, "little", 4) == ()


def test_alignment_of_eight() -> None:
    """Segments of GNU properties pad to 8 bytes: the note behind is found there only."""
    behind = note(b"GNU\0", 5, bytes(12)) + bytes(4) + written(LZ4)
    assert dlopen_notes(behind, "little", 8) == (READ,)
    assert dlopen_notes(behind, "little", 4) == ()


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_mutated_notes(at: int, new: bytes) -> None:
    """Any bytes give notes with names in them, or none."""
    good = written(LZ4, LZ4)
    found = dlopen_notes(good[:at] + new + good[at + len(new) :], "little", 4)
    assert len(found) <= 2
    assert all(one.sonames and all(one.sonames) for one in found)
