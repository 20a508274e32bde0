"""What the grammar does not tell apart, and that mending a text keeps its places."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.shell import Dialect
from probe.image.shell.grammar import backquoted
from probe.image.shell.grammar import is_arithmetic
from probe.image.shell.grammar import parse
from probe.image.shell.grammar import source
from probe.image.shell.grammar import substituted
from probe.image.shell.grammar import tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$((1))", True),
        ("$(((a + b) * (c)))", True),
        ("$((a) | (b))", False),
        ("$((a); b)", False),
        ("$(a)", False),
    ],
)
def test_arithmetic(text: str, *, expected: bool) -> None:
    assert is_arithmetic(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x$(a $(b))y", [(1, "a $(b)")]),
        ("$(a)$(b)", [(0, "a"), (4, "b")]),
        ("$((1 + $(a)))", [(7, "a")]),
        ("$(a", []),
        ("${a}", []),
    ],
)
def test_substituted(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(substituted(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x`a`y`b`", [(1, "a"), (5, "b")]),
        ("`a \\`b\\``", [(0, "a `b`")]),
        ("\\`a\\`", []),
        ("`a", []),
    ],
)
def test_backquoted(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(backquoted(text)) == expected


MENDED = [
    pytest.param(b"coproc W { a; }\n", id="coproc"),
    pytest.param(b"exec 3<>/x\n", id="both ways"),
    pytest.param(b"exec {fd}>x\n", id="named descriptor"),
    pytest.param(b"for i do a; done\n", id="for without in"),
    pytest.param(b"case $x in\n?*' '?*) a ;;\nesac\n", id="case patterns"),
    pytest.param(b"! { a; }\n", id="negated group"),
    pytest.param(b"a |\\\n { b; }\n", id="continued pipe"),
    pytest.param(b"{ while a; do :; done }\n", id="brace behind a loop"),
]


@pytest.mark.parametrize("text", MENDED)
def test_mended_text_keeps_its_places(text: bytes) -> None:
    """What is blanked or replaced is as long as before: the command behind stands where it did."""
    whole = parse(text + b"last\n", Dialect.BASH)
    assert not whole.root.has_error
    words = [node for node in tree(whole.root) if node.type == "command_name"]
    assert words[-1].start_byte == len(text)
    assert words[-1].start_point[0] == text.count(b"\n")


@given(st.text(max_size=40))
def test_text_beyond_ascii_comes_back(text: str) -> None:
    """The scanner asks isalpha() about what it reads: it must see nothing above U+00FF."""
    line = re.sub(r"[\0-\2\r\n]", "", text)
    comment = parse(f"# {line}\n".encode(errors="replace"), Dialect.BASH).root.children[0]
    assert source(comment) == f"# {line}".encode(errors="replace").decode()
    assert all(ord(letter) < 256 for letter in (comment.text or b"").decode())
