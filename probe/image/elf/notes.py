"""The notes of an ELF file (PT_NOTE), and in them what a program means to dlopen().

Libraries that are opened by name alone stand in no DT_NEEDED. Programs that tell of them do so in
a note, after https://uapi-group.org/specifications/specs/elf_dlopen_metadata/. It is advice for
packagers and nothing that a loader reads: what is damaged in it is passed over.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_OWNER = b"FDO\0"
_TYPE = 0x407C0C0A
_MAX_NOTES = 256
"""Notes of one segment: a dozen is much."""
_MAX_TEXT = 2**16
"""Bytes of one note's JSON: the largest of systemd's has 500."""
_MAX_FEATURES = 256
_MAX_NAMES = 64
_MAX_NAME = 4096
_WIDE = 8


class Priority(StrEnum):
    """What becomes of a program whose library is not there."""

    REQUIRED = "required"
    """It fails."""
    RECOMMENDED = "recommended"
    """It lacks something of note."""
    SUGGESTED = "suggested"


@dataclass(frozen=True, slots=True)
class DlopenNote:
    """One feature and the libraries for it, best first, of which any one will do."""

    sonames: tuple[str, ...]
    priority: Priority
    feature: str = ""
    description: str = ""


def dlopen_notes(segment: bytes, byteorder: str, align: int) -> tuple[DlopenNote, ...]:
    """Read one PT_NOTE segment, whose `p_align` is *align* bytes."""
    found: list[DlopenNote] = []
    for owner, kind, content in _notes(segment, "<" if byteorder == "little" else ">", align):
        if (owner, kind) == (_OWNER, _TYPE) and len(content) <= _MAX_TEXT:
            found += _features(content)
    return tuple(found[:_MAX_FEATURES])


def _notes(segment: bytes, mark: str, align: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Give owner, type and content; each part is padded to the segment's alignment (elf(5))."""
    head = struct.Struct(mark + "III")
    pad = (_WIDE if align == _WIDE else 4) - 1
    at = 0
    for _ in range(_MAX_NOTES):
        if at + head.size > len(segment):
            return
        name_size, size, kind = head.unpack_from(segment, at)
        name = at + head.size
        content = (name + name_size + pad) & ~pad
        if content + size > len(segment):
            return
        yield segment[name : name + name_size], kind, segment[content : content + size]
        at = (content + size + pad) & ~pad


def _features(content: bytes) -> Iterator[DlopenNote]:
    try:
        listed = json.loads(content.partition(b"\0")[0])
    except (ValueError, RecursionError):
        return
    for item in listed if isinstance(listed, list) else ():
        note = _note(item) if isinstance(item, dict) else None
        if note is not None:
            yield note


def _note(item: dict[str, object]) -> DlopenNote | None:
    names = item.get("soname")
    if not isinstance(names, list) or not all(_is_name(name) for name in names):
        return None
    priority = item.get("priority", Priority.RECOMMENDED)
    if not names or len(names) > _MAX_NAMES or priority not in list(Priority):
        return None
    return DlopenNote(
        tuple(names),
        Priority(str(priority)),
        feature=_text(item.get("feature")),
        description=_text(item.get("description")),
    )


def _is_name(name: object) -> bool:
    # JSON can write what no file system can be asked for
    return (
        isinstance(name, str) and name.isascii() and "\0" not in name and 0 < len(name) <= _MAX_NAME
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
