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
from probe.manifests.wiring.nodes import Mapping
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
    pytest.param(
        "a:\n    b:\n        - 1\n    c:\n        d: 1\n", "a",
        "a:\n    b:\n        - 1\n    c:\n        d: 1\n    hc:\n        test:\n            - CMD\n"
        '            - /x\n        every: "10s"\n', id="four-spaces"),
    pytest.param("a: &x {}\nb: 1\n", "a",
                 'a: &x {hc: {"test": ["CMD", "/x"], "every": "10s"}}\nb: 1\n',
                 id="anchored-empty-flow"),
    pytest.param(
        "a: { # todo\n }\n", "a",
        'a: {"hc": {"test": ["CMD", "/x"], "every": "10s"} # todo\n }\n',
        id="comment-in-empty-flow"),
    pytest.param(
        "a: {\n  b: 1, # one\n  c: 2 # two\n }\n", "a",
        'a: {\n  b: 1, # one\n  c: 2, # two\n  hc: {\n    "test": [\n      "CMD",\n      "/x"\n'
        '    ],\n    "every": "10s"\n  }\n }\n', id="flow-with-comments"),
    pytest.param(
        "a: {\n  c: 2, # two\n }\n", "a",
        'a: {\n  c: 2, # two\n  hc: {\n    "test": [\n      "CMD",\n      "/x"\n'
        '    ],\n    "every": "10s"\n  },\n }\n', id="flow-comma-and-comment"),
    pytest.param(
        "--- # c\na:\n  b: >-\n    x\n\n    y\n\n# d\n...\n---\nc: 1\n", "a",
        "--- # c\na:\n  b: >-\n    x\n\n    y\n  hc:\n    test:\n      - CMD\n      - /x\n"
        '    every: "10s"\n\n# d\n...\n---\nc: 1\n', id="documents-and-folded-text"),
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


TEXTS = [
    pytest.param("a:\n  hc: x # c\n", "a:\n  hc: | # c\n    x\n    y\n", id="comment"),
    pytest.param("a:\n  hc: |\n    z\n  b: 1\n", "a:\n  hc: |\n    x\n    y\n  b: 1\n", id="block"),
    pytest.param("a:\n  hc: 1", "a:\n  hc: |\n    x\n    y\n", id="ends-its-last-line"),
    pytest.param("a:\r\n  b: 1\r\n", "a:\r\n  b: 1\r\n  hc: |\r\n    x\r\n    y\r\n", id="crlf"),
    pytest.param("a: {hc: 1}\n", 'a: {hc: "x\\ny\\n"}\n', id="flow"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_set_text_of_lines(text: str, expected: str) -> None:
    """A text of several lines is a block, which neither takes in a comment nor loses its end."""
    assert _set(text, "a", value="x\ny\n") == expected
    assert plain(_at(expected, "a.hc")) == "x\ny\n"


def test_the_same_value_keeps_its_style() -> None:
    """What shows the value already is not written anew; what only equals it in Python is."""
    text = "a:\n  hc: {test: ['CMD', /x], every: 10s} # why\n"
    assert _set(text, "a") == text
    assert _set("a: {hc: 1}\n", "a", value=True) == "a: {hc: true}\n"


def test_flow_is_safe_in_yaml() -> None:
    """What JSON leaves as it is, and YAML refuses, is escaped."""
    assert _set("a: {b: 1}\n", "a", value="\x7f\u2028") == 'a: {b: 1, hc: "\\u007f\\u2028"}\n'


REMOVE = [
    pytest.param("a:\n  b: 1 # x\n  hc:\n    c: 2\n  d: 3\n", "a", "a:\n  b: 1 # x\n  d: 3\n",
                 id="block"),
    pytest.param("a:\n  - hc: 1\n    b: 2\n", "a.0", "a:\n  - b: 2\n", id="behind-a-dash"),
    pytest.param("a:\n  hc: 1\n", "a", "a:\n  {}\n", id="the-only-one"),
    pytest.param("a: {hc: 1, b: 2}\n", "a", "a: {b: 2}\n", id="flow-first"),
    pytest.param("a: {b: 2, hc: 1}\n", "a", "a: {b: 2}\n", id="flow-last"),
    pytest.param("a: {hc: 1}\n", "a", "a: {}\n", id="flow-only"),
    pytest.param("a: {hc: 1 ,}\n", "a", "a: {}\n", id="flow-only-with-comma"),
    pytest.param("a: {\n  b: 2, # b\n  hc: 1 # hc\n}\n", "a", "a: {\n  b: 2 # b # hc\n}\n",
                 id="flow-last-with-comments"),
    pytest.param("a: {\n  hc: 1, # hc\n  # b\n  b: 2\n}\n", "a", "a: {\n  # b\n  b: 2\n}\n",
                 id="flow-first-with-comments"),
    pytest.param("a:\n  - hc: 1 # hc\n    # b\n    b: 2\n", "a.0",
                 "a:\n  - # b\n    b: 2\n", id="comment-behind-a-dash"),
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
    pytest.param("a: &x-y\n- # a - c\n  x\n", "a: &x-y\n- # a - c\n  x\n- n: 2\n",
                 id="comment-behind-the-dash"),
    pytest.param("a: [ # a - c\n  1 # one\n ]\n", 'a: [ # a - c\n  1, # one\n  {\n    "n": 2\n'
                 "  }\n ]\n", id="flow-with-comments"),
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


def test_append_follows_the_dashes_of_the_file() -> None:
    """Lists within what is appended are indented as the file's own."""
    text = "a:\n  - b:\n      - 1\n"
    after = apply(text, [append_item(text, _at(text, "a"), {"b": [{"c": [2]}, None]})])
    assert after == text + "  - b:\n      - c:\n          - 2\n      - null\n"


UNEDITABLE = [
    pytest.param("x: &x {b: 1}\na: *x\n", "a", 2, r"alias \*x", id="alias"),
    pytest.param("a: !If [c, {b: 1}, {}]\n", "a", 1, "made by !If", id="tag"),
    pytest.param("a:\n  - [b: 1]\n", "a.0.0", 2, "without braces", id="pair"),
    pytest.param("b:\na:\n  ? b\n  : 1\n", "a", 3, "question marks", id="question-mark"),
]


@pytest.mark.parametrize(("text", "path", "line", "message"), UNEDITABLE)
def test_refused(text: str, path: str, line: int, message: str) -> None:
    """What serves others, is made by a function or has no place of its own is not edited."""
    with pytest.raises(WireError, match=message) as error:
        set_key(text, _at(text, path), "hc", VALUE)
    assert error.value.line == line


def test_comment_below_a_text_is_refused() -> None:
    """A comment as deep as the lines of a text would become one of them."""
    text = "a:\n  - 1\n\n    # deep\nb: 1\n"
    with pytest.raises(WireError, match="would become part") as error:
        append_item(text, _at(text, "a"), "x\ny\n")
    assert error.value.line == 4


def test_edits_of_one_place_keep_their_order() -> None:
    """Two insertions at one place come in the order given."""
    assert apply("ab", [Edit(1, 1, "z"), Edit(1, 1, "y"), Edit(0, 0, "x")]) == "xazyb"


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


class _Writer:
    """Writes data as people might: indentation, brackets, quotes and comments as they come."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.step = self.one_of(2, 3, 4)
        self.dashes = self.one_of(0, 2)
        self.comments: list[str] = []

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def coin(self) -> bool:
        return bool(self.draw(st.booleans()))

    def comment(self, before: str) -> str:
        if self.one_of(1, 0, 0):
            self.comments.append(f"# {len(self.comments)}, it's: - {{")
            return before + self.comments[-1]
        return ""

    def block(self, value: Any, indent: str) -> list[str]:
        lines: list[str] = []
        rows = [(f"{emit.scalar(key)}:", item) for key, item in value.items()] if isinstance(
            value, dict) else [("-", item) for item in value]  # fmt: skip
        for head, item in rows:
            lines += self.comment(self.one_of("", indent)).splitlines() + self.one_of([], [""])
            lines += self.row(indent + head, item, indent)
        return lines

    def row(self, head: str, item: Any, indent: str) -> list[str]:
        if not item or not isinstance(item, dict | list) or self.coin():
            return (f"{head} {self.flow(item, indent)}" + self.comment(" ")).split("\n")
        in_list = isinstance(item, list) and not head.endswith("-")
        deeper = indent + " " * (self.dashes if in_list else self.step)
        return [head + self.comment(" "), *self.block(item, deeper)]

    def flow(self, value: Any, indent: str) -> str:
        if not isinstance(value, dict | list):
            return emit.scalar(value)
        rows = [f"{emit.scalar(key)}: {self.flow(item, indent + '  ')}"
                for key, item in value.items()] if isinstance(value, dict) else [
                self.flow(item, indent + "  ") for item in value]  # fmt: skip
        left, right = "{}" if isinstance(value, dict) else "[]"
        if not rows or self.coin():
            return f"{left}{', '.join(rows)}{right}"
        lines = [f"{indent}   {row},{self.comment(' ')}" for row in rows]
        return "\n".join([left, *lines, f"{indent}  {right}"])

    def document(self, value: Any) -> str:
        ends = str(self.one_of("\n", "\r\n"))
        lines = self.block(value, "") + self.one_of([], [""], ["", "# end", ""], ["..."])
        return str(self.one_of("", "\ufeff", f"---{ends}")) + ends.join(lines)


NEW = st.sampled_from([VALUE, [{"a": [1]}, "b"], "text", "", 5, None, {}, {"a": {"b": [[1]]}}])


@given(document=DOCUMENTS, new=NEW, data=st.data())
@settings(deadline=None, max_examples=250)
def test_any_style(document: Any, new: Any, data: Any) -> None:
    """In whatever style: the data is as wanted, all bytes around and all comments are there."""
    writer = _Writer(data.draw)
    text = writer.document(document)
    root = parse_yaml(text)[0].node
    assert plain(root) == document
    path = data.draw(st.sampled_from(_collections(document)))
    node, expected = _node(root, path), json.loads(json.dumps(document))
    if isinstance(node, Mapping):
        edit = set_key(text, node, "hc", new)
        _follow(expected, path)["hc"] = new
    else:
        edit = append_item(text, node, new)
        _follow(expected, path).append(new)
    after = apply(text, [edit])
    assert plain(parse_yaml(after)[0].node) == expected
    assert after.startswith(text[: edit.start])
    assert after.endswith(text[edit.end :])
    assert [after.count(comment) for comment in writer.comments] == [1] * len(writer.comments)
    assert ("\r\n" in text) or "\r" not in after


@given(document=DOCUMENTS, data=st.data())
@settings(deadline=None, max_examples=150)
def test_remove_in_any_style(document: Any, data: Any) -> None:
    """In whatever style: the key is gone, and nothing else of the data."""
    text = _Writer(data.draw).document(document)
    path = data.draw(st.sampled_from([p for p in _mappings(document) if _follow(document, p)]))
    key = data.draw(st.sampled_from(list(_follow(document, path))))
    expected = json.loads(json.dumps(document))
    del _follow(expected, path)[key]
    node = _node(parse_yaml(text)[0].node, path)
    after = apply(text, [remove_key(text, node, key)])
    assert plain(parse_yaml(after)[0].node) == expected


def _collections(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return []
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(p for step, item in steps for p in _collections(item, (*path, step)))]


@given(document=DOCUMENTS, indent=st.sampled_from([None, 0, 1, 4, "\t"]), data=st.data())
@settings(deadline=None, max_examples=200)
def test_any_json(document: Any, indent: Any, data: Any) -> None:
    """JSON stays JSON, whatever its blanks: a key set and an item appended."""
    comma = data.draw(st.sampled_from([",", ", ", " ,\t"]))
    text = json.dumps(document, indent=indent, separators=(comma, data.draw(
        st.sampled_from([":", ": ", " :\n"]))))  # fmt: skip
    path = data.draw(st.sampled_from(_collections(document)))
    node, expected = _node(_parse(text), path), json.loads(text)
    if isinstance(node, Mapping):
        after = apply(text, [set_key(text, node, "hc", VALUE)])
        _follow(expected, path)["hc"] = VALUE
    else:
        after = apply(text, [append_item(text, node, VALUE)])
        _follow(expected, path).append(VALUE)
    assert json.loads(after) == expected
