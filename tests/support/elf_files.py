"""ELF files and loader caches of a few hundred bytes, made byte by byte."""

import struct
from collections.abc import Mapping

AMD64, ARM64, I386, S390X = 62, 183, 3, 22
LOAD, DYNAMIC, INTERP, NOTE = 1, 2, 3, 4
GLIBC_LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL_LOADER = "/lib/ld-musl-x86_64.so.1"


class Strings:
    """A string table that grows as names are asked for."""

    def __init__(self) -> None:
        self.data = b"\0"

    def __call__(self, name: str) -> int:
        at = len(self.data)
        self.data += name.encode() + b"\0"
        return at


def records(mark: str, requires: Mapping[str, tuple[str, ...]], strings: Strings) -> bytes:
    """Write a verneed section; a version that begins with ? is weak."""
    out = b""
    for last, (file, versions) in enumerate(requires.items(), 1 - len(requires)):
        size = 16 + 16 * len(versions)
        out += struct.pack(mark + "HHIII", 1, len(versions), strings(file), 16, size if last else 0)
        for rest, version in enumerate(versions, 1 - len(versions)):
            flags, name = (2 if version[0] == "?" else 0), strings(version.lstrip("?"))
            out += struct.pack(mark + "IHHII", 0, flags, 0, name, 16 if rest else 0)
    return out


def definitions(mark: str, provides: tuple[str, ...], strings: Strings) -> bytes:
    """Write a verdef section."""
    out = b""
    for last, version in enumerate(provides, 1 - len(provides)):
        out += struct.pack(mark + "HHHHIII", 1, 0, 1, 1, 0, 20, 28 if last else 0)
        out += struct.pack(mark + "II", strings(version), 0)
    return out


def make(
    *needed: str,
    soname: str | None = None,
    interpreter: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    requires: Mapping[str, tuple[str, ...]] | None = None,
    provides: tuple[str, ...] = (),
    kind: int = 3,
    machine: int = AMD64,
    bits: int = 64,
    order: str = "little",
    flags: int = 0,
    tail: bytes = b"",
    notes: bytes = b"",
) -> bytes:
    """Write a small ELF file: header, program headers, one segment with all of its content."""
    mark, word = "<" if order == "little" else ">", "Q" if bits == 64 else "I"
    strings = Strings()
    tags = [(1, strings(name)) for name in needed]
    named = ((14, soname), (15, rpath), (29, runpath))
    tags += [(tag, strings(name)) for tag, name in named if name is not None]
    need = records(mark, requires or {}, strings)
    given_ = definitions(mark, provides, strings)
    path = interpreter.encode() + b"\0" if interpreter else b""
    head, phent = (64, 56) if bits == 64 else (52, 32)
    count = 3 + bool(interpreter) + bool(notes)
    base = head + phent * count
    at = base + len(path)
    spots = {"strings": at, "need": at + len(strings.data)}
    spots["given"] = spots["need"] + len(need)
    tags += [(5, spots["strings"]), (10, len(strings.data))]
    tags += [(0x6FFFFFFE, spots["need"]), (0x6FFFFFFF, len(requires))] if requires else []
    tags += [(0x6FFFFFFC, spots["given"]), (0x6FFFFFFD, len(provides))] if provides else []
    tags += [(0x6FFFFFFB, flags), (0, 0)]
    dynamic = b"".join(struct.pack(mark + word * 2, *tag) for tag in tags)
    notes_at = spots["given"] + len(given_)
    dynamic_at = notes_at + len(notes)
    tail_at = dynamic_at + len(dynamic)
    spans = [(LOAD, 0, tail_at), (LOAD, tail_at, len(tail)), (DYNAMIC, dynamic_at, len(dynamic))]
    spans += [(INTERP, base, len(path))] if interpreter else []
    spans += [(NOTE, notes_at, len(notes))] if notes else []

    def segment(type_: int, start: int, size: int) -> bytes:
        if bits == 64:
            return struct.pack(mark + "IIQQQQQQ", type_, 6, start, start, start, size, size, 4)
        return struct.pack(mark + "IIIIIIII", type_, start, start, start, size, size, 6, 4)

    identity = bytes([*b"\x7fELF", bits // 32, 1 if order == "little" else 2, 1]).ljust(16, b"\0")
    header = identity + struct.pack(
        mark + f"HHI{word * 3}IHHHHHH", kind, machine, 1, 0, head, 0, 0, head, phent, count, 0, 0, 0
    )
    programs = b"".join(segment(*span) for span in spans)
    return header + programs + path + strings.data + need + given_ + notes + dynamic + tail


def note(owner: bytes, kind: int, content: bytes, mark: str = "<") -> bytes:
    """Write one note, padded to 4 bytes as PT_NOTE has it."""
    head = struct.pack(mark + "III", len(owner), len(content), kind)
    return head + owner + bytes(-len(owner) % 4) + content + bytes(-len(content) % 4)


def dlopen_note(text: str, mark: str = "<") -> bytes:
    return note(b"FDO\0", 0x407C0C0A, text.encode() + b"\0", mark)


def cache_of(entries: Mapping[str, str], flags: int = 0x303) -> bytes:
    """Write a cache of the new format without an extension."""
    table, strings, base = b"", b"", 48 + 24 * len(entries)
    for name, path in entries.items():
        key = base + len(strings)
        strings += name.encode() + b"\0" + path.encode() + b"\0"
        table += struct.pack("<iIIIQ", flags, key, key + len(name) + 1, 0, 0)
    head = b"glibc-ld.so.cache1.1" + struct.pack("<IIB", len(entries), len(strings), 2)
    return head.ljust(48, b"\0") + table + strings
