"""JSON as nodes: a reader of spans, run after json.loads has said that the text is JSON."""

import json
import re

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import MAX_DEPTH
from probe.manifests.wiring.nodes import Document
from probe.manifests.wiring.nodes import Entry
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.nodes import line_finder

BOM = "\ufeff"
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORD = re.compile(r"[^\s,\]}]+")
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


def parse_json(text: str) -> Document:
    """Return the document. Raises WireError for what is no JSON, and for a key given twice."""
    start = len(BOM) if text.startswith(BOM) else 0
    body = text[start:]
    if not body.strip():
        raise WireError("the file is empty")
    try:
        json.loads(body, parse_int=str)  # Python refuses to convert more than 4300 digits
    except json.JSONDecodeError as error:
        raise WireError(f"no JSON: {error.msg.lower()}", error.lineno) from None
    except RecursionError:
        raise WireError("nested too deep") from None
    return Document(_Reader(text).value(start), start, len(text))


class _Reader:
    """Reads values of a text that is known to be JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = 0
        self.depth = 0
        self.line = line_finder(text)

    def value(self, start: int) -> Node:
        """Read the value at *start* or behind blanks; `end` is then behind it."""
        start = self._skip(start)
        read = {"{": self._mapping, "[": self._sequence}.get(self.text[start], self._scalar)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise WireError("nested too deep", self.line(start))
        found = read(start)
        self.depth -= 1
        return found

    def _skip(self, position: int) -> int:
        found = _BLANK.match(self.text, position)
        assert found is not None
        return found.end()

    def _scalar(self, start: int) -> Scalar:
        pattern = _STRING if self.text[start] == '"' else _WORD
        found = pattern.match(self.text, start)
        assert found is not None
        self.end = found.end()
        if found[0] in _NO_NUMBERS:  # json.loads takes them, nothing else does
            raise WireError(f"no JSON: {found[0]} is no number", self.line(start))
        value = _value(found[0])
        return Scalar(start, self.end, self.line(start), flow=True, value=value)

    def _mapping(self, start: int) -> Mapping:
        entries: list[Entry] = []
        position = self._skip(start + 1)
        while self.text[position] != "}":
            key = self._scalar(position)
            entries.append(Entry(key, self.value(self._skip(self.end) + 1)))
            position = self._next()
        self.end = position + 1
        found = Mapping(start, self.end, self.line(start), flow=True, entries=tuple(entries))
        refuse_duplicates(found)
        return found

    def _sequence(self, start: int) -> Sequence:
        items: list[Node] = []
        position = self._skip(start + 1)
        while self.text[position] != "]":
            items.append(self.value(position))
            position = self._next()
        self.end = position + 1
        return Sequence(start, self.end, self.line(start), flow=True, items=tuple(items))

    def _next(self) -> int:
        """Return where the next item is, or the bracket that closes."""
        position = self._skip(self.end)
        return self._skip(position + 1) if self.text[position] == "," else position


def _value(text: str) -> str | float | bool | None:
    try:
        value: str | float | bool | None = json.loads(text)
    except ValueError:  # too many digits for Python
        return text
    return value


def refuse_duplicates(mapping: Mapping) -> None:
    """Raise WireError where a key stands twice: parsers differ in which one they take."""
    seen: dict[tuple[type, object], int] = {}
    for entry in mapping.entries:
        value = entry.key.value
        key = type(value), value  # for Python 1 is True
        if key in seen:
            raise WireError(
                f"the key {value!r} stands twice: also in line {seen[key]}", entry.key.line
            )
        seen[key] = entry.key.line
