"""JSON as nodes: a reader of spans, run after json.loads has said that the text is JSON."""

import json
import re

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.nodes import Document
from probe.manifests.wiring.nodes import Entry
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence

BOM = "\ufeff"
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORD = re.compile(r"[^\s,\]}]+")


def parse_json(text: str) -> Document:
    """Return the document. Raises WireError for what is no JSON, and for a key given twice."""
    start = len(BOM) if text.startswith(BOM) else 0
    body = text[start:]
    if not body.strip():
        raise WireError("the file is empty")
    try:
        json.loads(body)
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

    def value(self, start: int) -> Node:
        """Read the value at *start* or behind blanks; `end` is then behind it."""
        start = self._skip(start)
        if self.text[start] == "{":
            return self._mapping(start)
        if self.text[start] == "[":
            return self._sequence(start)
        return self._scalar(start)

    def _skip(self, position: int) -> int:
        found = _BLANK.match(self.text, position)
        assert found is not None
        return found.end()

    def _line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def _scalar(self, start: int) -> Scalar:
        pattern = _STRING if self.text[start] == '"' else _WORD
        found = pattern.match(self.text, start)
        assert found is not None
        self.end = found.end()
        return Scalar(start, self.end, self._line(start), flow=True, value=json.loads(found[0]))

    def _mapping(self, start: int) -> Mapping:
        entries: list[Entry] = []
        position = self._skip(start + 1)
        while self.text[position] != "}":
            key = self._scalar(position)
            entries.append(Entry(key, self.value(self._skip(self.end) + 1)))
            position = self._next()
        self.end = position + 1
        found = Mapping(start, self.end, self._line(start), flow=True, entries=tuple(entries))
        refuse_duplicates(found)
        return found

    def _sequence(self, start: int) -> Sequence:
        items: list[Node] = []
        position = self._skip(start + 1)
        while self.text[position] != "]":
            items.append(self.value(position))
            position = self._next()
        self.end = position + 1
        return Sequence(start, self.end, self._line(start), flow=True, items=tuple(items))

    def _next(self) -> int:
        """Return where the next item is, or the bracket that closes."""
        position = self._skip(self.end)
        return self._skip(position + 1) if self.text[position] == "," else position


def refuse_duplicates(mapping: Mapping) -> None:
    """Raise WireError where a key stands twice: parsers differ in which one they take."""
    seen: dict[object, int] = {}
    for entry in mapping.entries:
        key = entry.key.value
        if key in seen:
            raise WireError(
                f"the key {key!r} stands twice: also in line {seen[key]}", entry.key.line
            )
        seen[key] = entry.key.line
