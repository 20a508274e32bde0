"""YAML as nodes, made of the parser's events: an alias is seen as one, not as what it names."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml import events
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.json_nodes import refuse_duplicates
from probe.manifests.wiring.nodes import MAX_DEPTH
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Document
from probe.manifests.wiring.nodes import Entry
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Node
from probe.manifests.wiring.nodes import Scalar
from probe.manifests.wiring.nodes import Sequence
from probe.manifests.wiring.nodes import line_finder

_CORE = "tag:yaml.org,2002:"
# What aliases may stand for, all together: a few lines can else stand for billions of values.
_MAX_SHOWN = 1_000_000


class NoAnchorError(WireError):
    """An alias without the anchor that it names."""

    def __init__(self, name: str, line: int) -> None:
        super().__init__(f"*{name} has no anchor before it", line)
        self.name = name


def parse_yaml(text: str) -> list[Document]:
    """Return the documents. Raises WireError for what is no YAML, and for a key given twice."""
    if not text.strip("\ufeff \t\r\n"):
        raise WireError("the file is empty")
    yaml = YAML(typ="rt", pure=True)
    try:
        return list(_Composer(yaml, text).documents())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = line_finder(text)(mark.index) if mark else 1
        raise WireError(f"no YAML: {error.problem}", line) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        raise WireError(f"no YAML: {' '.join(str(error).split())}", line) from None
    except RecursionError:
        raise WireError("nested too deep") from None


class _Composer:
    """Makes nodes of events, with spans that end where the text of a value ends."""

    def __init__(self, yaml: YAML, text: str) -> None:
        self.text = text
        self.events: Iterator[Any] = iter(yaml.parse(text))
        self.resolver = yaml.resolver
        self.anchors: dict[str, Node] = {}
        self.line = line_finder(text)
        self.depth = 0
        self.shown = 0
        self.sizes: dict[int, _Size] = {}

    def documents(self) -> Iterator[Document]:
        for event in self.events:
            if isinstance(event, events.DocumentStartEvent):
                self.anchors = {}
                start = event.start_mark.index
                node = self._node(next(self.events))
                end = next(self.events)
                empty = isinstance(node, Scalar) and node.start == node.end
                yield Document(None if empty else node, start, end.end_mark.index)

    def _node(self, event: Any) -> Node:
        start = event.start_mark.index
        line = self.line(start)
        make: Any = {
            events.AliasEvent: self._alias,
            events.ScalarEvent: self._scalar,
            events.SequenceStartEvent: self._sequence,
            events.MappingStartEvent: self._mapping,
        }[type(event)]
        self.depth += 1
        self._must_fit(0, line)
        node: Node = make(event, start, line)
        self.depth -= 1
        if event.anchor and not isinstance(node, Alias):
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, start: int, line: int) -> Alias:
        target = self.anchors.get(event.anchor)
        if target is None:
            raise NoAnchorError(event.anchor, line)
        size = _measure(target, self.sizes)
        self.shown += size.values
        self._must_fit(size.levels, line)
        return Alias(start, event.end_mark.index, line, name=event.anchor, target=target)

    def _must_fit(self, levels: int, line: int) -> None:
        if self.depth + levels > MAX_DEPTH:
            raise WireError("nested too deep", line)
        if self.shown > _MAX_SHOWN:
            raise WireError(f"aliases stand for more than {_MAX_SHOWN} values", line)

    def _scalar(self, event: Any, start: int, line: int) -> Scalar:
        tag = _own_tag(event)
        value = event.value if tag else self._resolve(event)
        if event.style == ">":  # the parser marks with a bell where it folded
            value = value.replace("\a", "")
        end = event.end_mark.index
        if event.style in {"|", ">"}:
            end = self._block_end(start, end)
        flow = event.style in {"'", '"'}
        return Scalar(start, end, line, flow=flow, tag=tag, anchor=event.anchor, value=value)

    def _block_end(self, start: int, end: int) -> int:
        """Return where a block scalar's text ends; blank lines behind it count with `|+` alone."""
        text = self.text[start:end]
        if "+" in text.partition("\n")[0].partition("#")[0]:
            return start + len(text.removesuffix("\n").removesuffix("\r"))
        return start + len(text.rstrip())

    def _resolve(self, event: Any) -> Any:
        tag = "" if event.tag is None else str(event.tag)  # !!int "5" is a number
        if not tag and event.implicit[0]:
            tag = str(self.resolver.resolve(ScalarNode, event.value, (True, False)))
        return _READERS.get(tag.removeprefix(_CORE), str)(event.value)

    def _sequence(self, event: Any, start: int, line: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(following := next(self.events), events.SequenceEndEvent):
            items.append(self._node(following))
        end = self._end(event, following, [item.end for item in items])
        return Sequence(start, end, line, flow=bool(event.flow_style), tag=_own_tag(event),
                        anchor=event.anchor, items=tuple(items))  # fmt: skip

    def _mapping(self, event: Any, start: int, line: int) -> Mapping:
        entries: list[Entry] = []
        while not isinstance(following := next(self.events), events.MappingEndEvent):
            key = self._node(following)
            if not isinstance(key, Scalar):
                raise WireError("a key that is no single value", key.line)
            entries.append(Entry(key, self._value(key, next(self.events))))
        end = self._end(event, following, [entry.value.end for entry in entries])
        found = Mapping(start, end, line, flow=bool(event.flow_style), tag=_own_tag(event),
                        anchor=event.anchor, entries=tuple(entries))  # fmt: skip
        refuse_duplicates(found)
        return found

    def _value(self, key: Scalar, event: Any) -> Node:
        """Return a key's value; an empty one stands behind the colon, not at the next token."""
        value = self._node(event)
        colon = self.text.find(":", key.end)
        if isinstance(value, Scalar) and value.start == value.end and 0 < colon < value.start:
            return replace(value, start=colon + 1, end=colon + 1, line=key.line)
        return value

    @staticmethod
    def _end(event: Any, closing: Any, ends: list[int]) -> int:
        """Return the end of a collection: in block style its last value's.

        The parser's own runs on over comments.
        """
        return int(closing.end_mark.index) if event.flow_style or not ends else max(ends)


class _Size(NamedTuple):
    """How many values a node shows, what aliases stand for included, and on how many levels."""

    values: int
    levels: int


def _measure(node: Node | None, known: dict[int, _Size]) -> _Size:
    if isinstance(node, Alias):
        node = node.target
    if id(node) not in known:
        parts = [_measure(child, known) for child in _children(node)]
        levels = 1 + max((part.levels for part in parts), default=0)
        known[id(node)] = _Size(1 + sum(part.values for part in parts), levels)
    return known[id(node)]


def _children(node: Node | None) -> list[Node]:
    if isinstance(node, Mapping):
        return [entry.value for entry in node.entries]
    return list(node.items) if isinstance(node, Sequence) else []


def _own_tag(event: Any) -> str | None:
    """Return the tag as written, None where it is one of YAML's own or none."""
    tag = event.tag
    text = None if tag is None else str(tag)
    return None if text is None or text.startswith(_CORE) or text == "!" else text


def _integer(text: str) -> int | str:
    plain = text.replace("_", "")
    try:
        return int(plain, 0 if plain.lstrip("+-")[:2].lower() in {"0x", "0o", "0b"} else 10)
    except ValueError:
        return text


def _float(text: str) -> float | str:
    special = text.lower().replace(".inf", "inf").replace(".nan", "nan")
    try:
        return float(special.replace("_", ""))
    except ValueError:
        return text


_READERS: dict[str, Any] = {
    "null": lambda _text: None,
    "bool": lambda text: text.lower() in {"true", "yes", "on", "y"},  # %YAML 1.1 has them all
    "int": _integer,
    "float": _float,
}
