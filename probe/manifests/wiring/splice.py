"""Edits of a text: a key set, an item or a document appended, every other byte as it was."""

import json
import re
from collections.abc import Iterable
from collections.abc import Sequence as Items
from typing import Any
from typing import NamedTuple

from probe.manifests import emit
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Entry
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Sequence

Nodes = Items[Node]
_COMMENTS = re.compile(r"(?:[ \t\r\n]|#[^\n]*\n)*")
_FIRST_LIST = re.compile(
    r"^( *)[^\s#-][^#\n]*:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*( *)- ",
    re.MULTILINE,
)
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class Edit(NamedTuple):
    """Put *text* in the place of what stands from *start* to *end*."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with the edits made. Raises WireError where two overlap."""
    position, parts = 0, []
    for edit in sorted(edits):
        if edit.start < position:
            raise WireError("internal: two edits overlap", _line(text, edit.start))
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, text[position:]])


def set_key(text: str, mapping: Mapping, key: str, value: Any) -> Edit:
    """Set a key: its value is replaced, or it comes behind the mapping's last entry."""
    _refuse(mapping)
    entry = next((entry for entry in mapping.entries if entry.key.value == key), None)
    if entry is not None:
        return _replace(text, mapping, entry, value)
    if mapping.flow:
        keys = [entry.key for entry in mapping.entries]
        values = [entry.value for entry in mapping.entries]
        return _insert_flow(text, mapping, keys, values, _Pair(key, value))
    return _insert_block(text, mapping, key, value)


def remove_key(text: str, mapping: Mapping, key: str) -> Edit:
    """Remove a key with its value and the line, or the comma, that goes with it."""
    _refuse(mapping)
    number = next(n for n, entry in enumerate(mapping.entries) if entry.key.value == key)
    entry = mapping.entries[number]
    if mapping.flow:
        return _remove_flow(mapping, number)
    start = text.rfind("\n", 0, entry.key.start) + 1
    if text[start : entry.key.start].strip():  # behind the dash of an item
        if len(mapping.entries) == 1:
            return Edit(entry.key.start, entry.value.end, "{}")
        return Edit(entry.key.start, mapping.entries[number + 1].key.start, "")
    if len(mapping.entries) == 1:
        return Edit(entry.key.start, entry.value.end, "{}")
    return Edit(start, _line_end(text, entry.value.end, with_break=True), "")


def append_item(text: str, sequence: Sequence, value: Any) -> Edit:
    """Append an item to a list, written as its other items are."""
    _refuse(sequence)
    if sequence.flow:
        return _insert_flow(text, sequence, sequence.items, sequence.items, value)
    indent = _column(text, _dash(text, sequence.items[0])) * " "
    lines = _block([value], indent, offset=0)
    end = _line_end(text, sequence.end)
    return Edit(end, end, _breaks(text, "\n" + lines))


def append_document(text: str, value: Any) -> Edit:
    """Append a YAML document behind the last one."""
    end = len(text)
    start = "" if text.endswith("\n") or not text else "\n"
    return Edit(end, end, _breaks(text, f"{start}---\n{emit.to_yaml(value)}"))


class _Pair(NamedTuple):
    key: str
    value: Any


def _refuse(node: Node) -> None:
    if isinstance(node, Alias):
        raise WireError(f"it is the alias *{node.name}, which serves others too", node.line)
    if node.tag is not None:
        raise WireError(f"it is made by {node.tag}", node.line)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _line_end(text: str, position: int, *, with_break: bool = False) -> int:
    """Return the end of the line in which *position* is, its break left out or with it."""
    end = text.find("\n", position)
    if end < 0:
        return len(text)
    if with_break:
        return end + 1
    return end - 1 if end > position and text[end - 1] == "\r" else end


def _column(text: str, position: int) -> int:
    start = text.rfind("\n", 0, position) + 1
    return position - start - text.count("\ufeff", start, position)


def _breaks(text: str, added: str) -> str:
    """Return what is added with the line ends of the text."""
    first = text.find("\n")
    return added.replace("\n", "\r\n") if first > 0 and text[first - 1] == "\r" else added


def _dash(text: str, item: Node) -> int:
    return text.rfind("-", 0, item.start)


def _offset(text: str) -> int:
    """Return how far a file indents the items of lists below their key: as its first list does."""
    found = _FIRST_LIST.search(text)
    return 2 if found is None or len(found[2]) > len(found[1]) else 0


def _block(value: Any, indent: str, *, offset: int) -> str:
    """Return a collection in block style, each line indented, without a final line end."""
    lines = emit.to_yaml(value, list_offset=offset).removesuffix("\n").split("\n")
    if isinstance(value, list) and offset:
        lines = [line[offset:] for line in lines]
    return "\n".join(indent + line if line else line for line in lines)


def _is_block(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _replace(text: str, mapping: Mapping, entry: Entry, value: Any) -> Edit:
    old = entry.value
    if mapping.flow or (old.flow and not _is_block(value)):
        return Edit(old.start, old.end, _rendered(text, entry.key, value))
    colon = text.index(":", entry.key.end) + 1
    if not _is_block(value):
        return Edit(colon, old.end, " " + emit.scalar(value))
    column = _column(text, entry.key.start)
    offset = _offset(text)
    indent = (column + (offset if isinstance(value, list) else 2)) * " "
    added = _block(value, indent, offset=offset)
    own_line = isinstance(old, Mapping | Sequence) and not old.flow and old.line > entry.key.line
    if own_line and not _props(old):
        return Edit(text.rfind("\n", 0, old.start) + 1, old.end, _breaks(text, added))
    end = _line_end(text, old.end)
    comment = text[old.end : end]
    if comment.lstrip().startswith("#") and "\n" not in text[colon : old.end]:
        return Edit(colon, end, comment + _breaks(text, "\n" + added))  # it stays by its key
    return Edit(colon, old.end, _breaks(text, "\n" + added))


def _props(node: Node) -> bool:
    return node.anchor is not None or node.tag is not None


def _insert_block(text: str, mapping: Mapping, key: str, value: Any) -> Edit:
    column = _column(text, mapping.entries[0].key.start)
    lines = _block({key: value}, column * " ", offset=_offset(text))
    end = _line_end(text, mapping.end)
    return Edit(end, end, _breaks(text, "\n" + lines))


def _rendered(text: str, beside: Node, value: Any) -> str:
    """Return a value in flow style: over several lines where the document is written so."""
    start = text.rfind("\n", 0, beside.start) + 1
    before = text[start : beside.start]
    if before.strip() or not start:
        return _flow(value)
    indent = before
    unit = _unit(text, indent)
    dumped = json.dumps(value, ensure_ascii=False, indent=unit)
    return _breaks(text, dumped.replace("\n", "\n" + indent))


def _unit(text: str, indent: str) -> str:
    """Return what one level of a multi-line document is indented by."""
    if "\t" in indent:
        return "\t"
    found = re.search(r"^( +)\S", text, re.MULTILINE)
    return found[1] if found else "  "


def _insert_flow(text: str, parent: Node, starts: Nodes, values: Nodes, added: Any) -> Edit:
    """Insert an entry or item behind the last one, or as the only one."""
    if not values:
        shown = _shown(text, parent, added)
        return Edit(parent.start, parent.end, f"{text[parent.start]}{shown}{text[parent.end - 1]}")
    gap, own_line = _gap(text, starts)
    shown, end = _shown(text, starts[-1], added), values[-1].end
    behind = _COMMENTS.match(text, end)
    if behind and text[behind.end()] == ",":  # YAML allows a comma behind the last
        return Edit(behind.end() + 1, behind.end() + 1, gap + shown + ("," if own_line else ""))
    return Edit(end, end, "," + gap + shown)


def _gap(text: str, starts: Nodes) -> tuple[str, bool]:
    """Return what stands before the last item here, and whether that is a line of its own."""
    line_start = text.rfind("\n", 0, starts[-1].start) + 1
    before = text[line_start : starts[-1].start]
    if line_start and not before.strip():
        return _breaks(text, "\n") + before, True
    comma = text.rfind(",", 0, starts[-1].start)
    return (text[comma + 1 : starts[-1].start] if len(starts) > 1 else " "), False


def _shown(text: str, beside: Node, added: Any) -> str:
    if not isinstance(added, _Pair):
        return _rendered(text, beside, added)
    quoted = text[beside.start] in '"{' or not _PLAIN_KEY.fullmatch(added.key)
    key = _flow(added.key) if quoted else added.key
    return f"{key}: {_rendered(text, beside, added.value)}"


def _remove_flow(mapping: Mapping, number: int) -> Edit:
    entries = mapping.entries
    if len(entries) == 1:
        return Edit(entries[0].key.start, entries[0].value.end, "")
    if number + 1 < len(entries):
        return Edit(entries[number].key.start, entries[number + 1].key.start, "")
    return Edit(entries[number - 1].value.end, entries[number].value.end, "")
