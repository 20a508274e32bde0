"""Reading documents as nodes: values, places, and what is refused."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.json_nodes import parse_json
from probe.manifests.wiring.nodes import Alias
from probe.manifests.wiring.nodes import Mapping
from probe.manifests.wiring.nodes import Tagged
from probe.manifests.wiring.nodes import get
from probe.manifests.wiring.nodes import plain
from probe.manifests.wiring.yaml_nodes import parse_yaml

TEXTS = [
    "a: 1\nb: [1, 2.5, true, null, ~, 0x1f, 0o17, 'x', \"y\\n\", no, 012]\n",
    "a: |\n  x\n  y\nb: >-\n  x\n  y\nc: |+\n  x\n\n\nd: e\n",
    "- a\n-\n  - b\n- {c: d, 'e f': g}\n",
    "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n",
    "\ufeffa: \U0001d4b3\r\nb:\r\n- c\r\n",
    "# c\n%YAML 1.2\n---\na: 1\n",
    "a: .inf\nb: -.5e3\nc: 1_000\n",
    "? a\n: b\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_yaml_means_what_the_library_says(text: str) -> None:
    """The plain values are those of ruamel's own constructor."""
    text = text.removeprefix("# c\n")
    assert plain(parse_yaml(text)[0].node) == YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("text", ['{"a": [1, -2.5e3, true, null, "\\u00e9\\"]}"], "b": {}}', "[]"])
def test_json_means_what_the_library_says(text: str) -> None:
    """The plain values are those of json.loads."""
    assert plain(parse_json(text).node) == json.loads(text)


@pytest.mark.parametrize("text", [*TEXTS[:5], '{"a": {"b": [1, "x]"]}, "c": "d"}'])
def test_spans_hold_their_values(text: str) -> None:
    """What a span cuts out of the text is that value."""
    document = parse_json(text) if text.startswith("{") else parse_yaml(text)[0]
    for node in _scalars(document.node):
        if node.value is not None and not text[node.start : node.end].startswith(("|", ">")):
            cut = text[node.start : node.end]
            assert YAML(typ="safe", pure=True).load(cut) == node.value
        assert text.count("\n", 0, node.start) + 1 == node.line


def _scalars(node: Any) -> list[Any]:
    if isinstance(node, Mapping):
        return [leaf for entry in node.entries for leaf in _scalars(entry.value)]
    if isinstance(node, Alias):
        return []
    return [leaf for item in node.items for leaf in _scalars(item)] if hasattr(
        node, "items") else [node]  # fmt: skip


def test_documents() -> None:
    """Each document has its node; an empty one has none."""
    found = parse_yaml("a: 1\n---\n# nothing\n---\nb: 2\n...\n")
    assert [plain(document.node) for document in found] == [{"a": 1}, None, {"b": 2}]


def test_truth_of_yaml_1_1() -> None:
    """A document that asks for YAML 1.1 has yes and no; any other has texts."""
    assert plain(parse_yaml("%YAML 1.1\n---\n[yes, no]\n")[0].node) == [True, False]
    assert plain(parse_yaml("[yes, no]\n")[0].node) == ["yes", "no"]


def test_keys_of_different_types_are_two() -> None:
    """1 and true are one key to Python only."""
    assert isinstance(parse_yaml("{1: a, true: b}\n")[0].node, Mapping)


def test_number_beyond_python() -> None:
    """Digits that Python refuses to convert are kept as they are."""
    assert plain(parse_json(f"[{'1' * 5000}]").node) == ["1" * 5000]


def test_tags_are_kept() -> None:
    """CloudFormation's short functions are not interpreted."""
    root = parse_yaml("a: !Ref X\nb: !If [c, 1, 2]\n")[0].node
    assert plain(root) == {"a": Tagged("!Ref", "X"), "b": Tagged("!If", ["c", 1, 2])}


def test_merged_keys_are_not_own() -> None:
    """What comes through a merge key is seen, but is no entry."""
    root = parse_yaml("x: &x {b: 1}\na:\n  <<: *x\n  c: 2\n")[0].node
    assert isinstance(root, Mapping)
    merged = get(root, "a")
    assert plain(merged) == {"b": 1, "c": 2}
    assert isinstance(merged, Mapping)
    assert get(merged, "b") is None


# Each line stands for the one before, once deeper, or ten times.
DEEP_ALIASES = "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
MANY_ALIASES = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)

REFUSED = [
    ("", 1, "empty"),
    ("\n \n", 1, "empty"),
    ("a: 1\nb: 2\na: 3\n", 3, "'a' stands twice: also in line 1"),
    ("a: [1\n", 2, "no YAML"),
    ("a:\n\tb: 1\n", 2, "no YAML"),
    ("a: b: c\n", 1, "no YAML"),
    ("a: *x\n", 1, "no anchor"),
    ("a: \0\n", 1, "no YAML"),
    ("a: {[1]: 2}\n", 1, "key"),
    ("a: 'x\u2028\n\n'\nb: [\n", 5, "no YAML"),
    ("a: " + "[" * 300 + "]" * 300, 1, "nested too deep"),
    (DEEP_ALIASES, 199, "nested too deep"),
    (MANY_ALIASES, 7, "aliases stand for more than"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_yaml_refused(text: str, line: int, message: str) -> None:
    """What is no YAML, or means different things to parsers, is refused with its line."""
    with pytest.raises(WireError, match=message) as error:
        parse_yaml(text)
    assert error.value.line == line


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "empty"),
        ('{\n"a": 1,\n', 3, "no JSON"),
        ('{"a": 1,\n"a": 2}', 2, "'a' stands twice: also in line 1"),
        ('{"a": 1} x', 1, "no JSON"),
        ("[" * 100_000, 1, "nested too deep"),
        ("[" * 300 + "]" * 300, 1, "nested too deep"),
        ('{\n"a": [NaN]}', 2, "no JSON: NaN"),
        ('{"a": "\n"}', 1, "no JSON"),
        ("{}\0", 1, "no JSON"),
    ],
    ids=["empty", "truncated", "twice", "more", "deep", "deep-but-whole", "nan", "break", "nul"],
)
def test_json_refused(text: str, line: int, message: str) -> None:
    """The same of JSON."""
    with pytest.raises(WireError, match=message) as error:
        parse_json(text)
    assert error.value.line == line
