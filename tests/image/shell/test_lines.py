"""A command and its line, in the forms in which real scripts call it.

Each script is written as it stands in files; the expectation names every command with its line.
"""

import pytest

from probe.image.shell import Dialect
from probe.image.shell import ScriptFacts
from probe.image.shell import read_command
from probe.image.shell import read_script
from tests.image.shell.notation import placed

# id, script, "line name" of every call in order; the shell is bash.
CASES = [
    ("pipe", "\necho \"$1\" |\n  tr '[:lower:]' '[:upper:]'\n", "3 tr"),
    ("pipe on one line", "a | tr x y", "1 a, 1 tr"),
    ("substitution", "\nx=$(\n  echo y | tr a b\n)\n", "3 tr"),
    ("substitution in quotes", 'echo "a\n$(tr a b)\n"', "2 tr"),
    ("backquotes", "\nx=`echo y \\\n| tr a b`", "3 tr"),
    ("process substitution", "while read -r l; do\n  :\ndone < <(tr a b)\n", "3 tr"),
    ("to a process", "echo a \\\n  > >(tr a b)\n", "2 tr"),
    ("exec", "cd /\nexec tr a b\n", "2 exec>tr"),
    ("command", "\n\ncommand tr a b", "3 command>tr"),
    ("guarded", "command -v tr >/dev/null 2>&1 &&\n  tr a b\ntr c d\n", "2 ?tr, 3 tr"),
    ("if not, leave", "if ! type tr >/dev/null; then\n  exit 0\nfi\n\ntr a b\n", "5 ?tr"),
    ("trap", "\ntrap 'tr a b' EXIT\n", "2 trap>tr"),
    ("trap of several lines", "trap '\n  rm x\n  tr a b\n' EXIT TERM\n", "2 trap>rm, 3 trap>tr"),
    ("eval", 'true\neval "tr a b"\n', "2 eval>tr"),
    ("eval in quotes", "eval 'x=$(echo y |\n tr a b)'", "2 eval>tr"),
    ("xargs", "find / -print0 \\\n | xargs -0 tr a\n", "1 find, 2 xargs, 2 xargs>tr"),
    ("find", "\nfind . -type f -exec tr {} +\n", "2 find, 2 find>tr"),
    ("find, a shell", "find . -exec sh -c 'tr a b' \\;", "1 find, 1 find>sh, 1 find>sh>tr"),
    ("here-document", "cat <<EOF\ntext\n$(tr a b)\nEOF\n", "1 cat, 3 tr"),
    ("here-document, quoted", "cat <<'EOF'\n$(tr a b)\nEOF\ntr\n", "1 cat, 4 tr"),
    ("here-document, tabs", "if x; then\n\tcat <<-E\n\t`tr a`\n\tE\nfi\n", "1 x, 2 cat, 3 tr"),
    ("test -x", "[ -x /usr/bin/tr ] && /usr/bin/tr a b", "1 ?/usr/bin/tr"),
    ("if test -x", "if [ -x /usr/bin/tr ]; then\n /usr/bin/tr\nfi", "2 ?/usr/bin/tr"),
    ("test of another", "[ -x /usr/bin/tr ] && /bin/tr a b", "1 /bin/tr"),
    ("function of its name", 'tr() {\n  command tr "$@"\n}\ntr a b\n', "2 command>tr"),
    ("function of its name, sed", "tr() { sed y/a/b/; }\necho | tr\n", "1 sed"),
    ("escaped", "\\tr a b", "1 tr"),
    ("escaped, after a line", "a b\n\\tr c\n  \\tr d \\\n  \\e\n", "1 a, 2 tr, 3 tr"),
    ("escaped, after a function", "f() {\n  x\n  \\tr c\n}\n\\tr d", "2 x, 3 tr, 5 tr"),
    ("in quotes", "\"tr\" a b\n'tr' c", "1 tr, 2 tr"),
    ("in parts", "t\"\"r a b\nt'r' a\n", "1 tr, 2 tr"),
    ("in dollar quotes", "$'t\\x72' a", "1 tr"),
    ("coproc", "\ncoproc tr a b\n", "2 tr"),
    ("coproc named", "coproc T {\n  tr a b\n}\n", "2 tr"),
    ("arithmetic", "((tr = 1))\necho $((tr + $(tr a)))\n((tr++))\nlet tr=2", "2 tr"),
    ("double brackets", "[[ tr == t* && -n $(tr a) ]]\n[[ -n tr ]]", "1 tr"),
    ("case patterns", "case tr in\n  tr | $(tr a)) ;;\n  *tr*) echo ;;\nesac", "2 tr"),
    ("case branch", "case $1 in\n  tr)\n    tr a b\n    ;;\nesac", "3 tr"),
    ("words only", "echo tr; x=tr; for tr in tr; do :; done; a tr", "1 a"),
    ("comment", "# tr a b\n: # tr\n", ""),
    ("loop condition", "until echo |\n tr a; do\n :\ndone", "2 tr"),
    ("negated", "if ! tr a; then\n  b\nfi\n", "1 tr, 2 b"),
    ("background", "tr a b &\nwait $!\n", "1 tr"),
    ("group, redirected", '{\n  tr a b\n} >>"$log" 2>&1\n', "2 tr"),
    ("assignment before", "LC_ALL=C \\\n  tr a b", "2 tr"),
    ("array", 'a=(\n $(tr a)\n)\n"${a[@]}"', "2 tr"),
    ("declaration", "local x=$(\ntr a)\nexport y=`tr b`", "2 tr, 3 tr"),
    ("default", "x=${y:-$(tr a)}\n: ${z:=`tr b`}", "1 tr, 2 tr"),
    ("pattern of an expansion", "x=${y%\n$(tr a)}; z=${y/$(tr $(c))/`tr d`}", "2 c, 2 tr"),
    ("arithmetic in a pattern", "x=${y%$((n + 1))}; z=${y/$((n))/$((m))}; tr", "1 tr"),
    ("arithmetic in a here-document", "cat <<E\n$((n + 1))$(($(tr a)))\nE\n", "1 cat, 2 tr"),
    ("subshells in a substitution", "x=$( (tr a) | (tr b))\ny=$( (tr c); d)", "1 tr, 2 d, 2 tr"),
    (
        "negated group",
        "! { tr; } || b\nif ! while tr; do c; done; then d; fi",
        "1 b, 1 tr, 2 c, 2 d, 2 tr",
    ),
    ("in such arithmetic", "x=${y%$(($(tr a) + 1))}\nz=${y/$(($(tr b)))/c}", "1 tr, 2 tr"),
    ("pipe, continued", "a | \\\n  { while tr b; do :; done; }\n", "1 a, 2 tr"),
    ("brace behind a loop", "{ while tr b; do :; done }\nc", "1 tr, 2 c"),
    ("home in braces", "for i in {/etc,~/etc}/${n}{,9} $h/.${n}c; do\n  tr b\ndone", "2 tr"),
    ("tolerated", "tr a b || true", "1 ~tr"),
    ("path of a variable", "bin=/usr/bin\n$bin/tr a b", "2 /usr/bin/tr"),
]


@pytest.mark.parametrize(
    ("script", "expected"), [pytest.param(s, e, id=name) for name, s, e in CASES]
)
def test_every_call_with_its_line(script: str, expected: str) -> None:
    facts = read_script(script.encode(), dialect=Dialect.BASH)
    known = [(line, name) for line, name in placed(facts) if "<" not in name]
    assert (known, facts.unread) == (_expected(expected), ())


def _expected(text: str) -> list[tuple[int, str]]:
    found = [part.split(maxsplit=1) for part in filter(None, text.split(", "))]
    return [(int(line), name) for line, name in found]


ALIASES = [
    pytest.param("alias t='tr a'\nt b", Dialect.DASH, [(1, "alias>tr")], id="dash"),
    pytest.param("alias t='tr a'\nt b", Dialect.ASH, [(1, "alias>tr")], id="ash"),
    pytest.param(
        "alias t='tr a'\nt b", Dialect.BASH, [(1, "alias>tr"), (2, "t")], id="bash has none"
    ),
    pytest.param(
        "shopt -s expand_aliases\nalias t=tr\nt b", Dialect.BASH, [(2, "alias>tr")], id="but may"
    ),
    pytest.param(
        "alias tr='tr -s'\ntr a; \\tr b", Dialect.DASH, [(1, "alias>tr"), (2, "tr")], id="itself"
    ),
]


@pytest.mark.parametrize(("script", "dialect", "expected"), ALIASES)
def test_aliases(script: str, dialect: Dialect, expected: list[tuple[int, str]]) -> None:
    """Bash expands them in scripts only with expand_aliases; quotes keep any shell from it."""
    assert placed(read_script(script.encode(), dialect=dialect)) == expected


FUNCTIONS = b"""# mapping of names
is_set() {
  [ -n "$1" ]
}

to_upper() {
  echo "$1" | tr '[:lower:]' '[:upper:]'
}
"""
ENTRYPOINT = b"""#!/bin/bash
. /functions.sh
name=$(to_upper "$1")
exec split-sync "$@"
"""


def test_function_of_a_sourced_file() -> None:
    """The form of the synchronizer's own entrypoint: `tr` is called from functions.sh."""
    facts = read_script(ENTRYPOINT, load={"/functions.sh": FUNCTIONS}.get)
    assert _calls(facts) == [
        ("split-sync", 4, "", ("exec",)),
        ("tr", 7, "/functions.sh", ()),
    ]
    assert _calls(read_script(ENTRYPOINT)) == [
        ("to_upper", 3, "", ()),
        ("split-sync", 4, "", ("exec",)),
    ]


def _calls(facts: ScriptFacts) -> list[tuple[str, int, str, tuple[str, ...]]]:
    return [(call.name, call.line, call.file, call.via) for call in facts.calls]


# id, argv, what it calls; sh is dash. Line 1, and on in a string that is a script.
ARGV = [
    ("program", ["/split-sync", "-x"], "1 /split-sync"),
    ("nothing", [], ""),
    ("no builtin", ["test", "-f", "/x"], "1 test"),
    ("no builtin either", ["exec", "a"], "1 exec"),
    ("no keyword", ["if"], "1 if"),
    ("nothing is expanded", ["/opt/*/a", "$x", "~"], "1 /opt/*/a"),
    ("not even behind a wrapper", ["env", "A=*", "$x"], "1 env, 1 env>$x"),
    ("a string", ["/bin/sh", "-c", "a\nb | c"], "1 /bin/sh, 1 sh>a, 2 sh>b, 2 sh>c"),
    ("a string and its arguments", ["sh", "-ec", 'exec "$@"', "sh", "a"], "1 sh, 1 sh>exec><$@>"),
    ("a string, guarded", ["sh", "-c", "type a && a"], "1 sh, 1 ?sh>a"),
    ("a string, or true", ["bash", "-p", "-c", "a || exit 1"], "1 bash, 1 bash>a"),
    ("options behind -c", ["bash", "-c", "-e", "a"], "1 bash, 1 bash>a"),
    ("options with values", ["bash", "-euxo", "pipefail", "-c", "a"], "1 bash, 1 bash>a"),
    ("stdin", ["bash", "-s", "a"], "1 bash"),
    ("interactive", ["bash"], "1 bash"),
    ("a shell in a shell", ["sh", "-c", "exec bash -c 'a'"], None),
    ("tini", ["/sbin/tini", "-g", "--", "/a", "b"], "1 /sbin/tini, 1 tini>/a"),
    ("tini with values", ["tini", "-p", "SIGTERM", "-e", "143", "a"], "1 tini, 1 tini>a"),
    ("docker-init", ["/sbin/docker-init", "--", "a"], "1 /sbin/docker-init, 1 docker-init>a"),
    ("dumb-init", ["dumb-init", "-r", "15:3", "-c", "a"], "1 dumb-init, 1 dumb-init>a"),
    ("dumb-init, equals", ["dumb-init", "--rewrite=15:3", "a"], "1 dumb-init, 1 dumb-init>a"),
    ("catatonit", ["catatonit", "-g", "--", "a"], "1 catatonit, 1 catatonit>a"),
    ("catatonit pauses", ["catatonit", "-P"], "1 catatonit"),
    ("su-exec", ["su-exec", "u:g", "a"], "1 su-exec, 1 su-exec>a"),
    ("gosu", ["gosu", "65532", "a"], "1 gosu, 1 gosu>a"),
    ("setpriv", ["setpriv", "--reuid", "1", "--clear-groups", "a"], "1 setpriv, 1 setpriv>a"),
    ("setpriv, equals", ["setpriv", "--reuid=1", "a"], "1 setpriv, 1 setpriv>a"),
    ("chpst", ["chpst", "-u", "app", "-P", "-e", "/env", "a"], "1 chpst, 1 chpst>a"),
    ("s6-setuidgid", ["s6-setuidgid", "app", "a"], "1 s6-setuidgid, 1 s6-setuidgid>a"),
    ("s6-envdir", ["s6-envdir", "-I", "/env", "a"], "1 s6-envdir, 1 s6-envdir>a"),
    ("s6-softlimit", ["s6-softlimit", "-o", "64", "a"], "1 s6-softlimit, 1 s6-softlimit>a"),
    ("with-contenv", ["with-contenv", "a"], "1 with-contenv, 1 with-contenv>a"),
    ("timeout", ["timeout", "-s", "KILL", "5", "a"], "1 timeout, 1 timeout>a"),
    ("nice", ["nice", "-n", "5", "a"], "1 nice, 1 nice>a"),
    ("nice, old", ["nice", "-5", "a"], "1 nice, 1 nice>a"),
    ("nohup", ["nohup", "a"], "1 nohup, 1 nohup>a"),
    ("stdbuf", ["stdbuf", "-o", "L", "-e0", "a"], "1 stdbuf, 1 stdbuf>a"),
    ("ionice", ["ionice", "-c", "3", "a"], "1 ionice, 1 ionice>a"),
    ("ionice of a process", ["ionice", "-p", "1"], "1 ionice"),
    ("setsid", ["setsid", "-w", "a"], "1 setsid, 1 setsid>a"),
    ("unshare", ["unshare", "-r", "-S", "0", "--propagation", "slave", "a"], None),
    ("chroot", ["chroot", "/new", "a"], "1 chroot, 1 chroot><a>"),
    ("env", ["/usr/bin/env", "-i", "A=1", "a"], "1 /usr/bin/env, 1 env>a"),
    ("env -S", ["env", "-S", "A=1 a b"], "1 env, 1 env>a"),
    ("env of the environment", ["env"], "1 env"),
    ("applet", ["busybox", "tr", "a"], "1 busybox"),
    ("busybox sh", ["busybox", "sh", "-c", "[[ x ]] && a"], "1 busybox, 1 busybox>a"),
    ("several", ["tini", "--", "gosu", "u", "env", "A=1", "sh", "-c", "a"], None),
]
_MORE = {
    "a shell in a shell": [(1, "sh"), (1, "sh>exec>bash"), (1, "sh>exec>bash>a")],
    "unshare": [(1, "unshare"), (1, "unshare>a")],
    "several": [
        (1, "tini"),
        (1, "tini>gosu"),
        (1, "tini>gosu>env"),
        (1, "tini>gosu>env>sh"),
        (1, "tini>gosu>env>sh>a"),
    ],
}


@pytest.mark.parametrize(
    ("name", "argv", "expected"), [pytest.param(*case, id=case[0]) for case in ARGV]
)
def test_argv(name: str, argv: list[str], expected: str | None) -> None:
    """No shell reads an argv: its words are what they are; strings for shells are read."""
    wanted = _MORE[name] if expected is None else _expected(expected)
    facts = read_command(argv)
    assert (placed(facts), facts.unread, facts.shebang) == (sorted(wanted), (), None)


SHELLS = [
    pytest.param(["bash", "-p", "/x"], ("bash", "-p"), "/x", id="option kept"),
    pytest.param(["/bin/bash", "/x", "-p"], ("bash",), "/x", id="option of the script"),
    pytest.param(["bash", "-e", "-o", "posix", "/x"], ("bash", "-e", "-o", "posix"), "/x", id="-o"),
    pytest.param(["bash", "--rcfile", "a", "/x"], ("bash", "--rcfile", "a"), "/x", id="long"),
    pytest.param(["tini", "sh", "--", "/x"], ("sh", "--"), "/x", id="behind tini"),
    pytest.param(["sh", "-c", "exec bash -p /x"], ("bash", "-p"), "/x", id="in a string"),
]


@pytest.mark.parametrize(("argv", "shell", "path"), SHELLS)
def test_shell_that_is_given_a_file(argv: list[str], shell: tuple[str, ...], path: str) -> None:
    """The file's own `#!` does not count then: an option in it (`-p`) is lost if not repeated."""
    facts = read_command(argv)
    assert [(it.shell, it.path, it.run) for it in facts.sourced] == [(shell, path, True)]


@pytest.mark.parametrize(
    ("sh", "calls"),
    [(Dialect.DASH, ["sh", "[[", "shopt"]), (Dialect.ASH, ["sh", "shopt"]), (Dialect.BASH, ["sh"])],
)
def test_what_sh_is(sh: Dialect, calls: list[str]) -> None:
    """Only the image knows; it counts for argv, `#!/bin/sh`, `sh -c` and files without `#!`."""
    text = "[[ x ]]; shopt x"
    assert [call.name for call in read_command(["sh", "-c", text], dialect=sh).calls] == calls
    for head in ("#!/bin/sh\n", "#!/usr/bin/env sh\n", ""):
        facts = read_script(f"{head}{text}".encode(), sh=sh)
        assert [call.name for call in facts.calls] == calls[1:]
    inner = read_script(f"#!/bin/bash\nsh -c '{text}'".encode(), sh=sh)
    assert [call.name for call in inner.calls] == calls


# id, script at /opt/app/run.sh, the files that it sources
OWN_PATH = [
    ("dirname", '. "$(dirname "$0")/lib.sh"', "/opt/app/lib.sh"),
    ("backquotes", ". `dirname $0`/lib.sh", "/opt/app/lib.sh"),
    ("expansion", '. "${0%/*}/lib.sh"', "/opt/app/lib.sh"),
    ("cd, pwd", 'd=$(cd "$(dirname "$0")" && pwd)\n. "$d/lib.sh"', "/opt/app/lib.sh"),
    (
        "cd -P, silent",
        'd=$(cd -P -- "$(dirname -- "$0")/.." >/dev/null && pwd -P)\n. $d/l',
        "/opt/l",
    ),
    ("bash", '. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"', "/opt/app/lib.sh"),
    ("bash, no command", '. "${BASH_SOURCE%/*}/lib.sh"', "/opt/app/lib.sh"),
    ("with its slash", '. "${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}lib.sh"', "/opt/app/lib.sh"),
    ("basename", '. "/etc/default/$(basename "$0")"', "/etc/default/run.sh"),
    ("constant", 'f=/a/b/c; . "$(dirname "$f")/x"', "/a/b/x"),
    ("relative", 'd=$(cd x && pwd); . "$d/y"', "<$(cd x && pwd)/y>"),
    ("or", 'd=$(cd /x || pwd); . "$d/y"', "<$(cd /x || pwd)/y>"),
    ("of another shell", "sh -c '. \"$0\"'", "<$0>"),
]


@pytest.mark.parametrize(
    ("script", "expected"), [pytest.param(s, e, id=name) for name, s, e in OWN_PATH]
)
def test_files_beside_the_script(script: str, expected: str) -> None:
    """With its path `$0` and what is made of it are known."""
    facts = read_script(script.encode(), dialect=Dialect.BASH, path="/opt/app/run.sh")
    assert [it.path if it.known else f"<{it.path}>" for it in facts.sourced] == [expected]


def test_own_path_without_one() -> None:
    facts = read_script(b'. "$(dirname "$0")/lib.sh"')
    assert [(it.path, it.known) for it in facts.sourced] == [('$(dirname "$0")/lib.sh', False)]


def test_one_of_several_files_is_guarded() -> None:
    script = b'folder=${0%"${0##*/}"}\n. "${folder:-./}functions.sh"\n. /x\n'
    facts = read_script(script, path="/functions/entrypoint.sh")
    assert [(it.path, it.guarded) for it in facts.sourced] == [
        ("/functions/functions.sh", True),
        ("./functions.sh", True),
        ("/x", False),
    ]
