"""Places, sourced files, redirections; limits, and that anything is facts or a named error."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.shell import Dialect
from probe.image.shell import ScriptError
from probe.image.shell import read_command
from probe.image.shell import read_script
from tests.image.shell.notation import shown

ROOT = Path(__file__).parents[3]


def test_lines_and_places() -> None:
    """A string that is a script counts its lines from where it stands."""
    facts = read_script(b"#!/bin/bash\na\n\neval 'b\nc'\nd\nX=1 \\\n  e\n")
    assert [(call.name, call.line) for call in facts.calls] == [
        ("a", 2),
        ("b", 4),
        ("c", 5),
        ("d", 6),
        ("e", 8),
    ]


FILES = {
    "/lib/a.sh": b'have() { command -v "$1"; }\ntool=/opt/tool\n. /lib/b.sh\ninside\n',
    "/lib/b.sh": b"b() { deep; }\n. /lib/a.sh\n",
}


def test_sourced_files_are_read() -> None:
    """Their functions and variables count in the script, their calls carry their name."""
    script = b'. /lib/a.sh\nhave x && x\nb\n$tool\n. "$dir/c.sh"\n[ -f /d ] && . /d\nbash /e f\n'
    facts = read_script(script, load=FILES.get)
    assert [(call.name, call.guarded, call.file) for call in facts.calls] == [
        ("x", True, ""),
        ("/opt/tool", False, ""),
        ("bash", False, ""),
        ("inside", False, "/lib/a.sh"),
        ("deep", False, "/lib/b.sh"),
    ]
    assert [(s.path, s.known, s.guarded, s.run) for s in facts.sourced if not s.file] == [
        ("/lib/a.sh", True, False, False),
        ("$dir/c.sh", False, False, False),
        ("/d", True, True, False),
        ("/e", True, False, True),
    ]


def test_sourced_files_that_are_absent() -> None:
    facts = read_script(b". /lib/a.sh\nhave x && x\n", load=lambda _: None)
    assert shown(facts) == ["have", "x"]


def test_redirections() -> None:
    """Files only, not descriptors; what is not fixed is kept as the script writes it."""
    script = b'a </in >>/out 2>&1 3<&- &>x; exec 4<>/dev/tcp/$h/80; b >"$x"; c < <(d)\n'
    facts = read_script(script, dialect=Dialect.BASH)
    assert [(it.path, it.operator, it.known) for it in facts.redirections] == [
        ("/in", "<", True),
        ("/out", ">>", True),
        ("x", "&>", True),
        ("/dev/tcp/$h/80", "<>", False),
        ("$x", ">", False),
    ]


def test_our_own_script_calls_nothing() -> None:
    facts = read_script((ROOT / "shell/healthcheck.sh").read_bytes())
    assert (facts.calls, facts.unknown, facts.sourced, facts.unread) == ((), (), (), ())
    assert {"ask", "say", "finish"} <= facts.functions


BAD = [
    pytest.param(b"\x7fELF\x02\x01\x01\0\0", id="program"),
    pytest.param(b"#!/bin/sh\0\n", id="NUL in the first line"),
    pytest.param(b"#!\nls", id="no interpreter"),
    pytest.param(b"\n" * (2**20 + 1), id="too large"),
    pytest.param(b"a " * 400_000, id="too many words"),
    pytest.param(b"$(" * 1000 + b"a" + b")" * 1000, id="substitutions"),
    pytest.param(b"{ " * 1000 + b"a" + b"; }" * 1000, id="groups"),
    pytest.param(b"( " * 1000 + b"a" + b" )" * 1000 + b" && b", id="subshells in a condition"),
    pytest.param(b"! ( " * 1000 + b"a" + b" )" * 1000 + b" && b", id="negated subshells"),
    pytest.param(b"f() { " * 1000 + b"a" + b"; }" * 1000, id="functions in functions"),
    pytest.param(b"case x in a) " * 500 + b"a" + b" ;; esac" * 500, id="cases"),
    pytest.param(b"env " * 3000 + b"a", id="wrappers"),
    pytest.param(b'x=\'eval "$x"\'; eval "$x"', id="eval of itself"),
    pytest.param(
        b"".join(b"a%d='%s'\n" % (i, b'eval "$a%d";' % (i + 1) * 9) for i in range(9))
        + b"eval $a0",
        id="evals that multiply",
    ),
]


@pytest.mark.parametrize("data", BAD)
def test_refused(data: bytes) -> None:
    with pytest.raises(ScriptError):
        read_script(data)


HARD = [
    pytest.param(b"(" * 50_000, id="open"),
    pytest.param(b"((1" + b"+1" * 50_000 + b"))", id="arithmetic"),
    pytest.param(b"coproc " * 5_000, id="coproc"),
    pytest.param(
        b"".join(b'a%d="$a%d$a%d"\n' % (i, i + 1, i + 1) for i in range(40)), id="doubling"
    ),
    pytest.param(b"cat <<A\n" * 5_000, id="here-documents"),
    pytest.param(b"a && " * 5_000 + b"b", id="a long list"),
    pytest.param(b"a | " * 5_000 + b"b", id="a long pipe"),
    pytest.param(b"! " * 3_000 + b"a && b", id="negations"),
    pytest.param(b"[ " + b"! " * 3_000 + b"-x /a ] && /a", id="negations in a test"),
    pytest.param(b"[[ " + b"( " * 1_500 + b"-x /a" + b" )" * 1_500 + b" ]] && /a", id="brackets"),
    pytest.param(b"if a; then b; " + b"elif type c; then d; " * 3_000 + b"fi", id="elifs"),
    pytest.param(b"${a:-" * 3_000 + b"a" + b"}" * 3_000, id="defaults of defaults"),
    pytest.param(b'x=$(command -v "$x"); $x', id="a variable that asks for itself"),
    pytest.param(b"fi\nx=?(" + b"$a" * 5_000, id="an open pattern"),
    pytest.param(b"fi; " + b"`a " * 5_000, id="open backquotes"),
    pytest.param(
        b"".join(b'a%d="$a%d $a%d"\n' % (i, (7 * i + 1) % 40, (5 * i + 2) % 40) for i in range(40)),
        id="variables in circles",
    ),
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("data", HARD)
def test_bounded(data: bytes) -> None:
    assert read_script(data + b"\n$a0\n", dialect=Dialect.BASH).dialect is Dialect.BASH


def test_variable_that_asks_for_itself() -> None:
    """`B=$(command -v "$B")` makes a path of a name: what is behind it stays unknown, no more."""
    script = b'B=firefox\nB=$(command -v "$B")\n$B x\n'
    assert shown(read_script(script)) == ['<$(command -v "$B")>', "?firefox"]


def test_what_follows_the_text_is_not_read() -> None:
    """A self-extracting script carries an archive behind its last line."""
    facts = read_script(b'#!/bin/sh\ntail -n +3 "$0" | tar x; exit\n\x1f\x8b\0\0rm\nrm\n')
    assert shown(facts) == ["tail", "tar"]


def test_names_beyond_ascii() -> None:
    script = "caf\u00e9 x; d=/\u00e0; . $d/\U00108712; \u65e5\u672c >/\u00df\n".encode()
    facts = read_script(script)
    assert [call.name for call in facts.calls] == ["caf\u00e9", "\u65e5\u672c"]
    assert [(it.path, it.known) for it in facts.sourced] == [("/\u00e0/\U00108712", True)]
    assert [it.path for it in facts.redirections] == ["/\u00df"]


def test_names_that_are_no_text_are_unknown() -> None:
    assert shown(read_script(b"caf\xe9; ls\n")) == ["<caf?>", "ls"]


_WORDS = (
    "a ls $x ${x:-b} $(c) `d` \" ' \\ ; | || && & ( ) { } [[ ]] [ ] (( )) < > << <<E E if then elif"
    " else fi for in do done while case esac coproc eval trap exec env sh -c command -v function"
    " f() ! = x=1 x= $'\\n' @(a|b) $ ~ * ? # \0 \r \t \n \u00e9 \u2028"
)
_PIECES = st.sampled_from([*re.split(" ", _WORDS), " "])


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_anything_is_facts_or_a_named_error(data: bytes) -> None:
    _read(data)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=40), st.sampled_from(["", " "]), st.sampled_from(list(Dialect)))
def test_any_shell_words_are_facts_or_a_named_error(
    parts: list[str], between: str, dialect: Dialect
) -> None:
    _read(between.join(parts).encode(), dialect)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES | st.text(max_size=5), max_size=12), st.sampled_from(list(Dialect)))
def test_any_argv_is_facts_or_a_named_error(argv: list[str], dialect: Dialect) -> None:
    """Whatever it runs, its own first word is the first call."""
    with contextlib.suppress(ScriptError):
        facts = read_command(argv, dialect=dialect)
        first = [re.sub("[\0-\2]", "?", word) for word in argv[:1] if word]
        assert [call.name for call in facts.calls[:1]] == first


def _read(data: bytes, dialect: Dialect | None = None) -> None:
    with contextlib.suppress(ScriptError):
        facts = read_script(data, dialect=dialect)
        assert all(call.name and call.line > 0 for call in facts.calls)
