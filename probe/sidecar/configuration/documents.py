"""YAML (and so JSON) with places: a fault is told as FILE:LINE:COLUMN: PATH: what is wrong.

Pure. Scalars stay the texts that they are written as: `03010` is neither 1544 nor 3010.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode
from ruamel.yaml.nodes import Node
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.nodes import SequenceNode

_NULL = "tag:yaml.org,2002:null"


class ConfigError(ValueError):
    """A file that cannot be used; `problems` are all its faults, each with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Faults:
    """The faults found so far in the file of that name."""

    name: str
    found: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, line: int, column: int, message: str) -> None:
        self.found.append((line, column, message))

    def refuse(self) -> None:
        """Raise ConfigError if there are any."""
        if self.found:
            raise ConfigError(
                [f"{self.name}:{line}:{at}: {what}" for line, at, what in sorted(self.found)]
            )


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the document, and where it stands: `path` as `targets[0].port`."""

    node: Node
    path: str
    faults: Faults

    def fault(self, message: str) -> None:
        place = f"{self.path}: " if self.path else ""
        self.faults.add(self.line, self.node.start_mark.column + 1, f"{place}{message}")

    def text(self) -> str | None:
        """Return what is written; nothing, and a fault, where it is not one text."""
        if not isinstance(self.node, ScalarNode):
            self.fault(f"{_KINDS.get(type(self.node), 'this')} where one value is needed")
            return None
        if self.node.tag == _NULL:
            self.fault("needs a value (leave the key out for the default)")
            return None
        return str(self.node.value)

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    def member(self, name: str) -> "Value":
        """Return the member of that name of a mapping that has it."""
        node = next(node for key, node in self.node.value if key.value == name)
        return Value(node, self._below(name), self.faults)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def is_mapping(self) -> bool:
        """Tell whether there are members; it is a fault if not."""
        if not isinstance(self.node, MappingNode):
            self.fault("needs a mapping of keys to values")
        return isinstance(self.node, MappingNode)

    def rows(self) -> Iterator["Value"]:
        """Return the elements of a list."""
        if not isinstance(self.node, SequenceNode):
            self.fault("needs a list")
            return
        for index, node in enumerate(self.node.value):
            yield Value(node, f"{self.path}[{index}]", self.faults)

    def members(self) -> Iterator[tuple[str, "Value"]]:
        """Return the members of a mapping. A key that comes again is a fault."""
        if not self.is_mapping():
            return
        lines: dict[str, int] = {}
        for key, node in self.node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else ""
            path = self._below(name)
            if not isinstance(key, ScalarNode):
                Value(key, self.path, self.faults).fault("a key must be one text")
            elif name in lines:
                Value(key, path, self.faults).fault(f"stands in line {lines[name]} already")
            else:
                lines[name] = key.start_mark.line + 1
                yield name, Value(node, path, self.faults)


_KINDS: dict[type[Node], str] = {MappingNode: "a mapping", SequenceNode: "a list"}


def read_document(text: str, name: str) -> Value:
    """Return the one document of *text*. Raises ConfigError."""
    faults = Faults(name)
    node: Any = None
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.composer.warn_double_anchors = False  # YAML allows it; the last one counts
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        faults.add(line, column, f"no YAML: {error.problem or error.context}")
    except YAMLError as error:
        before = text[: getattr(error, "position", 0)]
        column = len(before) - before.rfind("\n")
        faults.add(before.count("\n") + 1, column, "no YAML: " + " ".join(str(error).split()))
    except RecursionError:
        faults.add(1, 1, "nested too deep")
    if node is None and not faults.found:
        faults.add(1, 1, "the file is empty")
    faults.refuse()
    return Value(node, "", faults)
