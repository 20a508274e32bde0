"""Edits of a text: a key set, an item or a document appended, every other byte as it was."""

import re
from collections.abc import Iterable
from collections.abc import Iterator
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
from probe.manifests.wiring.nodes import plain

Nodes = Items[Node]
_COMMENTS = re.compile(r"(?:[ \t\r\n]|#[^\n]*\n)*")
_KEY_ALONE = r"^( *)[^\s#-][^#\n]*:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*"
_FIRST_LIST = re.compile(_KEY_ALONE + "( *)- ", re.MULTILINE)
_FIRST_MAPPING = re.compile(_KEY_ALONE + r"(\1 +)[^\s#-]", re.MULTILINE)
# What may stand before a collection's own first character: its anchor, its tag, comments.
_PROPERTIES = re.compile(r"(?:\s+|[&!]\S*|#[^\n]*)*")
_COMMENT_BEHIND = re.compile(r"([ \t]*)(,?)([ \t]*#[^\r\n]*)")
_COMMENT_BELOW = re.compile(r"(?:[ \t]*\r?\n)+( *)#")
_LEFT_OF_ITEM = re.compile(r"[ \t]*,?[ \t]*(?:#[^\n]*|\r)?(?:\n|\Z)")
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class Edit(NamedTuple):
    """Put *text* in the place of what stands from *start* to *end*."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with the edits made. Raises WireError where two overlap."""
    position, parts = 0, []
    for edit in sorted(edits, key=lambda edit: edit[:2]):  # at one place in the order given
        if edit.start < position:
            raise WireError("internal: two edits overlap", _line(text, edit.start))
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, text[position:]])


def set_key(text: str, mapping: Mapping, key: str, value: Any) -> Edit:
    """Set a key: its value is replaced, or it comes behind the mapping's last entry.

    What already has that value keeps its style and comments. Raises WireError where the mapping
    serves others too, or is not written as a place of its own.
    """
    _refuse(mapping)
    _refuse_pair(text, mapping)
    entry = next((entry for entry in mapping.entries if entry.key.value == key), None)
    if entry is not None and _shows(entry.value, value):
        return Edit(entry.value.start, entry.value.start, "")
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
    _refuse_pair(text, mapping)
    number = next(n for n, entry in enumerate(mapping.entries) if entry.key.value == key)
    entry = mapping.entries[number]
    if mapping.flow:
        return _remove_flow(text, mapping, number)
    if len(mapping.entries) == 1:
        return Edit(entry.key.start, entry.value.end, "{}")
    start = text.rfind("\n", 0, entry.key.start) + 1
    end = _line_end(text, entry.value.end, with_break=True)
    if text[start : entry.key.start].strip():  # behind the dash of an item
        following = _skip_blanks(text, end)
        return Edit(entry.key.start, following, "")
    return Edit(start, end, "")


def append_item(text: str, sequence: Sequence, value: Any) -> Edit:
    """Append an item to a list, written as its other items are."""
    _refuse(sequence)
    if sequence.flow:
        return _insert_flow(text, sequence, sequence.items, sequence.items, value)
    indent = _column(text, _first(text, sequence)) * " "
    return _new_lines(text, sequence, [value], indent)


def append_document(text: str, value: Any) -> Edit:
    """Append a YAML document behind the last one."""
    end = len(text)
    start = "" if text.endswith("\n") or not text else "\n"
    return Edit(end, end, _breaks(text, f"{start}---\n{emit.to_yaml(value)}"))


class _Pair(NamedTuple):
    key: str
    value: Any


class _Style(NamedTuple):
    """How far a file indents what stands under a key: mappings, and the dashes of lists."""

    mapping: int
    list: int


def _refuse(node: Node) -> None:
    if isinstance(node, Alias):
        raise WireError(f"it is the alias *{node.name}, which serves others too", node.line)
    if node.tag is not None:
        raise WireError(f"it is made by {node.tag}", node.line)


def _shows(node: Node, value: Any) -> bool:
    """Tell whether a value stands there already: 1, 1.0 and true are three, order counts."""
    return repr(plain(node)) == repr(value)


def _refuse_pair(text: str, mapping: Mapping) -> None:
    """Refuse `[key: value]`: a mapping without brackets of its own has room for one entry."""
    if mapping.flow and not text.endswith("}", 0, mapping.end):
        raise WireError("a mapping without braces, within a list", mapping.line)


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


def _first(text: str, collection: Node) -> int:
    """Return where a collection's first dash or its bracket is, behind its anchor and comments."""
    found = _PROPERTIES.match(text, collection.start)
    assert found is not None
    return found.end()


def _skip_blanks(text: str, position: int) -> int:
    return position + len(text[position:]) - len(text[position:].lstrip())


def _style(text: str, near: Node) -> _Style:
    """Return the file's style: as the entries near the edit have it, else as its first ones."""
    mapping = next(_steps(text, near), 0) or _step(_FIRST_MAPPING.search(text), 2)
    return _Style(mapping, _step(_FIRST_LIST.search(text), 2))


def _steps(text: str, near: Node) -> Iterator[int]:
    """Yield how far mappings are indented that stand right under keys of *near*."""
    for entry in near.entries if isinstance(near, Mapping) and not near.flow else ():
        inner = entry.value
        if isinstance(inner, Mapping) and not inner.flow and inner.line > entry.key.line:
            yield _column(text, inner.entries[0].key.start) - _column(text, entry.key.start)


def _step(found: re.Match[str] | None, default: int) -> int:
    return default if found is None else max(0, len(found[2]) - len(found[1]))


def _block(value: Any, indent: str, style: _Style) -> str:
    """Return a collection in block style, each line indented, without a final line end."""
    return "\n".join(_indented(_lines(value, style), indent))


def _indented(lines: Iterable[str], indent: str) -> Iterator[str]:
    return (indent + line if line else line for line in lines)


def _lines(value: Any, style: _Style) -> Iterator[str]:
    """Yield a collection's lines: its structure in the file's style, single values by emit."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry_lines(key, item, style)
        return
    for item in value:
        if not _is_block(item):
            yield from _leaf([item]).split("\n")
            continue
        first, *others = _lines(item, style)
        yield f"- {first}"
        yield from _indented(others, "  ")


def _entry_lines(key: Any, item: Any, style: _Style) -> Iterator[str]:
    name = emit.scalar(key)
    if not _is_block(item):
        yield from (name + _leaf({"a": item})[1:]).split("\n")
        return
    yield f"{name}:"
    step = style.list if isinstance(item, list) else style.mapping
    yield from _indented(_lines(item, style), step * " ")


def _leaf(value: Any) -> str:
    """Return a collection of one single value as text: `- value` or `a: value`."""
    return emit.to_yaml(value, list_offset=0).removesuffix("\n")


def _is_block(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _replace(text: str, mapping: Mapping, entry: Entry, value: Any) -> Edit:
    old = entry.value
    if mapping.flow or (old.flow and not _is_block(value)):
        return Edit(old.start, old.end, _rendered(text, entry.key, value))
    colon = text.index(":", entry.key.end) + 1
    column = _column(text, entry.key.start)
    style = _style(text, mapping)
    if not _is_block(value):
        lines = "\n".join(_indented(_leaf({"a": value})[2:].split("\n"), column * " "))
        return _behind_colon(text, colon, old.end, (lines.lstrip(), value), column)
    indent = (column + (style.list if isinstance(value, list) else style.mapping)) * " "
    added = _block(value, indent, style)
    own_line = isinstance(old, Mapping | Sequence) and not old.flow and old.line > entry.key.line
    if own_line and not _props(old):
        start = text.rfind("\n", 0, old.start) + 1
        end, glue = _behind(text, old.end, value, column)
        return Edit(start, end, _breaks(text, added + glue))
    return _behind_colon(text, colon, old.end, ("\n" + added, value), column)


def _behind_colon(text: str, colon: int, old_end: int, added: tuple[str, Any], column: int) -> Edit:
    """Put a value behind its colon; where it has several lines a comment stays by its key."""
    lines, value = added
    head, line_break, rest = lines.partition("\n")
    head = f" {head}" if head else ""
    end = _line_end(text, old_end)
    if line_break and "\n" not in text[colon:old_end]:
        head += text[old_end:end]
        old_end = end
    end, glue = _behind(text, old_end, value, column)
    return Edit(colon, end, head + _breaks(text, line_break + rest + glue))


def _behind(text: str, end: int, value: Any, column: int) -> tuple[int, str]:
    """Return where to go on behind block lines, and what to put between.

    A block scalar would take in what follows in its line, and needs the end of its last one.
    """
    if not _ends_in_block_scalar(value):
        return end, ""
    line_end = _line_end(text, end)
    below = _COMMENT_BELOW.match(text, line_end)
    if below and len(below[1]) > column:
        raise WireError("the comment below would become part of the text", _line(text, below.end()))
    comment = text[end:line_end].strip()
    glue = f"\n{column * ' '}{comment}" if comment else ""
    return line_end, glue if line_end < len(text) or comment else "\n"


def _ends_in_block_scalar(value: Any) -> bool:
    while _is_block(value):
        value = (list(value.values()) if isinstance(value, dict) else value)[-1]
    return _leaf([value]).startswith("- |")


def _props(node: Node) -> bool:
    return node.anchor is not None or node.tag is not None


def _insert_block(text: str, mapping: Mapping, key: str, value: Any) -> Edit:
    first = mapping.entries[0].key.start
    column = _column(text, first)
    if text[first - column : first].endswith("? "):
        raise WireError("its keys are written behind question marks", mapping.line)
    return _new_lines(text, mapping, {key: value}, column * " ")


def _new_lines(text: str, parent: Node, added: Any, indent: str) -> Edit:
    lines = _block(added, indent, _style(text, parent))
    end, glue = _behind(text, _line_end(text, parent.end), added, len(indent))
    return Edit(end, end, _breaks(text, f"\n{lines}{glue}"))


def _rendered(text: str, beside: Node, value: Any) -> str:
    """Return a value in flow style: over several lines where the document is written so."""
    start = text.rfind("\n", 0, beside.start) + 1
    before = text[start : beside.start]
    if before.strip() or not start:
        return emit.flow(value)
    indent = before
    dumped = emit.flow(value, _unit(text, indent))
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
        return _only(text, parent, added)
    gap, own_line = _gap(text, starts)
    shown, end = _shown(text, starts[-1], added), values[-1].end
    comment = _COMMENT_BEHIND.match(text, end)
    if own_line and comment:  # it belongs to the entry before
        kept = comment[0] if comment[2] else f",{comment[0]}"
        return Edit(end, comment.end(), kept + gap + shown + comment[2])
    behind = _COMMENTS.match(text, end)
    if behind and text[behind.end()] == ",":  # YAML allows a comma behind the last
        return Edit(behind.end() + 1, behind.end() + 1, gap + shown + ("," if own_line else ""))
    return Edit(end, end, "," + gap + shown)


def _only(text: str, parent: Node, added: Any) -> Edit:
    """Insert what is the only entry or item; a comment between the brackets stays."""
    start, end = _first(text, parent) + 1, parent.end - 1
    key = f"{_key(text, parent, added.key)}: " if isinstance(added, _Pair) else ""
    shown = key + emit.flow(added.value if isinstance(added, _Pair) else added)
    inner = text[start:end]
    return Edit(start, start if inner.strip() else end, shown)


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
    return f"{_key(text, beside, added.key)}: {_rendered(text, beside, added.value)}"


def _key(text: str, beside: Node, key: str) -> str:
    quoted = text[beside.start] in '"{' or not _PLAIN_KEY.fullmatch(key)
    return emit.flow(key) if quoted else key


def _remove_flow(text: str, mapping: Mapping, number: int) -> Edit:
    entries = mapping.entries
    start, end = entries[number].key.start, entries[number].value.end
    if len(entries) == 1:
        return Edit(start, _behind_comma(text, end), "")
    if number + 1 < len(entries):
        following = entries[number + 1].key.start
        line = _LEFT_OF_ITEM.match(text, end)
        return Edit(start, _skip_blanks(text, line.end()) if line else following, "")
    before = entries[number - 1].value.end
    between = text[before:start]  # a comment there is the entry before's
    return Edit(before, end, between.replace(",", "", 1).rstrip() if "#" in between else "")


def _behind_comma(text: str, end: int) -> int:
    found = _COMMENTS.match(text, end)
    return found.end() + 1 if found and text[found.end()] == "," else end
