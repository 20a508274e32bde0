"""What a shell script calls, by a table of forms, and by another grammar on real scripts.

In the table one line says what is expected of a script: names of commands; `?name` is guarded,
`~name` tolerated (`|| true`), `via>name` run by another, `<text>` unknown.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.image.script import ScriptError
from probe.image.script import ScriptFacts
from probe.image.script import Shebang
from probe.image.script import parse_shebang
from probe.image.script import read_script
from probe.image.shell_tables import BUILTINS
from probe.image.shell_tables import KEYWORDS
from probe.image.shell_tables import Dialect
from tests.support.components import missing

ROOT = Path(__file__).parents[2]


def shown(facts: ScriptFacts) -> list[str]:
    """Return calls and unknowns as the table writes them, sorted."""
    calls = [
        "?" * call.guarded + "~" * call.tolerated + ">".join([*call.via, call.name])
        for call in facts.calls
    ]
    unknown = ["?" * it.guarded + ">".join([*it.via, f"<{it.text}>"]) for it in facts.unknown]
    return sorted({*calls, *unknown})


# id, script, expected words; the shell is bash.
FORMS = [
    ("nothing", "", ""),
    ("comment", "# rm -rf /\n", ""),
    ("plain", "ls -l /tmp", "ls"),
    ("path", "/usr/bin/tr a b", "/usr/bin/tr"),
    ("quoted name", "'t'\"r\" a b; \\ls; l's'", "tr ls"),
    ("joined lines", "tou\\\nch x; cut \\\n -d: x", "touch cut"),
    ("builtins", "echo a; printf b; cd /; [ a ]; test b; [[ c ]]; : ; true; let a=1", ""),
    ("keywords", "if true; then :; elif false; then :; else :; fi; ! true; time true", ""),
    ("pipe", "a | b |& c", "a b c"),
    ("lists", "a && b || c; d & e", "a b c d e"),
    ("groups", "{ a; }; ( b; (c) )", "a b c"),
    ("loops", "for i in $(a); do b; done; while c; do d; done; until e; do f; done", "a b c d e f"),
    ("loop without in", "for i do\n a $i\ndone; for j; do b; done", "a b"),
    ("select", "select x in a b; do c; done", "c"),
    ("arithmetic for", "for ((i = 0; i < $(a); i++)); do b; done", "a b"),
    ("case", "case $(a) in b | $(c)) d ;; (e) f ;& *) g ;; esac", "a c d f g"),
    ("case, quoted patterns", "case $x in\n?*' '?*) a ;;\n*) b ;;\nesac; c", "a b c"),
    ("substitution", 'x=$(a `b`) y="$(c "$(d)")" z=${q:-$(e)}', "a b c d e"),
    ("nested backquotes", "x=`a \\`b\\``", "a b"),
    ("backquotes in a default", ": ${U=${L-`whoami`}}", "whoami"),
    ("process substitution", "while read -r x; do :; done < <(a); b <(c) > >(d)", "a b c d"),
    ("assignment before", "A=1 B=$(a) cmd", "a cmd"),
    ("assignment only", "A=ls; B=(cat tac)", ""),
    ("empty assignment, newline", "a=\nif b; then c; fi", "b c"),
    ("declarations", "export A=$(a); local b=`b`; declare -r c=$(c); readonly d", "a b c"),
    ("arithmetic", "((x = $(a))); y=$((1 + $(b)))", "a b"),
    ("here-document", "cat <<E\n$(a) `b` ${x:-$(c)} \\`d\\`\nE", "cat a b c"),
    ("quoted here-document", "cat <<'E'\n$(a) `b`\nE", "cat"),
    ("here-document in a pipe", "cat <<E | grep x\ntext\nE\nb", "cat grep b"),
    ("here-string", 'tr a b <<< "$(a)"', "tr a"),
    ("redirection first", ">out cmd; <in 2>&1 cmd2", "cmd cmd2"),
    ("both ways", "exec 3<>/dev/tcp/127.0.0.1/80; exec {fd}<>x; a 0<>y", "a"),
    ("extglob", "[[ $x == @(a|b)?(c) && $y == $z?(-$z) ]] && a", "a"),
    ("functions", "f() { a; }; function g { b; }; f; g; h() ( c ); h | f", "a b c"),
    ("function later", "f; f() { a; }", "a"),
    ("function of a command's name", "ls() { command ls; }; ls", "command>ls"),
    ("coproc", "coproc a b", "a"),
    ("coproc group", "coproc { a; b; }", "a b"),
    ("coproc named", "coproc W { a | b; }; c", "a b c"),
    ("coproc subshell, loop", "coproc X ( a ); coproc Y while b; do c; done", "a b c"),
    ("coproc of a function", "w() { a; }\ncoproc W { w; }", "a"),
    # builtins that run
    ("exec", "exec a b", "exec>a"),
    ("exec with options", "exec -c -a name a", "exec>a"),
    ("exec runs no builtin, no function", "f() { :; }; exec f; exec echo x", "exec>f exec>echo"),
    ("exec of redirections", "exec 2>&1 >log", ""),
    ("command", "command a; command -p b; command echo", "command>a command>b"),
    ("builtin", "builtin echo a; builtin a", ""),
    ("eval", "eval 'a | b'; eval c d; eval \"e $x; f\"", "eval>a eval>b eval>c eval>e eval>f"),
    ("eval unknown", 'eval "$x"; eval "$y z"', "eval><$x> eval><$y>"),
    ("eval of a constant", "x='a; b'; eval \"$x\"", "eval>a eval>b"),
    ("trap", "trap 'rm -f x; b' EXIT; trap - INT; trap '' TERM; trap", "trap>rm trap>b"),
    ("trap, quoted", 'trap "kill $p; wait; rm $x" 0', "trap>rm"),
    ("time", "time -p a; time b | c", "time>a time>b c"),
    ("alias", "alias l='ls -l'", "alias>ls"),
    # wrappers
    ("env", "env a; env -i A=1 -u B b; env", "env env>a env>b"),
    ("env -S", "env -S 'A=1 a b'", "env env>a"),
    ("env runs no builtin", "env echo x", "env env>echo"),
    (
        "wrapper in wrapper",
        "sudo -u x env A=1 nice -n 5 a",
        "sudo sudo>env sudo>env>nice sudo>env>nice>a",
    ),
    ("timeout", "timeout -k 5 10 a; timeout --signal KILL 10 b", "timeout timeout>a timeout>b"),
    ("xargs", "a | xargs -0 -n 1 b; c | xargs", "a c xargs xargs>b xargs>echo"),
    (
        "nohup, setsid, stdbuf",
        "nohup a & setsid -w b; stdbuf -oL c",
        "nohup nohup>a setsid setsid>b stdbuf stdbuf>c",
    ),
    ("chroot", "chroot --userspec=a:b /new a", "chroot chroot>a"),
    (
        "su-exec, gosu",
        "exec su-exec u a; exec gosu u:g b",
        "exec>su-exec exec>su-exec>a exec>gosu exec>gosu>b",
    ),
    (
        "tini, dumb-init",
        "tini -s -- a; dumb-init --rewrite 15:3 b",
        "tini tini>a dumb-init dumb-init>b",
    ),
    ("find", "find . -name x -exec a {} \\; -o -execdir b {} +", "find find>a find>b"),
    (
        "flock",
        "flock -w 5 /lock a; flock /lock -c 'b; c'; flock 9",
        "flock flock>a flock>sh>b flock>sh>c",
    ),
    (
        "start-stop-daemon",
        "start-stop-daemon --start --exec /usr/sbin/a -- -x",
        "start-stop-daemon start-stop-daemon>/usr/sbin/a",
    ),
    (
        "shell with a string",
        'sh -ec \'a "$1"\' _ x; bash -o pipefail -c "b | c"',
        "sh sh>a bash bash>b bash>c",
    ),
    (
        "the inner shell's own words",
        "f() { :; }; sh -c 'f; [[ a ]]; pushd x'",
        "sh sh>f sh>[[ sh>pushd",
    ),
    ("shell with an unknown string", 'sh -c "$x"; bash -c "$y a"', "sh sh><$x> bash bash><$y>"),
    ("su", "su - u -c 'a b'; su u", "su su>a"),
    ("sudo without a command", "sudo -v; sudo -u x", "sudo"),
    ("unknown option of a wrapper", "nice $opts a", "nice nice><$opts>"),
    ("own wrapper", 'run() { log "$@"; "$@"; }; run a b', "log run>a"),
    ("own wrapper with an operand", 'try() { n=$1; shift; "$@"; }; try 3 a', "try>a"),
    # variables
    ("constant", 'A=/usr/bin/a; $A x; "$A"; ${A} y', "/usr/bin/a"),
    ("constant of several words", "A='nice -n 5 a'; $A", "nice nice>a"),
    ("array", 'A=(env X=1 a); A+=(b); "${A[@]}"', "env env>a"),
    ("array in a wrapper", 'A=(a b); exec "${A[@]}"', "exec>a"),
    ("part of a path", 'D=/opt; $D/bin/a; "$D/b"', "/opt/bin/a /opt/b"),
    ("one of several", "A=a; if x; then A=b; fi; $A", "x ?a ?b"),
    ("maybe a wrapper", "S=; if x; then S=sudo; fi; $S a", "x ?sudo ?sudo>a ?a"),
    ("not set at first", "A=; A=a; $A start", "a"),
    ("loop over names", "for c in a b; do $c; done", "a b"),
    ("default", "${E:-vi} x; : ${P:=less}", "vi"),
    ("grown", 'A=a; A="$A -x"; $A', "a"),
    ("of the environment", '$A x; "$1"; "$@"; ${!B}', "<$A> <$1> <$@> <${!B}>"),
    ("read", "read -r A; $A", "<$A>"),
    ("output", "A=$(a); $A; $(b) c; `d`", "a b d <$(a)> <$(b)> <`d`>"),
    ("pattern, home", "/etc/*.sh x; ~/a", "</etc/*.sh> <~/a>"),
    ("cut path", "case $1 in\n*/*) p=$PWD/$1\n;;\nesac\n", ""),
    # guards
    ("command -v &&", "command -v a >/dev/null 2>&1 && a", "?a"),
    ("if command -v", "if command -v a >/dev/null; then a; b; else a; fi", "?a a b"),
    ("type, hash, which", "type a && a; hash b 2>/dev/null && b; which c && c", "?a ?b which ?c"),
    (
        "test -x",
        "[ -x /bin/a ] && /bin/a; [[ -x /bin/b ]] && b; test -f /c && /c",
        "?/bin/a ?b ?/c",
    ),
    ("or leave", "command -v a || exit 0\na", "?a"),
    ("or leave, in a group", "[ -x /bin/a ] || { echo no; exit 1; }; /bin/a", "?/bin/a"),
    ("or die", 'die() { echo "$1"; exit 1; }; type a || die no; a', "?a"),
    ("if not, leave", "if ! command -v a; then exit; fi; a", "?a"),
    ("not or", "! command -v a || a", "?a"),
    ("elif", "if type a; then a; elif type b; then b; else c; fi", "?a ?b c"),
    ("one of two is no guard", "if type a || type b; then a; fi", "a"),
    ("two", "if type a && [ -x /b ]; then a; /b; fi", "?a ?/b"),
    ("another one", "command -v a && b", "b"),
    ("only behind it", "a; command -v a && a", "a ?a"),
    ("of a subshell only", "(command -v a || exit; a); a", "?a a"),
    ("function that asks", 'have() { command -v "$1" >/dev/null; }; have a && a', "?a"),
    ("answer in a variable", 'A=$(command -v a); [ -n "$A" ] && $A x; $A y', "?a a"),
    ("answer or leave", "A=$(which a) || exit; $A", "which ?a"),
    ("unknown, asked for", '[ -x "$A" ] && "$A"', "?<$A>"),
    ("wrapped", "command -v a && exec a; type b && sudo b", "?exec>a sudo ?sudo>b"),
    ("while", "while type a; do a; done", "?a"),
    ("or true", "a || true; b || :; c || d", "~a ~b c d"),
    ("asks nothing", '[ -d /a ] && a; [ -n "$a" ] && b; command -v', "a b"),
]


@pytest.mark.parametrize(
    ("script", "expected"), [pytest.param(s, e, id=name) for name, s, e in FORMS]
)
def test_forms(script: str, expected: str) -> None:
    facts = read_script(script.encode(), dialect=Dialect.BASH)
    assert (shown(facts), facts.unread) == (sorted(_expected(expected)), ())


def _expected(text: str) -> list[str]:
    """Split at spaces outside of <...>, which may hold them."""
    return re.findall(r"(?:[^\s<]*<[^>]*>|\S)+", text)


@pytest.mark.parametrize(
    ("script", "dialect", "expected"),
    [
        pytest.param("[[ a ]]", Dialect.DASH, "[[", id="dash has no [["),
        pytest.param("[[ a ]]", Dialect.ASH, "", id="ash has"),
        pytest.param("source x", Dialect.DASH, "source", id="dash has no source"),
        pytest.param("source x", Dialect.ASH, "", id="ash has one"),
        pytest.param("declare a=b", Dialect.DASH, "declare", id="dash has no declare"),
        pytest.param("local a; export b; readonly c", Dialect.DASH, "", id="dash has local"),
        pytest.param("let a=1; pushd x", Dialect.DASH, "let pushd", id="dash has no let"),
        pytest.param("time a", Dialect.DASH, "time time>a", id="time is a command in dash"),
        pytest.param("coproc a", Dialect.DASH, "coproc", id="coproc is one as well"),
        pytest.param("shopt -s x; mapfile y; help", Dialect.ASH, "shopt mapfile", id="ash"),
    ],
)
def test_each_shell_has_words_of_its_own(script: str, dialect: Dialect, expected: str) -> None:
    assert shown(read_script(script.encode(), dialect=dialect)) == sorted(expected.split())


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


SHEBANGS = [
    (b"#!/bin/bash -p\n", Shebang("/bin/bash", "-p"), ("/bin/bash", "-p"), Dialect.BASH),
    (b"#! \t/bin/sh \n", Shebang("/bin/sh"), ("/bin/sh",), Dialect.DASH),
    (b"#!/bin/sh -e -u\n", Shebang("/bin/sh", "-e -u"), ("/bin/sh", "-e -u"), Dialect.DASH),
    (b"#!/usr/bin/env bash\n", Shebang("/usr/bin/env", "bash"), ("bash",), Dialect.BASH),
    (b"#!/usr/bin/env bash -p\n", Shebang("/usr/bin/env", "bash -p"), ("bash -p",), None),
    (
        b"#!/usr/bin/env -S A=1 bash -p\n",
        Shebang("/usr/bin/env", "-S A=1 bash -p"),
        ("bash", "-p"),
        Dialect.BASH,
    ),
    (b"#!/bin/busybox sh\n", Shebang("/bin/busybox", "sh"), ("/bin/busybox", "sh"), Dialect.ASH),
    (b"#!/bin/sh\r\n", Shebang("/bin/sh\r"), ("/bin/sh\r",), None),
    (b"#!/usr/bin/python3\n", Shebang("/usr/bin/python3"), ("/usr/bin/python3",), None),
    (b"#!/bin/sh", Shebang("/bin/sh"), ("/bin/sh",), Dialect.DASH),
]


@pytest.mark.parametrize(("data", "shebang", "command", "dialect"), SHEBANGS)
def test_shebang(
    data: bytes, shebang: Shebang, command: tuple[str, ...], dialect: Dialect | None
) -> None:
    """The kernel passes the rest as one argument; env alone splits it, and only with -S."""
    assert parse_shebang(data) == shebang
    assert (shebang.command, shebang.dialect) == (command, dialect)


def test_without_shebang() -> None:
    """The shells and execvp take such a file for sh; another language is not read at all."""
    assert parse_shebang(b"ls\n") is None
    assert read_script(b"ls\n").dialect is Dialect.DASH
    assert read_script(b"#!/usr/bin/perl\nls;\n").calls == ()


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
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("data", HARD)
def test_bounded(data: bytes) -> None:
    assert read_script(data + b"\n$a0\n", dialect=Dialect.BASH).dialect is Dialect.BASH


def test_what_follows_the_text_is_not_read() -> None:
    """A self-extracting script carries an archive behind its last line."""
    facts = read_script(b'#!/bin/sh\ntail -n +3 "$0" | tar x; exit\n\x1f\x8b\0\0rm\nrm\n')
    assert shown(facts) == ["tail", "tar"]


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


def _read(data: bytes, dialect: Dialect | None = None) -> None:
    with contextlib.suppress(ScriptError):
        facts = read_script(data, dialect=dialect)
        assert all(call.name and call.line > 0 for call in facts.calls)


# -- Real scripts, and another grammar -----------------------------------------------------------

DIFFERENCES = {
    "/usr/bin/select-editor": "tree-sitter-bash ends a `for` inside `if` too early, so that"
    " backquotes with a blank behind them become text",
    "/usr/bin/zdiff": "`((` that opens two subshells, between many case patterns with brackets",
    "/usr/bin/zipgrep": "the end of backquotes on a continued line, behind IFS set to a newline",
}
"""Where the grammar loses commands, with its reason; no small piece of these does so alone."""


def _scripts() -> Iterator[Path]:
    for folder in ("/usr/bin", "/etc/init.d"):
        for path in sorted(Path(folder).glob("*")):
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                with path.open("rb") as file:
                    head = file.read(2)
                if head == b"#!" and _dialect(path):
                    yield path


def _dialect(path: Path) -> Dialect | None:
    shebang = parse_shebang(path.read_bytes())
    return shebang.dialect if shebang else None


def _shfmt() -> str:
    beside = Path(sys.executable).with_name("shfmt")
    found = str(beside) if beside.exists() else shutil.which("shfmt")
    return found or missing("no shfmt", "make setup (it is in the lint group)")


def _literal(word: dict[str, Any]) -> str | None:
    """Return the text of a word of the oracle's tree; None where it is not constant."""
    text = ""
    for part in word.get("Parts", []):
        match part["Type"]:
            case "Lit":
                plain = re.sub(r"\\(\n|.)", lambda found: found[1].strip("\n"), part["Value"])
                text += plain
            case "SglQuoted" if not part.get("Dollar"):
                text += part.get("Value", "")
            case "DblQuoted" if (inner := _literal(part)) is not None:
                text += inner
            case _:
                return None
    return text


def _oracle(path: Path, dialect: Dialect) -> set[tuple[int, str]] | None:
    """Return line and name of each command with a constant name; None where shfmt cannot read."""
    language = "bash" if dialect is Dialect.BASH else "posix"
    command = [_shfmt(), "-ln", language, "--to-json"]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False)
    if done.returncode:
        return None
    calls: set[tuple[int, str]] = set()
    functions: set[str] = set()
    stack: list[Any] = [json.loads(done.stdout)]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            stack += node.values()
            if node.get("Type") == "FuncDecl":
                functions.add(node["Name"]["Value"])
            if node.get("Type") == "CallExpr" and node.get("Args"):
                first = node["Args"][0]
                calls.add((first["Pos"]["Line"], _literal(first) or ""))
    own = BUILTINS[dialect] | KEYWORDS[dialect] | functions
    return {(line, name) for line, name in calls if name not in own and not _unnamed(name)}


def _unnamed(name: str) -> bool:
    return not name or name.startswith("~") or bool(re.search(r"[*?]", name))


def _missing(path: Path) -> set[tuple[int, str]]:
    facts = _facts(path)
    assert facts.dialect is not None
    wanted = _oracle(path, facts.dialect) or set()
    lost = wanted - {(call.line, call.name) for call in facts.calls if not call.via}
    assert facts.unread or not lost, (path, lost)
    return lost


@functools.cache
def _facts(path: Path) -> ScriptFacts:
    return read_script(path.read_bytes())


def test_real_scripts_against_another_grammar() -> None:
    """Every command that shfmt sees is found; the few that are not are told as unread."""
    scripts = list(_scripts())
    assert len(scripts) > 20
    with ThreadPoolExecutor(2) as pool:
        lost = dict(zip(map(str, scripts), pool.map(_missing, scripts), strict=True))
    assert {path: calls for path, calls in lost.items() if calls and path not in DIFFERENCES} == {}


def test_real_scripts_have_no_invented_commands() -> None:
    """A name that shfmt does not see comes from a variable: it stands in the text literally."""
    for path in _scripts():
        text = path.read_text(errors="replace")
        names = {Path(call.name).name for call in _facts(path).calls if call.name != "echo"}
        assert {name for name in names if name not in text} == set(), path
