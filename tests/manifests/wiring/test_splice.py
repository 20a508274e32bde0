"""Splicing: a key set, removed, an item appended; every other byte stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.manifests import emit
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.json_nodes import parse_json
from probe.manifests.wiring.nodes import get
from probe.manifests.wiring.nodes import plain
from probe.manifests.wiring.splice import Edit
from probe.manifests.wiring.splice import append_document
from probe.manifests.wiring.splice import append_item
from probe.manifests.wiring.splice import apply
from probe.manifests.wiring.splice import remove_key
from probe.manifests.wiring.splice import set_key
from probe.manifests.wiring.yaml_nodes import parse_yaml

VALUE = {"test": ["CMD", "/x"], "every": "10s"}


def _parse(text: str) -> Any:
    return parse_json(text).node if text.lstrip("\ufeff")[:1] == "{" else parse_yaml(text)[0].node


def _at(text: str, path: str) -> Any:
    node = _parse(text)
    for step in path.split("."):
        node = node.items[int(step)] if step.isdigit() else get(node, step)
    return node


def _set(text: str, path: str, key: str = "hc", value: Any = VALUE) -> str:
    return apply(text, [set_key(text, _at(text, path), key, value)])


SET = [
    pytest.param(
        "s:\n  a: # the service\n    image: x # pinned\n    # tail\n  b: {}\n", "s.a",
        "s:\n  a: # the service\n    image: x # pinned\n    hc:\n      test:\n        - CMD\n"
        '        - /x\n      every: "10s"\n    # tail\n  b: {}\n', id="block-with-comments"),
    pytest.param(
        "c:\n- name: x\n  ports:\n  - 80\n- name: y\n", "c.0",
        "c:\n- name: x\n  ports:\n  - 80\n  hc:\n    test:\n    - CMD\n    - /x\n"
        '    every: "10s"\n- name: y\n', id="dashes-not-indented"),
    pytest.param(
        "a:\n  b: 1", "a",
        'a:\n  b: 1\n  hc:\n    test:\n      - CMD\n      - /x\n    every: "10s"',
        id="no-final-newline"),
    pytest.param(
        "a:\r\n  b: 1\r\nc: 2\r\n", "a",
        'a:\r\n  b: 1\r\n  hc:\r\n    test:\r\n      - CMD\r\n      - /x\r\n    every: "10s"\r\n'
        "c: 2\r\n", id="crlf"),
    pytest.param(
        "a: {b: 1}  # flow\n", "a",
        'a: {b: 1, hc: {"test": ["CMD", "/x"], "every": "10s"}}  # flow\n', id="flow"),
    pytest.param(
        "a: {b: 1,c: 2,}\n", "a",
        'a: {b: 1,c: 2,hc: {"test": ["CMD", "/x"], "every": "10s"}}\n',
        id="flow-comma-at-the-end"),
    pytest.param("a: {}\n", "a",
                 'a: {"hc": {"test": ["CMD", "/x"], "every": "10s"}}\n', id="empty-flow"),
    pytest.param(
        "a:\n  hc: # why\n    # inner\n    test: curl # old\n  # next\n  b: 1\n", "a",
        'a:\n  hc: # why\n    # inner\n    test:\n      - CMD\n      - /x\n    every: "10s" # old\n'
        "  # next\n  b: 1\n", id="replace-block"),
    pytest.param(
        "a:\n  hc: {test: curl} # old\n  b: 1\n", "a",
        'a:\n  hc: # old\n    test:\n      - CMD\n      - /x\n    every: "10s"\n  b: 1\n',
        id="replace-flow-in-block"),
    pytest.param(
        "a:\n  hc:  # todo\n  b: 1\n", "a",
        'a:\n  hc:  # todo\n    test:\n      - CMD\n      - /x\n    every: "10s"\n  b: 1\n',
        id="replace-nothing-with-comment"),
    pytest.param(
        "a:\n  hc: &h\n    test: curl\n  b: 1\n", "a",
        'a:\n  hc:\n    test:\n      - CMD\n      - /x\n    every: "10s"\n  b: 1\n',
        id="replace-anchored"),
    pytest.param(
        "a:\n  hc:\n  b: 1\n", "a",
        'a:\n  hc:\n    test:\n      - CMD\n      - /x\n    every: "10s"\n  b: 1\n',
        id="replace-nothing"),
    pytest.param(
        "a:\n  t: |+\n    x\n\n\nb: 1\n", "a",
        'a:\n  t: |+\n    x\n\n\n  hc:\n    test:\n      - CMD\n      - /x\n    every: "10s"\n'
        "b: 1\n", id="behind-kept-blank-lines"),
    pytest.param(
        '{"a":{"b":1}}', "a",
        '{"a":{"b":1, "hc": {"test": ["CMD", "/x"], "every": "10s"}}}', id="json-one-line"),
    pytest.param(
        '{\n\t"a": {\n\t\t"b": 1\n\t}\n}\n', "a",
        '{\n\t"a": {\n\t\t"b": 1,\n\t\t"hc": {\n\t\t\t"test": [\n\t\t\t\t"CMD",\n\t\t\t\t"/x"\n'
        '\t\t\t],\n\t\t\t"every": "10s"\n\t\t}\n\t}\n}\n', id="json-tabs"),
    pytest.param(
        '\ufeff{\r\n "a": {\r\n  "hc": 1,\r\n  "b": 2}}', "a",
        '\ufeff{\r\n "a": {\r\n  "hc": {\r\n   "test": [\r\n    "CMD",\r\n    "/x"\r\n   ],\r\n'
        '   "every": "10s"\r\n  },\r\n  "b": 2}}', id="json-bom-crlf"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "expected"), SET)
def test_set(text: str, path: str, expected: str) -> None:
    """The key is written in the style of what is around it."""
    assert _set(text, path) == expected


@pytest.mark.parametrize(("text", "path", "expected"), SET)
def test_set_again(text: str, path: str, expected: str) -> None:
    """A second time changes nothing."""
    assert _set(expected, path) == expected
    assert text != expected


REMOVE = [
    pytest.param("a:\n  b: 1 # x\n  hc:\n    c: 2\n  d: 3\n", "a", "a:\n  b: 1 # x\n  d: 3\n",
                 id="block"),
    pytest.param("a:\n  - hc: 1\n    b: 2\n", "a.0", "a:\n  - b: 2\n", id="behind-a-dash"),
    pytest.param("a:\n  hc: 1\n", "a", "a:\n  {}\n", id="the-only-one"),
    pytest.param("a: {hc: 1, b: 2}\n", "a", "a: {b: 2}\n", id="flow-first"),
    pytest.param("a: {b: 2, hc: 1}\n", "a", "a: {b: 2}\n", id="flow-last"),
    pytest.param("a: {hc: 1}\n", "a", "a: {}\n", id="flow-only"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "expected"), REMOVE)
def test_remove(text: str, path: str, expected: str) -> None:
    """What goes with the key goes too: its line, or its comma."""
    assert apply(text, [remove_key(text, _at(text, path), "hc")]) == expected


APPEND = [
    pytest.param("a:\n- 1 # x\n# tail\n", "a:\n- 1 # x\n- n: 2\n# tail\n", id="block"),
    pytest.param("a:\n  - b: 1\n    c: 2\nd: 1\n", "a:\n  - b: 1\n    c: 2\n  - n: 2\nd: 1\n",
                 id="indented"),
    pytest.param("a: [1]\n", 'a: [1, {"n": 2}]\n', id="flow"),
    pytest.param("a: []\n", 'a: [{"n": 2}]\n', id="empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), APPEND)
def test_append(text: str, expected: str) -> None:
    """An item comes behind the last one, written as that is."""
    value = {"n": 2}
    assert plain(_at(expected, "a"))[-1] == value
    done = apply(text, [append_item(text, _at(text, "a"), value)])
    assert done.replace('"n": 2', "n: 2") == expected.replace('"n": 2', "n: 2")


def test_append_document() -> None:
    """A document comes behind the last, whether that ends its line or not."""
    assert apply("a: 1", [append_document("a: 1", {"b": 2})]) == "a: 1\n---\nb: 2\n"


def test_alias_and_tag_are_refused() -> None:
    """What serves others, or is made by a function, is not edited."""
    for text in ("x: &x {b: 1}\na: *x\n", "a: !If [c, {b: 1}, {}]\n"):
        node = _at(text, "a")
        with pytest.raises(WireError):
            set_key(text, node, "hc", VALUE)


def test_overlapping_edits_are_refused() -> None:
    """Two edits of the same bytes are a defect of ours."""
    with pytest.raises(WireError, match="overlap"):
        apply("abc", [Edit(0, 2, ""), Edit(1, 3, "")])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(
        min_codepoint=32, max_codepoint=0x2FF, blacklist_characters="\x7f\x85\xa0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abcdefg", min_size=1, max_size=4), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
DOCUMENTS = st.dictionaries(
    st.text("abcdefg", min_size=1, max_size=4), VALUES, min_size=1, max_size=4
)


def _yaml(document: Any) -> str:
    return emit.to_yaml(document)


def _tabs(document: Any) -> str:
    return json.dumps(document, indent="\t")


def _one_line(document: Any) -> str:
    return json.dumps(document)


def _crlf(document: Any) -> str:
    return emit.to_yaml(document, list_offset=0).replace("\n", "\r\n").removesuffix("\r\n")


@pytest.mark.parametrize("dump", [_yaml, _tabs, _one_line, _crlf])
@given(document=DOCUMENTS, data=st.data())
@settings(deadline=None, max_examples=150)
def test_set_gives_the_data_with_the_key_set(dump: Any, document: Any, data: Any) -> None:
    """Whatever the document: parsed again it has the key, and nothing else has changed."""
    text = dump(document)
    root = _parse(text)
    paths = [path for path in _mappings(document) if path == () or not _is_empty(document, path)]
    path = data.draw(st.sampled_from(paths))
    key = data.draw(st.sampled_from(["hc", *_follow(document, path)]))
    edit = set_key(text, _node(root, path), key, VALUE)
    after = apply(text, [edit])

    expected = json.loads(json.dumps(document))
    _follow(expected, path)[key] = VALUE
    assert plain(_parse(after)) == expected
    assert after.startswith(text[: edit.start])
    assert after.endswith(text[edit.end :])


def _mappings(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if isinstance(value, dict) else []
    steps = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else [])  # fmt: skip
    for step, item in steps:
        found += _mappings(item, (*path, step))
    return found


def _is_empty(value: Any, path: tuple[Any, ...]) -> bool:
    return not _follow(value, path)


def _follow(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _node(node: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        node = node.items[step] if isinstance(step, int) else get(node, step)
    return node
