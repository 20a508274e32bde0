"""Documents as text: every parser reads back what was written, be it YAML 1.1 or 1.2."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from probe.manifests.emit import scalar
from probe.manifests.emit import to_json
from probe.manifests.emit import to_yaml
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import ODD_TEXTS

SCRIPT = script_text()

# What some parser takes for something else, or what block and flow style would lose.
TRAPS = [
    "", "no", "NO", "y", "on", "Off", "true", "null", "~", "012", "0o12", "0x1f", "1_000", "1e3",
    "12:30", "1.5", ".5", ".inf", ".nan", "nan", "2026-01-01", "=", "<<", "-", "- a", "?", "? a",
    ":", "a:", "a: b", "a #b", "#", "&a", "*a", "!a", "%a", "@a", "`a`", "{}", "[]", "{{ .x }}",
    "'", '"', "\\", "\t", "\r", "\n", "a\n", "a\n\n", "\na", " a\nb", "a \nb", "a\r\nb", "\ta\nb",
    "---", "...", "a\n---\nb", "\x85", "\xa0", "\u2028", "\ufeff", "\x7f", "ü", "\U0001f600",
    "65532:65532", "3000:3000", "a,b", "/a:b", "x" * 5000, SCRIPT, inline(SCRIPT),
]  # fmt: skip

SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.sampled_from((0.25, 1.5))
TEXTS = st.sampled_from(TRAPS) | ODD_TEXTS
DOCUMENTS = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _yaml_1_1(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def _yaml_1_2(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


READERS = [pytest.param(_yaml_1_1, id="1.1"), pytest.param(_yaml_1_2, id="1.2")]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", TRAPS, ids=[ascii(text)[:30] for text in TRAPS])
def test_text_stays_text(text: str, read: Any) -> None:
    """A string is read as that string wherever it stands: as a value, in a list, as a key."""
    document = {"a": text, "b": [text], "c": {text: "x"}}
    assert read(to_yaml(document)) == [document]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", TRAPS, ids=[ascii(text)[:30] for text in TRAPS])
def test_scalar_is_one_line(text: str, read: Any) -> None:
    """A value for one line of a file is one line, and is read as that value in it."""
    for value in (text, [text], {"k": text}):
        line = scalar(value)
        assert line.splitlines() == [line]
        assert read(f"a: {line}\nb: 1\n") == [{"a": value, "b": 1}]


@pytest.mark.parametrize("read", READERS)
@settings(deadline=None, max_examples=200)
@given(document=DOCUMENTS)
def test_yaml_back(document: Any, read: Any) -> None:
    """Any document is read back as it is, whatever is in it."""
    assert read(to_yaml({"a": document})) == [{"a": document}]


@settings(deadline=None)
@given(st.dictionaries(st.text(), SCALARS | ODD_TEXTS))
def test_json_back(document: Any) -> None:
    """JSON is read back as it is, its keys in the same order."""
    assert list(json.loads(to_json(document)).items()) == list(document.items())


@pytest.mark.parametrize(
    ("offset", "text"), [(0, "a:\n- b\n- c:\n  - d\n"), (2, "a:\n  - b\n  - c:\n      - d\n")]
)
def test_list_offset(offset: int, text: str) -> None:
    """Dashes stand where the file's other lists have theirs."""
    assert to_yaml({"a": ["b", {"c": ["d"]}]}, list_offset=offset) == text


def test_many_documents() -> None:
    """Several documents stand one after the other, the header before the first."""
    text = to_yaml({"a": 1}, {"b": "no"}, header="made by probe\n\nsee README")
    assert text == '# made by probe\n#\n# see README\na: 1\n---\nb: "no"\n'


def test_order() -> None:
    """Keys stay in the builder's order, lists are indented below their key."""
    assert to_yaml({"z": ["b", "a"], "a": {}}) == "z:\n  - b\n  - a\na: {}\n"


def test_no_aliases() -> None:
    """What stands twice is written twice: Compose and Kubernetes files are edited by people."""
    shared = {"x": "z"}
    assert to_yaml({"a": shared, "b": shared}) == "a:\n  x: z\nb:\n  x: z\n"


def test_script_is_readable() -> None:
    """A script is a block of its own lines, and no line is folded."""
    lines = to_yaml({"script": SCRIPT}).splitlines()
    assert lines[0] == "script: |"
    assert [line.removeprefix("  ") for line in lines[1:]] == SCRIPT.splitlines()


def test_json_text() -> None:
    """JSON is indented by two, keeps letters as they are, and ends with a line end."""
    assert to_json({"a": ["ü"]}) == '{\n  "a": [\n    "ü"\n  ]\n}\n'
