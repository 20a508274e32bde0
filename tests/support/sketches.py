"""Sketches of images as views that can be read: what the rules' examples are judged in."""

import json
from collections.abc import Iterable
from datetime import UTC
from datetime import datetime

from probe.image.facts.model import Facts
from probe.image.facts.walk import gather
from probe.image.rules.rule import Rule
from probe.image.sketch import Cache
from probe.image.sketch import Device
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.view import Entry
from probe.image.view import Kind
from tests.support.elf_files import cache_of
from tests.support.elf_files import dlopen_note
from tests.support.elf_files import make
from tests.support.memory_view import File
from tests.support.memory_view import MemoryView
from tests.support.memory_view import folder
from tests.support.memory_view import symlink

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_EXECUTABLE, _SHARED = 2, 3


def view_of(sketch: Sketch) -> MemoryView:
    """Return the image that a sketch draws, its ELF files and caches made."""
    files = {path: _content(drawn) for path, drawn in sketch.files.items()}
    return MemoryView(files, sketch.config)


def _content(drawn: Drawn) -> File | Entry:
    match drawn:
        case Link(target):
            return symlink(target)
        case Device(mode):
            return Entry("", Kind.OTHER, mode, 0, 0, 0, device=True)
        case Folder(mode, uid):
            return folder(mode, uid)
        case Text(text, mode, uid):
            return File(text.encode(), mode, uid)
        case Cache(libraries):
            return File(cache_of(libraries), 0o644)
        case Program():
            return File(_elf(drawn), drawn.mode, drawn.uid)


def _elf(program: Program) -> bytes:
    """Write the file; what loads nothing is of the kind that static programs are."""
    loads = program.interpreter or program.needed or program.soname
    return make(
        *program.needed,
        soname=program.soname,
        interpreter=program.interpreter,
        requires=program.requires,
        provides=program.provides,
        kind=_SHARED if loads else _EXECUTABLE,
        machine=program.machine,
        notes=_notes(program.dlopen),
        tail=program.text.encode(),
    )


def _notes(names: tuple[str, ...]) -> bytes:
    if not names:
        return b""
    return dlopen_note(json.dumps([{"soname": list(names), "priority": "required"}]))


def facts_of(sketch: Sketch, now: datetime = NOW) -> Facts:
    view = view_of(sketch)
    return gather(view, now=now, faults=view.faults)


def told(rules: Iterable[Rule], sketch: Sketch, now: datetime = NOW) -> list[str]:
    """Return what the rules find, as `severity code path`, sorted; without the path where none."""
    facts = facts_of(sketch, now)
    findings = (one for rule in rules for one in rule.findings(facts))
    return sorted(f"{one.severity} {one.code} {one.path}".rstrip() for one in findings)
